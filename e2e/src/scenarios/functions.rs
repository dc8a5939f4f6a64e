//! The function library is there, is what services may call, and stays.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use cachebus_core::functions::{LIBRARY, NAME, version};
use cachebus_core::names::{FLUSH_ANNOTATION, SWITCHOVER_ANNOTATION};
use cachebus_e2e::cells::{Cell, Expected, Walk, Way};
use kube::ResourceExt as _;
use serde_json::json;

use super::Scenario;
use crate::bus::{Bus, READY, condition_status, small};
use crate::client_pod::ClientPod;
use crate::events::Events;
use crate::lab::Lab;
use crate::wait;

/// Time from readiness to a library that is served, and from what somebody does to it to the one that is ours again.
const SERVED: Duration = Duration::from_secs(30);

/// Time in which the streams are looked at, and what follows is done.
const LOOKED_AFTER: Duration = Duration::from_mins(1);

/// Time for a client's calls.
const CALLS: Duration = Duration::from_mins(1);

/// Time in which a request is answered and carried out.
const ANSWERED: Duration = Duration::from_secs(30);

const STREAM: &str = "events:task:created:stream";
/// Of a channel that keeps events for a second.
const BRIEF: &str = "events:brief:noted:stream";
const IDS: &str = "events:task:created:ids";
const HISTORY: &str = "events:task:created:history";
const TOKEN: &str = "0123456789abcdef";

pub const SCENARIO: Scenario = Scenario {
    name: "functions",
    proves: "the primary serves the function library soon after the bus is ready, after a switchover, after FLUSHALL and after somebody has flushed or altered it; a service calls it with its own Secret, and on what is not its own gets NOPERM; a durable channel's first event brings the group of the service that subscribes, and events that are old and done with go; a keyspace is emptied by annotation, and nothing else is",
    alone: false,
    by_turns: true,
    run: |lab| Box::pin(run(lab)),
};

async fn run(lab: Lab) -> anyhow::Result<()> {
    let namespace = lab.namespace().await?;
    let spec = small(json!({
        "memory": {"max": "64Mi", "policy": "volatile-lru"},
        "cache": {"keyspaces": [
            {"name": "agent", "key": "agent:{id}", "ttl": "1h"},
            {"name": "lock", "key": "lock:{resource}", "ttl": "30s", "kind": "Lock"},
        ]},
        "events": {"channels": [
            {"name": "task", "events": ["created"], "durable": true},
            {"name": "brief", "events": ["noted"], "durable": true, "retention": "1s"},
        ]},
        "services": [
            {"name": "writer", "cache": {"write": ["agent", "lock"]}, "publish": ["task"]},
            {"name": "reader", "cache": {"read": ["agent"]}, "subscribe": ["task", "brief"]},
        ],
    }))?;
    let bus = Bus::ready(&lab, &namespace, "bus", spec).await?;
    served(&bus).await?;
    for condition in ["FunctionsLoaded", "EventsConsumed"] {
        wait::until("the condition", SERVED, || async {
            let object = bus.object().await?;
            let status = condition_status(&object, condition);
            ensure!(status == Some("True"), "{condition} is {status:?}");
            Ok(())
        })
        .await?;
    }
    let keys: u64 = bus.on_primary(&["DBSIZE"]).await?;
    ensure!(keys == 0, "an empty bus has {keys} keys");

    called_by_services(&lab, &bus).await?;
    events(&bus, 1).await?;
    group_of_the_reader(&bus, STREAM).await?;
    trimmed(&bus).await?;
    flushed(&bus).await?;
    events(&bus, 1).await?;
    switch(&bus).await?;
    // What was emitted is known to whoever leads now.
    called_by_services(&lab, &bus).await?;
    events(&bus, 1).await?;

    let () = bus.on_primary(&["FLUSHALL"]).await?;
    served(&bus).await?;
    let () = bus.on_primary(&["FUNCTION", "FLUSH"]).await?;
    served(&bus).await?;
    let older = LIBRARY.replace(
        &format!("VERSION = '{}'", version(LIBRARY).unwrap_or_default()),
        "VERSION = '0.0.1'",
    );
    let _: String = bus
        .on_primary(&["FUNCTION", "LOAD", "REPLACE", &older])
        .await?;
    served(&bus).await?;
    called_by_services(&lab, &bus).await?;
    events(&bus, 1).await
}

/// Waits until the primary serves the library, word for word.
async fn served(bus: &Bus) -> anyhow::Result<()> {
    wait::until("the library", SERVED, || async {
        let node = bus.root_of_primary().await?;
        let is: String = node.call(&["FCALL", "cachebus_version", "0"]).await?;
        ensure!(Some(is.as_str()) == version(LIBRARY), "{is} is served");
        let listed: redis::Value = node
            .call(&["FUNCTION", "LIST", "LIBRARYNAME", NAME, "WITHCODE"])
            .await?;
        ensure!(
            is_in(&listed, LIBRARY.as_bytes()),
            "another text than ours is served"
        );
        Ok(())
    })
    .await
}

fn is_in(reply: &redis::Value, text: &[u8]) -> bool {
    match reply {
        redis::Value::BulkString(bytes) => bytes == text,
        redis::Value::SimpleString(words) => words.as_bytes() == text,
        redis::Value::Array(parts) => parts.iter().any(|part| is_in(part, text)),
        redis::Value::Map(pairs) => pairs.iter().any(|(_, value)| is_in(value, text)),
        _ => false,
    }
}

/// Whether so many events are kept, and the lock is held: the calls did what they say.
async fn events(bus: &Bus, number: u64) -> anyhow::Result<()> {
    let kept: u64 = bus.on_primary(&["XLEN", STREAM]).await?;
    ensure!(kept == number, "{kept} events are kept, not {number}");
    let holder: Option<String> = bus.on_primary(&["GET", "lock:orders"]).await?;
    ensure!(
        holder.as_deref() == Some(TOKEN),
        "the lock holds {holder:?}"
    );
    Ok(())
}

/// Waits until the service that subscribes, and nobody else, has a consumer group.
async fn group_of_the_reader(bus: &Bus, stream: &str) -> anyhow::Result<()> {
    wait::until("the consumer group", LOOKED_AFTER, || async {
        let groups: redis::Value = bus.on_primary(&["XINFO", "GROUPS", stream]).await?;
        ensure!(is_in(&groups, b"reader"), "{stream} has no group of reader");
        ensure!(!is_in(&groups, b"writer"), "{stream} has a group of writer");
        Ok(())
    })
    .await
}

/// Has an old event kept until the service that subscribes has acknowledged it, and dropped then.
async fn trimmed(bus: &Bus) -> anyhow::Result<()> {
    let _: String = bus
        .on_primary(&["XADD", BRIEF, "1-1", "event_id", "evt_1"])
        .await?;
    group_of_the_reader(bus, BRIEF).await?;
    let told = |expected: &'static str| async move {
        wait::until("EventsConsumed", LOOKED_AFTER, || async {
            let object = bus.object().await?;
            let status = condition_status(&object, "EventsConsumed");
            ensure!(status == Some(expected), "it is {status:?}, not {expected}");
            Ok(())
        })
        .await
    };
    told("False").await?;
    let kept: u64 = bus.on_primary(&["XLEN", BRIEF]).await?;
    ensure!(kept == 1, "{kept} events are kept for who is behind");
    let read = ["XREADGROUP", "GROUP", "reader", "c", "STREAMS", BRIEF, ">"];
    let _: redis::Value = bus.on_primary(&read).await?;
    let _: u64 = bus.on_primary(&["XACK", BRIEF, "reader", "1-1"]).await?;
    wait::until("the end of an old event", LOOKED_AFTER, || async {
        let kept: u64 = bus.on_primary(&["XLEN", BRIEF]).await?;
        ensure!(kept == 0, "{kept} events are kept");
        Ok(())
    })
    .await?;
    told("True").await
}

/// Has each service call what is its own, and what is not. The same event each time, and the same lock.
async fn called_by_services(lab: &Lab, bus: &Bus) -> anyhow::Result<()> {
    let envelope = json!({
        "event_id": "evt_1", "timestamp": "2026-01-02T03:04:05.678Z", "channel": "task:created", "service": "writer",
        "data": {}, "metadata": {},
    })
    .to_string();
    let event = ["task:created", &envelope, "100", "1", "300000"];
    let emit = [
        &["FCALL", "cachebus_emit", "3", IDS, HISTORY, STREAM],
        &event[..],
    ]
    .concat();
    let invalidate = |key| [&["FCALL", "cachebus_invalidate", "1", key], &event[..]].concat();
    let lock = |key, fence| {
        vec![
            "FCALL",
            "cachebus_lock",
            "2",
            key,
            fence,
            TOKEN,
            "60000",
            "0",
        ]
    };
    let orders = lock("lock:orders", "lock:orders:fence");
    for (service, granted, denied) in [
        (
            "writer",
            vec![emit.clone(), orders.clone(), invalidate("agent:1")],
            vec![
                lock("other:orders", "other:orders:fence"),
                invalidate("other:1"),
                vec![
                    "FCALL",
                    "cachebus_trim",
                    "2",
                    STREAM,
                    "events:task:created:lost",
                    "1",
                    "0",
                ],
                vec!["FUNCTION", "FLUSH"],
                vec!["FUNCTION", "LOAD", "REPLACE", "#!lua name=cachebus"],
            ],
        ),
        ("reader", vec![], vec![emit, orders, invalidate("agent:1")]),
    ] {
        let cells: Vec<Cell> = granted
            .iter()
            .map(|command| cell(command, Expected::Granted))
            .chain(denied.iter().map(|command| cell(command, Expected::Denied)))
            .collect();
        let input = serde_json::to_string(&cells)?;
        let binding = bus.names.binding(service);
        let (client, namespace) = (&lab.client, bus.names.namespace());
        let pod = ClientPod::start(
            client,
            namespace,
            service,
            &binding,
            &["matrix"],
            Some(input),
        );
        let walk: Walk = pod.await?.answer(CALLS).await?;
        ensure!(walk.attempts == cells.len(), "{} attempts", walk.attempts);
        let surprises: Vec<String> = walk
            .surprises
            .iter()
            .map(|surprise| format!("{}: {}", surprise.cell.command.join(" "), surprise.words))
            .collect();
        ensure!(surprises.is_empty(), "of {service}: {surprises:?}");
    }
    Ok(())
}

fn cell(command: &[&str], expected: Expected) -> Cell {
    Cell {
        about: "the function library".to_owned(),
        way: Way::Service,
        command: command.iter().map(|&word| word.to_owned()).collect(),
        expected,
    }
}

/// Has a keyspace emptied: its keys go, and nothing else does. Locks are not.
async fn flushed(bus: &Bus) -> anyhow::Result<()> {
    for key in ["agent:7", "agent:8", "agents:7"] {
        let () = bus.on_primary(&["SET", key, "v"]).await?;
    }
    bus.ask(FLUSH_ANNOTATION, "agent").await?;
    wait::until("the end of the flush", ANSWERED, || async {
        let object = bus.object().await?;
        let status = object.status.clone().unwrap_or_default();
        let flush = status.flush.context("no flush is recorded")?;
        ensure!(flush.removed == Some(2), "{flush:?}");
        let contract = status.contract.context("nothing is counted")?;
        ensure!(
            (contract.keyspaces, contract.channels, contract.services) == (2, 2, 2),
            "{contract:?}"
        );
        Ok(())
    })
    .await?;
    let left: u64 = bus.on_primary(&["EXISTS", "agent:7", "agent:8"]).await?;
    ensure!(left == 0, "{left} keys of agents are left");
    let others: u64 = bus.on_primary(&["EXISTS", "agents:7"]).await?;
    ensure!(others == 1, "a key of no keyspace was removed");
    let _: u64 = bus.on_primary(&["UNLINK", "agents:7"]).await?;

    bus.ask(FLUSH_ANNOTATION, "lock").await?;
    wait::until("the refusal", ANSWERED, || async {
        let object = bus.object().await?;
        ensure!(
            !object.annotations().contains_key(FLUSH_ANNOTATION),
            "it is not answered"
        );
        let events = Events::of(bus).await?;
        ensure!(events.because("Flushed").len() == 1, "one was to be told");
        let refused = events.because("FlushRefused");
        ensure!(refused.len() == 1, "{refused:?}");
        Ok(())
    })
    .await
}

/// Moves the primary, which serves the library from the first: it came with the data.
async fn switch(bus: &Bus) -> anyhow::Result<()> {
    let before = bus.primary().await?;
    bus.ask(SWITCHOVER_ANNOTATION, "any").await?;
    wait::until("another primary", READY, || async {
        let now = bus.primary().await?;
        ensure!(now != before, "{before} is the primary");
        Ok(())
    })
    .await?;
    bus.await_ready(READY).await?;
    served(bus).await
}
