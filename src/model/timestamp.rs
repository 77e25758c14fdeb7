//! Points in time.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::validation::broken;

const NANOS_IN_SECOND: i64 = 1_000_000_000;

/// A point in time, to the nanosecond: RFC 3339 with `T`, any offset, no or up to 9 digits of fraction.
///
/// Any such text can be held; only times that fit the range of the original (1970 to 2262) validate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: i64,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z, the start of a span that was only updated so far.
    pub const EPOCH: Self = Self { seconds: 0, nanos: 0 };

    /// 2262-04-11T23:47:16Z, the last second in which 64 bits can count nanoseconds.
    const END_SECONDS: i64 = 9_223_372_036;

    const EXPECTED: &'static str = "an RFC 3339 date-time such as 2024-01-15T09:30:00Z";

    /// From nanoseconds since 1970.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { seconds: nanos.div_euclid(NANOS_IN_SECOND), nanos: nanos.rem_euclid(NANOS_IN_SECOND) }
    }

    /// Nanoseconds since 1970, held at the ends of what 64 bits can count.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.seconds.saturating_mul(NANOS_IN_SECOND).saturating_add(self.nanos)
    }

    fn check_range(self, end_seconds: i64, end: &str) -> Result<(), ValidationErrors> {
        if (0..end_seconds).contains(&self.seconds) {
            return Ok(());
        }
        Err(broken("range", format!("must be after or equal 1970-01-01T00:00:00.000000Z and before {end}")))
    }
}

impl Validate for Timestamp {
    fn validate(&self) -> Result<(), ValidationErrors> {
        self.check_range(Self::END_SECONDS, "2262-04-11T23:47:16.000000000Z")
    }
}

impl Timestamp {
    fn text(self) -> String {
        let time: DateTime<Utc> = DateTime::from_timestamp_nanos(self.nanos());
        time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.as_bytes()).ok_or(Self::EXPECTED)
    }
}

/// Strict RFC 3339; chrono's parser also takes spaces, missing seconds and more.
fn parse(text: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| -> Option<u32> {
        text.get(from..to)?
            .iter()
            .try_fold(0, |sum: u32, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    let literal = |at: usize, wanted: u8| (text.get(at)?.to_ascii_uppercase() == wanted).then_some(());
    literal(4, b'-')?;
    literal(7, b'-')?;
    literal(10, b'T')?;
    literal(13, b':')?;
    literal(16, b':')?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    let local = date.and_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)?.and_utc().timestamp();

    let mut at = 19;
    let mut nanos = 0;
    if text.get(at) == Some(&b'.') {
        let digits = text[at + 1..].iter().take_while(|digit| digit.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        nanos = i64::from(number(at + 1, at + 1 + digits)?) * 10_i64.pow(9 - u32::try_from(digits).ok()?);
        at += 1 + digits;
    }
    let offset = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 => {
            literal(at + 3, b':')?;
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = i64::from(hours * 3600 + minutes * 60);
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    Some(Timestamp { seconds: local - offset, nanos })
}

impl fmt::Display for Timestamp {
    /// UTC with `Z`; the fraction has 0, 3, 6 or 9 digits, as many as it needs.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(Timestamp::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Timestamp")
    }
}

/// A [`Timestamp`] that may lie as late as the year 2300: the stamp by which creates of one id are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LastUpdatedAt(pub Timestamp);

impl LastUpdatedAt {
    /// 2300-01-01T00:00:00Z.
    const END_SECONDS: i64 = 10_413_792_000;
}

impl Validate for LastUpdatedAt {
    fn validate(&self) -> Result<(), ValidationErrors> {
        self.0.check_range(Self::END_SECONDS, "2300-01-01T00:00:00.000000Z")
    }
}

impl PartialSchema for LastUpdatedAt {
    fn schema() -> RefOr<Schema> {
        Timestamp::schema()
    }
}

impl ToSchema for LastUpdatedAt {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        text.parse::<Timestamp>().map_or_else(|_| "refused".to_owned(), |time| time.to_string())
    }

    #[test]
    fn rfc_3339_is_read_and_written_in_utc() {
        for (text, wanted) in [
            ("2024-01-15T09:30:00Z", "2024-01-15T09:30:00Z"),
            ("2024-01-15t09:30:00z", "2024-01-15T09:30:00Z"),
            ("2024-01-15T09:30:00.1+02:00", "2024-01-15T07:30:00.100Z"),
            ("2024-01-15T09:30:00.1234-00:30", "2024-01-15T10:00:00.123400Z"),
            ("2024-01-15T09:30:00.123456789Z", "2024-01-15T09:30:00.123456789Z"),
            ("2262-04-11T23:47:15.999999999Z", "2262-04-11T23:47:15.999999999Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "2024-01-15",
            "2024-01-15T09:30:00",
            "2024-01-15T09:30Z",
            "2024-01-15 09:30:00Z",
            "2024-01-15T09:30:00.Z",
            "2024-01-15T09:30:00.1234567890Z",
            "2024-01-15T09:30:00,1Z",
            "2024-01-15T09:30:00+0200",
            "2024-01-15T09:30:00+02",
            "2024-01-15T09:30:00+24:00",
            "2024-01-15T24:00:00Z",
            "2024-01-15T23:59:60Z",
            "2024-02-30T00:00:00Z",
            "1705311000",
            "2024-01-15T09:30:00Z ",
            " 2024-01-15T09:30:00Z",
            "+2024-01-15T09:30:00Z",
            "2024-01-15T09:30:00ZZ",
            "2024-01-15T09:30:00é",
            "٢024-01-15T09:30:00Z",
        ] {
            assert_eq!(read(text), "refused", "{text}");
        }
    }

    #[test]
    fn the_range_is_checked_before_nanoseconds_are_counted() {
        let valid = |text: &str| text.parse::<Timestamp>().expect("RFC 3339").validate().is_ok();
        assert!(valid("1970-01-01T00:00:00Z") && valid("2262-04-11T23:47:15.999999999Z"));
        assert!(!valid("1969-12-31T23:59:59.999999999Z") && !valid("2262-04-11T23:47:16Z"));
        assert!(!valid("0000-01-01T00:00:00Z") && !valid("9999-12-31T23:59:59-23:59"));
        let stamp = |text: &str| LastUpdatedAt(text.parse().expect("RFC 3339")).validate().is_ok();
        assert!(stamp("2299-12-31T23:59:59Z") && !stamp("2300-01-01T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0..=i64::MAX) {
            let time = Timestamp::from_nanos(nanos);
            prop_assert_eq!(time.to_string().parse::<Timestamp>().expect("our own form"), time);
            prop_assert_eq!(time.nanos(), nanos);
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
