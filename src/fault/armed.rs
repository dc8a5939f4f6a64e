//! Ending the process at one of its points.

use super::FaultPoint;
use clap::ValueEnum as _;
use std::io::{self, Write};
use std::sync::OnceLock;

/// Exit code as of an abort. A real one would end differently in a container, where the kernel shields PID 1 from it.
const ABORTED: i32 = 134;

static ARMED: OnceLock<FaultPoint> = OnceLock::new();

/// Makes the process end at this point.
pub fn arm(point: Option<FaultPoint>) {
    if let Some(point) = point {
        ARMED.get_or_init(|| point);
    }
}

/// Ends the process on the spot if this is the point: nothing is finished, nothing is given back.
pub fn point(here: FaultPoint) {
    if ARMED.get() == Some(&here) {
        tracing::error!(point = ?here, "fault point reached");
        std::process::exit(ABORTED);
    }
}

/// Writes the name of each point on a line.
pub fn list(out: &mut impl Write) -> io::Result<()> {
    for point in FaultPoint::value_variants() {
        if let Some(value) = point.to_possible_value() {
            writeln!(out, "{}", value.get_name())?;
        }
    }
    Ok(())
}
