//! Traces as they are read: from a row, what its spans amount to, and what the client wants to see.

use serde_json::value::RawValue;

use super::truncate::{cut_short, without_images};
use super::view::duration_ms;
use super::{Parts, Row, SpanScore, StoredScore, TraceFields, Traced as _, shown_scores, shown_span_scores};
use crate::model::{
    CommentPublic, Decimal, Environment, Id, JsonListStringPublic, Payload, Tags, Timestamp, TraceMember, TracePublic,
    UsageSums, VisibilityMode,
};

/// What the spans of a trace amount to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TraceSums {
    /// How many there are.
    pub spans: i64,
    /// How many of them are of the type llm.
    pub llm_spans: i64,
    /// How many of them are of the type tool.
    pub tool_spans: i64,
    /// Their token counts.
    pub usage: UsageSums,
    /// Their providers, in order.
    pub providers: Vec<String>,
    /// What they cost, if anything.
    pub cost: Option<Decimal>,
}

/// A trace read from its store.
#[derive(Debug, Clone)]
pub struct StoredTrace {
    /// Which trace.
    pub id: Id,
    /// Its project.
    pub project_id: Id,
    /// What was written of it.
    pub row: Row<TraceFields>,
    /// What its spans amount to.
    pub sums: TraceSums,
    /// Its scores.
    pub scores: Vec<StoredScore>,
    /// The scores of its spans.
    pub span_scores: Vec<SpanScore>,
    /// Its comments, oldest first.
    pub comments: Vec<CommentPublic>,
}

/// How a trace is shown.
#[derive(Debug, Clone, Default)]
pub struct TraceView {
    /// Members that are left out.
    pub excluded: Vec<TraceMember>,
    /// Whether payloads are cut short.
    pub truncate: bool,
    /// Whether references to attachments stay what they are. In payloads that are cut short they do anyway.
    pub strip_attachments: bool,
}

impl TraceView {
    /// Which parts of traces have to be read for it.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let shows = |member| !self.excluded.contains(&member);
        Parts {
            input: shows(TraceMember::Input),
            output: shows(TraceMember::Output),
            metadata: shows(TraceMember::Metadata),
            scores: shows(TraceMember::FeedbackScores),
            span_scores: shows(TraceMember::SpanFeedbackScores),
            comments: shows(TraceMember::Comments),
            attachments: !self.strip_attachments && !self.truncate,
        }
    }
}

impl StoredTrace {
    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.row.fields.bytes()
    }

    /// What a client reads.
    #[must_use]
    pub fn into_public(mut self, view: &TraceView) -> TracePublic {
        let excluded = |member| view.excluded.contains(&member);
        let fields = &mut self.row.fields;
        if view.truncate {
            fields.input = fields.input.take().map(cut_short);
            fields.output = fields.output.take().map(cut_short);
            fields.metadata = fields.metadata.take().map(without_images);
        }
        let mut shown = self.whole(!excluded(TraceMember::Metadata));
        for member in &view.excluded {
            match member {
                TraceMember::Name => shown.name = None,
                TraceMember::StartTime => shown.start_time = None,
                TraceMember::EndTime => shown.end_time = None,
                TraceMember::Input => shown.input = None,
                TraceMember::Output => shown.output = None,
                TraceMember::Metadata => shown.metadata = None,
                TraceMember::Tags => shown.tags = None,
                TraceMember::ErrorInfo => shown.error_info = None,
                TraceMember::Usage => shown.usage = None,
                TraceMember::CreatedAt => shown.created_at = None,
                TraceMember::CreatedBy => shown.created_by = None,
                TraceMember::LastUpdatedBy => shown.last_updated_by = None,
                TraceMember::FeedbackScores => shown.feedback_scores = None,
                TraceMember::SpanFeedbackScores => shown.span_feedback_scores = None,
                TraceMember::Comments => shown.comments = None,
                TraceMember::GuardrailsValidations => shown.guardrails_validations = None,
                TraceMember::TotalEstimatedCost => shown.total_estimated_cost = None,
                // As the original tells them where they are left out.
                TraceMember::SpanCount => shown.span_count = Some(0),
                TraceMember::LlmSpanCount => shown.llm_span_count = Some(0),
                TraceMember::HasToolSpans => shown.has_tool_spans = Some(false),
                TraceMember::Duration => shown.duration = None,
                TraceMember::Ttft => shown.ttft = None,
                TraceMember::ThreadId => shown.thread_id = None,
                TraceMember::VisibilityMode => shown.visibility_mode = None,
                TraceMember::Providers => shown.providers = None,
                TraceMember::Experiment => shown.experiment = None,
                TraceMember::Source => shown.source = None,
                TraceMember::Environment => shown.environment = None,
            }
        }
        shown
    }

    fn whole(self, with_metadata: bool) -> TracePublic {
        let Self { id, project_id, row, sums, scores, span_scores, comments } = self;
        let fields = row.fields;
        let count = |number: i64| Some(i32::try_from(number).unwrap_or(i32::MAX));
        let metadata = if with_metadata { with_providers(fields.metadata, &sums.providers) } else { None };
        TracePublic {
            id: Some(id),
            project_id: Some(project_id),
            name: fields.name,
            start_time: Some(Timestamp::from_nanos(fields.start_time.unwrap_or_default())),
            end_time: fields.end_time.map(Timestamp::from_nanos),
            input: fields.input.map(JsonListStringPublic),
            output: fields.output.map(JsonListStringPublic),
            metadata: metadata.map(JsonListStringPublic),
            tags: fields.tags.filter(|tags| !tags.is_empty()).map(Tags::from),
            error_info: fields.error_info.map(Into::into),
            usage: Some(sums.usage).filter(|usage| !usage.0.is_empty()),
            created_at: Some(Timestamp::from_nanos(row.created_at)),
            last_updated_at: Some(Timestamp::from_nanos(row.last_updated_at)),
            created_by: Some(row.created_by.to_string()),
            last_updated_by: Some(row.last_updated_by.to_string()),
            feedback_scores: Some(shown_scores(scores)).filter(|scores| !scores.is_empty()),
            span_feedback_scores: Some(shown_span_scores(span_scores)).filter(|scores| !scores.is_empty()),
            comments: Some(comments).filter(|comments| !comments.is_empty()),
            guardrails_validations: None,
            total_estimated_cost: sums.cost.filter(|cost| !cost.is_zero() && !cost.is_negative()),
            span_count: count(sums.spans),
            duration: duration_ms(fields.start_time, fields.end_time),
            ttft: fields.ttft,
            thread_id: fields.thread_id,
            visibility_mode: row.lanes.newest.map(|_| VisibilityMode::Default),
            llm_span_count: count(sums.llm_spans),
            has_tool_spans: Some(sums.tool_spans > 0),
            providers: Some(sums.providers).filter(|providers| !providers.is_empty()),
            experiment: None,
            source: fields.source,
            environment: Some(Environment(fields.environment.unwrap_or_default())),
        }
    }
}

/// The metadata as read: an object begins with the providers of the spans. Anything else stays untouched.
fn with_providers(metadata: Option<Payload>, providers: &[String]) -> Option<Payload> {
    if providers.is_empty() {
        return metadata;
    }
    let list = serde_json::to_string(providers).unwrap_or_default();
    let Some(metadata) = metadata else {
        return RawValue::from_string(format!("{{\"providers\":{list}}}")).ok().map(Payload::from);
    };
    match metadata.get().strip_prefix('{') {
        Some(inside) => {
            let comma = if inside.trim_start() == "}" { "" } else { "," };
            RawValue::from_string(format!("{{\"providers\":{list}{comma}{inside}")).ok().map(Payload::from)
        }
        None => Some(metadata),
    }
}
