//! Every fault.

mod addresses;
mod by_hand;
mod control_plane;
mod crashes;
mod disks;
mod memory;
mod network;
mod pods;
mod sentinels;

use super::Fault;

/// Every fault, in the order of the table.
pub fn all() -> Vec<&'static Fault> {
    let parts: [&[Fault]; 9] = [
        crashes::ALL,
        pods::ALL,
        addresses::ALL,
        sentinels::ALL,
        network::ALL,
        memory::ALL,
        disks::ALL,
        control_plane::ALL,
        by_hand::ALL,
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_fault_has_a_name_of_its_own_and_there_are_enough() {
        let names: BTreeSet<&str> = all().iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.len() >= 30, "{}", names.len());
    }

    #[test]
    fn names_are_words_of_a_command_line() {
        for fault in all() {
            let word = |letter: char| {
                letter.is_ascii_lowercase() || letter == '-' || letter.is_ascii_digit()
            };
            assert!(fault.name.chars().all(word), "{}", fault.name);
        }
    }
}
