//! Traces as records: from what clients write.

use super::entity::{error_bytes, payload_bytes, tags_bytes, text_bytes};
use super::fields::fields;
use super::stated::{Stated, named, not_blank, tag_changes};
use super::{Conflict, Entity, FieldSet, Lane, Record, Row, Traced, Write};
use crate::model::{
    Environment, ErrorInfo, Id, LastUpdatedAt, Payload, Source, Tags, Timestamp, TraceUpdate, TraceWrite, is_null,
};

fields!(
    /// The values of a trace's members.
    TraceFields, TraceField {
        /// Key of the project in its store.
        project: i64 = PROJECT 0,
        /// The name.
        name: String = NAME 1,
        /// The start, nanoseconds since 1970.
        start_time: i64 = START_TIME 2,
        /// The end, nanoseconds since 1970.
        end_time: i64 = END_TIME 3,
        /// What went in.
        input: Payload = INPUT 4,
        /// What came out.
        output: Payload = OUTPUT 5,
        /// Anything else.
        metadata: Payload = METADATA 6,
        /// The tags, each once.
        tags: Vec<String> = TAGS 7,
        /// The error.
        error_info: ErrorInfo = ERROR_INFO 8,
        /// Time to first token, milliseconds.
        ttft: f64 = TTFT 9,
        /// The conversation it belongs to.
        thread_id: String = THREAD_ID 10,
        /// Where it comes from.
        source: Source = SOURCE 11,
        /// The environment.
        environment: String = ENVIRONMENT 12,
    }
    identity: [PROJECT], tags: TAGS, end: END_TIME
);

impl TraceField {
    /// The fields that are kept apart from the others.
    pub const PAYLOADS: FieldSet = FieldSet::of(&[Self::INPUT, Self::OUTPUT, Self::METADATA]);
}

/// A write of one trace.
pub type TraceRecord = Write<TraceFields>;

impl TraceRecord {
    /// The record of a create. `fresh` makes an id where the client chose none.
    #[must_use]
    pub fn create(trace: TraceWrite, fresh: impl FnOnce() -> Id) -> Self {
        let TraceWrite {
            id,
            project_name,
            name,
            start_time,
            end_time,
            input,
            output,
            metadata,
            tags,
            error_info,
            last_updated_at,
            ttft,
            thread_id,
            source,
            environment,
        } = trace;
        let mut stated = Stated::<TraceFields>::default();
        stated.some(TraceField::NAME, not_blank(name), |fields| &mut fields.name);
        stated.some(TraceField::START_TIME, start_time.map(Timestamp::nanos), |fields| &mut fields.start_time);
        stated.some(TraceField::END_TIME, end_time.map(Timestamp::nanos), |fields| &mut fields.end_time);
        stated.some(TraceField::INPUT, input.map(|raw| raw.0), |fields| &mut fields.input);
        stated.some(TraceField::OUTPUT, output.map(|raw| raw.0), |fields| &mut fields.output);
        stated.some(TraceField::METADATA, metadata.map(|raw| raw.0), |fields| &mut fields.metadata);
        stated.some(TraceField::TAGS, tags.map(Tags::into_vec), |fields| &mut fields.tags);
        let error_info = error_info.map(|error| ErrorInfo::from(error).filled());
        stated.some(TraceField::ERROR_INFO, error_info, |fields| &mut fields.error_info);
        stated.some(TraceField::TTFT, ttft, |fields| &mut fields.ttft);
        stated.some(TraceField::THREAD_ID, not_blank(thread_id), |fields| &mut fields.thread_id);
        stated.some(TraceField::SOURCE, source, |fields| &mut fields.source);
        let environment = environment.map(|name| name.0).filter(|name| !name.is_empty());
        stated.some(TraceField::ENVIRONMENT, environment, |fields| &mut fields.environment);
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

    /// The record of an update of the trace `id`.
    #[must_use]
    pub fn update(id: Id, update: TraceUpdate) -> Self {
        let TraceUpdate {
            project_name,
            project_id,
            name,
            end_time,
            input,
            output,
            metadata,
            tags,
            tags_to_add,
            tags_to_remove,
            error_info,
            thread_id,
            ttft,
            source,
            environment,
        } = update;
        let mut stated = Stated::<TraceFields>::default();
        stated.some(TraceField::NAME, not_blank(name), |fields| &mut fields.name);
        stated.some(TraceField::END_TIME, end_time.map(Timestamp::nanos), |fields| &mut fields.end_time);
        if let Some(input) = input {
            stated.even_none(TraceField::INPUT, Some(input.0).filter(|raw| !is_null(raw)), |fields| &mut fields.input);
        }
        if let Some(output) = output {
            let output = Some(output.0).filter(|raw| !is_null(raw));
            stated.even_none(TraceField::OUTPUT, output, |fields| &mut fields.output);
        }
        if let Some(metadata) = metadata {
            let metadata = Some(metadata.0).filter(|raw| !is_null(raw));
            stated.even_none(TraceField::METADATA, metadata, |fields| &mut fields.metadata);
        }
        let tag_edits = tag_changes(&mut stated, tags, tags_to_add, tags_to_remove);
        stated.some(TraceField::ERROR_INFO, error_info.map(ErrorInfo::filled), |fields| &mut fields.error_info);
        stated.some(TraceField::THREAD_ID, not_blank(thread_id), |fields| &mut fields.thread_id);
        stated.some(TraceField::TTFT, ttft, |fields| &mut fields.ttft);
        stated.some(TraceField::SOURCE, source, |fields| &mut fields.source);
        if let Some(Environment(name)) = environment {
            let name = Some(name).filter(|name| !name.is_empty());
            stated.even_none(TraceField::ENVIRONMENT, name, |fields| &mut fields.environment);
        }
        Self {
            id,
            project: named(project_id, project_name),
            record: Record { lane: Lane::Update, stated: stated.stated, fields: stated.fields, tag_edits },
        }
    }
}

impl Traced for TraceFields {
    const ENTITY: Entity = Entity::Trace;

    fn bytes(&self) -> usize {
        payload_bytes(self.input.as_ref())
            + payload_bytes(self.output.as_ref())
            + payload_bytes(self.metadata.as_ref())
            + text_bytes(self.name.as_ref())
            + text_bytes(self.thread_id.as_ref())
            + tags_bytes(self.tags.as_ref())
            + error_bytes(self.error_info.as_ref())
    }

    fn conflict(_: &Row<Self>, _: &Record<Self>, same_project: bool) -> Option<Conflict> {
        (!same_project).then_some(Conflict::Project)
    }
}
