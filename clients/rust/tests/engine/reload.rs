use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cachebus::CacheBus;
use tokio::task::JoinHandle;

use crate::bus::{PASSWORD, SERVICE, ask, contract, server};
use crate::certificates::Authority;
use crate::mounted::Mounted;
use crate::process::{HOST, free_port};
use crate::wait::until;

/// Reads and writes one after the other, none of which may fail.
struct Traffic {
    done: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

impl Traffic {
    fn start(bus: &CacheBus) -> Self {
        let agents = bus.cache().keyspace::<u64>("agent").unwrap();
        let (done, ends) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let running = tokio::spawn({
            let (done, ends) = (Arc::clone(&done), Arc::clone(&ends));
            async move {
                while !ends.load(Ordering::Relaxed) {
                    let number = done.load(Ordering::Relaxed) + 1;
                    agents.set(7, &number).await.unwrap();
                    assert_eq!(agents.get(7).await.unwrap(), Some(number));
                    done.store(number, Ordering::Relaxed);
                }
            }
        });
        Self {
            done,
            ends,
            running,
        }
    }

    async fn goes_on(&self) {
        let seen = self.done.load(Ordering::Relaxed);
        until("calls work", async || {
            assert!(!self.running.is_finished(), "a call failed");
            (self.done.load(Ordering::Relaxed) > seen + 20).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.running.await.unwrap();
    }
}

#[tokio::test]
async fn a_password_changes_without_a_failed_call() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let (port, contract) = (process.port.to_string(), contract().to_string());
    let entries = |password| {
        [
            ("host", HOST),
            ("port", port.as_str()),
            ("username", SERVICE),
            ("password", password),
            ("contract.json", contract.as_str()),
        ]
    };
    let mounted = Mounted::new(&entries(PASSWORD));
    let traffic = Traffic::start(&mounted.client());
    traffic.goes_on().await;
    ask(&mut admin, &["ACL", "SETUSER", SERVICE, ">second"]).await;
    mounted.swap(&entries("second"));
    let first = format!("<{PASSWORD}");
    // At once: the client may not have looked at its files yet.
    ask(&mut admin, &["ACL", "SETUSER", SERVICE, &first]).await;
    ask(&mut admin, &["CLIENT", "KILL", "USER", SERVICE]).await;
    traffic.goes_on().await;
    traffic.end().await;
}

#[tokio::test]
async fn a_password_that_does_not_work_yet_fails_no_call() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let (port, contract) = (process.port.to_string(), contract().to_string());
    let entries = |password| {
        [
            ("host", HOST),
            ("port", port.as_str()),
            ("username", SERVICE),
            ("password", password),
            ("contract.json", contract.as_str()),
        ]
    };
    let mounted = Mounted::new(&entries(PASSWORD));
    let traffic = Traffic::start(&mounted.client());
    traffic.goes_on().await;
    mounted.swap(&entries("second"));
    let refused = async |admin: &mut _| {
        let log: Vec<redis::Value> =
            redis::from_redis_value(ask(admin, &["ACL", "LOG"]).await).unwrap();
        (!log.is_empty()).then_some(())
    };
    until("the second one was tried", async || {
        refused(&mut admin).await
    })
    .await;
    traffic.goes_on().await;
    ask(&mut admin, &["ACL", "SETUSER", SERVICE, ">second"]).await;
    let first = format!("<{PASSWORD}");
    ask(&mut admin, &["ACL", "SETUSER", SERVICE, &first]).await;
    ask(&mut admin, &["CLIENT", "KILL", "USER", SERVICE]).await;
    traffic.goes_on().await;
    traffic.end().await;
}

#[tokio::test]
async fn an_authority_changes_without_a_failed_call() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = tempfile::tempdir().unwrap();
    old.write(HOST, files.path());
    fs::write(files.path().join("ca.crt"), old.pem()).unwrap();
    let file = |name: &str| files.path().join(name).to_string_lossy().into_owned();
    let (certificate, key, ca) = (file("tls.crt"), file("tls.key"), file("ca.crt"));
    let port = free_port().to_string();
    let process = server(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let mut admin = process.admin().await;
    let mut document = contract();
    let (first, contract_then) = (old.pem(), document.to_string());
    document["service"] = "renamed".into();
    let (second, contract_now) = (new.pem(), document.to_string());
    let entries = |ca, contract| {
        [
            ("host", HOST),
            ("port", port.as_str()),
            ("username", SERVICE),
            ("password", PASSWORD),
            ("tls", "true"),
            ("ca.crt", ca),
            ("contract.json", contract),
        ]
    };
    let mounted = Mounted::new(&entries(&first, &contract_then));
    let bus = mounted.client();
    let traffic = Traffic::start(&bus);
    traffic.goes_on().await;
    // The binding first: what it trusts is not there yet.
    mounted.swap(&entries(&second, &contract_now));
    until("the binding was read", async || {
        (bus.contract().service == "renamed").then_some(())
    })
    .await;
    traffic.goes_on().await;
    new.write(HOST, files.path());
    let reload = ["tls-cert-file", &certificate, "tls-key-file", &key];
    ask(
        &mut admin,
        &[&["CONFIG", "SET"], reload.as_slice()].concat(),
    )
    .await;
    let known = async |admin: &mut _| {
        let list: String = redis::from_redis_value(ask(admin, &["CLIENT", "LIST"]).await).unwrap();
        let ids = list.lines().filter(|line| line.contains("user=worker"));
        ids.filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let before = known(&mut admin).await;
    until("connections of the new authority", async || {
        let now = known(&mut admin).await;
        now.iter().all(|id| !before.contains(id)).then_some(())
    })
    .await;
    ask(&mut admin, &["CLIENT", "KILL", "USER", SERVICE]).await;
    traffic.goes_on().await;
    traffic.end().await;
}

#[tokio::test]
async fn a_contract_changes_live() {
    let process = server(&[]).await;
    let port = process.port.to_string();
    let on = contract();
    let mut off = on.clone();
    off["cache"]["enabled"] = false.into();
    let (on, off) = (on.to_string(), off.to_string());
    let entries = |contract| {
        [
            ("host", HOST),
            ("port", port.as_str()),
            ("username", SERVICE),
            ("password", PASSWORD),
            ("contract.json", contract),
        ]
    };
    let mounted = Mounted::new(&entries(&on));
    let bus = mounted.client();
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    agents.set(7, &1).await.unwrap();
    mounted.swap(&entries(&off));
    until("the cache is off", async || {
        (!agents.is_enabled()).then_some(())
    })
    .await;
    assert_eq!(agents.get(7).await.unwrap(), None);
}
