//! The client's words: one line each, for people or as JSON for the scenarios.

use std::io::Write as _;

/// Prints a line for people.
pub fn say(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Prints a line of JSON.
pub fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(format_args!("{}", serde_json::to_string(value)?))
}
