//! What was found, for people and for programs.

use serde::Serialize;
use serde_json::Value;

/// In which way something is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is no longer there.
    Missing,
    /// Less is allowed than was.
    Narrower,
    /// More is allowed than was.
    Wider,
    /// Something else is said, and nobody can tell which of both allows more.
    Changed,
    /// It was not there.
    Added,
}

/// One thing that a client may notice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The operation's id; without one, its address.
    pub operation: String,
    /// Its method and path, in the document that clients were made for; of an added one, in the other.
    pub address: String,
    /// Where in the operation.
    pub place: String,
    /// In which way.
    pub kind: Kind,
    /// Whether a client that was made for the one document may be refused, lose something or fail to read an answer.
    pub breaking: bool,
    /// What it is that changed.
    pub what: String,
    /// As it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// As it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The document that was checked.
    pub checked: String,
    /// The document that clients were made for.
    pub against: String,
    /// Operations that both have.
    pub operations: usize,
    /// How many changes are breaking.
    pub breaking: usize,
    /// How many are not.
    pub compatible: usize,
    /// Each of them: by operation, in the order of the document that clients were made for.
    pub changes: Vec<Change>,
}

impl Report {
    /// As lines to read.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut above = None;
        for change in &self.changes {
            let heading = (&change.operation, &change.address);
            if above != Some(heading) {
                let has_id = change.operation != change.address;
                lines.push(if has_id { format!("{} ({})", heading.0, heading.1) } else { change.address.clone() });
                above = Some(heading);
            }
            let weight = if change.breaking { "BREAKING  " } else { "compatible" };
            lines.push(format!("  {weight}  {}", change.line()));
        }
        let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        lines.push(format!(
            "{} of {} compared with {}: {}, {}\n",
            counted(self.operations, "operation"),
            self.checked,
            self.against,
            counted(self.breaking, "breaking change"),
            counted(self.compatible, "other")
        ));
        lines.join("\n")
    }
}

impl Change {
    /// Place, what, and how, in one line.
    fn line(&self) -> String {
        let shown = |value: &Option<Value>| match value {
            None => "none".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let kind = format!("{:?}", self.kind).to_lowercase();
        let line = format!("{}: {} {kind}", self.place, self.what);
        match (&self.before, &self.after) {
            (None, None) => line,
            (before, after) => format!("{line}: {} -> {}", shown(before), shown(after)),
        }
    }
}
