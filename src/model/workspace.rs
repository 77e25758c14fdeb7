//! Workspaces: who asks, what they may, and how they like things shown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::validation::broken;

/// Details of an authentication; there is nothing in them that is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct AuthDetailsHolder {}

impl Validate for AuthDetailsHolder {
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

impl PartialSchema for AuthDetailsHolder {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("Nothing in it is looked at: there is no authentication."))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for AuthDetailsHolder {}

/// The name of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceNameHolder {
    /// The name.
    #[schema(required = false)]
    pub workspace_name: String,
}

/// Ways in which a workspace is shown.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpikVersion {
    /// By what is in the workspace.
    #[serde(rename = "version_1")]
    Version1,
    /// By project.
    #[serde(rename = "version_2")]
    Version2,
}

/// How a workspace is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceVersion {
    /// Always `version_2`: everything belongs to a project.
    #[schema(required = false, inline)]
    pub opik_version: OpikVersion,
}

/// What a user may do in a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceUserPermissions {
    /// The user.
    #[schema(required = false)]
    pub user_name: String,
    /// The workspace.
    #[schema(required = false)]
    pub workspace_name: String,
    /// Always empty: without authentication, everything may be done.
    #[schema(required = false)]
    pub permissions: Vec<Permission>,
}

/// Something that a user may do or not.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_name: Option<String>,
    /// Whether it may be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_value: Option<String>,
}

/// How a workspace likes things shown. What is left out is not set.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a configuration object")]
pub struct WorkspaceConfiguration {
    /// After how long without a new trace a thread counts as ended: an ISO 8601 duration of seconds, minutes, hours and
    /// days, such as PT30M for 30 minutes. Whole seconds, at most 7 days.
    #[schema(inline, value_type = Option<String>)]
    #[validate(nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_to_mark_thread_as_inactive: Option<Timeout>,
    /// Whether tables show long values cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation_on_tables: Option<bool>,
    /// Colours of labels, each as in #FF0000. At most 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_map: Option<BTreeMap<String, String>>,
}

impl WorkspaceConfiguration {
    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let colors = self.color_map.iter().flatten();
        size_of::<Self>()
            + colors.map(|(label, color)| label.len() + color.len() + 2 * size_of::<String>()).sum::<usize>()
    }
}

/// A duration, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Timeout(String);

impl Timeout {
    /// From the published contract.
    const MAX: Duration = Duration::from_hours(7 * 24);

    /// How long it is.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs(seconds(&self.0).unwrap_or_default().0)
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if seconds(&text).is_none() {
            let found = serde::de::Unexpected::Str(&text);
            return Err(serde::de::Error::invalid_value(found, &"an ISO 8601 duration such as PT30M"));
        }
        Ok(Self(text))
    }
}

impl Validate for Timeout {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let (seconds, has_fraction) = seconds(&self.0).unwrap_or_default();
        if has_fraction {
            let message =
                "minimum precision supported is seconds, please use a duration with seconds precision or higher";
            return Err(broken("precision", message));
        }
        if seconds > Self::MAX.as_secs() {
            return Err(broken("range", "duration exceeds the maximum allowed of PT168H"));
        }
        Ok(())
    }
}

/// The whole seconds of a duration, held at what 64 bits can count, and whether there is a fraction of one beside them.
/// Calendar units, such as months, have no fixed length and are not read; nor are signs.
fn seconds(text: &str) -> Option<(u64, bool)> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let (mut sum, mut has_fraction) = (0_u64, false);
    for (mut part, units) in [(days, &[('D', 86_400)][..]), (time, &[('H', 3_600), ('M', 60), ('S', 1)])] {
        for (unit, length) in units {
            let Some(at) = part.find([*unit, unit.to_ascii_lowercase()]) else { continue };
            let (number, after) = (&part[..at], &part[at + 1..]);
            let (whole, fraction) = match number.split_once(['.', ',']) {
                Some((whole, fraction)) if *unit == 'S' && (1..=9).contains(&fraction.len()) => (whole, fraction),
                Some(_) => return None,
                None => (number, ""),
            };
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if whole.is_empty() || !digits(whole) || !digits(fraction) {
                return None;
            }
            has_fraction |= fraction.bytes().any(|byte| byte != b'0');
            sum = sum.saturating_add(whole.parse().unwrap_or(u64::MAX).saturating_mul(*length));
            part = after;
        }
        if !part.is_empty() {
            return None;
        }
    }
    Some((sum, has_fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_by_what_they_say() {
        for (text, wanted) in [
            ("PT30M", Some((1_800, false))),
            ("pt30m", Some((1_800, false))),
            ("P1D", Some((86_400, false))),
            ("P7DT1S", Some((604_801, false))),
            ("PT1H2M3S", Some((3_723, false))),
            ("PT0S", Some((0, false))),
            ("PT1.5S", Some((1, true))),
            ("PT1,000S", Some((1, false))),
            ("PT99999999999999999999999H", Some((u64::MAX, false))),
            ("", None),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("30M", None),
            ("PT30", None),
            ("PTM", None),
            ("PT3M1H", None),
            ("PT1.5M", None),
            ("PT1.S", None),
            ("P1M", None),
            ("PT-1S", None),
            ("-PT1S", None),
            (" PT1S", None),
            ("PT1S ", None),
            ("PT١S", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }
}
