//! Orphans are reaped, and the supervised child is left to its supervisor. A process of its own: reaping takes the children
//! of every test in it.
#![allow(clippy::unwrap_used)]

use cachebus_agent::reap_strangers;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Processes whose parent this process is, with their state.
fn children() -> Vec<(u32, char)> {
    let own = std::process::id();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut rest = stat.rsplit_once(") ")?.1.split(' ');
            let state = rest.next()?.chars().next()?;
            (rest.next()?.parse::<u32>().ok()? == own).then_some((pid, state))
        })
        .collect()
}

fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            children()
        );
        std::thread::yield_now();
    }
}

fn zombies() -> usize {
    children().iter().filter(|(_, state)| *state == 'Z').count()
}

fn shell(script: &str) -> Child {
    Command::new("/bin/sh")
        .args(["-c", script])
        .spawn()
        .unwrap()
}

#[test]
fn strangers_are_reaped_and_the_own_child_is_not() {
    let mut before = shell("exit 8");
    let mut own = shell("exit 7");
    let mut after = shell("exit 9");
    until(|| zombies() == 3);

    reap_strangers(Some(own.id()));
    assert!(before.wait().is_err(), "the stranger was not reaped");
    assert_eq!(own.wait().unwrap().code(), Some(7));

    reap_strangers(None);
    assert!(after.wait().is_err(), "the stranger was not reaped");
    assert_eq!(children(), []);
}
