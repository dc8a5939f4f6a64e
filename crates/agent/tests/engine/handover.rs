//! The lead handed over by the agents themselves, on a whole bus under writes.

use crate::bus::Bus;
use crate::pod::{Pod, data};
use crate::running::{Running, done, signal};
use crate::writers::{Writers, Written};
use cachebus_core::handover::refusal;
use cachebus_core::names::Component;
use cachebus_core::protocol::{AgentStatus, FedReplica, HandoverCause, HandoverOutcome, Phase};
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

const WRITERS: usize = 4;

/// A pod that is to end leads for a little longer than this before it hands over.
const BEFORE_HANDOVER: Duration = Duration::from_millis(900);

/// Less than a Sentinel takes for a jump of the clock, after which it does nothing for a while.
const UNANSWERED: Duration = Duration::from_millis(1_500);

/// Buses whose Sentinels take no announcement live one after the other: what takes seconds need not slow the others down.
static UNANNOUNCED: Mutex<()> = Mutex::const_new(());

/// Prints the gaps, and says what else writers were told than that the server takes no writes.
fn judge(what: &str, told: u64, written: &[Written]) -> Vec<String> {
    let acknowledged: usize = written.iter().map(|written| written.keys.len()).sum();
    let gap = written.iter().map(|written| written.gap).max().unwrap();
    let errors: Vec<_> = written.iter().map(|written| &written.errors).collect();
    println!("{what}: {acknowledged} writes, gap {gap:?}, by the agent {told} ms; {errors:?}");
    let broken = written.iter().flat_map(|written| written.errors.keys());
    broken
        .filter(|error| *error != "-READONLY")
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_handover_loses_no_write_and_breaks_no_connection() {
    let bus = Bus::whole(1);
    let mut running = Running::start(&bus).await;
    let before = running.full_syncs().await;
    let mut leads = 0;
    for (round, to) in [(1, 1), (2, 2), (3, 0)] {
        let writers = Writers::start(&running.access, &format!("o{round}"), WRITERS).await;
        let name = format!("b-redis-{to}");
        let (code, body) = running.order(leads, Some(&name)).await;
        assert_eq!(code, 200, "{body}");
        let status = serde_json::from_str(&body).unwrap();
        let (chosen, told) = done(&status, 1, HandoverCause::Ordered);
        assert_eq!(chosen, name);
        assert_eq!(data(&status).phase, Phase::Following(name.clone()));
        running.known_to_all(&name).await;
        let written = writers.finish(to).await;
        assert_eq!(judge("ordered", told, &written), [""; 0]);
        let others: Vec<usize> = (0..3).filter(|ordinal| *ordinal != to).collect();
        running.in_sync(&others, &name).await;
        running.node(to).phase(Phase::Leading).await;
        leads = to;
    }
    assert_eq!(running.full_syncs().await, before, "a copy was sent anew");

    let writers = Writers::start(&running.access, "s", WRITERS).await;
    running.nodes[0].take().unwrap().stop().await;
    let named = running.named_other_than("b-redis-0").await;
    running.known_to_all(&named).await;
    let leads = usize::try_from(bus.names.data_ordinal(&named).unwrap()).unwrap();
    running.node(leads).phase(Phase::Leading).await;
    let written = writers.finish(leads).await;
    assert_eq!(judge("stopped", 0, &written), [""; 0]);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_clients_go_on_once_the_new_primary_has_all_the_replicas_that_it_needs() {
    let bus = Bus::whole_that_needs(2, 9);
    let running = Running::start(&bus).await;
    let writers = Writers::start(&running.access, "n", WRITERS).await;
    let (code, body) = running.order(0, Some("b-redis-1")).await;
    assert_eq!(code, 200, "{body}");
    let (_, told) = done(
        &serde_json::from_str(&body).unwrap(),
        1,
        HandoverCause::Ordered,
    );
    running.in_sync(&[0, 2], "b-redis-1").await;
    let written = writers.finish(1).await;
    assert_eq!(judge("all needed", told, &written), [""; 0]);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_primary_hands_its_lead_over_and_comes_back_as_a_replica() {
    let bus = Bus::whole(2);
    let running = Running::start(&bus).await;
    let writers = Writers::start(&running.access, "c", WRITERS).await;
    let (to, told) = running.crash_primary().await;
    running.known_to_all(&to).await;
    let leads = usize::try_from(bus.names.data_ordinal(&to).unwrap()).unwrap();
    running.node(leads).phase(Phase::Leading).await;
    running.in_sync(&[0], &to).await;
    let written = writers.finish_after_crash(leads).await;
    judge("crashed", told, &written);
    let gap = written.iter().map(|written| written.gap).max().unwrap();
    assert!(
        gap < Duration::from_secs(4),
        "sooner than by Sentinels: {gap:?}"
    );
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_stopped_hands_its_lead_over_to_sentinels_that_miss_an_answer() {
    let bus = Bus::whole(9);
    let mut running = Running::start(&bus).await;
    let mut still = Vec::new();
    for ordinal in [1, 2] {
        let sentinel = running.access.sentinel(ordinal).await.unwrap();
        still.push(sentinel.info().await.unwrap());
    }
    let stopped = running.nodes[0].take().unwrap();
    let stands_still = async {
        sleep(BEFORE_HANDOVER).await;
        for server in &still {
            signal(server, Signal::SIGSTOP);
        }
        sleep(UNANSWERED).await;
        for server in &still {
            signal(server, Signal::SIGCONT);
        }
    };
    tokio::join!(stopped.stop(), stands_still);
    let mut leads = Vec::new();
    for ordinal in [1, 2] {
        let status = running.node(ordinal).status().await;
        leads.push(data(&status).phase == Phase::Leading);
    }
    assert!(leads.contains(&true), "nobody has to find it down");
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_primary_hands_its_lead_over_beside_a_node_that_is_dark() {
    let bus = Bus::whole(4);
    let running = Running::start(&bus).await;
    let dark = [
        running
            .access
            .node(2)
            .await
            .unwrap()
            .info()
            .await
            .unwrap()
            .raw,
        running
            .access
            .sentinel(2)
            .await
            .unwrap()
            .info()
            .await
            .unwrap(),
    ];
    for server in &dark {
        signal(server, Signal::SIGSTOP);
    }
    let host = bus.fqdn(Component::Redis, 2);
    running
        .node(0)
        .status_with(|status| {
            let replication = data(status).replication.as_ref().unwrap();
            let silent = |replica: &FedReplica| replica.host == host && replica.lag > 2;
            replication.replicas.iter().any(silent)
        })
        .await;
    let (to, told) = running.crash_primary().await;
    println!("beside a dark node: by the agent {told} ms");
    assert_eq!(to, "b-redis-1");
    for server in &dark {
        signal(server, Signal::SIGCONT);
    }
    running.known_to_all(&to).await;
    running.in_sync(&[0], &to).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_fit_replica_or_a_majority_the_lead_stays_where_it_is() {
    let bus = Bus::whole(3);
    let mut running = Running::start(&bus).await;
    let writers = Writers::start(&running.access, "r", WRITERS).await;
    running.nodes[2].take().unwrap().stop().await;
    assert_eq!(
        running.refused(0, Some("b-redis-2")).await,
        refusal::NOT_YET_IN_SYNC
    );
    assert_eq!(
        running.refused(0, Some("b-redis-9")).await,
        refusal::NOT_YET_IN_SYNC
    );
    assert_eq!(running.refused(0, Some("b-redis-0")).await, "UnknownPod");
    assert_eq!(running.refused(1, None).await, "NotLeading");
    // Without a majority of Sentinels the primary takes writes with all its replicas only.
    running.nodes[2] = Some(Pod::start_nth(&bus, Component::Redis, 2));
    running.in_sync(&[2], "b-redis-0").await;
    for ordinal in [1, 2] {
        running.sentinels[ordinal].take().unwrap().stop().await;
    }
    assert_eq!(running.refused(0, Some("b-redis-1")).await, "NoMajority");
    let written: Vec<Written> = {
        let status = running.node(0).status().await;
        assert_eq!(data(&status).handover, None);
        assert_eq!(data(&status).phase, Phase::Leading);
        writers.finish(0).await
    };
    assert_eq!(judge("refused", 0, &written), [""; 0]);
    running.end().await;
}

/// Writes were refused, and by nothing else than that the server leads no more, or leads again and has no replicas yet.
fn refused_only(mut told: Vec<String>) {
    told.retain(|error| error != "-NOREPLICAS");
    assert_eq!(told, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_sentinels_take_no_announcement_one_of_them_fails_over_and_no_write_is_lost() {
    let _turn = UNANNOUNCED.lock().await;
    let bus = Bus::whole(7);
    bus.refuse_announcements();
    let mut running = Running::start(&bus).await;
    let mut leads = 0;
    for (round, to) in [Some(1), Some(2), None].into_iter().enumerate() {
        let writers = Writers::start(&running.access, &format!("f{round}"), WRITERS).await;
        let asked = to.map(|to| format!("b-redis-{to}"));
        let (status, tries) = running.obeyed(leads, asked.as_deref()).await;
        let (name, told) = done(&status, tries, HandoverCause::Ordered);
        assert!(asked.is_none_or(|asked| asked == name), "{name} leads");
        assert_eq!(data(&status).phase, Phase::Following(name.clone()));
        running.known_to_all(&name).await;
        leads = usize::try_from(bus.names.data_ordinal(&name).unwrap()).unwrap();
        running.node(leads).phase(Phase::Leading).await;
        let others: Vec<usize> = (0..3).filter(|ordinal| *ordinal != leads).collect();
        running.in_sync(&others, &name).await;
        let written = writers.finish(leads).await;
        refused_only(judge("by a Sentinel", told, &written));
    }

    let before = format!("b-redis-{leads}");
    let writers = Writers::start(&running.access, "fs", WRITERS).await;
    running.nodes[leads].take().unwrap().stop().await;
    let named = running.named_other_than(&before).await;
    running.known_to_all(&named).await;
    let leads = usize::try_from(bus.names.data_ordinal(&named).unwrap()).unwrap();
    running.node(leads).phase(Phase::Leading).await;
    let written = writers.finish(leads).await;
    refused_only(judge("by a Sentinel, stopped", 0, &written));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_sentinels_take_no_announcement_and_know_no_fit_replica_writes_go_on_where_they_did()
{
    let _turn = UNANNOUNCED.lock().await;
    let bus = Bus::whole(8);
    bus.refuse_announcements();
    let running = Running::start(&bus).await;
    for ordinal in 0..3 {
        // It hears no more how replicas are.
        let name = &bus.config.master_name;
        let deaf = format!("SENTINEL SET {name} rename-command INFO NONE");
        for command in ["SENTINEL DEBUG INFO-PERIOD 1000", &deaf] {
            let told = running.access.tell_sentinel(ordinal, command).await;
            assert_eq!(told, "+OK");
        }
    }
    for ordinal in 0..3 {
        running.nobody_is_fit(ordinal).await;
    }
    let writers = Writers::start(&running.access, "n", WRITERS).await;
    let (code, body) = running.order(0, None).await;
    assert_eq!(code, 200, "{body}");
    let status: AgentStatus = serde_json::from_str(&body).unwrap();
    let outcome = data(&status).handover.clone().unwrap().outcome;
    let HandoverOutcome::Failed(why) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(why.reason, "FailoverRefused", "{}", why.message);
    assert!(why.message.contains("NOGOODSLAVE"), "{}", why.message);
    assert_eq!(data(&status).phase, Phase::Leading);
    running.in_sync(&[1, 2], "b-redis-0").await;
    let written = writers.finish(0).await;
    refused_only(judge("refused by a Sentinel", 0, &written));
    running.known_to_all("b-redis-0").await;
    running.end().await;
}
