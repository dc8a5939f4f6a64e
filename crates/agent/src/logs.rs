//! The server's log lines, passed on as structured ones.

use cachebus_admin::Secret;
use cachebus_core::seal::Telling;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tracing::Level;

/// Target of the passed-on lines.
const TARGET: &str = "engine";
/// Bytes of a line that are kept in memory. Engines write none that is nearly as long; what runs is any image's.
const LONGEST: u64 = 64 * 1024;
/// What is passed on in place of a longer one: a part of it could end within a password, which nobody would know again.
const LEFT_OUT: &str = "a line of more than 64 KiB is left out";

/// A log line taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    level: Level,
    /// Which process wrote it; `None` where the line has another form.
    writer: Option<&'static str>,
    message: &'a str,
}

/// Hides the mounted passwords: an engine that refuses its configuration quotes the line at fault.
#[derive(Clone, Debug)]
pub(crate) struct Redactor(Arc<[Secret]>);

impl Redactor {
    pub(crate) fn new(secrets: Vec<Secret>) -> Self {
        Self(secrets.into())
    }

    fn clean(&self, line: &str) -> String {
        self.0
            .iter()
            .map(Secret::expose)
            .filter(|secret| !secret.is_empty())
            .fold(line.to_owned(), |line, secret| {
                line.replace(secret, "[redacted]")
            })
    }
}

/// What a server tells of its files, while its lines are passed on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener(Arc<Mutex<Telling>>);

impl Listener {
    fn hear(&self, line: &str) {
        let mut telling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        telling.hear(parse(line).message);
    }

    /// All that it has told so far.
    pub(crate) fn heard(&self) -> Telling {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes on lines until `output` ends.
pub(crate) async fn forward(
    output: impl AsyncRead + Unpin,
    redactor: Redactor,
    listener: Listener,
) {
    each_line(output, |line| {
        listener.hear(line);
        emit(&redactor.clean(line));
    })
    .await;
}

async fn each_line(output: impl AsyncRead + Unpin, mut take: impl FnMut(&str)) {
    let mut output = BufReader::new(output);
    let mut bytes = Vec::new();
    let mut cut = false;
    loop {
        bytes.clear();
        let mut part = (&mut output).take(LONGEST);
        let Ok(1..) = part.read_until(b'\n', &mut bytes).await else {
            return;
        };
        if part.limit() == 0 && !bytes.ends_with(b"\n") {
            cut = true;
        } else if std::mem::take(&mut cut) {
            take(LEFT_OUT);
        } else {
            take(String::from_utf8_lossy(&bytes).trim());
        }
    }
}

fn emit(text: &str) {
    let Line {
        level,
        writer,
        message,
    } = parse(text);
    if message.is_empty() {
        return;
    }
    match level {
        Level::WARN => tracing::warn!(target: TARGET, writer, "{message}"),
        Level::INFO => tracing::info!(target: TARGET, writer, "{message}"),
        _ => tracing::debug!(target: TARGET, writer, "{message}"),
    }
}

/// `<pid>:<writer> <day> <month> <year> <time> <mark> <message>`; anything else (a banner, a configuration error) is a message as it is.
fn parse(text: &str) -> Line<'_> {
    let whole = Line {
        level: Level::INFO,
        writer: None,
        message: text,
    };
    let mut parts = text.splitn(7, ' ');
    let (Some(origin), Some(mark), Some(message)) = (parts.next(), parts.nth(4), parts.next())
    else {
        return whole;
    };
    let writer = match origin.split_once(':') {
        Some((pid, "M")) if is_number(pid) => "primary",
        Some((pid, "S")) if is_number(pid) => "replica",
        Some((pid, "C")) if is_number(pid) => "child",
        Some((pid, "X")) if is_number(pid) => "sentinel",
        _ => return whole,
    };
    let level = match mark {
        "." | "-" => Level::DEBUG,
        "*" => Level::INFO,
        "#" => Level::WARN,
        _ => return whole,
    };
    Line {
        level,
        writer: Some(writer),
        message,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(level: Level, writer: Option<&'static str>, message: &'a str) -> Line<'a> {
        Line {
            level,
            writer,
            message,
        }
    }

    #[test]
    fn marks_and_writers_are_read() {
        for (text, expected) in [
            (
                "8:M 06 Nov 2026 12:34:56.789 * Ready to accept connections tls",
                line(
                    Level::INFO,
                    Some("primary"),
                    "Ready to accept connections tls",
                ),
            ),
            (
                "8:S 06 Nov 2026 12:34:56.789 # Unable to connect",
                line(Level::WARN, Some("replica"), "Unable to connect"),
            ),
            (
                "19:C 06 Nov 2026 12:34:56.789 - Fork CoW 0 MB",
                line(Level::DEBUG, Some("child"), "Fork CoW 0 MB"),
            ),
            (
                "8:X 06 Nov 2026 12:34:56.789 # +switch-master a b 1 c 2",
                line(Level::WARN, Some("sentinel"), "+switch-master a b 1 c 2"),
            ),
        ] {
            assert_eq!(parse(text), expected);
        }
    }

    #[test]
    fn other_text_stays_whole() {
        for text in [
            "",
            "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***",
            "a b c d e * f",
            "1:M one two three four ? five",
        ] {
            assert_eq!(parse(text), line(Level::INFO, None, text));
        }
    }

    #[tokio::test]
    async fn no_line_is_kept_that_grows_without_end() {
        let longest = usize::try_from(LONGEST).unwrap_or_default();
        let text = format!(
            "one\n{}\n{}\ntwo\n\nthree",
            "x".repeat(longest - 1),
            "y".repeat(longest * 3)
        );
        let mut lines = Vec::new();
        each_line(text.as_bytes(), |line| lines.push(line.to_owned())).await;
        assert_eq!(lines[1].len(), longest - 1);
        lines.remove(1);
        assert_eq!(lines, ["one", LEFT_OUT, "two", "", "three"]);
    }

    #[test]
    fn a_quoted_configuration_line_shows_no_password() {
        let redactor = Redactor::new(vec!["hunter2".into(), "".into()]);
        assert_eq!(
            redactor.clean(">>> 'masterauth \"hunter2\"'"),
            ">>> 'masterauth \"[redacted]\"'"
        );
    }
}
