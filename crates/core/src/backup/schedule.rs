//! When a schedule asks for a backup.

use crate::bus::Violation;
use cachebus_api::CacheBusSpec;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::tz::TimeZone;

/// What is wrong with the schedule of a bus, where it has one.
#[must_use]
pub fn violation(spec: &CacheBusSpec) -> Option<Violation> {
    let text = spec.backup.as_ref()?.schedule.as_ref()?;
    let error = parse(text).err()?;
    Some(Violation {
        path: "spec.backup.schedule".to_owned(),
        reason: "ScheduleInvalid",
        message: format!(
            "`{text}` is no schedule of five fields (minute, hour, day, month, day of the week): {error}"
        ),
    })
}

/// Reads a schedule of five fields.
fn parse(schedule: &str) -> Result<Cron, String> {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(schedule)
        .map_err(|error| error.to_string())
}

/// The last time, in milliseconds since 1970, up to and with `now_ms`, at which a schedule asked for a backup. Times are UTC.
#[must_use]
pub fn latest(schedule: &str, now_ms: u64) -> Option<u64> {
    let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    let now = now.to_zoned(TimeZone::UTC);
    let last = parse(schedule)
        .ok()?
        .find_previous_occurrence(&now, true)
        .ok()?;
    u64::try_from(last.timestamp().as_millisecond()).ok()
}

/// The name of the backup that the schedule asks for at this time. The same for whoever makes it, so that there is one.
#[must_use]
pub fn scheduled_name(bus: &str, at_ms: u64) -> Option<String> {
    let at = Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()?;
    Some(format!(
        "{bus}-{}",
        at.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M")
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{latest, parse, scheduled_name};

    /// 2027-01-15 08:00:00 UTC, a Friday.
    const NOW_MS: u64 = 1_800_000_000_000;

    #[test]
    fn the_last_time_is_found_with_the_present_one() {
        let minute = 60_000;
        assert_eq!(latest("0 8 * * *", NOW_MS), Some(NOW_MS));
        assert_eq!(latest("0 8 * * *", NOW_MS + 59 * minute), Some(NOW_MS));
        assert_eq!(latest("30 7 * * *", NOW_MS), Some(NOW_MS - 30 * minute));
        assert_eq!(latest("0 8 * * 4", NOW_MS), Some(NOW_MS - 24 * 60 * minute));
    }

    #[test]
    fn only_five_fields_are_a_schedule() {
        for schedule in [
            "* * * * * *",
            "0 8",
            "61 * * * *",
            "",
            "hello world now it is",
        ] {
            assert!(parse(schedule).is_err(), "{schedule}");
        }
        parse("*/15 0-6 1,15 * MON-FRI").unwrap();
    }

    #[test]
    fn a_time_has_one_name() {
        assert_eq!(scheduled_name("b", NOW_MS).unwrap(), "b-20270115-0800");
    }
}
