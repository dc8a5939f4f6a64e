//! Progress for people: one line a step, with the time it took.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether a step's line still waits for its time.
static LINE_OPEN: AtomicBool = AtomicBool::new(false);

/// Runs `work` under a line `== what … 41 s`.
///
/// A step inside a step closes the outer line first; the outer step then repeats its name with its time.
pub fn step<T>(what: impl Display, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    close_line();
    write(format_args!("== {what} …"));
    LINE_OPEN.store(true, Ordering::Relaxed);
    let started = Instant::now();
    let result = work();
    let took = seconds(started.elapsed());
    let outcome = if result.is_ok() {
        took
    } else {
        format!("failed after {took}")
    };
    if LINE_OPEN.swap(false, Ordering::Relaxed) {
        write(format_args!(" {outcome}\n"));
    } else {
        write(format_args!("== {what} … {outcome}\n"));
    }
    result
}

/// Prints one line.
pub fn note(text: impl Display) {
    close_line();
    write(format_args!("{text}\n"));
}

/// A duration as people read it: `0.4 s`, `41 s`, `12 min 10 s`.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole < 10 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if whole < 60 {
        format!("{whole} s")
    } else {
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// Ends the line of a step that is about to print something else.
pub(crate) fn close_line() {
    if LINE_OPEN.swap(false, Ordering::Relaxed) {
        write(format_args!("\n"));
    }
}

/// Progress that nobody can read any more is no reason to stop the work.
fn write(text: std::fmt::Arguments<'_>) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_fmt(text);
    let _ = stderr.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        let cases = [
            (Duration::from_millis(440), "0.4 s"),
            (Duration::from_secs(41), "41 s"),
            (Duration::from_secs(730), "12 min 10 s"),
        ];
        for (duration, expected) in cases {
            assert_eq!(seconds(duration), expected);
        }
    }
}
