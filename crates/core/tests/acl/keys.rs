//! Rights on keys, against a model, for random contracts.

use crate::common::bus;
use crate::compiled;
use crate::engine::{Touch, Users};
use cachebus_api::CacheBus;
use cachebus_core::bus::{Bus, Platform};
use cachebus_core::flush::Keys;
use cachebus_core::protocol::FlushOrder;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Few letters and few words, so that keyspaces get into each other's way.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ab]{1,2}",
        1 => "[a-b._-]{1,3}",
        2 => Just("{x}".to_owned()),
    ]
}

fn template() -> impl Strategy<Value = String> {
    ("[ab]{1,2}", prop::collection::vec(part(), 0..3)).prop_map(|(first, rest)| {
        rest.into_iter()
            .fold(first, |template, part| format!("{template}:{part}"))
    })
}

/// Templates, and for each whether the service writes it, reads it, or neither.
fn contract() -> impl Strategy<Value = Vec<(String, Right)>> {
    let right = prop_oneof![
        Just(Right::None),
        Just(Right::Read),
        Just(Right::Write),
        Just(Right::Lock)
    ];
    prop::collection::vec((template(), right), 1..6)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    None,
    Read,
    Write,
    Lock,
}

fn spec(contract: &[(String, Right)]) -> String {
    let keyspaces: Vec<String> = contract
        .iter()
        .enumerate()
        .map(|(index, (key, right))| {
            let kind = if *right == Right::Lock {
                "Lock"
            } else {
                "Cache"
            };
            format!("{{name: k{index}, key: '{key}', ttl: 1m, kind: {kind}}}")
        })
        .collect();
    let with = |rights: &[Right]| {
        let names: Vec<String> = contract
            .iter()
            .enumerate()
            .filter(|(_, (_, right))| rights.contains(right))
            .map(|(index, _)| format!("k{index}"))
            .collect();
        names.join(", ")
    };
    format!(
        "cache: {{keyspaces: [{}]}}\nservices: [{{name: s, cache: {{read: [{}], write: [{}]}}}}]\n",
        keyspaces.join(", "),
        with(&[Right::Read]),
        with(&[Right::Write, Right::Lock]),
    )
}

/// The bus, unless its keyspaces cannot be told apart.
fn valid(contract: &[(String, Right)]) -> Option<Bus> {
    let mut object = CacheBus::new("b", bus(&spec(contract)).spec);
    object.metadata.namespace = Some("n".to_owned());
    let platform = Platform {
        domain: "cluster.local".to_owned(),
        agent_image: "agent".to_owned(),
        agent_pull_policy: String::new(),
        engine_images: BTreeMap::from([("redis-8.0".to_owned(), "engine".to_owned())]),
        operator_namespace: "o".to_owned(),
    };
    Bus::validate(&object, &platform).ok()
}

/// What comes before the first placeholder, and whether there is one.
fn literal(template: &str) -> (&str, bool) {
    match template.split_once('{') {
        Some((literal, _)) => (literal, true),
        None => (template, false),
    }
}

/// Whether the key begins with the template's literal prefix, or is it.
fn claims(template: &str, key: &str) -> bool {
    match literal(template) {
        (prefix, true) => key.starts_with(prefix),
        (whole, false) => key == whole,
    }
}

/// Whether the key has the template's form, a placeholder standing for one or more of any character.
fn has_form(template: &str, key: &str) -> bool {
    match template.split_once("{x}") {
        None => template == key,
        Some((before, after)) => key
            .strip_prefix(before)
            .is_some_and(|rest| (1..=rest.len()).any(|taken| has_form(after, &rest[taken..]))),
    }
}

/// The documented meaning: a right on a template reaches the keys of its form, but none of a keyspace without that right
/// that has a longer literal prefix.
fn reaches(contract: &[(String, Right)], rights: &[Right], key: &str) -> bool {
    let length = |template: &str| {
        let (prefix, open) = literal(template);
        (prefix.len(), !open)
    };
    contract
        .iter()
        .filter(|(template, right)| rights.contains(right) && has_form(template, key))
        .any(|(template, _)| {
            !contract.iter().any(|(other, right)| {
                !rights.contains(right) && claims(other, key) && length(other) > length(template)
            })
        })
}

/// The right on the keyspace that a key belongs to: that with the longest literal prefix, if the key has its form.
fn owner(contract: &[(String, Right)], key: &str) -> Option<Right> {
    let claims = contract
        .iter()
        .filter(|(template, _)| claims(template, key));
    let longest = claims
        .clone()
        .map(|(template, _)| literal(template).0.len())
        .max()?;
    let mut nearest = claims.filter(|(template, _)| literal(template).0.len() == longest);
    let (_, right) = nearest.find(|(template, _)| has_form(template, key))?;
    Some(*right)
}

/// The order to empty the keyspaces that the service writes.
fn flush(contract: &[(String, Right)]) -> Keys {
    let keys = |emptied: bool| {
        let keyspaces = contract.iter();
        keyspaces
            .filter(|(_, right)| (*right == Right::Write) == emptied)
            .map(|(template, _)| template.clone())
            .collect()
    };
    Keys::of(&FlushOrder {
        uid: "u".to_owned(),
        epoch: 1,
        number: 1,
        keys: keys(true),
        others: keys(false),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn reach_the_keys_of_the_granted_templates_and_no_other(
        contract in contract(),
        strays in prop::collection::vec("[ab:._-]{1,8}", 8),
        fillings in prop::collection::vec("[ab]{1,3}", 4),
    ) {
        let Some(bus) = valid(&contract) else { return Ok(()) };
        let users = Users::of(&compiled(&bus).redis);
        let flush = flush(&contract);
        let instances = contract.iter().flat_map(|(template, _)| {
            fillings.iter().map(|filling| template.replace("{x}", filling))
        });
        for key in instances.chain(strays.clone()) {
            // Agents remove what is of the cache, and of that what they are asked to.
            let may_unlink = users.allows_key("operator", "unlink", Touch::Write, &key);
            let of_cache = reaches(&contract, &[Right::None, Right::Read, Right::Write], &key);
            prop_assert_eq!(may_unlink, of_cache, "unlink {} of {:?}", key, contract);
            let is_flushed = flush.include(key.as_bytes());
            prop_assert_eq!(is_flushed, owner(&contract, &key) == Some(Right::Write), "{} of {:?}", key, contract);
            prop_assert!(may_unlink || !is_flushed, "{} of {:?}", key, contract);
            for (command, touch, rights) in [
                ("get", Touch::Read, &[Right::Read, Right::Write, Right::Lock] as &[Right]),
                ("setex", Touch::Write, &[Right::Write]),
                ("eval", Touch::Write, &[Right::Lock]),
            ] {
                prop_assert_eq!(
                    users.allows_key("s", command, touch, &key),
                    reaches(&contract, rights, &key),
                    "{} {} of {:?}", command, key, contract
                );
            }
        }
    }
}

#[test]
fn a_shorter_template_stops_where_a_longer_one_begins() {
    let bus = bus("
cache:
  keyspaces:
    - {name: task, key: 'task:{id}', ttl: 1m}
    - {name: result, key: 'task:result:{id}', ttl: 1m}
    - {name: count, key: 'task:count', ttl: 1m}
services: [{name: s, cache: {write: [task]}}]
");
    let users = Users::of(&compiled(&bus).redis);
    for (key, reached) in [
        ("task:7", true),
        ("task:result", true),
        ("task:results:7", true),
        ("task:r", true),
        ("task:counted", true),
        ("task:cou", true),
        ("task:count", false),
        ("task:result:7", false),
        ("task:result:", false),
        ("task:", false),
        ("tasks:7", false),
    ] {
        assert_eq!(
            users.allows_key("s", "set", Touch::Write, key),
            reached,
            "{key}"
        );
    }
}
