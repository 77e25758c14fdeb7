//! Exact decimal numbers.

use std::borrow::Cow;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::validation::broken;

/// A decimal number, kept digit for digit and written in its shortest plain form (`0.00000025`, never `2.5E-7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(Box<str>);

impl Decimal {
    /// Digits after the point that are kept; more are cut off. Chosen: more than any double needs.
    const FRACTION_DIGITS_MAX: i64 = 400;

    const EXPECTED: &'static str = "a number of a magnitude below 1.8e308";

    /// The nearest double: for filters, sorting and sums.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or_default()
    }

    /// The shortest plain text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a number to calculate with.
    #[must_use]
    pub fn exact(&self) -> BigDecimal {
        if let Some((digits, scale)) = usual(&self.0) {
            return BigDecimal::new(digits.into(), i64::try_from(scale).unwrap_or_default());
        }
        BigDecimal::from_str(&self.0).unwrap_or_default()
    }

    /// A calculated number, cut off after so many digits of its fraction.
    #[must_use]
    pub fn cut(exact: &BigDecimal, fraction_digits: i64) -> Self {
        let (digits, scale) = exact.as_bigint_and_scale();
        if let (Ok(digits), Ok(scale @ 1..=SCALE_MAX)) = (i64::try_from(&*digits), usize::try_from(scale)) {
            return Self::plain(digits, scale, usize::try_from(fraction_digits).unwrap_or_default());
        }
        // Rounding also fills up with zeros.
        let mut text = if exact.fractional_digit_count() > fraction_digits {
            exact.with_scale_round(fraction_digits, bigdecimal::RoundingMode::Down).to_plain_string()
        } else {
            exact.to_plain_string()
        };
        if text.contains('.') {
            text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        }
        Self(text.into_boxed_str())
    }

    /// `digits`, of which the last `scale` are a fraction; so many of those are kept.
    fn plain(digits: i64, scale: usize, fraction_digits: usize) -> Self {
        let sign = if digits < 0 { "-" } else { "" };
        let mut text = format!("{sign}{:0width$}", digits.unsigned_abs(), width = scale + 1);
        text.insert(text.len() - scale, '.');
        text.truncate(text.len() - scale.saturating_sub(fraction_digits));
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        Self(if text == "-0" { "0".into() } else { text.into_boxed_str() })
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }

    /// Whether it is zero, however it was written.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        &*self.0 == "0"
    }
}

/// As many digits, with a sign among them, are always held by 64 bits.
const DIGITS_OF_I64: usize = 18;

/// Digits of a fraction that are written without further ado.
const SCALE_MAX: usize = 100;

/// Digits and a fraction, few enough for 64 bits, as nearly all numbers are written.
fn usual(text: &str) -> Option<(i64, usize)> {
    let (whole, fraction) = text.split_once('.')?;
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let digits_only = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() > DIGITS_OF_I64 || !digits_only(unsigned) || !digits_only(fraction) {
        return None;
    }
    Some((format!("{whole}{fraction}").parse().ok()?, fraction.len()))
}

impl FromStr for Decimal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((digits, scale)) = usual(text) {
            return Ok(Self::plain(digits, scale, scale));
        }
        // The exponent is bounded before a plain form is made of it: 1e999999999 has a gigabyte of digits.
        let nearest: f64 = text.parse().map_err(|_| Self::EXPECTED)?;
        if !nearest.is_finite() {
            return Err(Self::EXPECTED);
        }
        if nearest == 0.0 {
            return Ok(Self("0".into()));
        }
        let exact = BigDecimal::from_str(text).map_err(|_| Self::EXPECTED)?;
        Ok(Self::cut(&exact, Self::FRACTION_DIGITS_MAX))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return raw
                .parse()
                .map_err(|expected| D::Error::custom(format!("invalid value: {raw}, expected {expected}")));
        }
        Err(D::Error::custom(format!("invalid type: {}, expected a number", kind_of(raw))))
    }
}

fn kind_of(raw: &str) -> Cow<'_, str> {
    match raw.as_bytes().first() {
        Some(b'"') => Cow::Owned(format!("string {raw}")),
        Some(b'{') => Cow::Borrowed("object"),
        Some(b'[') => Cow::Borrowed("array"),
        Some(b't' | b'f') => Cow::Owned(format!("boolean `{raw}`")),
        _ => Cow::Borrowed(raw),
    }
}

impl PartialSchema for Decimal {
    /// A number without format: `double` would promise less.
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).into()
    }
}

impl ToSchema for Decimal {}

/// An amount of money: a [`Decimal`] that is not negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(pub Decimal);

impl Validate for Cost {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0.is_negative() { Err(broken("range", "must be greater than or equal to 0.0")) } else { Ok(()) }
    }
}

impl PartialSchema for Cost {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0)).into()
    }
}

impl ToSchema for Cost {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_ways_lead_to_the_same(digits in any::<i64>(), scale in 0..30_i64, kept in 0..30_i64) {
            let exact = BigDecimal::new(digits.into(), scale);
            let decimal = Decimal::cut(&exact, scale);
            prop_assert_eq!(decimal.exact(), exact.clone());
            prop_assert_eq!(exact.to_plain_string().parse::<Decimal>().expect("plain"), decimal);
            let cut = exact.with_scale_round(kept, bigdecimal::RoundingMode::Down);
            prop_assert_eq!(Decimal::cut(&exact, kept).exact(), cut);
        }
    }

    #[test]
    fn the_shortest_plain_form_is_exact() {
        for (text, wanted) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("0E-9", "0"),
            ("-0.50", "-0.5"),
            ("10.0", "10"),
            ("007.10", "7.1"),
            ("1.50", "1.5"),
            ("1e2", "100"),
            ("2.50000E-7", "0.00000025"),
            ("0.1234567890123456789012345678901234567890", "0.123456789012345678901234567890123456789"),
            ("100000000000000000000000000001", "100000000000000000000000000001"),
            ("1e-500", "0"),
        ] {
            assert_eq!(text.parse::<Decimal>().expect(text).as_str(), wanted, "{text}");
        }
        assert!("1e309".parse::<Decimal>().is_err() && "1e999999999".parse::<Decimal>().is_err());
        assert_eq!("1e-350".parse::<Decimal>().expect("small").as_str(), "0");
    }
}
