//! Values near at hand, and what makes them go.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachebus::{CacheBus, ErrorKind, Keyspace, Near};
use redis::aio::MultiplexedConnection;
use serde_json::json;

use crate::bus::{ask, client, grant, server, text};
use crate::process::Process;
use crate::wait::until;

/// Longer than any test: what is held stays unless something makes it go.
const LONG: Duration = Duration::from_mins(10);

fn near() -> Near {
    Near::new(1 << 20).max_age(LONG)
}

fn agents(bus: &CacheBus, near: Near) -> Keyspace<String> {
    let agents = bus.cache().keyspace("agent").unwrap();
    agents.near(near).unwrap()
}

async fn with_tracking() -> (Process, MultiplexedConnection) {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    grant(&mut admin, &["+client|tracking"]).await;
    (process, admin)
}

/// How often values were read from the server.
async fn reads(admin: &mut MultiplexedConnection) -> u64 {
    let statistics = text(ask(admin, &["INFO", "commandstats"]).await);
    let calls = |line: &str| -> Option<u64> {
        let rest = line.strip_prefix("cmdstat_get:calls=")?;
        rest.split(',').next()?.parse().ok()
    };
    statistics.lines().find_map(calls).unwrap_or(0)
}

/// Reads until the answer comes from memory.
async fn hold(agents: &Keyspace<String>, admin: &mut MultiplexedConnection, part: u64) {
    until("the value is held", async || {
        agents.get(part).await.unwrap()?;
        let before = reads(admin).await;
        agents.get(part).await.unwrap()?;
        (reads(admin).await == before).then_some(())
    })
    .await;
}

async fn becomes(agents: &Keyspace<String>, part: u64, value: Option<&str>) {
    until("the change is seen", async || {
        (agents.get(part).await.unwrap().as_deref() == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whatever_changes_a_tracked_value_is_seen() {
    let (process, mut admin) = with_tracking().await;
    let (bus, other) = (client(&process), client(&process));
    let agents = agents(&bus, near());
    let plain = other.cache().keyspace::<String>("agent").unwrap();
    plain.set(7, &"a".to_owned()).await.unwrap();
    hold(&agents, &mut admin, 7).await;
    plain.set(7, &"b".to_owned()).await.unwrap();
    becomes(&agents, 7, Some("b")).await;
    hold(&agents, &mut admin, 7).await;
    plain.delete(7).await.unwrap();
    becomes(&agents, 7, None).await;
    let changes: [&[&str]; 2] = [&["FLUSHALL"], &["PEXPIRE", "agent:7", "50"]];
    for change in changes {
        plain.set(7, &"c".to_owned()).await.unwrap();
        hold(&agents, &mut admin, 7).await;
        ask(&mut admin, change).await;
        becomes(&agents, 7, None).await;
    }
}

#[tokio::test]
async fn what_is_written_by_the_process_itself_is_seen_at_once() {
    let (process, mut admin) = with_tracking().await;
    let bus = client(&process);
    let agents = agents(&bus, near());
    for round in 0..20 {
        let value = round.to_string();
        agents.set(7, &value).await.unwrap();
        assert_eq!(agents.get(7).await.unwrap(), Some(value));
        hold(&agents, &mut admin, 7).await;
    }
    assert!(agents.delete(7).await.unwrap());
    assert_eq!(agents.get(7).await.unwrap(), None);
    let load = || async { Ok::<_, Infallible>(Some("loaded".to_owned())) };
    let loaded = agents.get_or_load(7, load).await.unwrap();
    assert_eq!(loaded.as_deref(), Some("loaded"));
    assert_eq!(agents.get(7).await.unwrap().as_deref(), Some("loaded"));
}

#[tokio::test]
async fn what_the_process_itself_invalidates_is_gone_at_once() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    // It does not hear of the event.
    let agents = agents(&bus, near().invalidated_by(["task"]));
    agents.set(7, &"a".to_owned()).await.unwrap();
    hold(&agents, &mut admin, 7).await;
    let event = bus.events().event("agent:updated", &json!({"id": 7}));
    let event = event.unwrap();
    let invalidated = bus.events().invalidate(&agents, [7], &event).await;
    assert_eq!(invalidated.unwrap().removed, 1);
    assert_eq!(agents.get(7).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_held_is_as_old_as_it_is_on_the_server() {
    let (process, mut admin) = with_tracking().await;
    let bus = client(&process);
    let near = near().max_age(Duration::from_secs(30));
    let agents = agents(&bus, near).stale_for(Duration::from_mins(1));
    agents.set(7, &"a".to_owned()).await.unwrap();
    hold(&agents, &mut admin, 7).await;
    // Less is left until it is read again than a stale value has, and yet it is fresh.
    let loads = Arc::new(AtomicUsize::new(0));
    let get = async || {
        let loads = Arc::clone(&loads);
        let load = async move || {
            loads.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Some("b".to_owned()))
        };
        agents.get_or_refresh(7, load).await.unwrap()
    };
    for _ in 0..5 {
        assert_eq!(get().await.as_deref(), Some("a"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(loads.load(Ordering::Relaxed), 0);
    ask(&mut admin, &["PEXPIRE", "agent:7", "50000"]).await;
    until("it is known to be stale", async || {
        (get().await.as_deref() == Some("b")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_drops_everything() {
    let (process, mut admin) = with_tracking().await;
    let bus = client(&process);
    let agents = agents(&bus, near().staleness(LONG));
    agents.set(7, &"a".to_owned()).await.unwrap();
    hold(&agents, &mut admin, 7).await;
    ask(&mut admin, &["CLIENT", "KILL", "USER", "worker"]).await;
    ask(&mut admin, &["SET", "agent:7", r#""b""#]).await;
    becomes(&agents, 7, Some("b")).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_taken_for_unchanged() {
    let (process, mut admin) = with_tracking().await;
    let bus = client(&process);
    let staleness = Duration::from_secs(3);
    let agents = agents(&bus, near().staleness(staleness));
    agents.set(7, &"a".to_owned()).await.unwrap();
    hold(&agents, &mut admin, 7).await;
    process.freeze();
    let begun = Instant::now();
    assert_eq!(agents.get(7).await.unwrap().as_deref(), Some("a"));
    let error = loop {
        match agents.get(7).await {
            Ok(value) => assert_eq!(value.as_deref(), Some("a")),
            Err(error) => break error,
        }
        // One attempt at the server after the bound, on a machine that has other things to do.
        assert!(begun.elapsed() < staleness + Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(error.is_retryable());
    process.thaw();
}

#[tokio::test]
async fn without_tracking_events_drop_what_they_mean() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let (bus, other) = (client(&process), client(&process));
    let agents = agents(&bus, near().invalidated_by(["agent"]));
    let plain = other.cache().keyspace::<String>("agent").unwrap();
    for part in [7, 8] {
        plain.set(part, &"a".to_owned()).await.unwrap();
        hold(&agents, &mut admin, part).await;
    }
    let tell = async |data: serde_json::Value| {
        let event = other.events().event("agent:updated", &data).unwrap();
        other.events().emit(&event).await.unwrap();
    };
    for part in ["agent:7", "agent:8"] {
        ask(&mut admin, &["SET", part, r#""b""#]).await;
    }
    tell(json!({"id": 7})).await;
    becomes(&agents, 7, Some("b")).await;
    assert_eq!(agents.get(8).await.unwrap().as_deref(), Some("a"));
    tell(json!({"name": "which does not say of whom"})).await;
    becomes(&agents, 8, Some("b")).await;
    let event = other
        .events()
        .event("agent:updated", &json!({"id": 8}))
        .unwrap();
    other
        .events()
        .invalidate(&plain, [8], &event)
        .await
        .unwrap();
    becomes(&agents, 8, None).await;
}

#[tokio::test]
async fn what_nobody_tells_of_is_held_no_longer_than_allowed() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let near = near()
        .invalidated_by(["agent"])
        .max_age(Duration::from_secs(1));
    let agents = agents(&bus, near);
    agents.set(7, &"a".to_owned()).await.unwrap();
    hold(&agents, &mut admin, 7).await;
    ask(&mut admin, &["SET", "agent:7", r#""b""#]).await;
    becomes(&agents, 7, Some("b")).await;
}

#[tokio::test]
async fn without_anything_that_tells_of_changes_nothing_is_held() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let numbers = bus.cache().keyspace::<u64>("agent").unwrap();
    let numbers = numbers.near(near()).unwrap();
    for round in 0..50 {
        ask(&mut admin, &["SET", "agent:7", &round.to_string()]).await;
        assert_eq!(numbers.get(7).await.unwrap(), Some(round));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let agents = bus.cache().keyspace::<String>("agent").unwrap();
    let error = agents
        .near(near().invalidated_by(["unknown"]))
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::ContractError);
}

#[tokio::test]
async fn no_answer_is_older_than_the_bound() {
    let (process, mut admin) = with_tracking().await;
    let (bus, other) = (client(&process), client(&process));
    let bound = Duration::from_secs(2);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    let agents = agents.near(near().staleness(bound)).unwrap();
    let plain = other.cache().keyspace::<u64>("agent").unwrap();
    plain.set(7, &0).await.unwrap();
    let written = std::sync::Mutex::new(vec![(Instant::now(), 0_u64)]);
    let writing = async {
        for number in 1..=200 {
            if number % 50 == 0 {
                ask(&mut admin, &["CLIENT", "KILL", "USER", "worker"]).await;
            }
            plain.set(7, &number).await.unwrap();
            written.lock().unwrap().push((Instant::now(), number));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reading = async {
        loop {
            let asked = Instant::now();
            if let Ok(Some(value)) = agents.get(7).await {
                let written = written.lock().unwrap();
                let before = written.iter().rev().find(|(when, _)| *when + bound < asked);
                let oldest = before.map_or(0, |(_, number)| *number);
                assert!(value >= oldest, "{value} is older than {oldest}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    until("the last one is seen", async || {
        (agents.get(7).await.ok()? == Some(200)).then_some(())
    })
    .await;
}
