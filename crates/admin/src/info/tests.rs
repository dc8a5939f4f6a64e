#![allow(clippy::unwrap_used)]

use super::*;
use crate::endpoint::Address;

const PRIMARIES: [(Engine, &str, &str); 3] = [
    (
        Engine::Redis,
        "7.0.15",
        include_str!("../../tests/recorded/info-primary-redis-7.0.txt"),
    ),
    (
        Engine::Redis,
        "8.0.6",
        include_str!("../../tests/recorded/info-primary-redis-8.0.txt"),
    ),
    (
        Engine::Valkey,
        "9.1.2",
        include_str!("../../tests/recorded/info-primary-valkey-9.1.txt"),
    ),
];

const REPLICAS: [&str; 3] = [
    include_str!("../../tests/recorded/info-replica-redis-7.0.txt"),
    include_str!("../../tests/recorded/info-replica-redis-8.0.txt"),
    include_str!("../../tests/recorded/info-replica-valkey-9.1.txt"),
];

#[test]
fn a_primary_of_each_engine() {
    for (engine, version, text) in PRIMARIES {
        let info = Info::parse(text).unwrap();
        assert_eq!((info.engine, info.version.as_str()), (engine, version));
        assert_eq!(info.run_id.len(), 40);
        assert!(info.uptime > Duration::ZERO && !info.loading);

        assert_eq!(info.replication.role, NodeRole::Primary);
        assert_eq!(info.replication.upstream, None);
        assert_eq!(info.replication.connected_replicas, 1);
        let replica = &info.replication.replicas[0];
        assert_eq!(replica.address.host, "127.0.0.1");
        assert_eq!((replica.state.as_str(), replica.offset), ("online", 953));
        assert!(replica.lag.unwrap() < Duration::from_secs(2));

        assert!(info.aof.enabled && info.aof.last_write_ok && info.rdb.last_save_ok);
        assert!(info.rdb.last_save_time > 1_700_000_000);
        assert_eq!(info.rdb.changes_since_last_save, 3);
        assert_eq!(info.memory.max, 64 << 20);
        assert!(info.memory.used > 1 << 19);
        assert_eq!(
            info.keyspace[&0],
            Keyspace {
                keys: 2,
                expires: 1
            }
        );
        assert_eq!(
            info.keyspace[&3],
            Keyspace {
                keys: 1,
                expires: 0
            }
        );
        assert_eq!(info.keys_total(), 3);
        assert!(info.raw["cmdstat_set"].starts_with("calls=3,"));
    }
}

#[test]
fn a_linked_replica_of_each_engine() {
    for text in REPLICAS {
        let replication = Info::parse(text).unwrap().replication;
        assert_eq!(replication, Replication::parse(text).unwrap());
        assert_eq!(replication.role, NodeRole::Replica);
        assert_eq!(replication.offset, 953);
        let upstream = replication.upstream.unwrap();
        assert!(upstream.up && !upstream.sync_in_progress);
        assert_eq!(upstream.down_since, None);
        assert_eq!(upstream.primary.host, "127.0.0.1");
    }
}

#[test]
fn a_replica_that_lost_its_primary() {
    let text = REPLICAS[0].replace(
        "master_link_status:up",
        "master_link_status:down\nmaster_link_down_since_seconds:12",
    );
    let upstream = Replication::parse(&text).unwrap().upstream.unwrap();
    assert_eq!(
        upstream,
        UpstreamLink {
            primary: Address::new("127.0.0.1", 7600),
            up: false,
            down_since: Some(Duration::from_secs(12)),
            sync_in_progress: false,
        }
    );
}

#[test]
fn a_sentinel_or_a_cut_text_is_no_data_node() {
    let sentinel = include_str!("../../tests/recorded/info-sentinel-redis-7.0.txt");
    assert_eq!(Info::parse(sentinel), None);
    let (cut, _) = REPLICAS[0].split_once("# Replication").unwrap();
    assert_eq!(Info::parse(cut), None);
}
