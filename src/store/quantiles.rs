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
    pub(super) fn absorb(&mut self, mut other: Self) {
        if self.buckets.is_empty() && other.buckets.is_empty() && self.exact.len() + other.exact.len() <= EXACT_MAX {
            self.count += other.count;
            self.exact.append(&mut other.exact);
            return;
        }
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

    /// The values at these fractions, which go up, with linear interpolation between neighbours; 0 where there are no values.
    pub(super) fn at<const N: usize>(mut self, fractions: [f64; N]) -> [f64; N] {
        if self.count == 0 {
            return [0.0; N];
        }
        if self.buckets.is_empty() {
            return exact_at(&mut self.exact, fractions);
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

/// From the last fraction to the first: each leaves fewer values to look through for the next.
fn exact_at<const N: usize>(values: &mut [f64], fractions: [f64; N]) -> [f64; N] {
    let mut found = [0.0; N];
    let mut left = values.len();
    for (found, fraction) in found.iter_mut().zip(fractions).rev() {
        #[expect(clippy::cast_precision_loss, reason = "at most a million")]
        let place = fraction * (values.len() - 1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = place.floor() as usize;
        let (_, lower, above) = values[..left].select_nth_unstable_by(index, f64::total_cmp);
        let lower = *lower;
        let nearest = (0..above.len()).min_by(|one, other| above[*one].total_cmp(&above[*other]));
        let upper = nearest.map_or(lower, |nearest| {
            // The neighbour stays within what is left, for a fraction that falls on the same value.
            above.swap(0, nearest);
            above[0]
        });
        *found = lower + (upper - lower) * place.fract();
        left = left.min(index + 2);
    }
    found
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

    proptest::proptest! {
        #[test]
        fn exact_quantiles_are_those_of_a_sorted_list(
            mut values in proptest::collection::vec(-1e6..1e6_f64, 1..60),
            repeated in proptest::prelude::any::<bool>(),
        ) {
            if repeated {
                for value in &mut values {
                    *value = value.signum();
                }
            }
            let got = of(values.clone()).at([0.0, 0.5, 0.9, 0.99, 1.0]);
            values.sort_by(f64::total_cmp);
            for (got, fraction) in got.into_iter().zip([0.0, 0.5, 0.9, 0.99, 1.0]) {
                #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
                let (place, low) = (fraction * (values.len() - 1) as f64, (fraction * (values.len() - 1) as f64) as usize);
                let high = (low + 1).min(values.len() - 1);
                let wanted = values[low] + (values[high] - values[low]) * place.fract();
                proptest::prop_assert!((got - wanted).abs() < 1e-6, "{fraction}: {got} is not {wanted}");
            }
        }
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
