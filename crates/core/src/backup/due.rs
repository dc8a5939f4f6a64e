//! What of a bus's backup settings cannot be carried out.

use super::schedule;
use crate::bus::Violation;
use cachebus_api::CacheBusSpec;

/// Reason of a schedule that cannot be read.
pub const UNFIT_SCHEDULE: &str = "ScheduleInvalid";

/// What is wrong with the schedule, where there is one.
#[must_use]
pub fn schedule_violation(spec: &CacheBusSpec) -> Option<Violation> {
    let text = spec.backup.as_ref()?.schedule.as_ref()?;
    let error = schedule::parse(text).err()?;
    Some(Violation {
        path: "spec.backup.schedule".to_owned(),
        reason: UNFIT_SCHEDULE,
        message: format!(
            "`{text}` is no schedule of five fields (minute, hour, day, month, day of the week): {error}"
        ),
    })
}
