//! The function library: which one a primary has to serve, and what is done where it serves another.

use crate::protocol::RefusedLibrary;
use std::collections::BTreeMap;

/// Name of the library on a server.
pub const NAME: &str = "cachebus";

/// Text of the library that comes with this version.
pub const LIBRARY: &str = include_str!("../../../functions/cachebus.lua");

/// What comes before the version in the library's text, and what behind it.
const BEFORE_VERSION: &str = "local VERSION = '";
const BEHIND_VERSION: char = '\'';

/// Between two looks at a library of which nothing is heard.
const LEISURE_MS: u64 = 60_000;
/// From the first refusal to the next attempt; after each further one twice as long.
const FIRST_ATTEMPT_MS: u64 = 1_000;
/// Longest time between two attempts.
const LAST_ATTEMPT_MS: u64 = 30_000;

/// What `INFO all` says that moves with the libraries of a server: figures, and commands by which they change.
const FIGURES: [&str; 2] = ["number_of_functions", "number_of_libraries"];
const COMMANDS: [&str; 4] = [
    "cmdstat_function|delete",
    "cmdstat_function|flush",
    "cmdstat_function|load",
    "cmdstat_function|restore",
];

/// A semantic version, `1.0.0`.
type Version = (u64, u64, u64);

/// What is to be done about the library of a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this version's, or a newer one.
    Stay,
    /// It is missing, older, or not what its version says: ours takes its place.
    Load,
}

/// Stable reasons for which a server does not take the library.
pub mod refusal {
    /// Its memory is full.
    pub const OUT_OF_MEMORY: &str = "OutOfMemory";
    /// It has too few replicas to take writes.
    pub const TOO_FEW_REPLICAS: &str = "TooFewReplicas";
    /// The agent's user lacks the right, as it may until the users have been brought in line.
    pub const NOT_ALLOWED: &str = "NotAllowed";
    /// Whatever else the server says.
    pub const LIBRARY_REFUSED: &str = "LibraryRefused";
}

/// What is to be done where a primary serves this text under [`NAME`]; `None`: nothing.
///
/// A newer version is left alone: while agents are rolled those of two versions lead by turns, and each loading its own would
/// take from services what they have begun to use.
#[must_use]
pub fn verdict(served: Option<&str>) -> Verdict {
    let Some(served) = served else {
        return Verdict::Load;
    };
    if served == LIBRARY || parsed(served) > parsed(LIBRARY) {
        Verdict::Stay
    } else {
        Verdict::Load
    }
}

/// Version that the text of a library names.
#[must_use]
pub fn version(library: &str) -> Option<&str> {
    let mut lines = library.lines();
    let after = lines.find_map(|line| line.strip_prefix(BEFORE_VERSION))?;
    Some(after.split_once(BEHIND_VERSION)?.0)
}

fn parsed(library: &str) -> Option<Version> {
    let mut numbers = version(library)?.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    let version = (next()?, next()?, next()?);
    numbers.next().is_none().then_some(version)
}

/// What a server's refusal means.
#[must_use]
pub fn refused(code: &str, message: &str) -> RefusedLibrary {
    let reason = match code {
        "OOM" => refusal::OUT_OF_MEMORY,
        "NOREPLICAS" => refusal::TOO_FEW_REPLICAS,
        "NOPERM" => refusal::NOT_ALLOWED,
        _ => refusal::LIBRARY_REFUSED,
    };
    RefusedLibrary {
        reason: reason.to_owned(),
        message: format!("{code} {message}"),
    }
}

/// Time from a look to the next one, after so many refusals in a row. Between looks only [`Trace`] is compared, which costs
/// nothing.
#[must_use]
pub fn pause_ms(refusals: u32) -> u64 {
    match refusals.checked_sub(1) {
        None => LEISURE_MS,
        Some(before) => FIRST_ATTEMPT_MS
            .saturating_mul(2_u64.saturating_pow(before))
            .min(LAST_ATTEMPT_MS),
    }
}

/// What a server says without being asked for its libraries, and which is another one once somebody has changed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<String>);

impl Trace {
    /// Of the lines of `INFO all`.
    #[must_use]
    pub fn of(info: &BTreeMap<String, String>) -> Self {
        let figures = FIGURES.iter().filter_map(|figure| info.get(*figure));
        let calls = COMMANDS.iter().filter_map(|command| info.get(*command));
        // What follows is how long they took, and how many were refused.
        let calls = calls.filter_map(|line| line.split(',').next());
        Self(
            figures
                .map(String::as_str)
                .chain(calls)
                .map(str::to_owned)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of_version(version: &str) -> String {
        LIBRARY.replace(super::version(LIBRARY).unwrap(), version)
    }

    #[test]
    fn the_library_says_its_name_and_a_semantic_version() {
        assert!(LIBRARY.starts_with(&format!("#!lua name={NAME}\n")));
        assert!(parsed(LIBRARY).is_some());
    }

    #[test]
    fn what_is_missing_older_or_altered_is_replaced_and_a_newer_one_left_alone() {
        let altered = LIBRARY.replace("return VERSION", "return 1");
        assert_ne!(altered, LIBRARY);
        for (served, verdict) in [
            (None, Verdict::Load),
            (Some(LIBRARY.to_owned()), Verdict::Stay),
            (Some(altered), Verdict::Load),
            (Some(of_version("0.99.99")), Verdict::Load),
            (Some(of_version("1.1.10")), Verdict::Stay),
            (Some(of_version("10.0.0")), Verdict::Stay),
            (Some(of_version("99")), Verdict::Load),
            (Some(of_version("99.0.0.1")), Verdict::Load),
            (Some(of_version("99.0.0-rc")), Verdict::Load),
            (Some("#!lua name=cachebus\n".to_owned()), Verdict::Load),
        ] {
            let is = super::verdict(served.as_deref());
            assert_eq!(is, verdict, "{:?}", served.as_deref().map(version));
        }
    }

    #[test]
    fn attempts_grow_rarer_and_never_end() {
        let pauses: Vec<u64> = (1..8).map(pause_ms).collect();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(pause_ms(u32::MAX), 30_000);
        assert_eq!(pause_ms(0), 60_000);
    }

    #[test]
    fn whoever_changes_libraries_leaves_a_trace_and_nobody_else() {
        let mut info: BTreeMap<String, String> = [
            ("number_of_functions", "7"),
            ("number_of_libraries", "1"),
            ("cmdstat_function|load", "calls=1,usec=9,rejected_calls=0"),
            ("cmdstat_get", "calls=1,usec=9"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let before = Trace::of(&info);
        let mut after = |name: &str, value: &str| {
            info.insert(name.to_owned(), value.to_owned());
            Trace::of(&info)
        };
        assert_eq!(after("cmdstat_get", "calls=2,usec=9"), before);
        let refused = "calls=1,usec=9,rejected_calls=5";
        assert_eq!(after("cmdstat_function|load", refused), before);
        assert_ne!(after("cmdstat_function|load", "calls=2,usec=9"), before);
        assert_ne!(after("number_of_libraries", "0"), before);
        let loaded = Trace::of(&info);
        let mut flushed = info.clone();
        flushed.insert("cmdstat_function|flush".to_owned(), "calls=1".to_owned());
        assert_ne!(Trace::of(&flushed), loaded);
    }

    #[test]
    fn refusals_have_a_stable_reason_and_the_servers_words() {
        for (code, reason) in [
            ("OOM", "OutOfMemory"),
            ("NOREPLICAS", "TooFewReplicas"),
            ("NOPERM", "NotAllowed"),
            ("ERR", "LibraryRefused"),
        ] {
            let refused = super::refused(code, "said so");
            assert_eq!(refused.reason, reason);
            assert_eq!(refused.message, format!("{code} said so"));
        }
    }
}
