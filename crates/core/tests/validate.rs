//! What is refused of a spec, and how it is told.
#![allow(clippy::unwrap_used)]

use cachebus_api::{CacheBus, CacheBusSpec};
use cachebus_core::bus::{Bus, Platform, Violation};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

fn platform() -> Platform {
    let images = ["redis-7.0", "redis-8.0", "valkey-9.1"];
    Platform {
        domain: "cluster.local".to_owned(),
        agent_image: "agent".to_owned(),
        agent_pull_policy: String::new(),
        engine_images: images
            .into_iter()
            .map(|engine| (engine.to_owned(), format!("registry.example/{engine}")))
            .collect(),
        operator_namespace: "o".to_owned(),
    }
}

fn named(name: &str, spec: &str) -> Result<Bus, Vec<Violation>> {
    validated(name, serde_saphyr::from_str(spec).unwrap())
}

fn validated(name: &str, spec: CacheBusSpec) -> Result<Bus, Vec<Violation>> {
    let mut object = CacheBus::new(name, spec);
    object.metadata.namespace = Some("n".to_owned());
    object.metadata.uid = Some("uid".to_owned());
    object.metadata.generation = Some(7);
    Bus::validate(&object, &platform())
}

fn refused(spec: &str) -> Vec<(String, &'static str)> {
    named("b", spec)
        .unwrap_err()
        .into_iter()
        .map(|violation| (violation.path, violation.reason))
        .collect()
}

#[test]
fn a_good_spec_becomes_a_bus() {
    let bus = named("platform", "{engine: {kind: Valkey, version: '9.1'}}").unwrap();
    assert_eq!(bus.names.bus(), "platform");
    assert_eq!((bus.uid.as_str(), bus.generation), ("uid", 7));
    assert_eq!(bus.image, "registry.example/valkey-9.1");
    assert_eq!(bus.engine.version, "9.1");
}

#[test]
fn an_image_in_the_spec_wins_and_a_missing_one_is_told() {
    let own = "{engine: {version: '7.2', image: own}}";
    assert_eq!(named("b", own).unwrap().image, "own");
    let none = "{engine: {version: '7.2'}}";
    assert_eq!(
        refused(none),
        [("spec.engine.image".to_owned(), "ImageUnknown")]
    );
}

#[test]
fn all_of_it_is_told_at_once() {
    let spec = "
engine: {version: '6.2'}
memory: {max: 1Mi}
replication: {maxLag: 1500ms, fencingWindow: 500ms}
sentinel: {replicas: 2, downAfter: 1s}
pods: {labels: {'a b': c}}
cache: {keyspaces: [{name: a, key: 'a:{x}', ttl: 0s}, {name: b, key: 'a:{y}', ttl: 1m}]}
services: [{name: s, cache: {read: [c]}, publish: ['d:e']}]
";
    let paths: Vec<String> = refused(spec).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "spec.engine.version",
            "spec.replication.maxLag",
            "spec.replication.fencingWindow",
            "spec.cache.keyspaces[a].ttl",
            "spec.memory.max",
            "spec.sentinel.replicas",
            "spec.replication.maxLag",
            "spec.pods.labels[a b]",
            "spec.cache.keyspaces[b].key",
            "spec.services[s].cache.read[c]",
            "spec.services[s].publish[d:e]",
        ]
    );
}

#[test]
fn what_a_spec_asks_for_can_be_kept() {
    let told = |spec: &str| {
        refused(spec)
            .into_iter()
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };
    let one = "{replicas: 1, replication: {durability: Quorum, minReplicasToWrite: 0}}";
    assert_eq!(told(one), ["spec.replication.durability"]);
    let forgetful = "{hibernated: true, persistence: {aof: disabled, rdb: []}}";
    assert_eq!(told(forgetful), ["spec.hibernated"]);
}

#[test]
fn a_fence_falls_before_another_can_lead() {
    let told = refused("replication: {fencingWindow: 6s}");
    let path = "spec.replication.fencingWindow".to_owned();
    assert_eq!(told, [(path, "OutOfRange")]);
}

#[test]
fn selectors_of_namespaces_are_what_kubernetes_takes() {
    for field in ["namespaces", "metrics"] {
        let told = |selector: &str| refused(&format!("access: {{{field}: {selector}}}"));
        let path = format!("spec.access.{field}");
        assert_eq!(
            told("{matchLabels: {'a b': c}}"),
            [(format!("{path}.matchLabels[a b]"), "LabelInvalid")]
        );
        assert_eq!(
            told("{matchExpressions: [{key: team, operator: In}]}"),
            [(format!("{path}.matchExpressions[0]"), "SelectorInvalid")]
        );
        for good in ["{}", "{matchLabels: {team: apps}}"] {
            let spec = format!("access: {{{field}: {good}}}");
            assert!(named("b", &spec).is_ok(), "{spec}");
        }
    }
}

#[test]
fn names_that_no_object_can_have_are_refused() {
    for name in ["", "-a", "a-", "1a", "A", "a.b", &"a".repeat(41)] {
        assert_eq!(
            named(name, "{}").unwrap_err()[0].reason,
            "NameInvalid",
            "{name}"
        );
    }
    for name in ["a-operator", "a-binding", "a-binding-x"] {
        assert_eq!(
            named(name, "{}").unwrap_err()[0].reason,
            "NameReserved",
            "{name}"
        );
    }
    for name in ["a", "a-bindings", "operator", "binding", &"a".repeat(40)] {
        assert!(named(name, "{}").is_ok(), "{name}");
    }
}

#[test]
fn keyspaces_that_patterns_tell_apart_are_let_be() {
    for (one, other, overlap) in [
        ("task:{id}", "task:result:{id}", false),
        ("task:{id}", "task:all", false),
        ("user:{id}:profile", "user:{id}:settings", false),
        ("a:{x}:{y}", "a:b:{y}", false),
        ("task:{id}", "task:{number}", true),
        ("user:{id}", "user:{id}:profile", true),
        ("a:{x}:{y}", "a:{x}", true),
        ("a:{x}:b", "a:{x}:c:b", true),
        ("a", "a", true),
    ] {
        let spec = format!(
            "cache: {{keyspaces: [{{name: one, key: '{one}', ttl: 1m}}, {{name: other, key: '{other}', ttl: 1m}}]}}"
        );
        let told =
            named("b", &spec).is_err_and(|violations| violations[0].reason == "KeyspaceOverlap");
        assert_eq!(told, overlap, "{one} {other}");
    }
}

#[test]
fn amounts_and_lengths_that_overflow_are_refused_not_wrapped() {
    let path = |path: &str| vec![(path.to_owned(), "OutOfRange")];
    assert_eq!(
        refused("memory: {max: 99999999999999Ti}"),
        path("spec.memory.max")
    );
    assert_eq!(
        refused("connections: {timeout: 999999999h}"),
        path("spec.connections.timeout")
    );
}

#[test]
fn a_contract_that_no_secret_holds_is_refused() {
    let keyspaces: Vec<String> = (0..64)
        .map(|index| {
            format!(
                "{{name: k{index}, key: 'a:{index}{}:{{id}}', ttl: 1m}}",
                "x".repeat(100)
            )
        })
        .chain(["{name: all, key: 'a:{id}', ttl: 1m}".to_owned()])
        .collect();
    let services: Vec<String> = (0..64)
        .map(|index| format!("{{name: s{index}, cache: {{write: [all]}}}}"))
        .collect();
    let spec = |services: &[String]| {
        format!(
            "cache: {{keyspaces: [{}]}}\nservices: [{}]",
            keyspaces.join(", "),
            services.join(", ")
        )
    };
    assert_eq!(
        refused(&spec(&services)),
        [("spec.services".to_owned(), "ContractTooLarge")]
    );
    assert!(named("b", &spec(&[])).is_ok());
}

#[test]
fn one_directive_in_two_cases_is_refused() {
    let spec = "config: {hz: '10', HZ: '20'}";
    assert_eq!(
        refused(spec),
        [("spec.config[hz]".to_owned(), "DirectiveRepeated")]
    );
}

/// The table that also runs against a real API server.
#[derive(Deserialize)]
struct Wrong {
    base: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    refused_by: RefusedBy,
    mentions: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    name: Option<String>,
}

#[derive(Deserialize, PartialEq, Eq)]
enum RefusedBy {
    Admission,
    Condition,
}

fn wrong() -> Wrong {
    serde_saphyr::from_str(include_str!("../../../e2e/manifests/wrong.yaml")).unwrap()
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    for (key, value) in patch {
        let fields = target.as_object_mut().unwrap();
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[test]
fn the_base_of_the_wrong_manifests_is_right() {
    let spec = serde_json::to_string(&wrong().base).unwrap();
    assert!(named("b", &spec).is_ok());
}

/// What the API server alone judges: what one field may be by itself, where a bus would be none the less safe, and what an update
/// changes, since the operator sees no more than what is there now.
const ADMISSION_ALONE: &[&str] = &[
    "replicas-too-many",
    "port-privileged",
    "port-of-the-agent",
    "request-over-limit",
    "key-begins-with-placeholder",
    "keyspace-twice",
    "channel-without-events",
    "storage-shrinks",
    "port-changes",
    "engine-kind-changes",
    "engine-version-goes-back",
    "tls-is-switched-off",
];

/// What both refuse, the API server in words of its own or for more fields at once.
const IN_OTHER_WORDS: &[&str] = &[
    "sentinels-too-few",
    "memory-in-redis-units",
    "duration-without-unit",
    "down-after-too-short",
    "lag-in-milliseconds",
    "keyspace-undeclared",
    "event-undeclared",
    "service-takes-an-internal-user",
    "services-with-one-secret",
];

/// Begins the line of a manifest that the operator cannot read: to it that is `Undecodable`, with no path.
const UNREADABLE: &str = "unreadable";

/// What the operator says of a case: each violation in a line, or why it cannot read the manifest at all.
fn told(base: &Value, case: &Case) -> Vec<String> {
    let mut spec = base.clone();
    if case.spec.is_object() {
        merge(&mut spec, &case.spec);
    }
    let spec = match serde_json::from_value(spec) {
        Ok(spec) => spec,
        Err(error) => return vec![format!("{UNREADABLE}: {error}")],
    };
    let name = case.metadata.name.as_ref().unwrap_or(&case.name);
    let violations = validated(name, spec).err().unwrap_or_default();
    violations
        .iter()
        .map(|violation| format!("{}: {}", violation.path, violation.message))
        .collect()
}

/// A path without the places in lists: the API server counts them, the operator names them. Messages of rules in the definition
/// begin a path at the spec.
fn plain(text: &str) -> String {
    let mut depth = 0;
    let outside = text.chars().filter(|letter| {
        depth += i32::from(*letter == '[');
        let keep = depth == 0;
        depth -= i32::from(*letter == ']');
        keep
    });
    outside.collect::<String>().replace("spec.", "")
}

#[test]
fn admission_and_the_operator_refuse_the_same() {
    let wrong = wrong();
    let at_admission = |case: &&Case| case.refused_by == RefusedBy::Admission;
    for case in wrong.cases.iter().filter(at_admission) {
        let (name, told) = (case.name.as_str(), told(&wrong.base, case));
        assert_eq!(
            told.is_empty(),
            ADMISSION_ALONE.contains(&name),
            "{name}: {told:?}"
        );
        if told.iter().all(|line| line.starts_with(UNREADABLE)) {
            continue;
        }
        let words = usize::from(IN_OTHER_WORDS.contains(&name));
        let common = &case.mentions[..case.mentions.len() - words];
        assert!(
            told.iter()
                .any(|line| common.iter().all(|said| plain(line).contains(&plain(said)))),
            "{name}: {told:?}"
        );
    }
}

#[test]
fn what_admission_lets_through_is_refused_with_its_path() {
    let wrong = wrong();
    let cases: BTreeMap<&str, &Case> = wrong
        .cases
        .iter()
        .filter(|case| case.refused_by == RefusedBy::Condition)
        .map(|case| (case.name.as_str(), case))
        .collect();
    assert!(cases.len() >= 10);
    for (name, case) in cases {
        let told = told(&wrong.base, case);
        for mention in &case.mentions {
            assert!(
                told.iter().any(|line| line.contains(mention)),
                "{name}: {told:?}"
            );
        }
    }
}

#[test]
fn a_schedule_that_cannot_be_read_is_told() {
    let with = |schedule: &str| {
        format!("{{backup: {{schedule: '{schedule}', destination: {{volume: {{claimName: c}}}}}}}}")
    };
    assert!(named("b", &with("0 2 * * *")).is_ok());
    let path = "spec.backup.schedule".to_owned();
    assert_eq!(refused(&with("0 2 * * * *")), [(path, "ScheduleInvalid")]);
}
