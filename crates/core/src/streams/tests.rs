#![allow(clippy::unwrap_used)]
use super::*;
use crate::protocol::{DurableChannels, Subscriber};
use proptest::prelude::*;

const MINUTE: u64 = 60_000;
const GRACE: u64 = 10 * MINUTE;
const RETENTION: u64 = 60 * MINUTE;

fn stream(services: &[&str]) -> Stream {
    Stream {
        channel: "task:created".to_owned(),
        retention_ms: RETENTION,
        services: services.iter().map(|&name| name.to_owned()).collect(),
    }
}

/// A stream with groups that have all that there is.
fn backlog(groups: &[&str]) -> Backlog {
    let groups = groups.iter();
    Backlog {
        exists: true,
        due: false,
        length: 7,
        groups: groups
            .map(|&name| (name.to_owned(), Group::default()))
            .collect(),
    }
}

fn with(groups: &[&str], change: impl Fn(&mut Group)) -> Backlog {
    let mut backlog = backlog(groups);
    backlog.groups.values_mut().for_each(change);
    backlog
}

fn created(names: &[&str]) -> Vec<Step> {
    let names = names.iter();
    names.map(|&name| Step::Create(name.to_owned())).collect()
}

fn told(watch: &Watch) -> ConsumersStatus {
    status(&BTreeMap::from([(
        watch.stream().channel.clone(),
        watch.clone(),
    )]))
}

#[test]
fn each_event_of_a_durable_group_has_a_stream_and_each_service_that_names_it_or_its_group_a_consumer()
 {
    let subscriber = |service: &str, subscribe: &[&str]| Subscriber {
        service: service.to_owned(),
        subscribe: subscribe.iter().map(|&name| name.to_owned()).collect(),
    };
    let events = DurableEvents {
        channels: vec![DurableChannels {
            name: "task".to_owned(),
            events: vec!["created".to_owned(), "done".to_owned()],
            retention_ms: 1,
        }],
        subscribers: vec![
            subscriber("all", &["task"]),
            subscriber("both", &["task:done", "task"]),
            subscriber("one", &["task:done"]),
            subscriber("other", &["tas", "task:crea", "ws"]),
        ],
        forget_after_ms: 1,
    };
    let streams = wanted(&events);
    let of = |stream: &Stream| {
        let services: Vec<String> = stream.services.iter().cloned().collect();
        (stream.key(), stream.lost_key(), services.join(" "))
    };
    assert_eq!(
        streams.iter().map(of).collect::<Vec<_>>(),
        [
            (
                "events:task:created:stream".to_owned(),
                "events:task:created:lost".to_owned(),
                "all both".to_owned()
            ),
            (
                "events:task:done:stream".to_owned(),
                "events:task:done:lost".to_owned(),
                "all both one".to_owned()
            ),
        ]
    );
}

#[test]
fn groups_are_made_once_there_is_a_stream_and_never_before() {
    let mut watch = Watch::new(stream(&["a", "b"]));
    assert_eq!(watch.steps(GRACE, 0), []);
    watch.saw(Backlog::default(), 0);
    assert_eq!(watch.steps(GRACE, 0), []);
    watch.saw(backlog(&[]), 1);
    assert_eq!(watch.steps(GRACE, 1), created(&["a", "b"]));
    watch.saw(backlog(&["b"]), 2);
    assert_eq!(watch.steps(GRACE, 2), created(&["a"]));
    watch.saw(backlog(&["a", "b"]), 3);
    assert_eq!(watch.steps(GRACE, 3), []);
    watch.follow(stream(&["a", "b", "c"]));
    assert_eq!(watch.steps(GRACE, 4), created(&["c"]));
}

#[test]
fn a_group_that_no_service_has_is_removed_after_a_while_without_one() {
    let removed = [Step::Remove("gone".to_owned())];
    let mut watch = Watch::new(stream(&["a"]));
    let groups = backlog(&["a", "gone"]);
    watch.saw(groups.clone(), 5);
    assert_eq!(watch.steps(GRACE, GRACE), []);
    watch.saw(groups.clone(), 5 + GRACE);
    assert_eq!(watch.steps(GRACE, 5 + GRACE), removed);
    // The service comes, and goes again.
    watch.follow(stream(&["a", "gone"]));
    watch.saw(groups.clone(), 6 + GRACE);
    assert_eq!(watch.steps(GRACE, 6 + GRACE), []);
    watch.follow(stream(&["a"]));
    watch.saw(groups.clone(), 7 + GRACE);
    assert_eq!(watch.steps(GRACE, 6 + 2 * GRACE), []);
    assert_eq!(watch.steps(GRACE, 7 + 2 * GRACE), removed);
    // Somebody else removes it, and makes it again.
    watch.saw(backlog(&["a"]), 8 + 2 * GRACE);
    assert_eq!(watch.steps(GRACE, 8 + 2 * GRACE), []);
    watch.saw(groups, 9 + 2 * GRACE);
    assert_eq!(watch.steps(GRACE, 9 + 2 * GRACE), []);
}

#[test]
fn of_many_groups_that_no_service_has_some_are_removed_at_a_time() {
    let names: Vec<String> = (0..2 * REMOVALS)
        .map(|number| format!("g{number:03}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let removed = |names: &[&str]| -> Vec<Step> {
        let names = names.iter();
        names.map(|&name| Step::Remove(name.to_owned())).collect()
    };
    let mut watch = Watch::new(stream(&[]));
    watch.saw(backlog(&names), 0);
    assert_eq!(watch.steps(0, 0), removed(&names[..REMOVALS]));
    watch.saw(backlog(&names[REMOVALS..]), 1);
    assert_eq!(watch.steps(0, 1), removed(&names[REMOVALS..]));
}

#[test]
fn trimming_comes_last_and_only_when_it_is_due() {
    let mut watch = Watch::new(stream(&["new"]));
    let due = Backlog {
        due: true,
        ..backlog(&["gone"])
    };
    watch.saw(due, 0);
    let steps = [
        Step::Create("new".to_owned()),
        Step::Remove("gone".to_owned()),
        Step::Trim,
    ];
    assert_eq!(watch.steps(0, 0), steps);
}

#[test]
fn who_is_older_than_events_are_kept_is_behind() {
    let mut watch = Watch::new(stream(&["slow"]));
    let aged = |age_ms| with(&["slow", "stranger"], |group| group.age_ms = age_ms);
    watch.saw(aged(RETENTION), 0);
    assert_eq!(told(&watch), ConsumersStatus::default());
    watch.saw(aged(RETENTION + 1), 0);
    let slow = Consumer {
        channel: "task:created".to_owned(),
        service: "slow".to_owned(),
    };
    let behind = Consumers {
        number: 1,
        first: vec![slow],
    };
    assert_eq!(told(&watch).behind, behind);
    watch.saw_nothing();
    assert_eq!(told(&watch), ConsumersStatus::default());
    assert_eq!(watch.length(), None);
}

#[test]
fn a_loss_is_told_for_an_hour_from_when_it_was_seen_to_grow() {
    let mut watch = Watch::new(stream(&["a"]));
    let lost = |lost| with(&["a", "stranger"], |group| group.lost = lost);
    // Before the first look.
    watch.saw(lost(5), 0);
    assert!(watch.losing().is_empty());
    watch.saw(lost(6), MINUTE);
    assert_eq!(watch.losing(), ["a"]);
    watch.saw(lost(6), 60 * MINUTE);
    assert_eq!(watch.losing(), ["a"]);
    watch.saw(lost(6), 61 * MINUTE);
    assert!(watch.losing().is_empty());
    // Somebody has set it back.
    watch.saw(lost(0), 62 * MINUTE);
    assert!(watch.losing().is_empty());
    watch.saw(lost(1), 63 * MINUTE);
    assert_eq!(watch.losing(), ["a"]);
    watch.follow(stream(&[]));
    watch.saw(lost(1), 64 * MINUTE);
    assert!(watch.losing().is_empty());
}

#[test]
fn however_many_there_are_a_report_is_short() {
    let watches = (0..100).map(|number| {
        let mut watch = Watch::new(Stream {
            channel: format!("c:e{number:02}"),
            ..stream(&["a"])
        });
        watch.saw(with(&["a"], |group| group.age_ms = u64::MAX), 0);
        (watch.stream().channel.clone(), watch)
    });
    let behind = status(&watches.collect()).behind;
    assert_eq!((behind.number, behind.first.len()), (100, NAMED));
    assert_eq!(behind.first[0].channel, "c:e00");
}

/// Services, groups, and whether trimming is due, by one look after another.
type Looks = Vec<(BTreeSet<u8>, BTreeSet<u8>, bool, u64)>;

fn looks() -> impl Strategy<Value = Looks> {
    let names = || proptest::collection::btree_set(0..4_u8, 0..4);
    proptest::collection::vec((names(), names(), any::<bool>(), 0..GRACE), 1..20)
}

proptest! {
    /// Nobody's group is removed but those that were strangers at each look of the whole grace; and once what is said has been done, at
    /// the same moment nothing more is.
    #[test]
    fn only_lasting_strangers_are_removed_and_what_is_done_stays_done(looks in looks()) {
        let names = |of: &BTreeSet<u8>| -> Vec<String> { of.iter().map(u8::to_string).collect() };
        let mut watch = Watch::new(stream(&[]));
        let (mut now, mut strange) = (0, BTreeMap::<String, u64>::new());
        for (services, groups, due, passed) in looks {
            now += passed;
            let (services, groups) = (names(&services), names(&groups));
            let services: Vec<&str> = services.iter().map(String::as_str).collect();
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            watch.follow(stream(&services));
            let mut seen = Backlog { due, ..backlog(&groups) };
            watch.saw(seen.clone(), now);
            strange.retain(|name, _| groups.contains(&name.as_str()) && !services.contains(&name.as_str()));
            for &name in groups.iter().filter(|name| !services.contains(name)) {
                strange.entry(name.to_owned()).or_insert(now);
            }
            for step in watch.steps(GRACE, now) {
                match step {
                    Step::Create(name) => {
                        prop_assert!(services.contains(&name.as_str()));
                        prop_assert!(seen.groups.insert(name, Group::default()).is_none());
                    }
                    Step::Remove(name) => {
                        prop_assert!(now - strange[&name] >= GRACE);
                        prop_assert!(seen.groups.remove(&name).is_some());
                    }
                    Step::Trim => prop_assert!(std::mem::take(&mut seen.due)),
                }
            }
            watch.saw(seen, now);
            prop_assert_eq!(watch.steps(GRACE, now), []);
        }
    }
}
