use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cachebus_admin::{ClientKind, Role, Server};

use crate::process::Process;

#[tokio::test]
async fn a_fresh_server_describes_itself() {
    let process = Process::server(&["--maxmemory", "64mb"]);
    let server = process.connect().await;
    server.ping().await.unwrap();
    assert_eq!(
        server.role().await.unwrap(),
        Role::Primary {
            offset: 0,
            replicas: vec![]
        }
    );
    let info = server.info().await.unwrap();
    assert_eq!(info.memory.max, 64 << 20);
    assert_eq!(info.keys_total(), 0);
    assert!(!info.raw.contains_key("cmdstat_role"));
    let all = server.info_all().await.unwrap();
    assert!(all.raw["cmdstat_role"].starts_with("calls=1,"));
}

#[tokio::test]
async fn settings_are_set_together_or_not_at_all() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    server
        .config_set(&[("maxmemory", "1048576"), ("masterauth", "hunter2")])
        .await
        .unwrap();
    let config = server.config_get_all().await.unwrap();
    assert_eq!(config.get("maxmemory"), Some("1048576"));
    assert_eq!(config.get("masterauth"), Some("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));

    let refused = server
        .config_set(&[("maxmemory", "2097152"), ("appendfsync", "sometimes")])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "CommandRefused");
    assert!(refused.to_string().contains("appendfsync"), "{refused}");
    let config = server.config_get_all().await.unwrap();
    assert_eq!(config.get("maxmemory"), Some("1048576"));
}

#[tokio::test]
async fn a_pause_holds_writes_and_nothing_else() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    server.pause_writes(Duration::from_secs(30)).await.unwrap();
    server.ping().await.unwrap();

    let url = format!("redis://127.0.0.1:{}", process.port);
    let client = redis::Client::open(url).unwrap();
    let mut writer = client.get_multiplexed_async_connection().await.unwrap();
    let started = Instant::now();
    let write = tokio::spawn(async move {
        redis::cmd("SET")
            .arg(&["key", "value"])
            .query_async::<()>(&mut writer)
            .await
            .unwrap();
        started.elapsed()
    });
    crate::wait::until("the write is held", async || {
        let info = server.info().await.unwrap();
        (info.raw["blocked_clients"] == "1").then_some(())
    })
    .await;
    assert!(!write.is_finished());
    let held = started.elapsed();
    server.unpause().await.unwrap();
    assert!(write.await.unwrap() >= held);
}

#[tokio::test]
async fn killing_clients_spares_the_one_that_asks() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    let (one, two) = (process.connect().await, process.connect().await);
    one.ping().await.unwrap();
    two.ping().await.unwrap();
    assert_eq!(server.client_kill_user("default").await.unwrap(), 2);
    assert_eq!(one.ping().await.unwrap_err().reason(), "Disconnected");

    let three = process.connect().await;
    three.ping().await.unwrap();
    assert_eq!(
        server.client_kill_kind(ClientKind::PubSub).await.unwrap(),
        0
    );
    assert_eq!(
        server.client_kill_kind(ClientKind::Normal).await.unwrap(),
        1
    );
    server.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_loading_answers_what_is_asked_of_its_state() {
    let mut process = Process::server(&[]);
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", process.port)).unwrap();
    let mut writer = client.get_multiplexed_async_connection().await.unwrap();
    for key in 0..1000 {
        let () = redis::cmd("SET")
            .arg(key)
            .arg("x".repeat(4096))
            .query_async(&mut writer)
            .await
            .unwrap();
    }
    // The answer is the end of the connection.
    let _: Result<(), _> = redis::cmd("SHUTDOWN")
        .arg("SAVE")
        .query_async(&mut writer)
        .await;
    process.wait();

    let slowly = ["--rdbcompression", "no", "--key-load-delay", "10000"];
    let often = ["--loading-process-events-interval-bytes", "1024"];
    let loading = process.start_again(&[slowly.as_slice(), &often].concat());
    let server = loading.connect().await;
    assert!(server.ping().await.unwrap_err().is_loading());
    assert!(server.info().await.unwrap().loading);
    assert!(matches!(server.role().await.unwrap(), Role::Primary { .. }));
}

#[tokio::test]
async fn keys_are_told_in_parts_and_removed_whatever_bytes_they_are_of() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", process.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let odd = b"agent:\xff\x00".to_vec();
    let set = |key: Vec<u8>| {
        let mut set = redis::Cmd::new();
        set.arg("SET").arg(key).arg("v");
        set
    };
    for key in (0..300_u32).map(|number| format!("agent:{number}").into_bytes()) {
        let () = set(key).query_async(&mut connection).await.unwrap();
    }
    for key in [odd.clone(), b"other".to_vec()] {
        let () = set(key).query_async(&mut connection).await.unwrap();
    }
    let (calls, found) = scanned(&server, Some("agent:*")).await;
    assert!(
        calls > 1 && found.len() == 301 && found.contains(&odd),
        "{calls}"
    );
    let found: Vec<_> = found.into_iter().collect();
    assert_eq!(server.unlink(&found).await.unwrap(), 301);
    assert_eq!(server.unlink(&[odd]).await.unwrap(), 0);
    // The table is as large as before for a while, so that one part of it may be empty.
    let (_, left) = scanned(&server, None).await;
    assert_eq!(left, BTreeSet::from([b"other".to_vec()]));
}

/// All keys of a pattern, and in how many parts they were told.
async fn scanned(server: &Server, pattern: Option<&str>) -> (usize, BTreeSet<Vec<u8>>) {
    let (mut cursor, mut calls, mut found) = (0, 0, BTreeSet::new());
    loop {
        let (next, keys) = server.scan(cursor, pattern, 50).await.unwrap();
        found.extend(keys);
        calls += 1;
        if next == 0 {
            return (calls, found);
        }
        cursor = next;
    }
}
