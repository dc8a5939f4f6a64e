#![allow(clippy::unwrap_used)]
use super::running::tests::primary;
use super::*;
use crate::layout::Layout;
use crate::logs::Redactor;
use crate::order::Order;
use cachebus_api::engine::EngineKind;
use cachebus_core::credentials::OPERATOR;
use cachebus_core::names::{Component, Names, REDIS_ACL};
use cachebus_core::protocol::{
    AgentConfig, EngineReport, Marker, MonitorSettings, Phase, TopologyOrder,
};
use std::fs;
use std::path::Path;
use tokio::sync::oneshot;

const UID: &str = "6f1c";

pub(super) fn serving(folder: &Path) -> Serving {
    let key = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    for (name, text) in [
        ("tls.crt", key.cert.pem()),
        ("ca.crt", key.cert.pem()),
        ("tls.key", key.signing_key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    Serving::open(folder.to_owned()).unwrap()
}

fn site(folder: &Path) -> Site {
    let names = Names::new("b", "ns", "cluster.local");
    let pod = names.pod(Component::Redis, 0);
    Site {
        component: Component::Redis,
        fqdn: names.pod_fqdn(Component::Redis, &pod),
        pod,
        names,
        layout: Layout {
            data_dir: folder.to_owned(),
            acl_dir: folder.to_owned(),
            auth_dir: folder.to_owned(),
            ..Layout::of_pod()
        },
        config: AgentConfig {
            bus: "b".to_owned(),
            namespace: "ns".to_owned(),
            domain: "cluster.local".to_owned(),
            uid: UID.to_owned(),
            master_name: "b".to_owned(),
            engine: EngineKind::Redis,
            port: 6379,
            sentinel_port: 26379,
            tls: true,
            sentinels: Vec::new(),
            quorum: 2,
            replica_priority: 100,
            replicas: 2,
            fencing_window_ms: 3_000,
            monitor: MonitorSettings {
                down_after_ms: 5_000,
                failover_timeout_ms: 60_000,
                parallel_syncs: 1,
            },
        },
        engine: EngineReport {
            kind: EngineKind::Redis,
            version: "7.0.15".to_owned(),
        },
        redactor: Redactor::new(Vec::new()),
    }
}

fn marker(uid: &str) -> Marker {
    Marker {
        uid: uid.to_owned(),
        primary: "b-redis-0".to_owned(),
        epoch: 1,
        complete: true,
        aof: None,
        fence: 1,
    }
}

/// The agent of a primary that told so a moment ago, and to which there is no connection.
async fn leading(folder: &Path) -> DataAgent {
    fs::write(folder.join(OPERATOR), "secret").unwrap();
    fs::write(
        folder.join(REDIS_ACL),
        "user default off resetpass ~* &* +@all\n",
    )
    .unwrap();
    let (snapshots, _) = watch::channel(None);
    let mut agent = DataAgent::new(site(folder), serving(folder), snapshots).unwrap();
    agent.volume.mark(marker(UID)).await.unwrap();
    let mut running = Running::new(100, agent.serving.certificate());
    running.leads_by_decision();
    running.saw(primary());
    agent.running = Some(running);
    agent
}

#[tokio::test]
async fn an_order_that_cannot_be_passed_on_is_refused_and_not_noted() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = leading(folder.path()).await;
    for primary in ["b-redis-0", "b-redis-1"] {
        let (reply, outcome) = oneshot::channel();
        let order = Order::Topology(TopologyOrder {
            uid: UID.to_owned(),
            primary: primary.to_owned(),
            epoch: 2,
            allow_empty: false,
            instead_of: None,
        });
        let (_orders, mut inbox) = mpsc::channel(1);
        agent.answer(Request { order, reply }, &mut inbox).await;
        let refusal = outcome.await.unwrap().unwrap_err();
        assert_eq!(refusal.reason, "NotRunning", "{}", refusal.message);
        assert_eq!(agent.volume.marker(), Some(&marker(UID)));
    }
}

#[tokio::test]
async fn no_role_is_taken_without_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = leading(folder.path()).await;
    let followed = agent.follow("b-redis-1", 0).await;
    assert_eq!(followed.unwrap_err().reason(), "NotRunning");
    let set = agent.set_priority(0).await;
    assert_eq!(set.unwrap_err().reason(), "NotRunning");
    agent.running = None;
    assert_eq!(agent.lead().await.unwrap_err().reason(), "NotRunning");
}

#[tokio::test]
async fn a_primary_is_not_ready_before_its_users_were_brought_in_line() {
    let folder = tempfile::tempdir().unwrap();
    let agent = leading(folder.path()).await;
    agent.publish();
    assert_eq!(agent.phase(), Phase::Leading);
    let snapshots = agent.snapshots.borrow();
    let unready = snapshots.as_ref().unwrap().health.unready.unwrap();
    assert!(unready.starts_with("the users"), "{unready}");
}

#[tokio::test]
async fn a_marker_of_a_bus_that_was_here_before_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = leading(folder.path()).await;
    agent.volume.mark(marker("before")).await.unwrap();
    let cachebus_core::protocol::NodeStatus::Redis(data) = agent.status().node else {
        panic!("a Sentinel");
    };
    assert_eq!(data.marker, Some(marker("before")));
}
