//! What clients did and saw while something happened to a bus, and what is to be made of it.
//!
//! Each writer appends to a list of its own, one value after another, each value once in the life of the bus. It never sends
//! again what may have arrived. So the lists, as they are in the end, tell which acknowledged writes are gone, which writes
//! were carried out twice, and which in another order than their clients saw.

mod check;
mod gaps;
mod primaries;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

pub(crate) use check::told;
pub use check::{Verdict, check};
pub use gaps::{Gap, gaps};
pub use primaries::{Answer, Probe, Seen};

/// A moment, microseconds since the machine started. All parts of a lab read the same clock, its kernel's.
pub type Micros = u64;

/// The lists as they are in the end, oldest value first, by key.
pub type Finals = BTreeMap<String, Vec<String>>;

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// An attempt to append a value.
    Write(Write),
    /// An answer to the question for the newest value.
    Read(Read),
}

/// An attempt to append a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Who: one connection at a time, one attempt after another.
    pub writer: String,
    /// The how many-th attempt of this writer.
    pub sequence: u64,
    /// By which way and with which client: `sentinel/rust`.
    pub path: String,
    /// The list.
    pub key: String,
    /// The value; nobody else ever writes it.
    pub value: String,
    /// When it began, with the connection where there was none.
    pub started: Micros,
    /// When its outcome was known.
    pub ended: Micros,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The server said that it was done.
    Acknowledged,
    /// The server said that it was not, by this code, or was not reached at all (see [`code`]).
    Refused(String),
    /// Sent, and no answer came, for this reason (see [`code`]).
    Unknown(String),
}

/// What stands for errors that are not the server's own words.
pub mod code {
    /// Nobody listens.
    pub const NOT_CONNECTED: &str = "not-connected";
    /// No connection within its time.
    pub const CONNECT_TIMEOUT: &str = "connect-timeout";
    /// The connection ended before the answer.
    pub const DROPPED: &str = "dropped";
    /// Done, and too few replicas have it within its time.
    pub const UNCONFIRMED: &str = "unconfirmed";
    /// The Sentinels that answer name no primary.
    pub const NO_PRIMARY: &str = "no-primary";
    /// No answer within its time.
    pub const TIMEOUT: &str = "timeout";
}

/// An answer to the question for the newest value of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// Who asked, one question after another.
    pub reader: String,
    /// The list.
    pub key: String,
    /// Its newest value; `None`: it was empty.
    pub value: Option<String>,
    /// When it was asked.
    pub started: Micros,
    /// When the answer came.
    pub ended: Micros,
}

/// The time.
///
/// Not by a clock of each part's own that it sets when it starts: one that is held up at that moment would run behind the
/// others, and a read would seem to have missed a write that it began before.
#[must_use]
pub fn now() -> Micros {
    // Every kernel has this clock.
    let since_start = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap_or(TimeSpec::new(0, 0));
    micros(Duration::from(since_start))
}

/// A duration in microseconds.
#[must_use]
pub fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The writers of one load and what each of them is called in a contract.
pub mod contract {
    /// The service that writes and reads.
    pub const SERVICE: &str = "load";

    /// The channel group whose histories the lists are.
    pub const GROUP: &str = "load";

    /// The service that asks servers whether they lead.
    pub const PROBER: &str = "prober";

    /// The keyspace of its questions.
    pub const PROBES: &str = "probe";

    /// Writers of the Rust client through the primary's Service.
    pub const RUST_SERVICE: [&str; 2] = ["rust_service_0", "rust_service_1"];

    /// Writers of the Rust client through Sentinel.
    pub const RUST_SENTINEL: [&str; 2] = ["rust_sentinel_0", "rust_sentinel_1"];

    /// Writers of the Python client, through the Service and through Sentinel.
    pub const PYTHON: [&str; 2] = ["python_service_0", "python_sentinel_0"];

    /// All writers.
    pub fn writers() -> impl Iterator<Item = &'static str> {
        RUST_SERVICE.into_iter().chain(RUST_SENTINEL).chain(PYTHON)
    }

    /// The list of a writer.
    #[must_use]
    pub fn key(writer: &str) -> String {
        format!("events:{GROUP}:{writer}:history")
    }
}
