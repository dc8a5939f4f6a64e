use std::time::{Duration, Instant};

use cachebus::{CacheBus, ErrorKind, Source};

use crate::bus::{ask, client, contract, impatient, server};
use crate::process::HOST;
use crate::wait::until;

#[tokio::test]
async fn sessions_that_are_ended_fail_no_call() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    for number in 0..200 {
        if number % 10 == 0 {
            ask(&mut admin, &["CLIENT", "KILL", "USER", "worker"]).await;
        }
        agents.set(7, &number).await.unwrap();
        bus.ping().await.unwrap();
    }
    assert_eq!(agents.get(7).await.unwrap(), Some(199));
}

#[tokio::test]
async fn a_thousand_calls_share_few_connections() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    let calls = (0..1000_u64).map(|number| {
        let agents = &agents;
        async move {
            agents.set(number, &number).await.unwrap();
            assert_eq!(agents.get(number).await.unwrap(), Some(number));
        }
    });
    futures::future::join_all(calls).await;
    let clients: String =
        redis::from_redis_value(ask(&mut admin, &["CLIENT", "LIST"]).await).unwrap();
    let ours = clients.matches("user=worker").count();
    assert_eq!(ours, 2, "{clients}");
}

#[tokio::test]
async fn a_crash_is_a_retryable_error_and_the_server_is_found_again() {
    let mut process = server(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let bus = impatient(&process);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    agents.set(7, &7).await.unwrap();
    process.kill();
    let begun = Instant::now();
    let error = agents.set(7, &8).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_server_that_comes_back_within_the_deadline_is_waited_for() {
    let process = server(&[]).await;
    let bus = client(&process);
    bus.ping().await.unwrap();
    let waiting = tokio::spawn({
        let bus = bus.clone();
        async move { bus.ping().await }
    });
    let process = tokio::task::spawn_blocking(move || process.crash_and_return())
        .await
        .unwrap();
    let mut admin = process.admin().await;
    crate::bus::grant(&mut admin, &[]).await;
    waiting.await.unwrap().unwrap_or_else(|error| {
        // Between its start and the making of its user it knows nobody.
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    });
    until("it answers", async || bus.ping().await.ok()).await;
}

#[tokio::test]
async fn a_replica_is_no_primary() {
    let (primary, replica) = (server(&[]).await, server(&[]).await);
    let port = primary.port.to_string();
    ask(&mut replica.admin().await, &["REPLICAOF", HOST, &port]).await;
    let error = impatient(&replica).ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_wrong_password_is_said_at_once_and_not_quoted() {
    let process = server(&[]).await;
    let url = format!("redis://worker:hunter2@{HOST}:{}", process.port);
    let bus = CacheBus::open(Source::url(url, contract().to_string())).unwrap();
    let begun = Instant::now();
    let error = bus.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(!format!("{error} {error:?} {bus:?}").contains("hunter2"));
}
