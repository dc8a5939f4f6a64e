//! When a data pod sets files aside that its server cannot read, and begins empty as a replica.
//!
//! Only files that the engine itself calls damaged, never those that it had no memory, room or right to read, nor those of a
//! newer engine; and only while another pod is seen to lead, with keys: a copy that may be the only one stays where it is, and its
//! server ends again and again until a person looks.

use super::{Question, Start, decide};
use crate::protocol::Marker;

/// What a server says of files that are damaged, as its lines begin.
const DAMAGED: [&str; 6] = [
    "Bad file format reading the append only file",
    "Unexpected end of file reading the append only file",
    "Error reading the RDB base file",
    "Error reading the RDB preamble of the AOF file",
    "Internal error in RDB reading offset",
    "Wrong RDB checksum",
];

/// What it says, anywhere in a line, where it is not the files that are at fault, whatever else it says: an engine that is too old
/// for them, a module that is missing, a volume or a limit.
const NOT_THE_FILES: [&str; 9] = [
    "Can't handle RDB format version",
    "module data I can't load",
    "Input/output error",
    "Permission denied",
    "No space left on device",
    "Read-only file system",
    "Cannot allocate memory",
    "Too many open files",
    "failed allocating",
];

/// What it says once it has read them. What is damaged after that has come from a primary.
const READ: [&str; 3] = [
    "DB loaded from append only file",
    "DB loaded from disk",
    "Ready to accept connections",
];

/// What a server has said of its files since it was started, line by line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    damaged: bool,
    not_the_files: bool,
    read: bool,
}

impl Telling {
    /// Hears a line, without what the engine puts before each.
    pub fn hear(&mut self, line: &str) {
        self.damaged |= DAMAGED.iter().any(|words| line.starts_with(words));
        self.not_the_files |= NOT_THE_FILES.iter().any(|words| line.contains(words));
        self.read |= READ.iter().any(|words| line.starts_with(words));
    }

    /// Whether a server that has ended with this code did so because its files are damaged.
    #[must_use]
    pub fn spoilt(self, code: u8) -> bool {
        code == 1 && self.damaged && !self.not_the_files && !self.read
    }
}

/// The pod that has to be asked whether it leads, before the files of a server that could not read them are set aside; `None`:
/// they stay where they are. A majority of Sentinels names it.
#[must_use]
pub fn leader_to_ask(question: &Question<'_>) -> Option<String> {
    match decide(question) {
        Start::FollowPrimary { pod, .. } => Some(pod),
        Start::Lead | Start::Hold | Start::Sealed => None,
    }
}

/// What the pod that Sentinels name says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// It is a primary.
    pub leads: bool,
    /// It still reads its files.
    pub loading: bool,
    /// Keys in its memory.
    pub keys: u64,
}

impl Leader {
    /// Whether everything that the bus has is there, so that a copy beside it may begin anew.
    #[must_use]
    pub fn has_it_all(self) -> bool {
        self.leads && !self.loading && self.keys > 0
    }
}

/// The marker of a volume whose files are set aside: it vouches for nothing any more, no order is obeyed that would not have been
/// before, and a copy that comes from another primary than the one before still counts as newer than that one's.
#[must_use]
pub fn set_aside(question: &Question<'_>, leader: &str) -> Marker {
    let config = question.config;
    let own = question.marker.filter(|marker| marker.uid == config.uid);
    Marker {
        uid: config.uid.clone(),
        primary: leader.to_owned(),
        epoch: 0,
        complete: false,
        aof: None,
        fence: own.map_or(0, |marker| {
            marker.epoch.max(marker.fence) + u64::from(marker.primary != leader)
        }),
    }
}
