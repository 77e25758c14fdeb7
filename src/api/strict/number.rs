//! Numbers, digit for digit: a double would take a number just beyond a bound for the bound.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use jsonschema::json::JsonNumber;

/// A number as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a>(pub(super) &'a str);

impl Number<'_> {
    /// The nearest double; infinite beyond all doubles.
    pub(super) fn nearest(self) -> f64 {
        self.0.parse().unwrap_or_default()
    }

    /// How it compares with a bound.
    pub(super) fn compare(self, bound: Number<'_>) -> Ordering {
        let (own, other) = (self.nearest(), bound.nearest());
        match own.partial_cmp(&other) {
            // Numbers of a like size: their exact forms are short.
            Some(Ordering::Equal) if own != 0.0 && own.is_finite() => match (self.exact(), bound.exact()) {
                (Some(own), Some(other)) => own.cmp(&other),
                _ => Ordering::Equal,
            },
            Some(Ordering::Equal) => self.sign().cmp(&bound.sign()),
            ordering => ordering.unwrap_or(Ordering::Equal),
        }
    }

    fn exact(self) -> Option<BigDecimal> {
        BigDecimal::from_str(self.0).ok()
    }

    /// The sign of a number however small.
    fn sign(self) -> i8 {
        let digits = self.0.split(['e', 'E']).next().unwrap_or_default();
        match (digits.contains(|digit: char| matches!(digit, '1'..='9')), digits.starts_with('-')) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => -1,
        }
    }

    /// Whether it has no fraction, however it is written.
    fn is_whole(self) -> bool {
        let (digits, exponent) = self.0.split_once(['e', 'E']).unwrap_or((self.0, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let fraction = fraction.trim_end_matches('0');
        if self.sign() == 0 {
            return true;
        }
        let size = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        match exponent.parse::<i64>() {
            Ok(exponent) if exponent >= 0 => size(fraction) <= exponent,
            Ok(exponent) => fraction.is_empty() && size(whole) - size(whole.trim_end_matches('0')) >= -exponent,
            // More digits than can be counted.
            Err(_) => !exponent.starts_with('-'),
        }
    }
}

impl JsonNumber for Number<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        Some(self.nearest())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0)
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(self.0.parse().unwrap_or_else(|_| serde_json::Number::from(0)))
    }

    fn is_integer(&self) -> bool {
        self.is_whole()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_told_by_their_value() {
        for text in ["0", "-0.0", "0e-5", "785", "785.0", "7.85e2", "1e400", "1e99999999999999999999", "7850e-1"] {
            assert!(Number(text).is_whole(), "{text}");
        }
        for text in ["0.5", "785.01", "7.855e2", "785e-1", "1e-400", "1e-99999999999999999999"] {
            assert!(!Number(text).is_whole(), "{text}");
        }
    }

    #[test]
    fn every_digit_counts_in_a_comparison() {
        for (left, right, wanted) in [
            ("1", "1.0", Ordering::Equal),
            ("1000000000.00000000000000001", "1000000000", Ordering::Greater),
            ("999999999.99999999999999999", "1e9", Ordering::Less),
            ("9223372036854775808", "9223372036854775807", Ordering::Greater),
            ("-1e-999999999", "0", Ordering::Less),
            ("-0", "0.0", Ordering::Equal),
            ("1e999999999", "1", Ordering::Greater),
            ("-1e999999999", "1", Ordering::Less),
        ] {
            assert_eq!(Number(left).compare(Number(right)), wanted, "{left} {right}");
        }
    }
}
