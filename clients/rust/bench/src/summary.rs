//! Many samples in a few figures.

/// The sample that so many percent of all are not above, by the nearest rank; `None` of none. Sorts them: O(n log n).
pub fn percentile(samples: &mut [u32], percent: usize) -> Option<u32> {
    samples.sort_unstable();
    let rank = (samples.len() * percent).div_ceil(100);
    samples.get(rank.saturating_sub(1)).copied()
}

/// The middle one, or the mean of the two in the middle; `None` of none.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len().is_multiple_of(2) {
        Some(f64::midpoint(sorted[middle - 1], upper))
    } else {
        Some(upper)
    }
}

/// How many times `theirs` ours is: the median of the rounds' own ratios, for the two of a round were played side by side.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = std::iter::zip(ours, theirs)
        .filter(|(_, theirs)| **theirs > 0.0)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    median(&ratios)
}

/// A number of things as a figure.
pub fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Nanoseconds as milliseconds.
pub fn millis(nanos: u32) -> f64 {
    f64::from(nanos) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(figure: Option<f64>, expected: f64) -> bool {
        figure.is_some_and(|figure| (figure - expected).abs() < 1e-9)
    }

    #[test]
    fn a_percentile_is_a_sample_that_so_many_are_not_above() {
        let mut samples: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(percentile(&mut samples, 50), Some(100));
        assert_eq!(percentile(&mut samples, 99), Some(198));
        assert_eq!(percentile(&mut samples, 100), Some(200));
        assert_eq!(percentile(&mut samples, 0), Some(1));
        assert_eq!(percentile(&mut [7], 99), Some(7));
        assert_eq!(percentile(&mut [], 99), None);
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert!(close(median(&[9.0, 1.0, 2.0]), 2.0));
        assert!(close(median(&[4.0, 1.0]), 2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_ratio_is_of_those_that_were_played_side_by_side() {
        // The machine was half as fast in the second round, for both.
        assert!(close(ratio(&[90.0, 45.0], &[100.0, 50.0]), 0.9));
        assert!(close(ratio(&[90.0, 10.0], &[100.0, 0.0]), 0.9));
        assert_eq!(ratio(&[], &[]), None);
    }
}
