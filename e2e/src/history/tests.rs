//! Histories with each fault in them, and histories of a list that has none.

use proptest::prelude::*;

use super::*;

fn write(value: &str, started: Micros, ended: Micros, outcome: Outcome) -> Record {
    Record::Write(Write {
        writer: "w".to_owned(),
        sequence: started,
        path: "service/rust".to_owned(),
        key: "k".to_owned(),
        value: value.to_owned(),
        started,
        ended,
        outcome,
    })
}

fn acknowledged(value: &str, started: Micros, ended: Micros) -> Record {
    write(value, started, ended, Outcome::Acknowledged)
}

fn read(value: Option<&str>, started: Micros, ended: Micros) -> Record {
    Record::Read(Read {
        reader: "r".to_owned(),
        key: "k".to_owned(),
        value: value.map(str::to_owned),
        started,
        ended,
    })
}

fn finals(values: &[&str]) -> Finals {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Finals::from([("k".to_owned(), values)])
}

#[test]
fn a_history_without_fault_is_found_without() {
    let history = [
        acknowledged("a", 0, 10),
        read(Some("a"), 11, 12),
        write("b", 20, 30, Outcome::Unknown("timeout".to_owned())),
        write("c", 40, 50, Outcome::Refused("READONLY".to_owned())),
        write("d", 60, 70, Outcome::Unknown("timeout".to_owned())),
        acknowledged("e", 80, 90),
    ];
    let verdict = check(&history, &finals(&["a", "d", "e"]));
    assert_eq!(
        verdict,
        Verdict {
            acknowledged: 2,
            refused: 1,
            unknown: 2,
            unknown_kept: 1,
            reads: 1,
            errors: BTreeMap::from([("READONLY".to_owned(), 1), ("timeout".to_owned(), 2)]),
            ..Verdict::default()
        }
    );
    assert!(verdict.impossible().is_empty());
}

#[test]
fn an_acknowledged_value_that_is_gone_is_lost() {
    let history = [acknowledged("a", 0, 10), acknowledged("b", 20, 30)];
    assert_eq!(check(&history, &finals(&["a"])).lost, 1);
    assert_eq!(check(&history, &Finals::new()).lost, 2);
}

#[test]
fn a_value_that_is_there_twice_is_duplicated() {
    let history = [acknowledged("a", 0, 10), acknowledged("b", 20, 30)];
    let verdict = check(&history, &finals(&["a", "b", "a", "a"]));
    assert_eq!(verdict.duplicated, 2);
    assert_eq!(verdict.impossible(), ["2 duplicated"]);
}

#[test]
fn an_earlier_write_that_stands_behind_a_later_one_is_reordered() {
    let history = [
        acknowledged("a", 0, 10),
        acknowledged("b", 20, 30),
        acknowledged("c", 25, 40),
    ];
    assert_eq!(check(&history, &finals(&["b", "a", "c"])).reordered, 1);
    // Those that overlap may stand either way.
    assert_eq!(check(&history, &finals(&["a", "c", "b"])).reordered, 0);
}

#[test]
fn a_refused_write_that_is_there_is_unexplained() {
    let history = [write("a", 0, 10, Outcome::Refused("READONLY".to_owned()))];
    assert_eq!(check(&history, &finals(&["a"])).unexplained, 1);
    assert_eq!(check(&[], &finals(&["a"])).unexplained, 1);
}

#[test]
fn a_read_behind_what_was_acknowledged_before_is_stale() {
    let history = [
        acknowledged("a", 0, 10),
        acknowledged("b", 20, 30),
        read(Some("a"), 25, 40),
        read(Some("a"), 31, 40),
        read(None, 31, 40),
    ];
    assert_eq!(check(&history, &finals(&["a", "b"])).stale_reads(), 2);
}

#[test]
fn a_read_behind_what_was_read_before_is_stale() {
    let unknown = Outcome::Unknown("timeout".to_owned());
    let history = [
        acknowledged("a", 0, 10),
        write("b", 20, 90, unknown),
        read(Some("b"), 30, 40),
        read(Some("a"), 35, 50),
        read(Some("a"), 41, 50),
    ];
    assert_eq!(check(&history, &finals(&["a", "b"])).stale_reads(), 1);
}

#[test]
fn a_read_behind_a_lost_write_is_not_stale_and_one_of_it_has_vanished() {
    let history = [
        acknowledged("a", 0, 10),
        acknowledged("b", 20, 30),
        read(Some("b"), 31, 40),
        read(Some("a"), 50, 60),
    ];
    let verdict = check(&history, &finals(&["a"]));
    assert_eq!(
        (verdict.lost, verdict.stale_reads(), verdict.vanished),
        (1, 0, 1)
    );
}

#[test]
fn the_longest_gap_is_that_between_acknowledgements_of_all_writers() {
    let refused = || Outcome::Refused("READONLY".to_owned());
    let history = [
        acknowledged("a", 0, 1_000),
        write("b", 1_500, 5_000, refused()),
        acknowledged("c", 6_000, 7_000),
        acknowledged("d", 0, 8_000),
        write("e", 8_000, 9_000, refused()),
    ];
    let gap = gaps(&history)["service/rust"];
    assert_eq!((gap.from, gap.to), (1_000, 7_000));
    assert_eq!(gap.ms(), 6);
}

#[test]
fn a_path_that_never_comes_back_has_a_gap_to_the_end() {
    let refused = || Outcome::Refused("READONLY".to_owned());
    let history = [
        acknowledged("a", 0, 1_000),
        write("b", 20_000, 30_000, refused()),
    ];
    let gap = gaps(&history)["service/rust"];
    assert_eq!((gap.from, gap.to), (1_000, 30_000));
    let gap = gaps(&history[1..])["service/rust"];
    assert_eq!((gap.from, gap.to), (20_000, 30_000));
}

#[test]
fn a_record_is_one_line_that_is_read_back() {
    let record = write("a", 1, 2, Outcome::Refused("READONLY".to_owned()));
    let line = serde_json::to_string(&record).unwrap_or_default();
    assert_eq!(
        line,
        r#"{"kind":"write","writer":"w","sequence":1,"path":"service/rust","key":"k","value":"a","started":1,"ended":2,"outcome":{"refused":"READONLY"}}"#
    );
    assert_eq!(serde_json::from_str::<Record>(&line).ok(), Some(record));
}

/// A list that one server keeps, and what a client is told of it.
fn lived(steps: &[(u8, bool)]) -> (Vec<Record>, Vec<String>) {
    let (mut history, mut list) = (Vec::new(), Vec::<String>::new());
    for (number, (outcome, looked)) in steps.iter().enumerate() {
        let at = number as Micros * 10;
        let value = number.to_string();
        let (done, outcome) = match outcome % 4 {
            0 => (false, Outcome::Refused("READONLY".to_owned())),
            1 => (false, Outcome::Unknown("timeout".to_owned())),
            2 => (true, Outcome::Unknown("timeout".to_owned())),
            _ => (true, Outcome::Acknowledged),
        };
        if done {
            list.push(value.clone());
        }
        history.push(write(&value, at, at + 5, outcome));
        if *looked {
            history.push(read(list.last().map(String::as_str), at + 6, at + 8));
        }
    }
    (history, list)
}

proptest! {
    #[test]
    fn whatever_one_server_does_is_in_order(steps in prop::collection::vec((any::<u8>(), any::<bool>()), 0..60)) {
        let (history, list) = lived(&steps);
        let verdict = check(&history, &Finals::from([("k".to_owned(), list)]));
        prop_assert_eq!(verdict.impossible(), Vec::<String>::new());
        prop_assert_eq!((verdict.lost, verdict.vanished), (0, 0));
    }

    #[test]
    fn whatever_is_cut_off_the_end_is_counted(
        steps in prop::collection::vec((any::<u8>(), any::<bool>()), 0..60),
        cut in 0_usize..20,
    ) {
        let (history, mut list) = lived(&steps);
        let gone = list.split_off(list.len().saturating_sub(cut));
        let expected = history
            .iter()
            .filter(|record| matches!(record, Record::Write(write)
                if write.outcome == Outcome::Acknowledged && gone.contains(&write.value)))
            .count();
        let verdict = check(&history, &Finals::from([("k".to_owned(), list)]));
        prop_assert_eq!(verdict.lost, expected as u64);
        prop_assert_eq!(verdict.impossible(), Vec::<String>::new());
    }

    #[test]
    fn two_values_exchanged_are_seen(count in 2_usize..40, first in 0_usize..40, second in 0_usize..40) {
        let (first, second) = (first % count, second % count);
        let (history, mut list) = lived(&vec![(3, false); count]);
        list.swap(first, second);
        let verdict = check(&history, &Finals::from([("k".to_owned(), list)]));
        prop_assert_eq!(verdict.reordered > 0, first != second);
    }
}
