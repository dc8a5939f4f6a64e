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
    AgentConfig, DurableEvents, EngineReport, Marker, MonitorSettings, NodeStatus, Phase,
    TopologyOrder,
};
use cachebus_core::seal::{Leader, Start, Vote, decide};
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
            events: DurableEvents::default(),
            keyspaces: Vec::new(),
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

/// A server that says of its files what Redis says, and ends as it does.
const CANNOT_READ: &str = "echo '9:S 26 Nov 2026 12:34:56.789 # Bad file format reading the append only file appendonly.aof.1.incr.aof: \
     make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>'; exit 1";

/// An agent whose server has ended in this way over its files.
async fn ended(folder: &Path, script: &str) -> DataAgent {
    let aof = folder.join("appendonlydir");
    fs::create_dir(&aof).unwrap();
    fs::write(aof.join("appendonly.aof.1.incr.aof"), "spoilt").unwrap();
    let mut agent = leading(folder).await;
    agent.running = None;
    let arguments = ["-c".into(), script.into()];
    agent
        .supervisor
        .spawn("/bin/sh", &arguments, &agent.site.redactor)
        .unwrap();
    let ended = agent.supervisor.ended().await.unwrap();
    agent.supervisor.has_ended(ended).await.unwrap();
    agent
}

async fn told(agent: &DataAgent) {
    while !agent.supervisor.could_not_read() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn names_other() -> Vec<Option<Vote>> {
    let names = Names::new("b", "ns", "cluster.local");
    let vote = Vote {
        primary_host: names.pod_fqdn(Component::Redis, "b-redis-1"),
        config_epoch: 2,
    };
    vec![Some(vote.clone()), Some(vote), None]
}

#[tokio::test]
async fn files_that_the_server_cannot_read_are_set_aside_beside_a_leader_and_count_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = ended(folder.path(), CANNOT_READ).await;
    told(&agent).await;
    let leader = Leader {
        leads: true,
        loading: false,
        keys: 7,
    };
    for (leads, keys) in [(false, 7), (true, 0)] {
        let doubtful = Leader {
            leads,
            keys,
            ..leader
        };
        agent.set_aside_beside("b-redis-1", doubtful).await;
        assert!(agent.volume.has_dataset(), "{doubtful:?}");
        assert!(!agent.volume.has_set_aside());
    }
    agent.set_aside_beside("b-redis-1", leader).await;
    assert!(!agent.volume.has_files());
    assert!(!agent.volume.has_dataset());
    assert!(agent.volume.has_set_aside());
    let marker = agent.volume.marker().unwrap();
    assert_eq!((marker.complete, marker.epoch), (false, 0));
    let aside = folder.path().join("spoilt/appendonlydir");
    assert!(aside.join("appendonly.aof.1.incr.aof").exists());

    let NodeStatus::Redis(told) = agent.status().node else {
        panic!("a data pod");
    };
    assert!(told.set_aside && !told.dataset);
    // Sentinels that name this pod after all do not have it lead.
    let this = agent.site.fqdn.clone();
    let vote = |_| {
        Some(Vote {
            primary_host: this.clone(),
            config_epoch: 3,
        })
    };
    let votes: Vec<_> = (0..3).map(vote).collect();
    assert_eq!(decide(&agent.question(&votes)), Start::Hold);
    assert_eq!(
        decide(&agent.question(&names_other())),
        Start::FollowPrimary {
            pod: "b-redis-1".to_owned(),
            priority: NEVER_PROMOTE
        }
    );
}

#[tokio::test]
async fn files_stay_where_nobody_is_named_or_heard_or_the_server_ended_for_another_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = ended(folder.path(), CANNOT_READ).await;
    told(&agent).await;
    // The second names a pod that cannot be reached from here.
    for votes in [vec![None, None, None], names_other()] {
        agent.set_spoilt_files_aside(&votes).await;
        assert!(agent.volume.has_dataset());
    }
    for script in ["exit 1", "kill -9 $$"] {
        let folder = tempfile::tempdir().unwrap();
        let agent = ended(folder.path(), script).await;
        assert!(!agent.supervisor.could_not_read(), "{script}");
    }
}
