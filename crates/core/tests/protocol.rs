//! Operators and agents of different versions understand one another: what 0.1 says is recorded, and what a newer one may say
//! is made of it.
#![allow(clippy::unwrap_used)]

use cachebus_core::protocol::{
    AclOrder, AgentConfig, AgentStatus, ConfigOrder, Fenced, FlushOutcome, HandoverCause,
    HandoverOrder, HandoverOutcome, Marker, MonitorOrder, NodeStatus, Phase, Refusal,
    TopologyOrder,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn recorded() -> Value {
    serde_json::from_str(include_str!("protocol/0.1.json")).unwrap()
}

/// Whether everything that one says is said by the other, in the same words.
fn says_all(newer: &Value, older: &Value) -> bool {
    match (newer, older) {
        (Value::Object(newer), Value::Object(older)) => older.iter().all(|(name, older)| {
            let newer = newer.get(name).unwrap_or(&Value::Null);
            says_all(newer, older)
        }),
        (Value::Array(newer), Value::Array(older)) => {
            let mut pairs = newer.iter().zip(older);
            newer.len() == older.len() && pairs.all(|(newer, older)| says_all(newer, older))
        }
        _ => newer == older,
    }
}

/// Adds a field to every object but maps of settings.
fn with_more(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let is_map =
                    name == "config" || name == "settings" && field.get("maxmemory").is_some();
                let is_word = ["phase", "fenced", "outcome"].contains(&name.as_str());
                if !is_map && !is_word {
                    with_more(field);
                }
            }
            fields.insert("newer".to_owned(), json!({"than": "this"}));
        }
        Value::Array(items) => items.iter_mut().for_each(with_more),
        _ => {}
    }
}

fn understood<T: DeserializeOwned + Serialize>(name: &str, said: &Value) {
    let known: T = serde_json::from_value(said.clone()).unwrap_or_else(|error| {
        panic!("{name} is not understood: {error}");
    });
    let said_again = serde_json::to_value(known).unwrap();
    assert!(
        says_all(&said_again, said),
        "{name}: {said_again} for {said}"
    );
    let mut more = said.clone();
    with_more(&mut more);
    let of_more: T = serde_json::from_value(more).unwrap_or_else(|error| {
        panic!("a newer {name} is not understood: {error}");
    });
    assert_eq!(serde_json::to_value(of_more).unwrap(), said_again, "{name}");
}

#[test]
fn what_0_1_says_is_understood_and_said_again_and_what_is_added_is_passed_over() {
    let recorded = recorded();
    for report in recorded["data"].as_array().unwrap() {
        understood::<AgentStatus>("data", report);
    }
    understood::<AgentStatus>("sentinel", &recorded["sentinel"]);
    understood::<AgentConfig>("config", &recorded["config"]);
    understood::<Marker>("marker", &recorded["marker"]);
    understood::<TopologyOrder>("topology", &recorded["topology"]);
    understood::<HandoverOrder>("handover", &recorded["handover"]);
    understood::<ConfigOrder>("settings", &recorded["settings"]);
    understood::<AclOrder>("acl", &recorded["acl"]);
    understood::<MonitorOrder>("monitor", &recorded["monitor"]);
    understood::<Refusal>("refusal", &recorded["refusal"]);
}

#[test]
fn a_word_that_is_not_known_leaves_the_rest_of_a_report_readable() {
    for word in [
        json!("Newer"),
        json!({"Newer": {"than": "this"}}),
        json!({"Newer": 1}),
    ] {
        let mut report = recorded()["data"][0].clone();
        let data = &mut report["redis"];
        data["phase"] = word.clone();
        data["fenced"] = word.clone();
        data["handover"]["cause"] = word.clone();
        data["handover"]["outcome"] = word.clone();
        data["flush"] = json!({"last": {"number": 4, "outcome": word.clone()}});
        let read: AgentStatus = serde_json::from_value(report).unwrap();
        let NodeStatus::Redis(data) = read.node else {
            panic!("{word}");
        };
        assert_eq!(
            (data.phase, data.fenced),
            (Phase::Unknown, Some(Fenced::Unknown))
        );
        assert_eq!(data.keys, Some(7));
        let handover = data.handover.unwrap();
        assert_eq!(handover.cause, HandoverCause::Unknown);
        assert!(matches!(handover.outcome, HandoverOutcome::Failed(_)));
        let flush = data.flush.unwrap().last.unwrap();
        assert_eq!((flush.number, flush.outcome), (4, FlushOutcome::Unknown));
    }
}

#[test]
fn a_refusal_of_which_an_older_agent_tells_is_not_due() {
    let refusals = json!({"maxmemory": {"value": "much", "why": "ERR too much"}});
    let mut report = recorded()["data"][0].clone();
    report["redis"]["refusedSettings"] = refusals.clone();
    let read: AgentStatus = serde_json::from_value(report).unwrap();
    let said_again = serde_json::to_value(&read).unwrap();
    assert_eq!(said_again["redis"]["refusedSettings"], refusals);
    let NodeStatus::Redis(data) = read.node else {
        panic!("{said_again}");
    };
    assert!(!data.refused_settings["maxmemory"].due);
}
