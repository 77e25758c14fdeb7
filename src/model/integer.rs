//! Integers as JSON has them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// A whole number; `3.0` is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Integer<T>(pub T);

/// One of 32 bits.
pub type Int32 = Integer<i32>;

/// One of 64 bits.
pub type Int64 = Integer<i64>;

impl<'de, T: TryFrom<i64>> Deserialize<'de> for Integer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole(PhantomData))
    }
}

struct Whole<T>(PhantomData<T>);

impl<T: TryFrom<i64>> Visitor<'_> for Whole<T> {
    type Value = Integer<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an integer of {} bits", size_of::<T>() * 8)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Integer<T>, E> {
        T::try_from(number).map(Integer).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Integer<T>, E> {
        let too_large = || E::invalid_value(Unexpected::Unsigned(number), &self);
        i64::try_from(number).ok().and_then(|number| T::try_from(number).ok()).map(Integer).ok_or_else(too_large)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Integer<T>, E> {
        // What is beyond an integer of 64 bits is taken for its end.
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within range, as is checked")]
        let whole = number as i64;
        let same = number.fract() == 0.0 && ![i64::MIN, i64::MAX].contains(&whole);
        let whole = T::try_from(whole).ok().filter(|_| same);
        whole.map(Integer).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

impl<T: PartialSchema> PartialSchema for Integer<T> {
    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl<T: PartialSchema> ToSchema for Integer<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_within_its_bits_is_one_however_it_is_written() {
        let narrow = |text: &str| serde_json::from_str::<Integer<i32>>(text).ok().map(|integer| integer.0);
        let wide = |text: &str| serde_json::from_str::<Integer<i64>>(text).ok().map(|integer| integer.0);
        assert_eq!((narrow("3"), narrow("3.0"), narrow("-3e0")), (Some(3), Some(3), Some(-3)));
        assert_eq!((narrow("2147483647"), narrow("2147483648"), narrow("-2147483649")), (Some(i32::MAX), None, None));
        assert_eq!((narrow("3.5"), narrow("\"3\""), narrow("null"), narrow("1e300")), (None, None, None, None));
        assert_eq!((wide("9223372036854775807"), wide("9223372036854775808")), (Some(i64::MAX), None));
        assert_eq!((wide("-9223372036854775808"), wide("-9223372036854775809")), (Some(i64::MIN), None));
        assert_eq!((wide("9223372036854775808.0"), wide("-9223372036854775809.0")), (None, None));
        assert_eq!((wide("1e18"), wide("0.1"), wide("18446744073709551615")), (Some(10_i64.pow(18)), None, None));
    }
}
