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
    /// The value as `CONFIG GET` prints it, or for people what it has to be.
    pub(super) fn normal(self, text: &str) -> Result<String, String> {
        match self {
            Self::YesNo => word(text, &["yes", "no"]),
            Self::Integer(least, most) => integer(text, least, most),
            Self::Bytes(least) => bytes::normal(text, least),
            Self::BytesOrPercent => match text.strip_suffix('%') {
                Some(percent) => integer(percent, 0, 100).map(|percent| format!("{percent}%")),
                None => bytes::normal(text, 0),
            },
            Self::Word(words) => word(text, words),
            Self::Save => save(text),
            Self::OutputBufferLimits => Limits::parse(text).map(|limits| limits.to_string()),
            Self::KeyspaceEvents => events::normal(text),
            Self::Percentiles => percentiles(text),
            Self::Text => Ok(text.to_owned()),
        }
    }
}

fn word(text: &str, words: &[&str]) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    if words.contains(&lower.as_str()) {
        Ok(lower)
    } else {
        Err(format!("one of {}", words.join(", ")))
    }
}

fn integer(text: &str, least: i64, most: i64) -> Result<String, String> {
    match text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
        _ => Err(format!("a whole number from {least} to {most}")),
    }
}

fn save(text: &str) -> Result<String, String> {
    let numbers: Option<Vec<u64>> = text
        .split_whitespace()
        .map(|number| number.parse().ok())
        .collect();
    match numbers {
        Some(numbers) if numbers.len() % 2 == 0 => {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            Ok(numbers.join(" "))
        }
        _ => Err("pairs of seconds and changes".to_owned()),
    }
}

fn percentiles(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let valid = |part: &&str| {
        part.parse::<f64>()
            .is_ok_and(|number| (0.0..=100.0).contains(&number))
    };
    if parts.iter().all(valid) {
        Ok(parts.join(" "))
    } else {
        Err("numbers from 0 to 100".to_owned())
    }
}
