//! Spans as records and rows: from what clients write, to what they read.

use serde_json::value::RawValue;

use super::fields::fields;
use super::{FieldSet, Lane, Record, Row, StoredScore, TagEdits, shown_scores};
use crate::model::{
    CommentPublic, Cost, Environment, ErrorInfo, Id, JsonListStringPublic, LastUpdatedAt, Payload, ProjectName, Source,
    SpanMember, SpanPublic, SpanType, SpanUpdate, SpanWrite, Tags, Timestamp, UpdateTags, Usage, is_null,
};
use crate::scan::MetadataNotes;

use super::truncate::{cut_short, without_images};

fields!(
    /// The values of a span's members.
    SpanFields, SpanField {
        /// Key of the project in its store.
        project: i64 = PROJECT 0,
        /// The trace.
        trace_id: Id = TRACE_ID 1,
        /// The parent.
        parent_span_id: Id = PARENT_SPAN_ID 2,
        /// The name.
        name: String = NAME 3,
        /// The kind of work.
        span_type: SpanType = TYPE 4,
        /// The start, nanoseconds since 1970.
        start_time: i64 = START_TIME 5,
        /// The end, nanoseconds since 1970.
        end_time: i64 = END_TIME 6,
        /// What went in.
        input: Payload = INPUT 7,
        /// What came out.
        output: Payload = OUTPUT 8,
        /// Anything else, with what the server noted of it.
        metadata: Metadata = METADATA 9,
        /// The model.
        model: String = MODEL 10,
        /// Who serves it.
        provider: String = PROVIDER 11,
        /// The tags, each once.
        tags: Vec<String> = TAGS 12,
        /// Token counts.
        usage: Usage = USAGE 13,
        /// The error.
        error_info: ErrorInfo = ERROR_INFO 14,
        /// The cost as stated by a client.
        total_estimated_cost: Cost = TOTAL_ESTIMATED_COST 15,
        /// Time to first token, milliseconds.
        ttft: f64 = TTFT 16,
        /// Where it comes from.
        source: Source = SOURCE 17,
        /// The environment.
        environment: String = ENVIRONMENT 18,
    }
    identity: [PROJECT, TRACE_ID, PARENT_SPAN_ID], tags: TAGS, end: END_TIME
);

impl SpanField {
    /// The fields that are kept apart from the others.
    pub const PAYLOADS: FieldSet = FieldSet::of(&[Self::INPUT, Self::OUTPUT, Self::METADATA]);
}

/// A span's metadata.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// As sent.
    pub raw: Payload,
    /// What the server noted of it.
    pub notes: MetadataNotes,
}

/// A write of one span.
#[derive(Debug, Clone)]
pub struct SpanRecord {
    /// Which span.
    pub id: Id,
    /// The project it states; the store makes a key of it.
    pub project: Option<ProjectRef>,
    /// Everything else.
    pub record: Record<SpanFields>,
}

/// How a write names a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectRef {
    /// By name, without outer white space; made if there is none.
    Name(String),
    /// By id; must exist.
    Id(Id),
}

/// Members of a record, collected with the fact that they were stated.
#[derive(Default)]
struct Stated {
    fields: SpanFields,
    stated: FieldSet,
}

impl Stated {
    /// States a value, if there is one.
    fn some<T>(&mut self, field: u8, value: Option<T>, place: fn(&mut SpanFields) -> &mut Option<T>) {
        if value.is_some() {
            self.even_none(field, value, place);
        }
    }

    /// States a value or its absence.
    fn even_none<T>(&mut self, field: u8, value: Option<T>, place: fn(&mut SpanFields) -> &mut Option<T>) {
        *place(&mut self.fields) = value;
        self.stated.insert(field);
    }
}

fn not_blank(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

impl SpanRecord {
    /// The record of a create. `fresh` makes an id where the client chose none.
    #[must_use]
    pub fn create(span: SpanWrite, notes: Option<MetadataNotes>, mut fresh: impl FnMut() -> Id) -> Self {
        let SpanWrite {
            id,
            project_name,
            trace_id,
            parent_span_id,
            name,
            r#type,
            start_time,
            end_time,
            input,
            output,
            metadata,
            model,
            provider,
            tags,
            usage,
            error_info,
            last_updated_at,
            total_estimated_cost,
            total_estimated_cost_version: _,
            ttft,
            source,
            environment,
        } = span;
        let metadata = metadata.map(|raw| Metadata { raw: raw.0, notes: notes.unwrap_or_default() });
        let mut stated = Stated::default();
        stated.some(SpanField::TRACE_ID, trace_id, |fields| &mut fields.trace_id);
        stated.some(SpanField::PARENT_SPAN_ID, parent_span_id, |fields| &mut fields.parent_span_id);
        stated.some(SpanField::NAME, not_blank(name), |fields| &mut fields.name);
        stated.some(SpanField::TYPE, r#type, |fields| &mut fields.span_type);
        stated.some(SpanField::START_TIME, start_time.map(Timestamp::nanos), |fields| &mut fields.start_time);
        stated.some(SpanField::END_TIME, end_time.map(Timestamp::nanos), |fields| &mut fields.end_time);
        stated.some(SpanField::INPUT, input.map(|raw| raw.0), |fields| &mut fields.input);
        stated.some(SpanField::OUTPUT, output.map(|raw| raw.0), |fields| &mut fields.output);
        stated.some(SpanField::METADATA, metadata, |fields| &mut fields.metadata);
        stated.some(SpanField::MODEL, not_blank(model), |fields| &mut fields.model);
        stated.some(SpanField::PROVIDER, not_blank(provider), |fields| &mut fields.provider);
        stated.some(SpanField::TAGS, tags.map(Tags::into_vec), |fields| &mut fields.tags);
        stated.some(SpanField::USAGE, usage, |fields| &mut fields.usage);
        let error_info = error_info.map(|error| ErrorInfo::from(error).filled());
        stated.some(SpanField::ERROR_INFO, error_info, |fields| &mut fields.error_info);
        stated.some(SpanField::TOTAL_ESTIMATED_COST, total_estimated_cost, |fields| &mut fields.total_estimated_cost);
        stated.some(SpanField::TTFT, ttft, |fields| &mut fields.ttft);
        stated.some(SpanField::SOURCE, source, |fields| &mut fields.source);
        let environment = environment.map(|name| name.0).filter(|name| !name.is_empty());
        stated.some(SpanField::ENVIRONMENT, environment, |fields| &mut fields.environment);
        if stated.fields.trace_id.is_none() {
            stated.fields.trace_id = Some(fresh());
        }
        Self {
            id: id.unwrap_or_else(fresh),
            project: project_name.map(|name| ProjectRef::Name(name.trimmed().to_owned())),
            record: Record {
                lane: Lane::Create(last_updated_at.map(|LastUpdatedAt(stamp)| stamp.nanos())),
                stated: stated.stated,
                fields: stated.fields,
                tag_edits: None,
            },
        }
    }

    /// The record of an update of the span `id`.
    #[must_use]
    pub fn update(id: Id, update: SpanUpdate, notes: Option<MetadataNotes>) -> Self {
        let SpanUpdate {
            project_name,
            project_id,
            trace_id,
            parent_span_id,
            name,
            r#type,
            end_time,
            input,
            output,
            metadata,
            model,
            provider,
            tags,
            tags_to_add,
            tags_to_remove,
            usage,
            total_estimated_cost,
            error_info,
            ttft,
            source,
            environment,
        } = update;
        let mut stated = Stated::default();
        stated.some(SpanField::TRACE_ID, trace_id, |fields| &mut fields.trace_id);
        stated.some(SpanField::PARENT_SPAN_ID, parent_span_id, |fields| &mut fields.parent_span_id);
        stated.some(SpanField::NAME, not_blank(name), |fields| &mut fields.name);
        stated.some(SpanField::TYPE, r#type, |fields| &mut fields.span_type);
        stated.some(SpanField::END_TIME, end_time.map(Timestamp::nanos), |fields| &mut fields.end_time);
        if let Some(input) = input {
            stated.even_none(SpanField::INPUT, Some(input.0).filter(|raw| !is_null(raw)), |fields| &mut fields.input);
        }
        if let Some(output) = output {
            stated
                .even_none(SpanField::OUTPUT, Some(output.0).filter(|raw| !is_null(raw)), |fields| &mut fields.output);
        }
        if let Some(raw) = metadata {
            let metadata = Metadata { raw: raw.0, notes: notes.unwrap_or_default() };
            let metadata = Some(metadata).filter(|metadata| !is_null(&metadata.raw));
            stated.even_none(SpanField::METADATA, metadata, |fields| &mut fields.metadata);
        }
        stated.some(SpanField::MODEL, not_blank(model), |fields| &mut fields.model);
        stated.some(SpanField::PROVIDER, not_blank(provider), |fields| &mut fields.provider);
        let tag_edits = if tags_to_add.is_some() || tags_to_remove.is_some() {
            let list = |tags: Option<UpdateTags>| tags.map(UpdateTags::into_vec).unwrap_or_default();
            Some(TagEdits { base: None, added: list(tags_to_add), removed: list(tags_to_remove) })
        } else {
            stated.some(SpanField::TAGS, tags.map(UpdateTags::into_vec), |fields| &mut fields.tags);
            None
        };
        stated.some(SpanField::USAGE, usage, |fields| &mut fields.usage);
        if let Some(cost) = total_estimated_cost {
            let cost = Some(cost).filter(|cost| !cost.0.is_zero());
            stated.even_none(SpanField::TOTAL_ESTIMATED_COST, cost, |fields| &mut fields.total_estimated_cost);
        }
        stated.some(SpanField::ERROR_INFO, error_info.map(ErrorInfo::filled), |fields| &mut fields.error_info);
        stated.some(SpanField::TTFT, ttft, |fields| &mut fields.ttft);
        stated.some(SpanField::SOURCE, source, |fields| &mut fields.source);
        if let Some(Environment(name)) = environment {
            let name = Some(name).filter(|name| !name.is_empty());
            stated.even_none(SpanField::ENVIRONMENT, name, |fields| &mut fields.environment);
        }
        let project = project_id.map(ProjectRef::Id);
        Self {
            id,
            project: project.or_else(|| project_name.map(|name| ProjectRef::Name(name.trimmed().to_owned()))),
            record: Record { lane: Lane::Update, stated: stated.stated, fields: stated.fields, tag_edits },
        }
    }

    /// Bytes that the record holds, roughly: for bounds on what waits in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.record.bytes()
    }
}

impl Record<SpanFields> {
    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.fields.bytes()
    }
}

impl SpanFields {
    /// Bytes that they hold, roughly.
    fn bytes(&self) -> usize {
        let fields = self;
        let raw = |payload: &Option<Payload>| payload.as_ref().map_or(0, |raw| raw.get().len());
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        raw(&fields.input)
            + raw(&fields.output)
            + fields.metadata.as_ref().map_or(0, |metadata| metadata.raw.get().len())
            + text(&fields.name)
            + text(&fields.model)
            + text(&fields.provider)
            + fields.tags.iter().flatten().map(|tag| tag.len() + size_of::<String>()).sum::<usize>()
            + fields.usage.as_ref().map_or(0, |usage| usage.0.len() * 64)
            + fields.error_info.as_ref().map_or(0, |error| text(&error.message) + text(&error.traceback))
    }
}

/// Why a single write cannot be merged: it states another identity than the span has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Another parent.
    Parent,
    /// Another project.
    Project,
    /// Another trace.
    Trace,
}

/// Whether a single create or update contradicts the span it is for. `same_project` tells whether the project that the
/// record states, if any, is the span's. A row that was only updated so far is no span yet and contradicts nothing.
#[must_use]
pub fn conflict(row: &Row<SpanFields>, record: &Record<SpanFields>, same_project: bool) -> Option<Conflict> {
    row.lanes.newest?;
    let has = &row.fields;
    let states = &record.fields;
    let update = record.lane == Lane::Update;
    let parent = match (states.parent_span_id, has.parent_span_id) {
        (Some(stated), Some(stored)) => stated != stored,
        // A create gives a span without a parent the one it states.
        (Some(_), None) => update,
        (None, _) => false,
    };
    let trace = record.stated.contains(SpanField::TRACE_ID) && states.trace_id != has.trace_id;
    let mut found = [(parent, Conflict::Parent), (!same_project, Conflict::Project), (trace, Conflict::Trace)];
    if update {
        found.swap(0, 1);
    }
    found.into_iter().find(|(differs, _)| *differs).map(|(_, conflict)| conflict)
}

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

/// How a span is shown.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Members that are left out.
    pub excluded: Vec<SpanMember>,
    /// Whether payloads are cut short.
    pub truncate: bool,
    /// Whether the project is named, as only answers about one span do.
    pub project_name: bool,
}

impl View {
    /// Which parts of spans have to be read for it.
    #[must_use]
    pub fn parts(&self) -> crate::store::Parts {
        let shows = |member| !self.excluded.contains(&member);
        crate::store::Parts {
            input: shows(SpanMember::Input),
            output: shows(SpanMember::Output),
            metadata: shows(SpanMember::Metadata),
            scores: shows(SpanMember::FeedbackScores),
            comments: shows(SpanMember::Comments),
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
fn duration_ms(start: Option<i64>, end: Option<i64>) -> Option<f64> {
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
        return RawValue::from_string(format!("{{\"provider\":{quoted}}}")).ok();
    };
    match metadata.raw.get().strip_prefix('{') {
        Some(inside) if !metadata.notes.has_provider => {
            let comma = if inside.trim_start() == "}" { "" } else { "," };
            RawValue::from_string(format!("{{\"provider\":{quoted}{comma}{inside}")).ok()
        }
        _ => Some(metadata.raw),
    }
}
