//! Values of directives: what is accepted, and the form in which `CONFIG GET` prints it.

mod buffers;
mod bytes;
mod events;

pub(super) use buffers::{Limits, merge};

/// What a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `yes` or `no`.
    YesNo,
    /// A whole number in this range.
    Integer(i64, i64),
    /// Bytes, at least this many: a number with an optional unit of the engine's (`b k kb m mb g gb`).
    Bytes(u64),
    /// Bytes, or a percentage of `maxmemory`.
    BytesOrPercent,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `<seconds> <changes>` pairs.
    Save,
    /// `<class> <hard> <soft> <seconds>` groups.
    OutputBufferLimits,
    /// Letters of event classes.
    KeyspaceEvents,
    /// Numbers from 0 to 100.
    Percentiles,
    /// Any text.
    Text,
}

impl Value {
    /// The value as `CONFIG GET` prints it; `None`: it is none that the directive takes, see [`Self::expected`].
    pub(super) fn normal(self, text: &str) -> Option<String> {
        match self {
            Self::YesNo => word(text, &["yes", "no"]),
            Self::Integer(least, most) => integer(text, least, most),
            Self::Bytes(least) => amount(text, least),
            Self::BytesOrPercent => match text.strip_suffix('%') {
                Some(percent) => integer(percent, 0, 100).map(|percent| format!("{percent}%")),
                None => amount(text, 0),
            },
            Self::Word(words) => word(text, words),
            Self::Save => save(text),
            Self::OutputBufferLimits => Limits::parse(text).map(|limits| limits.to_string()),
            Self::KeyspaceEvents => events::normal(text),
            Self::Percentiles => percentiles(text),
            Self::Text => Some(text.to_owned()),
        }
    }

    /// For people: what the directive takes.
    pub(super) fn expected(self) -> String {
        match self {
            Self::YesNo => "yes or no".to_owned(),
            Self::Integer(least, i64::MAX) => format!("a whole number from {least}"),
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Bytes(least) => format!("bytes, at least {least}, {UNITS}"),
            Self::BytesOrPercent => format!("bytes, {UNITS}, or a percentage of maxmemory"),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Save => "pairs of seconds and changes".to_owned(),
            Self::OutputBufferLimits => {
                "groups of a class (normal, replica or pubsub), a hard limit, a soft limit and seconds"
                    .to_owned()
            }
            Self::KeyspaceEvents => format!("letters of A{}", events::LETTERS),
            Self::Percentiles => "numbers from 0 to 100".to_owned(),
            Self::Text => "a text".to_owned(),
        }
    }
}

const UNITS: &str = "with an optional unit b, k, kb, m, mb, g or gb";

fn word(text: &str, words: &[&str]) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    words.contains(&lower.as_str()).then_some(lower)
}

fn integer(text: &str, least: i64, most: i64) -> Option<String> {
    let number: i64 = text.parse().ok()?;
    (least..=most).contains(&number).then(|| number.to_string())
}

fn amount(text: &str, least: u64) -> Option<String> {
    let bytes = bytes::parse(text)?;
    (bytes >= least).then(|| bytes.to_string())
}

fn save(text: &str) -> Option<String> {
    let numbers: Vec<String> = text
        .split_whitespace()
        .map(|number| number.parse().ok().map(|number: u64| number.to_string()))
        .collect::<Option<_>>()?;
    numbers.len().is_multiple_of(2).then(|| numbers.join(" "))
}

fn percentiles(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let valid = |part: &&str| {
        part.parse::<f64>()
            .is_ok_and(|number| (0.0..=100.0).contains(&number))
    };
    parts.iter().all(valid).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests;
