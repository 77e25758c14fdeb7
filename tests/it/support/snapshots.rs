//! Snapshots: in `snapshots/`, named `resource__what`, with what changes from run to run checked and then named.

use insta::internals::Content;
use insta::{Settings, assert_json_snapshot};
use serde_json::Value;

/// Compares a JSON value with the snapshot `name`.
#[track_caller]
pub(crate) fn snap(name: &str, value: &Value) {
    let mut settings = settings();
    for member in ["id", "trace_id", "parent_span_id", "project_id"] {
        settings.add_dynamic_redaction(&format!(".**.{member}"), |value, _| uuid(&value));
    }
    for member in ["created_at", "last_updated_at"] {
        settings.add_dynamic_redaction(&format!(".**.{member}"), |value, _| utc(&value));
    }
    settings.bind(|| assert_json_snapshot!(name, value));
}

/// The same, where nothing changes from run to run.
#[track_caller]
pub(crate) fn snap_exactly(name: &str, value: &Value) {
    settings().bind(|| assert_json_snapshot!(name, value));
}

fn settings() -> Settings {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_sort_maps(true);
    settings
}

fn uuid(value: &Content) -> Content {
    let Some(text) = value.as_str() else { return value.clone() };
    if text.parse::<spandrel::model::Id>().is_ok_and(spandrel::model::Id::is_v7) {
        "[uuid v7]".into()
    } else {
        value.clone()
    }
}

fn utc(value: &Content) -> Content {
    let Some(text) = value.as_str() else { return value.clone() };
    if text.ends_with('Z') && text.parse::<spandrel::model::Timestamp>().is_ok() {
        "[utc]".into()
    } else {
        value.clone()
    }
}
