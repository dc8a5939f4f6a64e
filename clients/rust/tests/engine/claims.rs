//! One load of all processes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachebus::{CacheBus, ErrorKind, Keyspace};
use futures::future::{join, join_all};
use tokio::sync::Notify;

use crate::bus::{ask, client, server};
use crate::wait::until;

const WAIT: Duration = Duration::from_secs(15);
const LOCK: &str = "lock:agent%3A7";

fn agents(bus: &CacheBus, wait: Duration) -> Keyspace<String> {
    let agents = bus.cache().keyspace("agent").unwrap();
    agents.load_once("lock", wait).unwrap()
}

#[tokio::test]
async fn one_process_of_all_loads() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let fleet: Vec<_> = (0..5).map(|_| client(&process)).collect();
    let loads = AtomicUsize::new(0);
    let calls = fleet.iter().map(|bus| {
        let (agents, loads) = (agents(bus, WAIT), &loads);
        async move {
            let load = || async {
                loads.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok::<_, Infallible>(Some("a".to_owned()))
            };
            agents.get_or_load(7, load).await.unwrap()
        }
    });
    for answer in join_all(calls).await {
        assert_eq!(answer.as_deref(), Some("a"));
    }
    assert_eq!(loads.load(Ordering::Relaxed), 1);
    until("the lock is released", async || {
        (ask(&mut admin, &["EXISTS", LOCK]).await == redis::Value::Int(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_takes_over_from_one_that_fails_or_is_dropped() {
    let process = server(&[]).await;
    let (one, two) = (client(&process), client(&process));
    let (one, two) = (agents(&one, WAIT), agents(&two, WAIT));
    let begun = Notify::new();
    let failing = async {
        let load = || async {
            begun.notify_one();
            tokio::time::sleep(Duration::from_millis(100)).await;
            Err::<Option<String>, _>(std::io::Error::other("no database"))
        };
        one.get_or_load(7, load).await.unwrap_err()
    };
    let waiting = async {
        begun.notified().await;
        let load = || async { Ok::<_, Infallible>(Some("b".to_owned())) };
        two.get_or_load(7, load).await.unwrap()
    };
    let (error, answer) = join(Box::pin(failing), Box::pin(waiting)).await;
    assert_eq!(error.kind(), ErrorKind::LoadFailed);
    assert_eq!(answer.as_deref(), Some("b"));

    let hanging = one.get_or_load(8, || async {
        begun.notify_one();
        std::future::pending::<Result<_, Infallible>>().await
    });
    tokio::select! {
        _ = hanging => panic!("it hangs"),
        () = begun.notified() => {}
    }
    let load = || async { Ok::<_, Infallible>(Some("c".to_owned())) };
    let answer = two.get_or_load(8, load).await.unwrap();
    assert_eq!(answer.as_deref(), Some("c"));
}

#[tokio::test]
async fn who_has_waited_long_enough_loads() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = agents(&bus, Duration::from_millis(300));
    ask(&mut admin, &["SET", LOCK, "of one that died"]).await;
    let begun = Instant::now();
    let load = || async { Ok::<_, Infallible>(Some("a".to_owned())) };
    let answer = agents.get_or_load(7, load).await.unwrap();
    assert_eq!(answer.as_deref(), Some("a"));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert!(begun.elapsed() < WAIT);
    // The other's lock is left alone.
    assert_eq!(
        ask(&mut admin, &["EXISTS", LOCK]).await,
        redis::Value::Int(1)
    );
}

#[tokio::test]
async fn a_load_in_the_background_is_left_to_another() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = agents(&bus, WAIT).stale_for(Duration::from_hours(10));
    ask(&mut admin, &["SET", "agent:7", r#""old""#, "EX", "60"]).await;
    ask(&mut admin, &["SET", LOCK, "of another"]).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let get = async || {
        let loads = Arc::clone(&loads);
        let load = async move || {
            loads.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Some("new".to_owned()))
        };
        agents.get_or_refresh(7, load).await.unwrap()
    };
    for _ in 0..10 {
        assert_eq!(get().await.as_deref(), Some("old"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(loads.load(Ordering::Relaxed), 0);
    ask(&mut admin, &["DEL", LOCK]).await;
    until("it is this one's turn", async || {
        (get().await.as_deref() == Some("new")).then_some(())
    })
    .await;
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn loads_are_claimed_in_a_keyspace_of_locks() {
    let process = server(&[]).await;
    let bus = client(&process);
    for name in ["agent", "unknown"] {
        let agents = bus.cache().keyspace::<String>("agent").unwrap();
        let error = agents.load_once(name, WAIT).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ContractError);
    }
}
