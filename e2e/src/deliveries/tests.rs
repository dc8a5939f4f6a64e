//! Histories with each fault in them, and histories of services that have none.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn id(number: u16, sequence: u32) -> EventId {
    EventId {
        key: Key {
            producer: 0,
            number,
        },
        sequence,
    }
}

fn emission(event: EventId, acknowledged: bool) -> Emission {
    Emission {
        event,
        acknowledged,
        ended: 10 * Micros::from(event.sequence),
        failures: BTreeMap::new(),
    }
}

fn emitted(events: impl IntoIterator<Item = EventId>) -> Vec<Emission> {
    let events = events.into_iter();
    events.map(|event| emission(event, true)).collect()
}

fn handled(events: impl IntoIterator<Item = EventId>) -> Vec<Handling> {
    let events = events.into_iter();
    events
        .map(|event| Handling {
            event,
            deliveries: 1,
            ended: 0,
        })
        .collect()
}

#[test]
fn a_history_without_fault_is_found_without() {
    let events = [id(0, 0), id(1, 0), id(0, 1), id(1, 1)];
    // Keys may overtake one another.
    let order = [id(0, 0), id(0, 1), id(1, 0), id(1, 1)];
    let verdict = check(&emitted(events), &handled(order));
    assert_eq!(
        verdict,
        Verdict {
            acknowledged: 4,
            handled: 4,
            ..Verdict::default()
        }
    );
    assert!(verdict.impossible().is_empty());
}

#[test]
fn an_acknowledged_event_that_was_not_handled_is_lost() {
    let verdict = check(&emitted([id(0, 0), id(0, 1)]), &handled([id(0, 0)]));
    assert_eq!(verdict.lost, BTreeMap::from([(id(0, 1), 10)]));
    assert!(verdict.impossible().is_empty());
}

#[test]
fn an_event_that_nobody_vouched_for_may_be_handled_and_may_not() {
    let emissions = [emission(id(0, 0), false), emission(id(1, 0), false)];
    let verdict = check(&emissions, &handled([id(0, 0)]));
    assert_eq!(
        verdict,
        Verdict {
            handled: 1,
            unknown: 1,
            ..Verdict::default()
        }
    );
}

#[test]
fn each_further_time_that_an_event_is_handled_is_a_duplicate() {
    let order = [id(0, 0), id(0, 1), id(0, 0), id(0, 1), id(0, 1)];
    let verdict = check(&emitted([id(0, 0), id(0, 1)]), &handled(order));
    assert_eq!((verdict.handled, verdict.duplicates), (2, 3));
    // The order is that of the first times.
    assert!(verdict.impossible().is_empty());
}

#[test]
fn an_event_that_was_handed_out_to_one_who_died_over_it_is_redelivered_and_no_duplicate() {
    let mut order = handled([id(0, 0)]);
    order[0].deliveries = 2;
    let verdict = check(&emitted([id(0, 0)]), &order);
    assert_eq!((verdict.redelivered, verdict.duplicates), (1, 0));
}

#[test]
fn an_event_that_is_first_handled_after_a_later_one_of_its_key_is_reordered() {
    let events = [id(0, 0), id(0, 1), id(0, 2)];
    let order = [id(0, 2), id(0, 0), id(0, 1)];
    let verdict = check(&emitted(events), &handled(order));
    assert_eq!(verdict.impossible(), ["2 reordered"]);
}

#[test]
fn a_gap_in_the_events_of_a_key_is_no_other_order() {
    let events = [id(0, 0), id(0, 1), id(0, 2)];
    let verdict = check(&emitted(events), &handled([id(0, 0), id(0, 2)]));
    assert_eq!((verdict.reordered, verdict.lost.len()), (0, 1));
}

#[test]
fn an_event_that_nobody_emitted_is_unexplained() {
    let verdict = check(&emitted([id(0, 0)]), &handled([id(0, 0), id(0, 1)]));
    assert_eq!(verdict.impossible(), ["1 unexplained"]);
}

#[test]
fn records_are_lines_that_are_read_back() {
    let event = EventId {
        key: Key {
            producer: 1,
            number: 17,
        },
        sequence: 123,
    };
    let handling = Handling {
        event,
        deliveries: 2,
        ended: 9,
    };
    let failures = BTreeMap::from([("Unavailable".to_owned(), 2)]);
    let emission = Emission {
        failures,
        ..emission(event, true)
    };
    for (record, line) in [
        (
            Record::Handled(handling),
            r#"{"kind":"handled","event":"evt_1-17-123","deliveries":2,"ended":9}"#,
        ),
        (
            Record::Emitted(emission),
            r#"{"kind":"emitted","event":"evt_1-17-123","acknowledged":true,"ended":1230,"failures":{"Unavailable":2}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&record).unwrap(), line);
        assert_eq!(serde_json::from_str::<Record>(line).unwrap(), record);
    }
}

#[test]
fn what_is_no_id_of_a_producer_is_not_taken_for_one() {
    for text in ["", "evt_", "evt_1-2", "evt_1-2-x", "1-2-3", "evt_1-2-3-4"] {
        assert!(text.parse::<EventId>().is_err(), "{text}");
    }
}

/// What happens to a service: an event of a key is emitted and perhaps not acknowledged, or its consumer dies and begins again
/// so many events before the last.
#[derive(Clone, Debug)]
enum Step {
    Emit { key: u16, acknowledged: bool },
    Die { back: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let emit = (0_u16..4, prop::bool::weighted(0.9))
        .prop_map(|(key, acknowledged)| Step::Emit { key, acknowledged });
    let die = (0_usize..10).prop_map(|back| Step::Die { back });
    prop::collection::vec(prop_oneof![9 => emit, 1 => die], 0..80)
}

/// What producers are told, and what a service does that leaves nothing out.
fn lived(steps: &[Step]) -> (Vec<Emission>, Vec<Handling>) {
    let (mut emissions, mut stream, mut handlings) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Emit { key, acknowledged } => {
                let sequence = next.entry(key).or_insert(0);
                let event = id(key, *sequence);
                *sequence += 1;
                emissions.push(emission(event, acknowledged));
                stream.push(event);
                handlings.extend(handled([event]));
            }
            Step::Die { back } => {
                let from = stream.len().saturating_sub(back);
                handlings.extend(handled(stream[from..].iter().copied()));
            }
        }
    }
    (emissions, handlings)
}

proptest! {
    #[test]
    fn a_service_that_leaves_nothing_out_has_lost_and_reordered_nothing(steps in steps()) {
        let (emissions, handlings) = lived(&steps);
        let verdict = check(&emissions, &handlings);
        let acknowledged = emissions.iter().filter(|emission| emission.acknowledged).count();
        prop_assert_eq!(verdict.impossible(), Vec::<String>::new());
        prop_assert!(verdict.lost.is_empty());
        prop_assert_eq!(verdict.acknowledged, acknowledged as u64);
        prop_assert_eq!(verdict.handled, emissions.len() as u64);
        prop_assert_eq!(verdict.unknown, (emissions.len() - acknowledged) as u64);
        prop_assert_eq!(verdict.handled + verdict.duplicates, handlings.len() as u64);
    }

    #[test]
    fn whatever_a_service_leaves_out_is_lost_and_nothing_else(steps in steps(), out in prop::collection::vec(any::<bool>(), 80)) {
        let (emissions, mut handlings) = lived(&steps);
        let left_out = |event: &EventId| emissions.iter().zip(&out).any(|(emission, out)| *out && emission.event == *event);
        handlings.retain(|handling| !left_out(&handling.event));
        let expected: BTreeMap<EventId, Micros> = emissions
            .iter()
            .filter(|emission| emission.acknowledged && left_out(&emission.event))
            .map(|emission| (emission.event, emission.ended))
            .collect();
        let verdict = check(&emissions, &handlings);
        prop_assert_eq!(verdict.impossible(), Vec::<String>::new());
        prop_assert_eq!(verdict.lost, expected);
    }

    #[test]
    fn two_events_of_a_key_exchanged_are_seen(count in 2_u32..40, first in 0_u32..40, second in 0_u32..40) {
        let (first, second) = (first % count, second % count);
        let mut order: Vec<EventId> = (0..count).map(|sequence| id(0, sequence)).collect();
        let emissions = emitted(order.clone());
        order.swap(first as usize, second as usize);
        let verdict = check(&emissions, &handled(order));
        prop_assert_eq!(verdict.reordered > 0, first != second);
        prop_assert!(verdict.lost.is_empty());
    }
}
