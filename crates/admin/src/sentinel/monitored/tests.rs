#![allow(clippy::unwrap_used)]

use super::*;

/// A recorded reply: a field's name and its value on alternate lines.
fn recorded(text: &str) -> Fields {
    let lines: Vec<_> = text.lines().collect();
    lines
        .chunks_exact(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect()
}

#[test]
fn a_master_of_each_engine() {
    for text in [
        include_str!("../../../tests/recorded/sentinel-master-redis-7.0.txt"),
        include_str!("../../../tests/recorded/sentinel-master-valkey-9.1.txt"),
    ] {
        let master = MonitoredMaster::from_fields(&recorded(text)).unwrap();
        assert_eq!((master.name.as_str(), master.quorum), ("m", 2));
        assert_eq!(master.num_other_sentinels, 1);
        assert_eq!(master.down_after, Duration::from_secs(5));
        assert_eq!(master.failover_timeout, Duration::from_mins(3));
        assert_eq!(master.role_reported, "master");
        assert!(!master.flags.is_subjectively_down() && !master.flags.is_failing_over());
    }
}

#[test]
fn a_master_that_was_never_reached() {
    let text = include_str!("../../../tests/recorded/sentinel-master-redis-7.0.txt");
    let mut fields = recorded(text);
    fields.insert("runid".to_owned(), String::new());
    fields.insert("flags".to_owned(), "s_down,master,disconnected".to_owned());
    let master = MonitoredMaster::from_fields(&fields).unwrap();
    assert!(master.run_id.is_empty() && master.flags.is_subjectively_down());
    assert!(!master.flags.is_objectively_down());
}

#[test]
fn a_replica_and_the_primary_it_follows() {
    let text = include_str!("../../../tests/recorded/sentinel-replicas-redis-7.0.txt");
    let mut fields = recorded(text);
    let replica = MonitoredReplica::from_fields(&fields).unwrap();
    assert_eq!(replica.address, Address::new("127.0.0.1", 7601));
    assert_eq!(replica.primary, Some(Address::new("127.0.0.1", 7600)));
    assert_eq!((replica.priority, replica.offset), (100, 523));
    assert!(replica.link_up);

    fields.insert("master-host".to_owned(), "?".to_owned());
    let unheard = MonitoredReplica::from_fields(&fields).unwrap();
    assert_eq!(unheard.primary, None);
}

#[test]
fn another_sentinel_of_each_engine() {
    for text in [
        include_str!("../../../tests/recorded/sentinel-sentinels-redis-7.0.txt"),
        include_str!("../../../tests/recorded/sentinel-sentinels-valkey-9.1.txt"),
    ] {
        let peer = PeerSentinel::from_fields(&recorded(text)).unwrap();
        assert_eq!((peer.run_id.len(), peer.voted_leader_epoch), (40, 0));
        assert!(peer.last_hello < Duration::from_secs(3));
    }
}
