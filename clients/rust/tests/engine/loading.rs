//! Values that are loaded again while they answer.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachebus::{CacheBus, ErrorKind, Keyspace};
use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;

use crate::bus::{ask, client, server, text};
use crate::wait::until;

const WINDOW: Duration = Duration::from_mins(10);

fn found(name: &str) -> Ready<Result<Option<String>, Infallible>> {
    ready(Ok(Some(name.to_owned())))
}

fn agents(bus: &CacheBus) -> Keyspace<String> {
    bus.cache().keyspace("agent").unwrap()
}

/// Makes a value as old as this: `left` to the end of what is stored for its time and the window.
async fn age(admin: &mut MultiplexedConnection, left: Duration) {
    let left = left.as_millis().to_string();
    let reply = ask(admin, &["PEXPIRE", "agent:7", &left]).await;
    assert_eq!(reply, redis::Value::Int(1));
}

async fn life(admin: &mut MultiplexedConnection) -> i64 {
    redis::from_redis_value(ask(admin, &["PTTL", "agent:7"]).await).unwrap()
}

async fn is_stored(agents: &Keyspace<String>, name: &str) {
    until("the value is loaded anew", async || {
        (agents.get(7).await.unwrap().as_deref() == Some(name)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stale_value_answers_while_one_load_runs() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = agents(&bus).stale_for(WINDOW);
    agents.set(7, &"old".to_owned()).await.unwrap();
    assert_eq!(text(ask(&mut admin, &["GET", "agent:7"]).await), r#""old""#);
    let life = life(&mut admin).await;
    assert!((4_190_000..=4_200_000).contains(&life), "{life}");
    age(&mut admin, WINDOW).await;

    let (loads, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let ask_for = || {
        let (loads, open) = (Arc::clone(&loads), Arc::clone(&open));
        agents.get_or_refresh(7, async move || {
            loads.fetch_add(1, Ordering::Relaxed);
            open.notified().await;
            found("new").await
        })
    };
    for _ in 0..3 {
        for answer in join_all((0..100).map(|_| ask_for())).await {
            assert_eq!(answer.unwrap().as_deref(), Some("old"));
        }
    }
    open.notify_one();
    is_stored(&agents, "new").await;
    assert_eq!(ask_for().await.unwrap().as_deref(), Some("new"));
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_ripe_value_answers_and_is_loaded_ahead() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = agents(&bus).refresh_early(0.5);
    let get = async || agents.get_or_refresh(7, || found("new")).await.unwrap();
    agents.set(7, &"old".to_owned()).await.unwrap();
    for _ in 0..20 {
        assert_eq!(get().await.as_deref(), Some("old"));
    }
    assert_eq!(agents.get(7).await.unwrap().as_deref(), Some("old"));
    age(&mut admin, Duration::from_secs(20)).await;
    until("a read finds it ripe", async || {
        (get().await.as_deref() == Some("new")).then_some(())
    })
    .await;
    assert!(life(&mut admin).await > 3_590_000);
}

#[tokio::test]
async fn what_was_removed_while_it_was_loaded_is_not_put_back() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = agents(&bus).stale_for(WINDOW);
    agents.set(7, &"old".to_owned()).await.unwrap();
    age(&mut admin, WINDOW).await;
    let (begun, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (loads, lets) = (Arc::clone(&begun), Arc::clone(&open));
    let answer = agents.get_or_refresh(7, async move || {
        loads.notify_one();
        lets.notified().await;
        found("from before the removal").await
    });
    assert_eq!(answer.await.unwrap().as_deref(), Some("old"));
    begun.notified().await;
    agents.delete(7).await.unwrap();
    open.notify_one();
    // Its turn ends when it has stored what it wants to: the next one finds nothing and loads.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(agents.get(7).await.unwrap(), None);
}

#[tokio::test]
async fn that_there_is_nothing_any_more_ends_a_value() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = agents(&bus).stale_for(WINDOW);
    agents.set(7, &"old".to_owned()).await.unwrap();
    age(&mut admin, WINDOW).await;
    let nothing = || ready(Ok::<Option<String>, Infallible>(None));
    let answer = agents.get_or_refresh(7, nothing).await.unwrap();
    assert_eq!(answer.as_deref(), Some("old"));
    until("the value is removed", async || {
        agents.get(7).await.unwrap().is_none().then_some(())
    })
    .await;
    let remembering = agents.clone().remember_absent(Duration::from_mins(1));
    assert_eq!(remembering.get_or_refresh(7, nothing).await.unwrap(), None);
    // It has less than the window to live, and is not stale for that.
    let answer = remembering.get_or_refresh(7, || found("not asked"));
    assert_eq!(answer.await.unwrap(), None);
}

#[tokio::test]
async fn a_loader_that_fails_leaves_the_stale_value() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = agents(&bus).stale_for(WINDOW);
    agents.set(7, &"old".to_owned()).await.unwrap();
    age(&mut admin, WINDOW).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let failing = || {
        let loads = Arc::clone(&loads);
        async move || {
            loads.fetch_add(1, Ordering::Relaxed);
            Err::<Option<String>, _>(std::io::Error::other("no database"))
        }
    };
    let begun = Instant::now();
    for _ in 0..20 {
        let answer = agents.get_or_refresh(7, failing()).await.unwrap();
        assert_eq!(answer.as_deref(), Some("old"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let loads_so_far = loads.load(Ordering::Relaxed) as u64;
    let allowed = 1 + begun.elapsed().as_secs();
    assert!(loads_so_far <= allowed, "it is left alone for a while");
    // Who waits for the load is answered with what there is.
    let answer = agents.get_or_load(7, failing()).await.unwrap();
    assert_eq!(answer.as_deref(), Some("old"));
    let answer = agents.get_or_load(7, || found("new")).await.unwrap();
    assert_eq!(answer.as_deref(), Some("new"));
    let error = agents.get_or_load(8, failing()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoadFailed);
}

#[tokio::test]
async fn values_of_clients_without_a_window_are_read() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let plain = agents(&bus);
    let agents = agents(&bus).stale_for(WINDOW);
    let get = async || agents.get_or_refresh(7, || found("new")).await.unwrap();
    plain.set(7, &"of another".to_owned()).await.unwrap();
    assert_eq!(get().await.as_deref(), Some("of another"));
    ask(&mut admin, &["SET", "agent:7", r#""by hand""#]).await;
    assert_eq!(get().await.as_deref(), Some("by hand"));
    age(&mut admin, WINDOW).await;
    assert_eq!(plain.get(7).await.unwrap().as_deref(), Some("by hand"));
    assert_eq!(get().await.as_deref(), Some("by hand"));
    is_stored(&plain, "new").await;
}
