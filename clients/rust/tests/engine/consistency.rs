//! Cached values compared with those of the database.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cachebus::{Checking, Consistency, Encoding, ErrorKind, Keyspace, Parts, Result};

use crate::bus::{ask, client, client_by, contract, grant, server};

type Loaded = Ready<Result<Option<String>, Infallible>>;

/// What the database has: 20 agents.
fn load(id: u64) -> Loaded {
    ready(Ok((id < 20).then(|| format!("agent {id}"))))
}

fn load_by_name(parts: &Parts) -> Loaded {
    let id = parts.get("id").unwrap();
    id.parse().map_or(ready(Ok(None)), load)
}

async fn check_cached(agents: &Keyspace<String>, checking: Checking) -> Result<Consistency> {
    agents
        .check_cached(|parts| load_by_name(&parts), checking)
        .await
}

fn once() -> Checking {
    Checking::default().settle(Duration::ZERO)
}

/// Sampled, missing, equal, and what is wrong: stale, different, invalid.
fn told(report: &Consistency) -> ([u64; 3], [u64; 3]) {
    (
        [report.sampled, report.missing, report.equal],
        [report.stale, report.different, report.invalid],
    )
}

async fn fill(agents: &Keyspace<String>, ids: std::ops::Range<u64>) {
    for id in ids {
        let agent = load(id).await.unwrap().unwrap();
        agents.set(id, &agent).await.unwrap();
    }
}

#[tokio::test]
async fn a_report_says_what_is_what() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace("agent").unwrap();
    fill(&agents, 0..10).await;
    let changes: [&[&str]; 6] = [
        &["SET", "agent:10", r#""secret""#, "PX", "3500000"],
        &["SET", "agent:11", r#""for good""#],
        &["SET", "agent:12", "no value"],
        &["SET", "agent:13", "[1, 2]"],
        &["SET", "agent:14", "null", "PX", "60000"],
        &["SET", "agent:99", "null", "PX", "60000"],
    ];
    for change in changes {
        ask(&mut admin, change).await;
    }
    let among = (0..20).chain([99, 99]);
    let report = agents.check_consistency(among, load, once()).await.unwrap();
    assert_eq!(told(&report), ([21, 5, 11], [2, 1, 2]));
    assert!(!report.is_consistent());
    // Of the remembered "nothing" of which a minute is left.
    let oldest = Duration::from_secs(3530)..=Duration::from_secs(3541);
    assert!(oldest.contains(&report.oldest), "{:?}", report.oldest);
    let shown = format!("{report:?}");
    assert!(!shown.contains("agent") && !shown.contains("secret"));
    let mut examples = report.examples;
    examples.sort();
    let wrong: Vec<_> = (10..15).map(|id| format!("agent:{id}")).collect();
    assert_eq!(examples, wrong);
}

#[tokio::test]
async fn what_is_put_right_meanwhile_is_not_wrong() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<String>("agent").unwrap();
    agents.set(1, &"old".to_owned()).await.unwrap();
    let loads = AtomicUsize::new(0);
    let changes = async |id: u64| {
        if loads.fetch_add(1, Ordering::Relaxed) > 0 {
            // Here is who has changed the database.
            agents.set(id, &"new".to_owned()).await?;
        }
        Ok::<_, cachebus::Error>(Some("new".to_owned()))
    };
    let report = agents.check_consistency([1], &changes, once()).await;
    assert_eq!(told(&report.unwrap()), ([1, 0, 0], [1, 0, 0]));
    let twice = Checking::default().settle(Duration::from_millis(50));
    let report = agents
        .check_consistency([1], &changes, twice)
        .await
        .unwrap();
    assert_eq!(told(&report), ([1, 0, 1], [0, 0, 0]));
    assert!(report.is_consistent());
    assert_eq!(loads.into_inner(), 3);
}

#[tokio::test]
async fn what_is_cached_is_sampled_with_a_right_of_its_own() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace("agent").unwrap();
    let error = check_cached(&agents, once()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    grant(&mut admin, &["+scan"]).await;
    fill(&agents, 0..20).await;
    ask(&mut admin, &["SET", "agent:1:of-another", "x"]).await;
    let report = check_cached(&agents, once()).await.unwrap();
    assert_eq!(told(&report), ([20, 0, 20], [0, 0, 0]));
    let report = check_cached(&agents, once().sample(5)).await;
    assert_eq!(told(&report.unwrap()), ([5, 0, 5], [0, 0, 0]));
    agents.set("gone", &"x".to_owned()).await.unwrap();
    let report = check_cached(&agents, once()).await.unwrap();
    assert_eq!(told(&report), ([21, 0, 20], [1, 0, 0]));
    assert_eq!(report.examples, ["agent:gone"]);
}

#[tokio::test]
async fn values_are_equal_that_are_stored_alike() {
    let process = server(&[]).await;
    let bus = client(&process);
    let numbers = bus.cache().keyspace("agent").unwrap();
    let value = HashMap::from([("a".to_owned(), 0.1_f32), ("b".to_owned(), 1.0)]);
    let load = |_: u64| ready(Ok::<_, Infallible>(Some(value.clone())));
    for encoding in [Encoding::json(), Encoding::message_pack()] {
        let numbers = numbers.clone().encoding(encoding);
        numbers.set(1, &value).await.unwrap();
        let report = numbers.check_consistency([1], load, once()).await.unwrap();
        assert_eq!(told(&report), ([1, 0, 1], [0, 0, 0]));
    }
}

#[tokio::test]
async fn so_many_loads_run_at_the_same_time() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace("agent").unwrap();
    fill(&agents, 0..20).await;
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slow = async |id: u64| {
        let now = running.fetch_add(1, Ordering::Relaxed) + 1;
        most.fetch_max(now, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        running.fetch_sub(1, Ordering::Relaxed);
        load(id).await
    };
    let report = agents
        .check_consistency(0..20, slow, once().at_once(3))
        .await;
    assert_eq!(told(&report.unwrap()), ([20, 0, 20], [0, 0, 0]));
    assert_eq!(most.into_inner(), 3);
}

#[tokio::test]
async fn errors_of_the_database_are_the_callers() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace("agent").unwrap();
    fill(&agents, 1..2).await;
    let fails = |_: u64| ready(Err(std::io::Error::other("no database")));
    let report = agents.check_consistency([1, 2], fails, once()).await;
    assert_eq!(report.unwrap_err().kind(), ErrorKind::LoadFailed);
}

#[tokio::test]
async fn a_cache_that_is_off_is_not_asked() {
    let process = server(&[]).await;
    let mut contract = contract();
    contract["cache"]["enabled"] = false.into();
    let bus = client_by(&process, &contract);
    let agents = bus.cache().keyspace("agent").unwrap();
    let report = agents.check_consistency([1], load, once()).await.unwrap();
    assert_eq!(report, Consistency::default());
    let report = check_cached(&agents, once()).await.unwrap();
    assert_eq!(report, Consistency::default());
}
