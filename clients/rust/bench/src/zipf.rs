//! Numbers of which small ones come far more often than large ones.

/// Draws numbers by Zipf's law: the one in place n is drawn in proportion to 1 / n^exponent.
#[derive(Debug)]
pub struct Zipf {
    /// How likely each number, or a smaller one, is; not yet divided by the last.
    sums: Vec<f64>,
}

impl Zipf {
    /// Of so many numbers, beginning with 0. O(numbers).
    pub fn new(numbers: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=numbers)
            .map(|place| {
                sum += crate::summary::count(place).powf(-exponent);
                sum
            })
            .collect();
        Self { sums }
    }

    /// The next number. O(log numbers).
    pub fn draw(&self, random: &mut fastrand::Rng) -> usize {
        let all = self.sums.last().copied().unwrap_or_default();
        let at = random.f64() * all;
        self.sums.partition_point(|sum| *sum <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_drawn_as_often_as_the_law_says() {
        let (zipf, mut random) = (Zipf::new(3, 1.0), fastrand::Rng::with_seed(7));
        let mut drawn = [0; 3];
        for _ in 0..11_000 {
            drawn[zipf.draw(&mut random)] += 1;
        }
        for (number, expected) in [6_000, 3_000, 2_000].into_iter().enumerate() {
            let off = i32::abs(drawn[number] - expected);
            assert!(off < 200, "{number}: {}", drawn[number]);
        }
    }
}
