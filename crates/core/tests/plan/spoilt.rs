//! When files that a server cannot read are set aside.

use crate::common::{UID, bus};
use crate::scene::{fqdn, marker};
use cachebus_core::config::agent_json;
use cachebus_core::protocol::{AgentConfig, Marker};
use cachebus_core::seal::{
    Leader, NEVER_PROMOTE, Question, Role, Sighting, Telling, Vote, leader_to_ask, next_marker,
    priority, set_aside,
};

const THIS: &str = "b-redis-0";
const LEADER: &str = "b-redis-1";

/// In the form of Redis 7.0.
const BAD_TAIL: &str = "Bad file format reading the append only file appendonly.aof.2.incr.aof: make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>";
const BAD_SNAPSHOT: &str = "Internal error in RDB reading offset 24, function at rdb.c:2961 -> Unknown RDB encoding type 115";

fn told(lines: &[&str]) -> Telling {
    let mut telling = Telling::default();
    for line in lines {
        telling.hear(line);
    }
    telling
}

fn config() -> AgentConfig {
    agent_json(&bus("{}"))
}

fn names(pod: &str) -> Option<Vote> {
    Some(Vote {
        primary_host: fqdn(pod),
        config_epoch: 1,
    })
}

fn question<'a>(
    config: &'a AgentConfig,
    votes: &'a [Option<Vote>],
    marker: Option<&'a Marker>,
) -> Question<'a> {
    Question {
        config,
        pod: THIS,
        votes,
        marker,
        dataset: true,
    }
}

#[test]
fn what_the_engine_calls_damaged_is_spoilt() {
    let begins = "DB loaded from base file appendonly.aof.1.base.rdb: 0.020 seconds";
    for lines in [
        &[begins, BAD_TAIL][..],
        &[
            begins,
            "Unexpected end of file reading the append only file appendonly.aof.2.incr.aof. You can: 1) Make a backup of your AOF file",
        ],
        &[
            BAD_SNAPSHOT,
            "Terminating server after rdb file reading failure.",
        ],
        &[
            "Short read or OOM loading DB. Unrecoverable error, aborting now.",
            "Error reading the RDB base file appendonly.aof.1.base.rdb, AOF loading aborted",
        ],
        &["Wrong RDB checksum expected: (1) but got (2). Aborting now."],
    ] {
        assert!(told(lines).spoilt(1), "{lines:?}");
        // It was killed, or it broke: what it said before need not be why.
        for code in [0, 134, 137, 139] {
            assert!(!told(lines).spoilt(code), "{lines:?}");
        }
    }
}

#[test]
fn what_is_not_the_files_fault_spoils_none() {
    for lines in [
        &[][..],
        &[
            "Can't handle RDB format version 15",
            "Fatal error loading the DB, check server logs. Exiting.",
        ],
        &[
            "Can't handle RDB format version 15",
            "Error reading the RDB base file appendonly.aof.1.base.rdb, AOF loading aborted",
        ],
        &["Unknown command 'HSETEX' reading the append only file appendonly.aof.2.incr.aof"],
        &[
            "Internal error in RDB reading offset 9, function at rdb.c:1 -> The RDB file contains module data I can't load: no matching module type 'x'",
        ],
        &[
            "Error reading the RDB base file appendonly.aof.1.base.rdb, AOF loading aborted",
            "Unrecoverable error reading the append only file appendonly.aof.1.base.rdb: Input/output error",
        ],
        &[
            "Error truncating the AOF file x: Read-only file system",
            "Unexpected end of file reading the append only file x. You can: 1)",
        ],
        &["Fatal error: can't open the append log file x for reading: Permission denied"],
        &[
            "rdbGenericLoadStringObject failed allocating 99 bytes",
            BAD_SNAPSHOT,
        ],
        &["Out Of Memory allocating 99 bytes!"],
        // Of a value: nothing that begins a line.
        &[
            "Unknown command 'Bad file format reading the append only file' reading the append only file x",
        ],
        // It had read its own, and what a primary sent it was damaged.
        &[
            "DB loaded from append only file: 0.020 seconds",
            BAD_SNAPSHOT,
        ],
        &["Ready to accept connections tls", BAD_SNAPSHOT],
    ] {
        assert!(!told(lines).spoilt(1), "{lines:?}");
    }
}

#[test]
fn only_a_pod_that_a_majority_names_and_is_another_may_have_the_data() {
    let config = config();
    let asked = |votes: &[Option<Vote>]| leader_to_ask(&question(&config, votes, None));
    let (this, other) = (names(THIS), names(LEADER));
    assert_eq!(
        asked(&[other.clone(), other.clone(), None]).as_deref(),
        Some(LEADER)
    );
    assert_eq!(asked(&[this.clone(), this.clone(), other.clone()]), None);
    assert_eq!(asked(&[other.clone(), this, None]), None);
    assert_eq!(asked(&[other, None, None]), None);
    assert_eq!(asked(&[None, None, None]), None);
}

#[test]
fn only_a_primary_that_has_keys_is_one_beside_which_a_copy_may_begin_anew() {
    let leader = Leader {
        leads: true,
        loading: false,
        keys: 1,
    };
    assert!(leader.has_it_all());
    for other in [
        Leader {
            leads: false,
            ..leader
        },
        Leader {
            loading: true,
            ..leader
        },
        Leader { keys: 0, ..leader },
    ] {
        assert!(!other.has_it_all(), "{other:?}");
    }
}

#[test]
fn what_is_set_aside_vouches_for_nothing_until_the_copy_is_whole_again() {
    let config = config();
    for (before, fence) in [
        (marker(LEADER, 4), 4),
        // It led, and Sentinels have moved on: what comes is newer.
        (marker(THIS, 4), 5),
        (
            Marker {
                uid: "another".to_owned(),
                ..marker(LEADER, 9)
            },
            0,
        ),
    ] {
        let after = set_aside(&question(&config, &[], Some(&before)), LEADER);
        assert_eq!((&*after.uid, after.epoch, after.fence), (UID, 0, fence));
        assert!(!after.complete);
        assert_eq!(
            priority(&config, Some(&after), true, LEADER, false),
            NEVER_PROMOTE
        );
        let question = question(&config, &[], Some(&after));
        let mut seen = Sighting {
            role: Role::Following {
                primary: LEADER,
                link_up: true,
                syncing: false,
            },
            rewriting: true,
            aof: true,
        };
        let coming = next_marker(&question, &seen).unwrap();
        assert!(!coming.complete);
        seen.rewriting = false;
        let whole = next_marker(&question, &seen).unwrap();
        assert!(whole.complete);
        assert_eq!(whole.epoch, fence.max(1), "{before:?}");
    }
}
