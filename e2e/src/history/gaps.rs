//! How long nobody's write was taken.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Micros, Outcome, Record, Write};

/// A time without acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The last acknowledgement before.
    pub from: Micros,
    /// The first one after; where none came, the end of the last attempt.
    pub to: Micros,
}

impl Gap {
    /// The longest time between two of these moments that follow one another.
    #[must_use]
    pub fn longest(moments: impl IntoIterator<Item = Micros>) -> Self {
        let mut moments: Vec<Micros> = moments.into_iter().collect();
        moments.sort_unstable();
        let between = moments.windows(2).map(|pair| Self {
            from: pair[0],
            to: pair[1],
        });
        between.max_by_key(Self::micros).unwrap_or_default()
    }

    /// Its length in whole milliseconds.
    #[must_use]
    pub fn ms(&self) -> u64 {
        self.micros() / 1000
    }

    fn micros(&self) -> Micros {
        self.to.saturating_sub(self.from)
    }
}

/// The longest time of each path between two acknowledgements that follow one another, those of all writers of the path
/// taken together. It begins at the path's first acknowledgement and ends with its last attempt: a path that never comes
/// back has a gap to the end, one that never had a write taken has one from its first attempt.
#[must_use]
pub fn gaps(history: &[Record]) -> BTreeMap<String, Gap> {
    let mut attempts: BTreeMap<&str, Vec<&Write>> = BTreeMap::new();
    for record in history {
        if let Record::Write(write) = record {
            attempts.entry(&write.path).or_default().push(write);
        }
    }
    attempts
        .into_iter()
        .map(|(path, attempts)| (path.to_owned(), longest(&attempts)))
        .collect()
}

fn longest(attempts: &[&Write]) -> Gap {
    let mut moments: Vec<Micros> = attempts
        .iter()
        .filter(|write| write.outcome == Outcome::Acknowledged)
        .map(|write| write.ended)
        .collect();
    if moments.is_empty() {
        moments.extend(attempts.iter().map(|write| write.started).min());
    }
    moments.extend(attempts.iter().map(|write| write.ended).max());
    Gap::longest(moments)
}
