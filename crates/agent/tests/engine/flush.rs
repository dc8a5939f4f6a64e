//! Keyspaces that a pod which leads is ordered to empty, and keys that it counts.

use crate::bus::{Bus, UID};
use crate::data::lead;
use crate::library::calls;
use crate::pod::{Pod, data, until_is};
use cachebus_core::names::Component;
use cachebus_core::protocol::{AgentStatus, FlushOrder, FlushOutcome, FlushReport, Phase, Refusal};

const AGENT: &str = "agent:{id}";
const RESULT: &str = "agent:result:{id}";
const ALL: &str = "agents:all";
const LOCK: &str = "agent:lock:{id}";

/// What is of no keyspace that is emptied here.
const OTHERS: [&str; 5] = [
    "agent:result:1",
    "agent:lock:1",
    "agent:lock:1:fence",
    "agents:7",
    "session:1",
];

fn bus() -> Bus {
    let mut bus = Bus::new();
    bus.keep_cache(&[
        ("agent", AGENT),
        ("result", RESULT),
        ("all", ALL),
        ("lock", LOCK),
    ]);
    bus
}

fn order(number: u64, keys: &[&str]) -> FlushOrder {
    let others = [AGENT, RESULT, ALL, LOCK].into_iter();
    let others = others.filter(|key| !keys.contains(key));
    FlushOrder {
        uid: UID.to_owned(),
        epoch: 1,
        number,
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        others: others.map(str::to_owned).collect(),
    }
}

fn last(status: &AgentStatus) -> Option<&FlushReport> {
    data(status).flush.as_ref()?.last.as_ref()
}

/// Orders a flush that is obeyed.
async fn obeyed(pod: &Pod<'_>, order: &FlushOrder) {
    let (code, body) = pod.put("/v1/flush", order).await;
    assert_eq!(code, 200, "{body}");
    let status = serde_json::from_str(&body).unwrap();
    assert_eq!(last(&status).unwrap().number, order.number);
}

async fn refused(pod: &Pod<'_>, order: &FlushOrder) -> String {
    let (code, body) = pod.put("/v1/flush", order).await;
    assert_eq!(code, 409, "{body}");
    serde_json::from_str::<Refusal>(&body).unwrap().reason
}

/// Waits until a flush is done: how many keys were removed.
async fn done(pod: &Pod<'_>, number: u64) -> u64 {
    let is_done = |status: &AgentStatus| {
        let last = last(status).filter(|last| last.number == number);
        last.is_some_and(|last| matches!(last.outcome, FlushOutcome::Done { .. }))
    };
    match last(&pod.status_with(is_done).await).map(|last| last.outcome.clone()) {
        Some(FlushOutcome::Done { removed }) => removed,
        other => panic!("{other:?}"),
    }
}

/// A pod that leads, with so many keys of agents, one of which is no text, all that is one key, and others.
async fn leading(bus: &Bus, agents: usize) -> Pod<'_> {
    let pod = Pod::start(bus, Component::Redis);
    let status = pod.phase(Phase::Sealed).await;
    assert_eq!(data(&status).flush, None);
    assert_eq!(refused(&pod, &order(1, &[AGENT])).await, "NotLeading");
    lead(&pod, 1).await;
    let made = "for number = 1, ARGV[1] do redis.call('SET', 'agent:' .. number, 'v') end";
    bus.redis(&["EVAL", made, "0", &(agents - 1).to_string()])
        .await;
    let others = OTHERS.into_iter().chain([r"agent:\xff\x00", ALL]);
    let lines: Vec<String> = others.map(|key| format!("SET \"{key}\" v\n")).collect();
    bus.redis_typed(&lines.concat()).await;
    keys(bus, agents + 1 + OTHERS.len()).await;
    pod
}

async fn keys(bus: &Bus, expected: usize) {
    assert_eq!(bus.redis(&["DBSIZE"]).await, expected.to_string());
}

async fn others_are_there(bus: &Bus) {
    let exist = [&["EXISTS"], &OTHERS[..]].concat();
    assert_eq!(bus.redis(&exist).await, OTHERS.len().to_string());
}

#[tokio::test]
async fn the_keys_of_the_keyspaces_go_and_no_others() {
    let bus = bus();
    let pod = leading(&bus, 3_000).await;
    let revision = pod.revision().await;
    obeyed(&pod, &order(4, &[AGENT, ALL])).await;
    assert_eq!(done(&pod, 4).await, 3_001);
    others_are_there(&bus).await;
    keys(&bus, OTHERS.len()).await;
    // Whoever waits for news hears of it.
    pod.status_after(&revision).await;

    // What is done is not done again, and what came before it is not done after it.
    assert_eq!(bus.redis(&["SET", "agent:new", "v"]).await, "OK");
    obeyed(&pod, &order(4, &[AGENT, ALL])).await;
    assert_eq!(refused(&pod, &order(3, &[AGENT])).await, "Superseded");
    assert_eq!(done(&pod, 4).await, 3_001);
    assert_eq!(bus.redis(&["EXISTS", "agent:new"]).await, "1");
    obeyed(&pod, &order(5, &[AGENT])).await;
    assert_eq!(done(&pod, 5).await, 1);

    // What is one key is not looked for among all.
    let scans = calls(&bus, "scan").await;
    obeyed(&pod, &order(6, &[ALL])).await;
    assert_eq!(done(&pod, 6).await, 0);
    assert_eq!(calls(&bus, "scan").await, scans);
    pod.stop().await;
}

#[tokio::test]
async fn an_agent_has_no_right_to_remove_anything_else() {
    let bus = bus();
    let pod = leading(&bus, 10).await;
    let may = |command: &'static str, key: &'static str| {
        let bus = &bus;
        async move {
            let asked = ["ACL", "DRYRUN", "operator", command, key];
            bus.redis(&asked).await == "OK"
        }
    };
    for key in ["agent:1", "agent:result:1", "agents:all"] {
        assert!(may("UNLINK", key).await, "{key}");
    }
    for key in [
        "agent:lock:1",
        "agent:lock:1:fence",
        "session:1",
        "events:task:created:stream",
    ] {
        assert!(!may("UNLINK", key).await, "{key}");
    }
    assert!(!may("DEL", "agent:1").await);
    // An order that says otherwise is not carried out by half.
    let lock = FlushOrder {
        others: Vec::new(),
        ..order(1, &[AGENT, LOCK])
    };
    obeyed(&pod, &lock).await;
    let hindered = |status: &AgentStatus| {
        let outcome = last(status).map(|last| &last.outcome);
        matches!(outcome, Some(FlushOutcome::Hindered(why)) if why.message.contains("NOPERM"))
    };
    pod.status_with(hindered).await;
    others_are_there(&bus).await;
    pod.stop().await;
}

#[tokio::test]
async fn one_that_was_cut_short_is_carried_out_when_it_is_ordered_anew() {
    let bus = bus();
    let pod = leading(&bus, 100_000).await;
    obeyed(&pod, &order(1, &[AGENT, ALL])).await;
    let outcome = last(&pod.status().await).map(|last| last.outcome.clone());
    assert_eq!(outcome, Some(FlushOutcome::Running), "too few keys");
    pod.stop().await;
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    lead(&pod, 2).await;
    assert_eq!(last(&pod.status().await), None);
    // The count began when it came to lead.
    until_is(true, || async {
        let (_, metrics) = pod.get("/metrics").await;
        metrics.contains("\ncache_keyspace_keys{keyspace=\"lock\"} 2.0\n")
            && metrics.contains("\ncache_keyspace_keys{keyspace=\"result\"} 1.0\n")
            && metrics.contains("\ncache_keyspace_keys{keyspace=\"agent\"} ")
    })
    .await;
    assert_eq!(refused(&pod, &order(1, &[AGENT, ALL])).await, "StaleEpoch");
    let anew = FlushOrder {
        epoch: 2,
        ..order(1, &[AGENT, ALL])
    };
    obeyed(&pod, &anew).await;
    done(&pod, 1).await;
    others_are_there(&bus).await;
    keys(&bus, OTHERS.len()).await;
    pod.stop().await;
}

#[tokio::test]
async fn what_the_server_refuses_is_told_of_and_done_when_it_takes_it() {
    let bus = bus();
    let pod = leading(&bus, 10).await;
    let needed = |number: &'static str| ["CONFIG", "SET", "min-replicas-to-write", number];
    assert_eq!(bus.redis(&needed("5")).await, "OK");
    obeyed(&pod, &order(1, &[AGENT])).await;
    let hindered = |status: &AgentStatus| {
        let outcome = last(status).map(|last| &last.outcome);
        matches!(outcome, Some(FlushOutcome::Hindered(why)) if why.message.contains("NOREPLICAS"))
    };
    pod.status_with(hindered).await;
    assert_eq!(bus.redis(&needed("0")).await, "OK");
    assert_eq!(done(&pod, 1).await, 10);
    others_are_there(&bus).await;
    pod.stop().await;
}

#[tokio::test]
async fn keys_are_counted_where_there_are_keyspaces_and_nothing_is_changed_by_it() {
    let bus = bus();
    let pod = leading(&bus, 5_000).await;
    pod.stop().await;
    let pod = Pod::start(&bus, Component::Redis);
    pod.phase(Phase::Sealed).await;
    lead(&pod, 2).await;
    for (keyspace, keys) in [("agent", 5_000), ("all", 1), ("result", 1), ("lock", 2)] {
        let told = format!("\ncache_keyspace_keys{{keyspace=\"{keyspace}\"}} {keys}.0\n");
        until_is(true, || async {
            let (_, metrics) = pod.get("/metrics").await;
            metrics.contains(&told)
        })
        .await;
    }
    keys(&bus, 5_001 + OTHERS.len()).await;
    assert_eq!(calls(&bus, "unlink").await, 0);
    // The next count is a minute away.
    let scans = calls(&bus, "scan").await;
    assert!((5..=10).contains(&scans), "{scans}");
    pod.stop().await;
}
