use cachebus_admin::{LinkState, NodeRole, Role};

use crate::{process::Process, wait::until};

#[tokio::test]
async fn a_replica_follows_and_is_promoted() {
    let (first, second) = (Process::server(&[]), Process::server(&[]));
    let (primary, replica) = (first.connect().await, second.connect().await);
    replica.replica_of(&first.address()).await.unwrap();

    until("the replica is linked", async || {
        let upstream = replica.replication().await.unwrap().upstream.unwrap();
        assert_eq!(upstream.primary, first.address());
        upstream.up.then_some(())
    })
    .await;
    let Role::Replica {
        primary: followed,
        link,
        offset,
    } = replica.role().await.unwrap()
    else {
        panic!("not a replica");
    };
    assert_eq!((followed, link), (first.address(), LinkState::Connected));
    assert!(offset.is_some());

    until("the primary lists its replica", async || {
        let Role::Primary { replicas, .. } = primary.role().await.unwrap() else {
            panic!("not a primary");
        };
        replicas
            .iter()
            .any(|listed| listed.address == second.address())
            .then_some(())
    })
    .await;
    let seen = until("the replica is online", async || {
        let replication = primary.info().await.unwrap().replication;
        (replication.replicas.first()?.state == "online").then_some(replication)
    })
    .await;
    assert_eq!((seen.role, seen.connected_replicas), (NodeRole::Primary, 1));
    let history = seen.replication_id;

    replica.promote().await.unwrap();
    let promoted = replica.replication().await.unwrap();
    assert_eq!(promoted.role, NodeRole::Primary);
    assert_eq!(promoted.previous_replication_id, history);
}

#[tokio::test]
async fn a_replica_of_a_closed_port_is_not_linked() {
    let sealed = Process::server(&["--replicaof", "127.0.0.1 1"]);
    let server = sealed.connect().await;
    let replication = server.replication().await.unwrap();
    assert_eq!(replication.role, NodeRole::Replica);
    assert!(!replication.upstream.unwrap().up);
    let Role::Replica { link, offset, .. } = server.role().await.unwrap() else {
        panic!("not a replica");
    };
    assert!(matches!(link, LinkState::Connect | LinkState::Connecting));
    assert_eq!(offset, None);
}
