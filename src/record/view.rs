//! Spans as they are read: from a row, what it is judged and commented with, and what the client wants to see.

use serde_json::value::RawValue;

use super::truncate::{cut_short, without_images};
use super::{Metadata, Row, SpanFields, StoredScore, Traced as _, shown_scores};
use crate::model::{
    CommentPublic, Cost, Environment, Id, JsonListStringPublic, Payload, ProjectName, SpanMember, SpanPublic, Tags,
    Timestamp,
};

/// A span read from its store.
#[derive(Debug, Clone)]
pub struct StoredSpan {
    /// Which span.
    pub id: Id,
    /// Its project.
    pub project_id: Id,
    /// Its project's name.
    pub project_name: String,
    /// Everything else.
    pub row: Row<SpanFields>,
    /// Its scores.
    pub scores: Vec<StoredScore>,
    /// Its comments, oldest first.
    pub comments: Vec<CommentPublic>,
}

/// Which parts of spans or traces are read.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part of its own")]
pub struct Parts {
    /// The input.
    pub input: bool,
    /// The output.
    pub output: bool,
    /// The metadata.
    pub metadata: bool,
    /// Scores.
    pub scores: bool,
    /// Scores of what it consists of.
    pub span_scores: bool,
    /// Comments.
    pub comments: bool,
    /// The content of attachments, in the place of what refers to it.
    pub attachments: bool,
}

/// How a span is shown.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Members that are left out.
    pub excluded: Vec<SpanMember>,
    /// Whether payloads are cut short.
    pub truncate: bool,
    /// Whether references to attachments stay what they are. In payloads that are cut short they do anyway.
    pub strip_attachments: bool,
    /// Whether the project is named, as only answers about one span do.
    pub project_name: bool,
}

impl View {
    /// Which parts of spans have to be read for it.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let shows = |member| !self.excluded.contains(&member);
        Parts {
            input: shows(SpanMember::Input),
            output: shows(SpanMember::Output),
            metadata: shows(SpanMember::Metadata),
            scores: shows(SpanMember::FeedbackScores),
            span_scores: false,
            comments: shows(SpanMember::Comments),
            attachments: !self.strip_attachments && !self.truncate,
        }
    }
}

impl StoredSpan {
    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.row.fields.bytes()
    }

    /// What a client reads.
    #[must_use]
    pub fn into_public(mut self, view: &View) -> SpanPublic {
        let excluded = |member| view.excluded.contains(&member);
        let fields = &mut self.row.fields;
        if view.truncate {
            fields.input = fields.input.take().map(cut_short);
            fields.output = fields.output.take().map(cut_short);
            fields.metadata =
                fields.metadata.take().map(|metadata| Metadata { raw: without_images(metadata.raw), ..metadata });
        }
        // The provider stands in the metadata unless it is left out itself.
        if excluded(SpanMember::Provider) {
            fields.provider = None;
        }
        if excluded(SpanMember::Metadata) {
            fields.metadata = None;
        }
        let mut shown = self.whole();
        if !view.project_name {
            shown.project_name = None;
        }
        for member in &view.excluded {
            match member {
                SpanMember::Name => shown.name = None,
                SpanMember::Type => shown.r#type = None,
                SpanMember::StartTime => shown.start_time = None,
                SpanMember::EndTime => shown.end_time = None,
                SpanMember::Input => shown.input = None,
                SpanMember::Output => shown.output = None,
                SpanMember::Metadata | SpanMember::Provider => {}
                SpanMember::Model => shown.model = None,
                SpanMember::Tags => shown.tags = None,
                SpanMember::Usage => shown.usage = None,
                SpanMember::ErrorInfo => shown.error_info = None,
                SpanMember::CreatedAt => shown.created_at = None,
                SpanMember::CreatedBy => shown.created_by = None,
                SpanMember::LastUpdatedBy => shown.last_updated_by = None,
                SpanMember::FeedbackScores => shown.feedback_scores = None,
                SpanMember::Comments => shown.comments = None,
                SpanMember::TotalEstimatedCost => shown.total_estimated_cost = None,
                SpanMember::TotalEstimatedCostVersion => shown.total_estimated_cost_version = None,
                SpanMember::Duration => shown.duration = None,
                SpanMember::Ttft => shown.ttft = None,
                SpanMember::Source => shown.source = None,
                SpanMember::Environment => shown.environment = None,
            }
        }
        shown
    }

    fn whole(self) -> SpanPublic {
        let Self { id, project_id, project_name, row, scores, comments } = self;
        let fields = row.fields;
        let stated = fields.total_estimated_cost.filter(|cost| !cost.0.is_zero());
        let (cost, version) = match (stated, row.estimate) {
            (Some(stated), _) => (Some(stated), None),
            (None, Some(estimate)) => (Some(Cost(estimate.cost)), Some(estimate.version)),
            (None, None) => (None, None),
        };
        SpanPublic {
            id: Some(id),
            project_name: Some(ProjectName(project_name)),
            project_id: Some(project_id),
            trace_id: fields.trace_id,
            parent_span_id: fields.parent_span_id,
            name: fields.name,
            r#type: fields.span_type,
            start_time: Some(Timestamp::from_nanos(fields.start_time.unwrap_or_default())),
            end_time: fields.end_time.map(Timestamp::from_nanos),
            input: fields.input.map(JsonListStringPublic),
            output: fields.output.map(JsonListStringPublic),
            metadata: with_provider(fields.metadata, fields.provider.as_deref()).map(JsonListStringPublic),
            model: fields.model,
            provider: fields.provider,
            tags: fields.tags.filter(|tags| !tags.is_empty()).map(Tags::from),
            usage: fields.usage.filter(|usage| !usage.0.is_empty()),
            error_info: fields.error_info.map(Into::into),
            created_at: Some(Timestamp::from_nanos(row.created_at)),
            last_updated_at: Some(Timestamp::from_nanos(row.last_updated_at)),
            created_by: Some(row.created_by.to_string()),
            last_updated_by: Some(row.last_updated_by.to_string()),
            feedback_scores: Some(shown_scores(scores)).filter(|scores| !scores.is_empty()),
            comments: Some(comments).filter(|comments| !comments.is_empty()),
            total_estimated_cost: cost,
            total_estimated_cost_version: version,
            duration: duration_ms(fields.start_time, fields.end_time),
            ttft: fields.ttft,
            source: fields.source,
            environment: Some(Environment(fields.environment.unwrap_or_default())),
        }
    }
}

/// Milliseconds between start and end, each cut to microseconds first. A span that only was updated has no start.
pub(super) fn duration_ms(start: Option<i64>, end: Option<i64>) -> Option<f64> {
    let (start, end) = (start.filter(|start| *start != 0)?, end?);
    let micros = end.div_euclid(1_000) - start.div_euclid(1_000);
    #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
    Some(micros as f64 / 1_000.0)
}

/// The metadata as read: an object begins with the provider, unless it names its own. Anything else stays untouched.
fn with_provider(metadata: Option<Metadata>, provider: Option<&str>) -> Option<Payload> {
    let Some(provider) = provider else { return metadata.map(|metadata| metadata.raw) };
    let quoted = serde_json::to_string(provider).unwrap_or_default();
    let Some(metadata) = metadata else {
        return RawValue::from_string(format!("{{\"provider\":{quoted}}}")).ok().map(Payload::from);
    };
    match metadata.raw.get().strip_prefix('{') {
        Some(inside) if !metadata.notes.has_provider => {
            let comma = if inside.trim_start() == "}" { "" } else { "," };
            RawValue::from_string(format!("{{\"provider\":{quoted}{comma}{inside}")).ok().map(Payload::from)
        }
        _ => Some(metadata.raw),
    }
}
