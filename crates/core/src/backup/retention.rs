//! Which backups have outlived themselves.

use cachebus_api::Duration;
use cachebus_api::backup::Retention;

/// A backup that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub backup: String,
    /// Whether the schedule asked for it. One that a person asked for stays.
    pub scheduled: bool,
    /// When it was made, seconds since 1970.
    pub taken_at_s: u64,
}

/// The backups that are to be deleted, oldest first. The newest of the schedule is never among them.
#[must_use]
pub fn outlived(kept: &[Kept], retention: &Retention, now_s: u64) -> Vec<String> {
    let mut scheduled: Vec<&Kept> = kept.iter().filter(|kept| kept.scheduled).collect();
    scheduled.sort_by_key(|kept| (kept.taken_at_s, &kept.backup));
    let count = retention
        .count
        .map_or(scheduled.len(), |count| count as usize);
    let age = retention.age.as_ref().and_then(Duration::get);
    let newest = scheduled.len().saturating_sub(1);
    let surplus = scheduled.len().saturating_sub(count);
    scheduled
        .iter()
        .enumerate()
        .take(newest)
        .filter(|(position, kept)| {
            let old = age.is_some_and(|age| now_s.saturating_sub(kept.taken_at_s) > age.as_secs());
            *position < surplus || old
        })
        .map(|(_, kept)| kept.backup.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Kept, outlived};
    use cachebus_api::Duration;
    use cachebus_api::backup::Retention;

    fn kept(ages_s: &[u64]) -> Vec<Kept> {
        ages_s
            .iter()
            .map(|age| Kept {
                backup: format!("b{age}"),
                scheduled: true,
                taken_at_s: 10_000 - age,
            })
            .collect()
    }

    fn of(count: Option<u32>, age: Option<&str>) -> Retention {
        let age = age.map(Duration::text);
        Retention { count, age }
    }

    #[test]
    fn more_than_the_count_go_oldest_first() {
        let kept = kept(&[10, 400, 30, 200]);
        assert_eq!(
            outlived(&kept, &of(Some(2), None), 10_000),
            ["b400", "b200"]
        );
        assert!(outlived(&kept, &of(Some(4), None), 10_000).is_empty());
    }

    #[test]
    fn older_ones_go_but_for_the_newest() {
        let kept = kept(&[400, 100, 200]);
        let retention = of(None, Some("1m"));
        assert_eq!(outlived(&kept, &retention, 10_000), ["b400", "b200"]);
        assert_eq!(
            outlived(&kept, &of(Some(2), Some("150s")), 10_000),
            ["b400", "b200"]
        );
    }

    #[test]
    fn one_that_a_person_asked_for_stays_and_counts_for_nothing() {
        let mut kept = kept(&[400, 100, 200]);
        kept[0].scheduled = false;
        assert_eq!(outlived(&kept, &of(Some(1), None), 10_000), ["b200"]);
        assert!(outlived(&kept, &of(Some(2), Some("10h")), 10_000).is_empty());
    }
}
