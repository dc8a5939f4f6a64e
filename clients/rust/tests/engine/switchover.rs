use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cachebus::{CacheBus, Source};

use crate::bus::{PASSWORD, SERVICE, ask, contract, server};
use crate::process::{HOST, Process};
use crate::wait::until;

const MASTER: &str = "bus-1f0c";

async fn monitor(sentinel: &Process, primary: &Process) {
    let mut admin = sentinel.admin().await;
    let port = primary.port.to_string();
    ask(
        &mut admin,
        &["SENTINEL", "MONITOR", MASTER, HOST, &port, "1"],
    )
    .await;
}

async fn follow(replica: &Process, primary: &Process) {
    let mut admin = replica.admin().await;
    let port = primary.port.to_string();
    ask(&mut admin, &["REPLICAOF", HOST, &port]).await;
}

async fn offset(process: &Process) -> String {
    let info = ask(&mut process.admin().await, &["INFO", "replication"]).await;
    let info: String = redis::from_redis_value(info).unwrap();
    let mut lines = info.lines();
    let line = lines.find(|line| line.starts_with("master_repl_offset"));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn a_planned_switchover_shows_no_error_and_loses_nothing() {
    let (old, new) = (server(&[]).await, server(&[]).await);
    follow(&new, &old).await;
    until("the replica is linked", async || {
        let role = ask(&mut new.admin().await, &["ROLE"]).await;
        format!("{role:?}").contains("connected").then_some(())
    })
    .await;
    let user = format!("user {SERVICE} on >{PASSWORD} ~* &* +@all");
    let sentinels = [Process::sentinel(&user), Process::sentinel(&user)];
    for sentinel in &sentinels {
        monitor(sentinel, &old).await;
    }
    let named: Vec<String> = sentinels
        .iter()
        .map(|sentinel| format!("{HOST}:{}", sentinel.port))
        .collect();
    let bus = CacheBus::open(Source::variables([
        ("CACHEBUS_HOST", HOST.to_owned()),
        ("CACHEBUS_PORT", old.port.to_string()),
        ("CACHEBUS_USERNAME", SERVICE.to_owned()),
        ("CACHEBUS_PASSWORD", PASSWORD.to_owned()),
        ("CACHEBUS_SENTINELS", named.join(",")),
        ("CACHEBUS_MASTER_NAME", MASTER.to_owned()),
        ("CACHEBUS_CONTRACT_JSON", contract().to_string()),
    ]))
    .unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let agents = bus.cache().keyspace::<u64>("agent").unwrap();
            let ends = Arc::clone(&ends);
            let written = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&written);
            let running = tokio::spawn(async move {
                while !ends.load(Ordering::Relaxed) {
                    let next = written.load(Ordering::Relaxed) + 1;
                    agents.set(format!("{writer}-{next}"), &next).await.unwrap();
                    written.store(next, Ordering::Relaxed);
                }
            });
            (running, counter)
        })
        .collect();
    let all_write = async || {
        let before: Vec<u64> = writers
            .iter()
            .map(|(_, count)| count.load(Ordering::Relaxed))
            .collect();
        until("all write", async || {
            std::iter::zip(&writers, &before)
                .all(|((_, count), before)| count.load(Ordering::Relaxed) > before + 20)
                .then_some(())
        })
        .await;
    };
    all_write().await;

    let mut old_admin = old.admin().await;
    ask(&mut old_admin, &["CLIENT", "PAUSE", "10000", "WRITE"]).await;
    until("the replica has everything", async || {
        (offset(&old).await == offset(&new).await).then_some(())
    })
    .await;
    ask(&mut new.admin().await, &["REPLICAOF", "NO", "ONE"]).await;
    follow(&old, &new).await;
    for sentinel in &sentinels {
        let mut admin = sentinel.admin().await;
        ask(&mut admin, &["SENTINEL", "REMOVE", MASTER]).await;
        monitor(sentinel, &new).await;
    }
    ask(&mut old_admin, &["CLIENT", "UNPAUSE"]).await;

    all_write().await;
    ends.store(true, Ordering::Relaxed);
    let mut acknowledged = 0;
    for (running, count) in writers {
        running.await.expect("no call failed");
        acknowledged += count.load(Ordering::Relaxed);
    }
    let kept = ask(&mut new.admin().await, &["DBSIZE"]).await;
    let kept: u64 = redis::from_redis_value(kept).unwrap();
    assert_eq!(kept, acknowledged);
}
