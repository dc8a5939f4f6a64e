//! Functions that read through the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cachebus::{CacheBus, Error, ErrorKind, Keyspace, cached};
use futures::future::join_all;

use crate::bus::{ask, client, server, text};
use crate::wait::until;

#[derive(Clone)]
struct Database {
    bus: CacheBus,
    agents: Keyspace<String>,
    asked: Arc<AtomicUsize>,
}

impl Database {
    fn beside(bus: &CacheBus) -> Self {
        let agents = bus.cache().keyspace("agent").unwrap();
        Self {
            bus: bus.clone(),
            agents: agents.stale_for(Duration::from_mins(10)),
            asked: Arc::default(),
        }
    }

    async fn ask(&self, id: &str) -> std::io::Result<Option<String>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        match id {
            "none" => Ok(None),
            "broken" => Err(std::io::Error::other("no database")),
            id => Ok(Some(format!("agent {id}"))),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    #[cached(keyspace = "agent", bus = self.bus)]
    async fn agent(&self, id: &str) -> anyhow::Result<Option<String>> {
        let found = self.ask(id).await?;
        if found.is_none() {
            return Ok(None);
        }
        Ok(found)
    }

    #[cached(keyspace = "agent_list", bus = self.bus)]
    async fn all(&self) -> Result<Option<Vec<String>>, Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Some(vec!["a".to_owned()]))
    }
}

#[cached(keyspace = database.agents, key = id, refresh)]
async fn fresh_enough(database: Database, id: u64) -> anyhow::Result<Option<String>> {
    Ok(database.ask(&id.to_string()).await?)
}

#[cached(keyspace = "metrics", bus = bus)]
async fn metric(bus: &CacheBus, service: &str, name: &str) -> Result<Option<u64>, Error> {
    let _ = (service, name);
    Ok(Some(1))
}

#[tokio::test]
async fn a_function_is_asked_once_for_what_is_cached() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let database = Database::beside(&bus);
    for answer in join_all((0..100).map(|_| database.agent("7"))).await {
        assert_eq!(answer.unwrap().as_deref(), Some("agent 7"));
    }
    assert_eq!(database.asked(), 1);
    let stored = ask(&mut admin, &["GET", "agent:7"]).await;
    assert_eq!(text(stored), r#""agent 7""#);
    assert_eq!(database.agent("none").await.unwrap(), None);
    let error = database.agent("broken").await.unwrap_err();
    let kind = error.downcast_ref::<Error>().map(Error::kind);
    assert_eq!(kind, Some(ErrorKind::LoadFailed));
    for _ in 0..2 {
        assert_eq!(database.all().await.unwrap().unwrap(), ["a"]);
    }
    assert_eq!(database.asked(), 4);
    let stored = ask(&mut admin, &["GET", "agents:all"]).await;
    assert_eq!(text(stored), r#"["a"]"#);
}

#[tokio::test]
async fn several_arguments_are_parts_by_their_names() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    ask(&mut admin, &["SET", "metrics:api:p99", "7"]).await;
    assert_eq!(metric(&bus, "api", "p99").await.unwrap(), Some(7));
    assert_eq!(metric(&bus, "api", "p50").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_function_loads_in_the_background_where_it_is_told_to() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let database = Database::beside(&bus);
    ask(&mut admin, &["SET", "agent:7", r#""old""#, "EX", "60"]).await;
    let answer = Box::pin(fresh_enough(database.clone(), 7)).await.unwrap();
    assert_eq!(answer.as_deref(), Some("old"));
    until("it is loaded anew", async || {
        let stored = ask(&mut admin, &["GET", "agent:7"]).await;
        (text(stored) == r#""agent 7""#).then_some(())
    })
    .await;
    assert_eq!(database.asked(), 1);
}
