//! Spans as records and rows: from what clients write, to what they read.

use super::entity::{error_bytes, payload_bytes, tags_bytes, text_bytes};
use super::fields::fields;
use super::stated::{Stated, named, not_blank, tag_changes};
use super::{Conflict, Entity, FieldSet, Lane, Record, Row, Traced, Write};
use crate::model::{
    Cost, Environment, ErrorInfo, Id, LastUpdatedAt, Payload, Source, SpanType, SpanUpdate, SpanWrite, Tags, Timestamp,
    Usage, is_null,
};
use crate::scan::MetadataNotes;

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
pub type SpanRecord = Write<SpanFields>;

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
        let mut stated = Stated::<SpanFields>::default();
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
            project: named(None, project_name),
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
        let mut stated = Stated::<SpanFields>::default();
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
        let tag_edits = tag_changes(&mut stated, tags, tags_to_add, tags_to_remove);
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
        Self {
            id,
            project: named(project_id, project_name),
            record: Record { lane: Lane::Update, stated: stated.stated, fields: stated.fields, tag_edits },
        }
    }
}

impl Traced for SpanFields {
    const ENTITY: Entity = Entity::Span;

    fn bytes(&self) -> usize {
        payload_bytes(self.input.as_ref())
            + payload_bytes(self.output.as_ref())
            + payload_bytes(self.metadata.as_ref().map(|metadata| &metadata.raw))
            + text_bytes(self.name.as_ref())
            + text_bytes(self.model.as_ref())
            + text_bytes(self.provider.as_ref())
            + tags_bytes(self.tags.as_ref())
            + self.usage.as_ref().map_or(0, |usage| usage.0.len() * 64)
            + error_bytes(self.error_info.as_ref())
    }

    fn conflict(row: &Row<Self>, record: &Record<Self>, same_project: bool) -> Option<Conflict> {
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
}
