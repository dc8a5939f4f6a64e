use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachebus::{CacheBus, Encoding, ErrorKind, Parts, Source};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::bus::{ask, client, client_by, contract, grant, impatient, server, text, url};
use crate::counted::Counted;
use crate::wait::until;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Agent {
    name: String,
}

fn agent(name: &str) -> Agent {
    Agent { name: name.into() }
}

fn found(name: &str) -> Ready<Result<Option<Agent>, Infallible>> {
    ready(Ok(Some(agent(name))))
}

#[tokio::test]
async fn values_come_back() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    assert_eq!(agents.get(7).await.unwrap(), None);
    agents.set(7, &agent("a")).await.unwrap();
    assert_eq!(agents.get(7).await.unwrap(), Some(agent("a")));
    assert!(agents.exists(7).await.unwrap());
    agents
        .mset([("x", &agent("x")), ("y", &agent("y"))])
        .await
        .unwrap();
    let many = agents.mget(["y", "none", "x"]).await.unwrap();
    assert_eq!(many, [Some(agent("y")), None, Some(agent("x"))]);
    assert!(agents.delete(7).await.unwrap());
    assert!(!agents.delete(7).await.unwrap());
    assert_eq!(agents.delete_many(["x", "y", "z"]).await.unwrap(), 2);
    let all = bus.cache().keyspace::<Vec<Agent>>("agent_list").unwrap();
    all.set((), &vec![agent("a")]).await.unwrap();
    assert_eq!(all.get(()).await.unwrap(), Some(vec![agent("a")]));
}

#[tokio::test]
async fn what_is_stored_is_plain_and_runs_out() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    agents.set(7, &agent("a")).await.unwrap();
    let stored = ask(&mut admin, &["GET", "agent:7"]).await;
    assert_eq!(text(stored), r#"{"name":"a"}"#);
    let remaining = async |admin: &mut _| -> u64 {
        redis::from_redis_value(ask(admin, &["PTTL", "agent:7"]).await).unwrap()
    };
    let full = remaining(&mut admin).await;
    assert!((3_590_000..=3_600_000).contains(&full), "{full}");
    let brief = agents.clone().ttl(Duration::from_secs(100)).ttl_jitter(0.5);
    for _ in 0..20 {
        brief.set(7, &agent("a")).await.unwrap();
        let left = remaining(&mut admin).await;
        assert!((45_000..=100_000).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn every_form_is_read() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    let long = agent(&"x".repeat(5000));
    let packed = Encoding::message_pack().compress_above(1000);
    agents.clone().encoding(packed).set(1, &long).await.unwrap();
    assert_eq!(agents.get(1).await.unwrap(), Some(long));
    let small = agents.clone().encoding(Encoding::json().max_bytes(5));
    let error = small.set(1, &agent("long")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ValueTooLarge);
}

#[tokio::test]
async fn what_the_contract_does_not_grant_is_an_error_at_the_start() {
    let process = server(&[]).await;
    let bus = client(&process);
    for name in ["unknown", "lock"] {
        let error = bus.cache().keyspace::<Agent>(name).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ContractError);
    }
    let metrics = bus.cache().keyspace::<u64>("metrics").unwrap();
    let parts = Parts::named([("service", "api"), ("name", "p99")]);
    assert_eq!(metrics.get(parts.clone()).await.unwrap(), None);
    let error = metrics.set(parts, &1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(
        metrics.get(7).await.unwrap_err().kind(),
        ErrorKind::KeyInvalid
    );
}

#[tokio::test]
async fn a_pattern_removes_a_keyspaces_own_values_alone() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    let error = agents.delete_matching(()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    grant(&mut admin, &["+scan"]).await;
    let values: Vec<(u64, u64)> = (0..2000).map(|number| (number, number)).collect();
    agents
        .mset(values.iter().map(|(part, value)| (*part, value)))
        .await
        .unwrap();
    for other in ["agent:1:of-another", "agents:all"] {
        ask(&mut admin, &["SET", other, "x"]).await;
    }
    assert_eq!(agents.delete_matching("19??").await.unwrap(), 100);
    assert_eq!(agents.delete_matching(()).await.unwrap(), 1900);
    let left = ask(&mut admin, &["DBSIZE"]).await;
    assert_eq!(left, redis::Value::Int(2));
}

#[tokio::test]
async fn a_thousand_misses_cause_one_load() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    let loads = AtomicUsize::new(0);
    let calls = (0..1000).map(|_| {
        agents.get_or_load(7, || async {
            loads.fetch_add(1, Ordering::Relaxed);
            found("a").await
        })
    });
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap(), Some(agent("a")));
    }
    assert_eq!(loads.load(Ordering::Relaxed), 1);
    assert_eq!(agents.get(7).await.unwrap(), Some(agent("a")));
}

#[tokio::test]
async fn a_loaders_error_is_the_callers() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    let failing = || async { Err::<Option<Agent>, _>(std::io::Error::other("no database")) };
    let error = agents.get_or_load(7, failing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoadFailed);
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "no database");
    assert!(!agents.exists(7).await.unwrap());
}

#[tokio::test]
async fn that_there_is_nothing_is_remembered_by_choice() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    let loads = AtomicUsize::new(0);
    let nothing = || async {
        loads.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(None)
    };
    for _ in 0..2 {
        assert_eq!(agents.get_or_load(7, nothing).await.unwrap(), None);
    }
    assert_eq!(loads.load(Ordering::Relaxed), 2);
    let remembering = agents.clone().remember_absent(Duration::from_mins(1));
    for _ in 0..3 {
        assert_eq!(remembering.get_or_load(7, nothing).await.unwrap(), None);
    }
    assert_eq!(loads.load(Ordering::Relaxed), 3);
    // Others do not take it for a value.
    assert_eq!(agents.get(7).await.unwrap(), None);
    let loaded = agents.get_or_load(7, || found("a")).await.unwrap();
    assert_eq!(loaded, Some(agent("a")));
}

#[tokio::test]
async fn bytes_of_others_are_loaded_anew() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    ask(&mut admin, &["SET", "agent:7", "\u{1}pickled"]).await;
    let error = agents.get(7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ValueInvalid);
    let loaded = agents.get_or_load(7, || found("a")).await.unwrap();
    assert_eq!(loaded, Some(agent("a")));
    assert_eq!(agents.get(7).await.unwrap(), Some(agent("a")));
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_little_and_comes_back() {
    let process = server(&[]).await;
    let bus = impatient(&process);
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    agents.set(7, &agent("cached")).await.unwrap();
    process.freeze();
    for _ in 0..3 {
        let begun = Instant::now();
        let loaded = agents.get_or_load(7, || found("loaded")).await.unwrap();
        assert_eq!(loaded, Some(agent("loaded")));
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
    let begun = Instant::now();
    agents.get_or_load(7, || found("loaded")).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(150),
        "it is left alone"
    );
    process.thaw();
    until("the cache is used again", async || {
        let value = agents.get_or_load(7, || found("loaded")).await.unwrap();
        (value == Some(agent("cached"))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cache_that_is_off_is_left_out_and_deletions_are_sent() {
    let process = server(&[]).await;
    let on = client(&process);
    let mut contract = contract();
    contract["cache"]["enabled"] = false.into();
    let off = client_by(&process, &contract);
    let (on, off) = (
        on.cache().keyspace::<Agent>("agent").unwrap(),
        off.cache().keyspace::<Agent>("agent").unwrap(),
    );
    on.set(7, &agent("cached")).await.unwrap();
    off.set(7, &agent("of the other")).await.unwrap();
    assert_eq!(off.get(7).await.unwrap(), None);
    assert!(!off.exists(7).await.unwrap());
    let loaded = off.get_or_load(7, || found("loaded")).await.unwrap();
    assert_eq!(loaded, Some(agent("loaded")));
    assert_eq!(on.get(7).await.unwrap(), Some(agent("cached")));
    assert!(off.delete(7).await.unwrap());
    assert_eq!(on.get(7).await.unwrap(), None);
}

#[tokio::test]
async fn hits_and_misses_are_counted() {
    let process = server(&[]).await;
    let counted = Arc::new(Counted::default());
    let bus = CacheBus::builder(Source::url(url(&process), contract().to_string()))
        .metrics(Arc::clone(&counted) as Arc<_>)
        .open()
        .unwrap();
    let agents = bus.cache().keyspace::<Agent>("agent").unwrap();
    agents.get_or_load(1, || found("a")).await.unwrap();
    agents.get(1).await.unwrap();
    agents.mget([1, 2, 3]).await.unwrap();
    assert_eq!((counted.of("hit"), counted.of("miss")), (2, 3));
}
