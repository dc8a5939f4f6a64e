//! Attempts on channels, and on what is kept of them.

use std::collections::BTreeSet;

use cachebus_api::CacheBusSpec;
use cachebus_api::contract::{Channel, Service};

use super::commands::{Right, rights_for};

/// Whether a list of groups and single events names this one.
fn names(list: &[String], group: &Channel, event: &str) -> bool {
    list.iter()
        .any(|entry| *entry == group.name || *entry == format!("{}:{event}", group.name))
}

fn each(spec: &CacheBusSpec) -> impl Iterator<Item = (&Channel, &String)> {
    spec.events
        .channels
        .iter()
        .flat_map(|group| group.events.iter().map(move |event| (group, event)))
}

/// The rights of a service on events of whatever name.
pub fn rights(spec: &CacheBusSpec, service: &Service) -> BTreeSet<Right> {
    each(spec)
        .flat_map(|(group, event)| {
            let mut rights = Vec::new();
            if names(&service.publish, group, event) {
                rights.push(Right::Publish);
            }
            if names(&service.subscribe, group, event) {
                rights.push(Right::Subscribe);
                if group.history > 0 || group.durable {
                    rights.push(Right::Replay);
                }
                if group.durable {
                    rights.extend([Right::Consume, Right::DeadLetter]);
                }
            }
            rights
        })
        .collect()
}

/// Each attempt on a channel or on what is kept of it: what it is about, the command, whether it is allowed.
pub fn attempts(spec: &CacheBusSpec, service: &Service) -> Vec<(String, Vec<String>, bool)> {
    let mut all = Vec::new();
    let mut push = |about: String, command: &[&str], allowed: bool| {
        all.push((
            about,
            command.iter().map(|&word| word.to_owned()).collect(),
            allowed,
        ));
    };
    for (group, event) in each(spec) {
        let channel = format!("{}:{event}", group.name);
        let about = || format!("channel {channel}");
        push(
            about(),
            &["PUBLISH", &channel, "{}"],
            names(&service.publish, group, event),
        );
        push(
            about(),
            &["SUBSCRIBE", &channel],
            names(&service.subscribe, group, event),
        );
        push(about(), &["SPUBLISH", &channel, "{}"], false);
        push(about(), &["SSUBSCRIBE", &channel], false);
    }
    for group in &spec.events.channels {
        let whole = service.subscribe.contains(&group.name);
        let about = || format!("channel group {}", group.name);
        push(
            about(),
            &["PSUBSCRIBE", &format!("{}:*", group.name)],
            whole,
        );
        push(about(), &["PSUBSCRIBE", &format!("{}*", group.name)], false);
        // Nobody can publish there, and it is within the pattern of the whole group.
        push(
            about(),
            &["SUBSCRIBE", &format!("{}:undeclared", group.name)],
            whole,
        );
        push(
            about(),
            &["PUBLISH", &format!("{}:undeclared", group.name), "{}"],
            false,
        );
    }
    for (group, event) in each(spec) {
        for kept in kept(spec, group, event) {
            let rights = rights_on(&kept, group, event, service);
            for command in operations(&kept) {
                let name = command[0].to_ascii_lowercase();
                let allowed = rights_for(&name).iter().any(|right| rights.contains(right));
                all.push((format!("kept events {}", kept.key), command, allowed));
            }
        }
    }
    all
}

/// A key where events are kept.
struct Kept<'a> {
    key: String,
    what: What<'a>,
}

enum What<'a> {
    Ids,
    History,
    Stream,
    /// Of this service.
    DeadLetters(&'a str),
}

fn kept<'a>(spec: &'a CacheBusSpec, group: &Channel, event: &str) -> Vec<Kept<'a>> {
    let key = |what: &str| format!("events:{}:{event}:{what}", group.name);
    let dead = spec.services.iter().map(|service| Kept {
        key: key(&format!("dead:{}", service.name)),
        what: What::DeadLetters(&service.name),
    });
    let mut all = vec![
        Kept {
            key: key("ids"),
            what: What::Ids,
        },
        Kept {
            key: key("history"),
            what: What::History,
        },
        Kept {
            key: key("stream"),
            what: What::Stream,
        },
    ];
    all.extend(dead);
    all
}

/// A group that keeps no such thing gives nobody a right on it.
fn rights_on(kept: &Kept<'_>, group: &Channel, event: &str, service: &Service) -> BTreeSet<Right> {
    let publishes = names(&service.publish, group, event);
    let subscribes = names(&service.subscribe, group, event);
    let rights: &[(bool, Right)] = match kept.what {
        What::Ids => &[(publishes, Right::Publish)],
        What::History => &[
            (publishes && group.history > 0, Right::Publish),
            (subscribes && group.history > 0, Right::Replay),
        ],
        What::Stream => &[
            (publishes && group.durable, Right::Publish),
            (subscribes && group.durable, Right::Replay),
            (subscribes && group.durable, Right::Consume),
        ],
        What::DeadLetters(owner) => &[(
            subscribes && group.durable && owner == service.name,
            Right::DeadLetter,
        )],
    };
    rights
        .iter()
        .filter_map(|(has, right)| has.then_some(*right))
        .collect()
}

/// On every key what is done to a history, a stream or dead letters; what is done to ids on those alone, as a file of all attempts
/// has to fit into a ConfigMap.
fn operations(kept: &Kept<'_>) -> Vec<Vec<String>> {
    let on_ids: &[&str] = match kept.what {
        What::Ids => &[
            "ZADD {key} 1 e2e",
            "ZSCORE {key} e2e",
            "ZCOUNT {key} 0 1",
            "ZREMRANGEBYRANK {key} 0 0",
            "ZRANGE {key} 0 0",
        ],
        What::History | What::Stream | What::DeadLetters(_) => &["ZADD {key} 1 e2e"],
    };
    [
        "GET {key}",
        "SET {key} 1 EX 60",
        "DEL {key}",
        "LPUSH {key} 1",
        "LTRIM {key} 0 99",
        "LRANGE {key} 0 0",
        "XADD {key} * a 1",
        "XRANGE {key} - + COUNT 1",
        "XREAD COUNT 1 STREAMS {key} 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS {key} >",
        "XACK {key} g 0-1",
        "XDEL {key} 0-1",
        "TYPE {key}",
        "FCALL nothing 1 {key}",
    ]
    .iter()
    .chain(on_ids)
    .map(|words| {
        words
            .split(' ')
            .map(|word| word.replace("{key}", &kept.key))
            .collect()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn attempts_of(command: &[&str], subscribe: &[&str]) -> Vec<bool> {
        let spec: CacheBusSpec = serde_json::from_value(json!({
            "events": {"channels": [{"name": "task", "events": ["started"], "durable": true}]},
            "services": [{"name": "one", "subscribe": subscribe}, {"name": "two"}],
        }))
        .unwrap();
        attempts(&spec, &spec.services[0])
            .into_iter()
            .filter(|(_, words, _)| words == command)
            .map(|(_, _, allowed)| allowed)
            .collect()
    }

    #[test]
    fn only_a_whole_group_can_be_subscribed_to_by_its_pattern() {
        assert_eq!(attempts_of(&["PSUBSCRIBE", "task:*"], &["task"]), [true]);
        assert_eq!(
            attempts_of(&["PSUBSCRIBE", "task:*"], &["task:started"]),
            [false]
        );
    }

    #[test]
    fn ids_are_of_those_who_publish() {
        let spec: CacheBusSpec = serde_json::from_value(json!({
            "events": {"channels": [{"name": "ws", "events": ["message"], "history": 0}]},
            "services": [{"name": "one", "publish": ["ws"]}, {"name": "two", "subscribe": ["ws"]}],
        }))
        .unwrap();
        let allowed: Vec<bool> = spec
            .services
            .iter()
            .flat_map(|service| attempts(&spec, service))
            .filter(|(_, words, _)| words[0] == "ZADD" && words[1] == "events:ws:message:ids")
            .map(|(_, _, allowed)| allowed)
            .collect();
        assert_eq!(allowed, [true, false]);
    }

    #[test]
    fn dead_letters_are_their_owners_alone() {
        let own = ["XDEL", "events:task:started:dead:one", "0-1"];
        let others = ["XDEL", "events:task:started:dead:two", "0-1"];
        assert_eq!(attempts_of(&own, &["task"]), [true]);
        assert_eq!(attempts_of(&others, &["task"]), [false]);
    }
}
