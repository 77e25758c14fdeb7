//! Quantiles of any number of values in bounded memory.

/// Values kept as they are, before they are counted in buckets: 8 MB.
const EXACT_MAX: usize = 1 << 20;

/// Relative width of a bucket: an answer from buckets is off by at most half of it, 0.5 %.
const WIDTH: f64 = 1.01;

/// Values below it, in magnitude, share a bucket.
const TINY: f64 = 1e-6;

/// Exact up to a million values; beyond that within 0.5 %.
#[derive(Debug, Default)]
pub(super) struct Quantiles {
    exact: Vec<f64>,
    buckets: std::collections::BTreeMap<i32, u64>,
    count: u64,
}

impl Quantiles {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        if self.buckets.is_empty() && self.exact.len() < EXACT_MAX {
            self.exact.push(value);
            return;
        }
        for value in std::mem::take(&mut self.exact) {
            *self.buckets.entry(bucket(value)).or_default() += 1;
        }
        *self.buckets.entry(bucket(value)).or_default() += 1;
    }

    /// Takes in another's values.
    pub(super) fn absorb(&mut self, other: Self) {
        for value in other.exact {
            self.add(value);
        }
        if other.buckets.is_empty() {
            return;
        }
        self.count += other.buckets.values().sum::<u64>();
        for value in std::mem::take(&mut self.exact) {
            *self.buckets.entry(bucket(value)).or_default() += 1;
        }
        for (bucket, count) in other.buckets {
            *self.buckets.entry(bucket).or_default() += count;
        }
    }

    /// The values at these fractions, with linear interpolation between neighbours; 0 where there are no values.
    pub(super) fn at<const N: usize>(mut self, fractions: [f64; N]) -> [f64; N] {
        if self.count == 0 {
            return [0.0; N];
        }
        if self.buckets.is_empty() {
            return fractions.map(|fraction| exact_at(&mut self.exact, fraction));
        }
        fractions.map(|fraction| {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rank"
            )]
            let rank = (fraction * (self.count - 1) as f64) as u64;
            let mut below = 0;
            for (bucket, count) in &self.buckets {
                below += count;
                if below > rank {
                    return middle(*bucket);
                }
            }
            0.0
        })
    }
}

fn exact_at(values: &mut [f64], fraction: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most a million")]
    let place = fraction * (values.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = place.floor() as usize;
    let (_, lower, above) = values.select_nth_unstable_by(index, f64::total_cmp);
    let lower = *lower;
    let upper = above.iter().copied().min_by(f64::total_cmp).unwrap_or(lower);
    lower + (upper - lower) * place.fract()
}

#[expect(clippy::cast_possible_truncation, reason = "some thousands at most, for any double")]
fn bucket(value: f64) -> i32 {
    if value.abs() < TINY {
        return 0;
    }
    let size = ((value.abs() / TINY).ln() / WIDTH.ln()).floor() as i32 + 1;
    if value < 0.0 { -size } else { size }
}

fn middle(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let size = TINY * WIDTH.powi(bucket.abs() - 1) * f64::midpoint(1.0, WIDTH);
    if bucket < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Quantiles {
        let mut quantiles = Quantiles::default();
        values.into_iter().for_each(|value| quantiles.add(value));
        quantiles
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "exact here")]
    fn few_values_are_exact() {
        assert_eq!(of([]).at([0.5]), [0.0]);
        assert_eq!(of([7.0]).at([0.5, 0.99]), [7.0, 7.0]);
        assert_eq!(of([4.0, 1.0, 3.0, 2.0]).at([0.5]), [2.5]);
        assert_eq!(of((1..=101).map(f64::from)).at([0.5, 0.9, 0.99]), [51.0, 91.0, 100.0]);
    }

    #[test]
    fn parts_make_a_whole() {
        for size in [10, 1_500_000_u32] {
            let mut whole = of((0..size).map(f64::from));
            whole.absorb(of((size..2 * size).map(f64::from)));
            let [half] = whole.at([0.5]);
            assert!((half - f64::from(size)).abs() <= f64::from(size) * 0.006 + 0.5, "{half} of {size}");
        }
    }

    #[test]
    fn many_values_are_near() {
        let many = || (0..2_000_000_u32).map(|number| f64::from(number % 1_000_003) - 1_000.0);
        let [half, most] = of(many()).at([0.5, 0.99]);
        for (got, wanted) in [(half, 499_000.0), (most, 989_000.0)] {
            assert!((got - wanted).abs() <= wanted * 0.006, "{got} is not {wanted}");
        }
    }
}
