#![allow(clippy::unwrap_used)]
use super::*;
use crate::data::tests::serving;
use cachebus_admin::{Address, Error};
use std::io;
use std::time::Duration;

/// What every data node says, as Redis 7.0.15 says it.
const COMMON: &str = "\
redis_version:7.0.15
run_id:0123456789012345678901234567890123456789
uptime_in_seconds:5
used_memory:1048576
maxmemory:0
rdb_changes_since_last_save:0
rdb_bgsave_in_progress:0
rdb_last_save_time:1700000000
rdb_last_bgsave_status:ok
aof_enabled:1
aof_rewrite_in_progress:0
aof_rewrite_scheduled:0
aof_last_write_status:ok
connected_slaves:0
master_replid:a
master_replid2:b
master_repl_offset:70
db0:keys=5,expires=0,avg_ttl=0
";

fn info(more: &str) -> Info {
    Info::parse(&format!("{COMMON}{more}")).unwrap()
}

pub(in crate::data) fn primary() -> Info {
    info("loading:0\nrole:master\n")
}

fn replica(host: &str, port: u16, link: &str, syncing: u8) -> Info {
    info(&format!(
        "loading:0\nrole:slave\nmaster_host:{host}\nmaster_port:{port}\nmaster_link_status:{link}\n\
         master_sync_in_progress:{syncing}\nslave_repl_offset:70\nslave_priority:0\n"
    ))
}

fn running() -> Running {
    let folder = tempfile::tempdir().unwrap();
    Running::new(100, serving(folder.path()).certificate())
}

fn names() -> Names {
    Names::new("b", "ns", "cluster.local")
}

fn fqdn(pod: &str) -> String {
    format!("{pod}.b-redis-nodes.ns.svc.cluster.local")
}

#[test]
fn phases_follow_from_what_the_server_says() {
    for (said, phase) in [
        (info("loading:1\nrole:master\n"), Phase::Loading),
        (primary(), Phase::Leading),
        (replica("127.0.0.1", 1, "down", 0), Phase::Sealed),
        (
            replica(&fqdn("b-redis-2"), 6379, "up", 0),
            Phase::Following("b-redis-2".to_owned()),
        ),
        (
            replica("10.0.0.9", 6379, "up", 0),
            Phase::Following("10.0.0.9".to_owned()),
        ),
    ] {
        let mut running = running();
        assert_eq!(running.phase(&names()), Phase::Down);
        running.saw(said);
        assert_eq!(running.phase(&names()), phase);
    }
}

#[test]
fn a_sealed_or_loading_server_is_no_ground_for_a_marker() {
    let mut running = running();
    running.saw(replica("127.0.0.1", 1, "down", 0));
    assert_eq!(running.sighting(), None);
    running.saw(info("loading:1\nrole:master\n"));
    assert_eq!((running.sighting(), running.keys()), (None, None));
    running.saw(primary());
    assert_eq!(running.sighting().unwrap().role, Role::Leading);
    assert_eq!(running.keys(), Some(5));
}

#[test]
fn a_link_counts_until_another_primary_a_full_synchronisation_or_leading() {
    let (one, other) = (fqdn("b-redis-1"), fqdn("b-redis-2"));
    let linked_after = |ending: Info| {
        let mut running = running();
        running.saw(replica(&one, 6379, "up", 0));
        running.saw(ending);
        running.linked
    };
    assert_eq!(
        linked_after(replica(&one, 6379, "down", 0)),
        Some(one.clone())
    );
    assert_eq!(linked_after(replica(&one, 6379, "down", 1)), None);
    assert_eq!(linked_after(replica(&other, 6379, "down", 0)), None);
    assert_eq!(linked_after(primary()), None);
}

fn refused_login() -> AgentError {
    AgentError::Engine(Error::Auth {
        address: Address::new("127.0.0.1", 6379),
        username: "operator".to_owned(),
    })
}

fn lost() -> AgentError {
    AgentError::Engine(Error::Disconnected {
        address: Address::new("127.0.0.1", 6379),
        attempted: "INFO",
        source: io::ErrorKind::UnexpectedEof.into(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_no_news_and_three_seconds_of_silence_are() {
    let mut running = running();
    running.saw(primary());
    running.note(&lost());
    assert_eq!(running.phase(&names()), Phase::Leading);
    tokio::time::advance(Duration::from_secs(4)).await;
    running.note(&lost());
    assert_eq!(running.phase(&names()), Phase::Down);
    assert_eq!(running.answered.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_the_login_is_alive_and_nothing_is_known_of_it() {
    let mut running = running();
    running.saw(primary());
    tokio::time::advance(Duration::from_secs(4)).await;
    running.note(&refused_login());
    assert_eq!(running.answered.elapsed(), Duration::ZERO);
    assert_eq!(running.phase(&names()), Phase::Down);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_until_the_setting_is_taken_or_nobody_asks_for_it() {
    let much = [("maxmemory", "much")];
    let refusal = || {
        let refused = RefusedSetting {
            value: "much".to_owned(),
            why: "ERR too much".to_owned(),
            due: false,
        };
        BTreeMap::from([("maxmemory".to_owned(), refused)])
    };
    let mut running = running();
    running.was_told(&much, refusal());
    assert_eq!(running.refused(), refusal());
    tokio::time::advance(REFUSED).await;
    assert!(running.refused()["maxmemory"].due, "it may be taken now");
    running.was_told(&much, refusal());
    assert_eq!(running.refused(), refusal());
    running.was_told(&[("slowlog-max-len", "7")], BTreeMap::new());
    assert_eq!(running.refused(), refusal());
    running.was_told(&much, BTreeMap::new());
    assert_eq!(running.refused(), BTreeMap::new());

    running.was_told(&much, refusal());
    tokio::time::advance(FORGOTTEN).await;
    assert_eq!(running.refused(), BTreeMap::new());
}

#[test]
fn a_snapshot_counts_that_was_begun_and_finished_while_the_memory_was_whole() {
    let seen = |looks: &[(Info, u64, bool)]| {
        let mut running = running();
        for (said, saved, saving) in looks {
            let mut said = said.clone();
            said.aof.enabled = false;
            said.rdb.last_save_time = *saved;
            said.rdb.save_in_progress = *saving;
            running.saw(said);
        }
        running.has_saved()
    };
    let up = || replica("b-redis-1", 6379, "up", 0);
    let down = || replica("b-redis-1", 6379, "down", 0);
    assert!(!seen(&[(primary(), 1, false)]));
    assert!(seen(&[(primary(), 1, false), (primary(), 2, false)]));
    assert!(seen(&[(up(), 1, false), (down(), 2, false)]));
    assert!(!seen(&[(down(), 1, false), (down(), 2, false)]));
    assert!(!seen(&[(down(), 1, false), (up(), 2, false)]));
    let begun_before = [(up(), 1, true), (up(), 2, false)];
    assert!(!seen(&begun_before));
    let resynchronises = replica("b-redis-1", 6379, "down", 1);
    assert!(!seen(&[
        (up(), 1, false),
        (resynchronises, 1, false),
        (down(), 2, false)
    ]));

    let mut with_aof = running();
    for saved in [1, 2] {
        let mut said = primary();
        said.rdb.last_save_time = saved;
        with_aof.saw(said);
    }
    assert!(!with_aof.has_saved(), "it would read its append-only file");
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_others_began_is_told_from_one_of_this_agents() {
    let mut running = running();
    running.saw(replica(&fqdn("b-redis-1"), 6379, "up", 0));
    assert_eq!(running.promoted(), None);
    running.saw(primary());
    tokio::time::advance(Duration::from_secs(2)).await;
    running.saw(primary());
    assert_eq!(running.promoted(), Some(Duration::from_secs(2)));
    running.saw(replica(&fqdn("b-redis-1"), 6379, "up", 0));
    assert_eq!(running.promoted(), None);

    running.leads_by_decision();
    running.saw(primary());
    assert_eq!(running.promoted(), None);
    running.saw(replica(&fqdn("b-redis-1"), 6379, "up", 0));
    running.saw(primary());
    assert!(running.promoted().is_some(), "the next one is again theirs");
}
