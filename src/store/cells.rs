//! Reading a row's columns, whichever driver brought them.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::StoreError;
use crate::model::{Cost, Decimal, Id, Payload, Source, SpanType, UsageSums};
use crate::record::{Entity, Estimate, FieldSet, Lanes, Metadata, Owner, Row, SpanFields, TraceFields, TraceSums};
use crate::scan::MetadataNotes;

/// The columns of one row, by position.
pub(super) trait Cells {
    fn integer(&self, at: usize) -> Result<Option<i64>, StoreError>;
    fn real(&self, at: usize) -> Result<Option<f64>, StoreError>;
    fn text(&self, at: usize) -> Result<Option<String>, StoreError>;
    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError>;
    /// The bytes of a JSON text that the server wrote.
    fn raw(&self, at: usize) -> Result<Option<&[u8]>, StoreError>;
}

/// The columns of a span, in the order in which [`read_span`] takes them; `s` is the span, `p` its payloads.
pub(super) const SPAN_COLUMNS: &str = "s.project, s.trace_id, s.parent_span_id, s.name, s.type, s.start_time, \
     s.end_time, s.model, s.provider, s.tags, s.usage, s.error_info, s.cost, s.ttft, s.source, s.environment, \
     s.created_at, s.created_by, s.last_updated_at, s.last_updated_by, s.newest_stamp, s.newest_ended, s.updated, \
     s.others, s.tag_edits, s.cost_version";

/// The columns of a span's payloads, which follow them.
pub(super) const PAYLOAD_COLUMNS: &str = "p.input, p.output, p.metadata, p.metadata_model, p.metadata_has_provider";

/// How many columns [`SPAN_COLUMNS`] and [`PAYLOAD_COLUMNS`] name.
pub(super) const COLUMNS_COUNT: usize = 31;

/// Reads a span from columns as [`SPAN_COLUMNS`] and [`PAYLOAD_COLUMNS`] list them, the first at position `at`.
pub(super) fn read_span(cells: &impl Cells, at: usize) -> Result<Row<SpanFields>, StoreError> {
    let metadata = match raw(cells, at + 28)? {
        Some(raw) => Some(Metadata {
            raw,
            notes: MetadataNotes {
                model: cells.text(at + 29)?,
                has_provider: cells.integer(at + 30)?.unwrap_or_default() != 0,
            },
        }),
        None => None,
    };
    let cost: Option<Decimal> = match cells.text(at + 12)? {
        Some(text) => Some(text.parse().map_err(|_| corrupt("cost"))?),
        None => None,
    };
    let (stated, estimate) = match cells.text(at + 25)? {
        Some(version) => (None, cost.map(|cost| Estimate { cost, version })),
        None => (cost.map(Cost), None),
    };
    let fields = SpanFields {
        project: cells.integer(at)?,
        trace_id: id(cells, at + 1, "trace_id")?,
        parent_span_id: id(cells, at + 2, "parent_span_id")?,
        name: cells.text(at + 3)?,
        span_type: code(cells, at + 4, "type", SpanType::from_code)?,
        start_time: cells.integer(at + 5)?,
        end_time: cells.integer(at + 6)?,
        input: raw(cells, at + 26)?,
        output: raw(cells, at + 27)?,
        metadata,
        model: cells.text(at + 7)?,
        provider: cells.text(at + 8)?,
        tags: json(cells, at + 9, "tags")?,
        usage: json(cells, at + 10, "usage")?,
        error_info: json(cells, at + 11, "error_info")?,
        total_estimated_cost: stated,
        ttft: cells.real(at + 13)?,
        source: code(cells, at + 14, "source", Source::from_code)?,
        environment: cells.text(at + 15)?,
    };
    read_row(cells, at + 16, fields, estimate)
}

/// Reads what all rows have: who wrote when, and how later writes are merged.
fn read_row<F>(cells: &impl Cells, at: usize, fields: F, estimate: Option<Estimate>) -> Result<Row<F>, StoreError> {
    let newest = cells.integer(at + 4)?;
    let ended = cells.integer(at + 5)?.unwrap_or_default() != 0;
    let updated = cells.integer(at + 6)?.unwrap_or_default();
    let others: Option<Vec<(u8, i64, bool)>> = json(cells, at + 7, "others")?;
    Ok(Row {
        fields,
        lanes: Lanes {
            newest: newest.map(|stamp| Owner { stamp, ended }),
            updated: FieldSet(u32::try_from(updated).map_err(|_| corrupt("updated"))?),
            others: others
                .unwrap_or_default()
                .into_iter()
                .map(|(field, stamp, ended)| (field, Owner { stamp, ended }))
                .collect(),
            tag_edits: json(cells, at + 8, "tag_edits")?,
        },
        created_at: cells.integer(at)?.ok_or(corrupt("created_at"))?,
        created_by: Arc::from(cells.text(at + 1)?.unwrap_or_default()),
        last_updated_at: cells.integer(at + 2)?.ok_or(corrupt("last_updated_at"))?,
        last_updated_by: Arc::from(cells.text(at + 3)?.unwrap_or_default()),
        changed: FieldSet::EMPTY,
        touched: false,
        estimate,
    })
}

/// The columns of a trace, in the order in which [`read_trace`] takes them; `s` is the trace.
pub(super) const TRACE_COLUMNS: &str = "s.project, s.name, s.start_time, s.end_time, s.tags, s.error_info, s.ttft, \
     s.thread_id, s.source, s.environment, s.created_at, s.created_by, s.last_updated_at, s.last_updated_by, \
     s.newest_stamp, s.newest_ended, s.updated, s.others, s.tag_edits";

/// The columns of a trace's payloads, which follow them; `p` is their table.
pub(super) const TRACE_PAYLOAD_COLUMNS: &str = "p.input, p.output, p.metadata";

/// How many columns [`TRACE_COLUMNS`] and [`TRACE_PAYLOAD_COLUMNS`] name.
pub(super) const TRACE_COLUMNS_COUNT: usize = 22;

/// Reads a trace from columns as [`TRACE_COLUMNS`] and [`TRACE_PAYLOAD_COLUMNS`] list them, the first at position `at`.
pub(super) fn read_trace(cells: &impl Cells, at: usize) -> Result<Row<TraceFields>, StoreError> {
    let fields = TraceFields {
        project: cells.integer(at)?,
        name: cells.text(at + 1)?,
        start_time: cells.integer(at + 2)?,
        end_time: cells.integer(at + 3)?,
        input: raw(cells, at + 19)?,
        output: raw(cells, at + 20)?,
        metadata: raw(cells, at + 21)?,
        tags: json(cells, at + 4, "tags")?,
        error_info: json(cells, at + 5, "error_info")?,
        ttft: cells.real(at + 6)?,
        thread_id: cells.text(at + 7)?,
        source: code(cells, at + 8, "source", Source::from_code)?,
        environment: cells.text(at + 9)?,
    };
    read_row(cells, at + 10, fields, None)
}

/// The columns of what a trace's spans amount to, in the order in which [`read_sums`] takes them; `u` is their table.
pub(super) const SUMS_COLUMNS: &str = "u.spans, u.llm_spans, u.tool_spans, u.usage, u.providers, u.cost";

/// How many columns [`SUMS_COLUMNS`] names.
pub(super) const SUMS_COLUMNS_COUNT: usize = 6;

/// Reads what a trace's spans amount to; nothing where there are none.
pub(super) fn read_sums(cells: &impl Cells, at: usize) -> Result<TraceSums, StoreError> {
    let usage: Option<std::collections::BTreeMap<String, i64>> = json(cells, at + 3, "usage")?;
    let providers: Option<std::collections::BTreeMap<String, i64>> = json(cells, at + 4, "providers")?;
    Ok(TraceSums {
        spans: cells.integer(at)?.unwrap_or_default(),
        llm_spans: cells.integer(at + 1)?.unwrap_or_default(),
        tool_spans: cells.integer(at + 2)?.unwrap_or_default(),
        usage: UsageSums(usage.unwrap_or_default()),
        providers: providers.unwrap_or_default().into_keys().collect(),
        cost: match cells.text(at + 5)? {
            Some(text) => Some(text.parse().map_err(|_| corrupt("cost"))?),
            None => None,
        },
    })
}

/// The stored form of what [`read_row`] reads as `lanes.others`.
pub(super) fn others_text(lanes: &Lanes) -> Option<String> {
    if lanes.others.is_empty() {
        return None;
    }
    let list: Vec<_> = lanes.others.iter().map(|(field, owner)| (field, owner.stamp, owner.ended)).collect();
    serde_json::to_string(&list).ok()
}

/// The stored form of what [`read_row`] reads as `lanes.tag_edits`.
pub(super) fn tag_edits_text(lanes: &Lanes) -> Option<String> {
    serde_json::to_string(lanes.tag_edits.as_ref()?).ok()
}

/// An id of 16 bytes.
pub(super) fn id(cells: &impl Cells, at: usize, column: &'static str) -> Result<Option<Id>, StoreError> {
    let Some(bytes) = cells.bytes(at)? else { return Ok(None) };
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| corrupt(column))?;
    Ok(Some(Id(uuid::Uuid::from_bytes(bytes))))
}

pub(super) fn raw(cells: &impl Cells, at: usize) -> Result<Option<Payload>, StoreError> {
    Ok(cells.text(at)?.map(Payload::kept))
}

pub(super) fn json<T: DeserializeOwned>(
    cells: &impl Cells,
    at: usize,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let Some(text) = cells.text(at)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|_| corrupt(column))
}

fn code<T>(
    cells: &impl Cells,
    at: usize,
    column: &'static str,
    from_code: fn(i64) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    match cells.integer(at)?.unwrap_or_default() {
        0 => Ok(None),
        code => from_code(code).map(Some).ok_or(corrupt(column)),
    }
}

/// What kind of thing is stored as `code`.
pub(super) fn entity(code: i64) -> Option<Entity> {
    [Entity::Span, Entity::Trace, Entity::Thread].into_iter().find(|entity| entity.code() == code)
}

pub(super) const fn corrupt(column: &'static str) -> StoreError {
    StoreError::Corrupt { table: "spans", column }
}
