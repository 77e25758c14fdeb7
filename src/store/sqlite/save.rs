//! What a commit decided, written.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{CachedStatement, ToSql, Transaction, params};

use super::effects::carry_out;
use super::errors::from_rusqlite;
use super::purge;
use super::workspaces::{Workspaces, make_project};
use crate::clock::Clock;
use crate::model::{Decimal, EnvironmentName, Payload};
use crate::record::{Lanes, Row, SpanField, SpanFields, TraceField, TraceFields};
use crate::store::StoreError;
use crate::store::apply::{Changed, Commit, Key, Outcome, ThreadKey, Touched};
use crate::store::cells::{json, others_text, tag_edits_text};
use crate::store::sums::{COST_FRACTION_DIGITS, Sums};

pub(super) fn save(
    transaction: &Transaction<'_>,
    mut commit: Commit,
    workspaces: &mut Workspaces,
    clock: &Clock,
    now: i64,
    environments_max: usize,
) -> Result<(), StoreError> {
    let mut project_keys = Vec::with_capacity(commit.new_projects().len());
    for project in commit.new_projects() {
        let workspace = workspaces.make(transaction, &project.workspace).map_err(from_rusqlite)?;
        let key = make_project(transaction, workspace, project, clock.fresh_id(), now).map_err(from_rusqlite)?;
        project_keys.push(key);
    }
    commit.settle(&project_keys);
    let mut at_once = purge::SPANS_AT_ONCE;
    for effect in commit.effects() {
        carry_out(transaction, workspaces, effect, &mut at_once, now).map_err(from_rusqlite)?;
    }
    let Outcome { spans, traces, sums, trace_counts, threads } = commit.outcome();
    save_spans(transaction, workspaces, &spans).map_err(from_rusqlite)?;
    save_traces(transaction, workspaces, &traces).map_err(from_rusqlite)?;
    let mut named = Named::new();
    for span in &spans {
        note_environment(&mut named, span, SpanField::ENVIRONMENT, span.row.fields.environment.as_deref());
    }
    for trace in &traces {
        note_environment(&mut named, trace, TraceField::ENVIRONMENT, trace.row.fields.environment.as_deref());
    }
    make_environments(transaction, workspaces, named, environments_max, clock, now).map_err(from_rusqlite)?;
    for ((trace, project), change) in sums {
        let workspace = workspaces.make(transaction, &trace.0).map_err(from_rusqlite)?;
        save_sums(transaction, workspace, &trace, project, &change)?;
    }
    for (project, (change, last_updated_at)) in trace_counts {
        let sql = "INSERT INTO project_trace_counts (project, traces, last_updated_at) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (project) DO UPDATE SET traces = traces + excluded.traces, \
                   last_updated_at = max(last_updated_at, excluded.last_updated_at)";
        let mut count = transaction.prepare_cached(sql).map_err(from_rusqlite)?;
        count.execute(params![project, change, last_updated_at]).map_err(from_rusqlite)?;
    }
    for (thread, touched) in threads {
        save_thread(transaction, &thread, &touched, clock, now).map_err(from_rusqlite)?;
    }
    Ok(())
}

/// Environments are there as soon as something names them: by workspace and name, who did so first.
type Named = BTreeMap<(Arc<str>, EnvironmentName), Arc<str>>;

fn note_environment<F>(named: &mut Named, Changed { id, row, .. }: &Changed<F>, field: u8, name: Option<&str>) {
    if let Some(name) = name.filter(|_| row.changed.contains(field)).and_then(EnvironmentName::of) {
        named.entry((Arc::clone(&id.0), name)).or_insert_with(|| Arc::clone(&row.last_updated_by));
    }
}

/// Makes the environments that are not there yet, as far as there may be so many.
fn make_environments(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    named: Named,
    max: usize,
    clock: &Clock,
    now: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO environments (workspace, id, name, color, position, created_at, created_by,                last_updated_at, last_updated_by) SELECT ?1, ?2, ?3, ?4, 0, ?5, ?6, ?5, ?6                WHERE (SELECT count(*) FROM environments WHERE workspace = ?1) < ?7                ON CONFLICT (workspace, name) DO NOTHING";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    for ((workspace, name), user) in named {
        let workspace = workspaces.make(transaction, &workspace)?;
        let id = clock.fresh_id();
        let params = params![workspace, id.0.as_bytes(), name.0, name.color(), now, user, max];
        transaction.prepare_cached(sql)?.execute(params)?;
    }
    Ok(())
}

/// Which payloads there are, in bits.
fn payload_bits(payloads: [bool; 3]) -> i64 {
    payloads.into_iter().enumerate().map(|(bit, there)| i64::from(there) << bit).sum()
}

fn save_spans(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    spans: &[Changed<SpanFields>],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(INSERT_SPAN)?;
    let mut update = transaction.prepare_cached(UPDATE_SPAN)?;
    let mut payloads = transaction.prepare_cached(UPSERT_PAYLOADS)?;
    for Changed { id, key, row } in spans {
        let new = key.is_none();
        let key = if let Some(key) = key {
            bind_span(&mut update, id, *key, row)?;
            update.raw_execute()?;
            *key
        } else {
            let workspace = workspaces.make(transaction, &id.0)?;
            bind_span(&mut insert, id, workspace, row)?;
            insert.raw_execute()?;
            transaction.last_insert_rowid()
        };
        let fields = &row.fields;
        let any = fields.input.is_some() || fields.output.is_some() || fields.metadata.is_some();
        if if new { any } else { !row.changed.common(SpanField::PAYLOADS).is_empty() } {
            payloads.execute(params![
                key,
                text(fields.input.as_ref()),
                text(fields.output.as_ref()),
                fields.metadata.as_ref().map(|metadata| metadata.raw.get()),
                fields.metadata.as_ref().and_then(|metadata| metadata.notes.model.as_deref()),
                fields.metadata.as_ref().is_some_and(|metadata| metadata.notes.has_provider),
            ])?;
        }
    }
    Ok(())
}

fn text(payload: Option<&Payload>) -> Option<&str> {
    payload.map(|raw| raw.get())
}

const INSERT_SPAN: &str = "INSERT INTO spans (workspace, id, project, trace_id, parent_span_id, name, type, \
     start_time, end_time, model, provider, tags, usage, error_info, cost, cost_value, ttft, source, \
     environment, created_at, created_by, last_updated_at, last_updated_by, newest_stamp, newest_ended, \
     updated, others, tag_edits, cost_version, payloads) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, \
     ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30)";

const UPDATE_SPAN: &str = "UPDATE spans SET id = ?2, project = ?3, trace_id = ?4, parent_span_id = ?5, \
     name = ?6, type = ?7, start_time = ?8, end_time = ?9, model = ?10, provider = ?11, tags = ?12, \
     usage = ?13, error_info = ?14, cost = ?15, cost_value = ?16, ttft = ?17, source = ?18, environment = ?19, \
     created_at = ?20, created_by = ?21, last_updated_at = ?22, last_updated_by = ?23, newest_stamp = ?24, \
     newest_ended = ?25, updated = ?26, others = ?27, tag_edits = ?28, cost_version = ?29, payloads = ?30 WHERE key = ?1";

const UPSERT_PAYLOADS: &str = "INSERT INTO span_payloads \
     (span, input, output, metadata, metadata_model, metadata_has_provider) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
     ON CONFLICT (span) DO UPDATE SET input = excluded.input, output = excluded.output, \
     metadata = excluded.metadata, metadata_model = excluded.metadata_model, \
     metadata_has_provider = excluded.metadata_has_provider";

/// Binds the columns that [`INSERT_SPAN`] and [`UPDATE_SPAN`] share; `first` is the workspace of the one and the key
/// of the other.
fn bind_span(statement: &mut CachedStatement<'_>, id: &Key, first: i64, row: &Row<SpanFields>) -> rusqlite::Result<()> {
    let fields = &row.fields;
    let stated = fields.total_estimated_cost.as_ref().map(|cost| &cost.0);
    let estimate = row.estimate.as_ref().filter(|_| stated.is_none());
    let cost = stated.or(estimate.map(|estimate| &estimate.cost));
    let mut at = 0;
    macro_rules! bind {
        ($($value:expr),+ $(,)?) => {
            $(at += 1; statement.raw_bind_parameter(at, $value)?;)+
        };
    }
    bind!(
        first,
        id.1.0.as_bytes(),
        fields.project,
        fields.trace_id.as_ref().map(|id| id.0.as_bytes()),
        fields.parent_span_id.as_ref().map(|id| id.0.as_bytes()),
        fields.name.as_deref(),
        fields.span_type.map_or(0, crate::model::SpanType::code),
        fields.start_time.unwrap_or_default(),
        fields.end_time,
        fields.model.as_deref(),
        fields.provider.as_deref(),
        fields.tags.as_ref().map(json_text),
        fields.usage.as_ref().map(json_text),
        fields.error_info.as_ref().map(json_text),
        cost.map(crate::model::Decimal::as_str),
        cost.map(crate::model::Decimal::to_f64),
        fields.ttft,
        fields.source.map_or(0, crate::model::Source::code),
        fields.environment.as_deref(),
    );
    bind_row(statement, at, row)?;
    at += ROW_COLUMNS_COUNT;
    bind!(
        estimate.map(|estimate| estimate.version.as_str()),
        payload_bits([fields.input.is_some(), fields.output.is_some(), fields.metadata.is_some()]),
    );
    Ok(())
}

fn save_traces(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    traces: &[Changed<TraceFields>],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(INSERT_TRACE)?;
    let mut update = transaction.prepare_cached(UPDATE_TRACE)?;
    let mut payloads = transaction.prepare_cached(
        "INSERT INTO trace_payloads (trace, input, output, metadata) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (trace) DO UPDATE SET input = excluded.input, output = excluded.output, \
         metadata = excluded.metadata",
    )?;
    for Changed { id, key, row } in traces {
        let new = key.is_none();
        let key = if let Some(key) = key {
            bind_trace(&mut update, id, *key, row)?;
            update.raw_execute()?;
            *key
        } else {
            let workspace = workspaces.make(transaction, &id.0)?;
            bind_trace(&mut insert, id, workspace, row)?;
            insert.raw_execute()?;
            transaction.last_insert_rowid()
        };
        let fields = &row.fields;
        let any = fields.input.is_some() || fields.output.is_some() || fields.metadata.is_some();
        if if new { any } else { !row.changed.common(TraceField::PAYLOADS).is_empty() } {
            let (input, output) = (text(fields.input.as_ref()), text(fields.output.as_ref()));
            payloads.execute(params![key, input, output, text(fields.metadata.as_ref())])?;
        }
    }
    Ok(())
}

const INSERT_TRACE: &str = "INSERT INTO traces (workspace, id, project, name, start_time, end_time, tags, error_info, \
     ttft, thread_id, source, environment, payloads, created_at, created_by, last_updated_at, last_updated_by, \
     newest_stamp, newest_ended, updated, others, tag_edits) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";

const UPDATE_TRACE: &str = "UPDATE traces SET id = ?2, project = ?3, name = ?4, start_time = ?5, end_time = ?6, \
     tags = ?7, error_info = ?8, ttft = ?9, thread_id = ?10, source = ?11, environment = ?12, payloads = ?13, \
     created_at = ?14, created_by = ?15, last_updated_at = ?16, last_updated_by = ?17, newest_stamp = ?18, \
     newest_ended = ?19, updated = ?20, others = ?21, tag_edits = ?22 WHERE key = ?1";

/// Binds the columns that [`INSERT_TRACE`] and [`UPDATE_TRACE`] share; `first` is the workspace of the one and the key
/// of the other.
fn bind_trace(
    statement: &mut CachedStatement<'_>,
    id: &Key,
    first: i64,
    row: &Row<TraceFields>,
) -> rusqlite::Result<()> {
    let fields = &row.fields;
    let payloads = payload_bits([fields.input.is_some(), fields.output.is_some(), fields.metadata.is_some()]);
    let mut at = 0;
    macro_rules! bind {
        ($($value:expr),+ $(,)?) => {
            $(at += 1; statement.raw_bind_parameter(at, $value)?;)+
        };
    }
    bind!(
        first,
        id.1.0.as_bytes(),
        fields.project,
        fields.name.as_deref(),
        fields.start_time.unwrap_or_default(),
        fields.end_time,
        fields.tags.as_ref().map(json_text),
        fields.error_info.as_ref().map(json_text),
        fields.ttft,
        fields.thread_id.as_deref(),
        fields.source.map_or(0, crate::model::Source::code),
        fields.environment.as_deref(),
        payloads,
    );
    bind_row(statement, at, row)
}

/// How many columns [`bind_row`] binds.
const ROW_COLUMNS_COUNT: usize = 9;

/// Binds what all rows have, after `at` columns of their own.
fn bind_row<F>(statement: &mut CachedStatement<'_>, at: usize, row: &Row<F>) -> rusqlite::Result<()> {
    let lanes: &Lanes = &row.lanes;
    let values: [&dyn ToSql; ROW_COLUMNS_COUNT] = [
        &row.created_at,
        &&*row.created_by,
        &row.last_updated_at,
        &&*row.last_updated_by,
        &lanes.newest.map(|owner| owner.stamp),
        &lanes.newest.is_some_and(|owner| owner.ended),
        &lanes.updated.0,
        &others_text(lanes),
        &tag_edits_text(lanes),
    ];
    for (index, value) in values.into_iter().enumerate() {
        statement.raw_bind_parameter(at + index + 1, value)?;
    }
    Ok(())
}

fn json_text(value: &impl serde::Serialize) -> String {
    // Texts, integers, lists and maps of them: there is nothing that JSON could not say.
    serde_json::to_string(value).unwrap_or_default()
}

fn save_sums(
    transaction: &Transaction<'_>,
    workspace: i64,
    trace: &Key,
    project: i64,
    change: &Sums,
) -> Result<(), StoreError> {
    let trace_id = trace.1.0.as_bytes();
    let mut find = transaction
        .prepare_cached(
            "SELECT spans - general_spans - tool_spans - llm_spans - guardrail_spans, general_spans, tool_spans, \
             llm_spans, guardrail_spans, usage, usage_spans, providers, cost \
             FROM trace_sums WHERE workspace = ?1 AND trace_id = ?2 AND project = ?3",
        )
        .map_err(from_rusqlite)?;
    let mut rows = find.query(params![workspace, trace_id, project]).map_err(from_rusqlite)?;
    let mut sums = Sums::default();
    if let Some(row) = rows.next().map_err(from_rusqlite)? {
        for (at, spans) in sums.spans.iter_mut().enumerate() {
            *spans = row.get(at).map_err(from_rusqlite)?;
        }
        sums.usage = json(row, 5, "usage")?.unwrap_or_default();
        sums.usage_spans = json(row, 6, "usage_spans")?.unwrap_or_default();
        sums.providers = json(row, 7, "providers")?.unwrap_or_default();
        let cost: Option<String> = row.get(8).map_err(from_rusqlite)?;
        let cost: Option<Decimal> = cost.and_then(|text| text.parse().ok());
        sums.cost = cost.map(|cost| cost.exact()).unwrap_or_default();
    }
    drop(rows);
    sums.change_by(change);
    write_sums(transaction, workspace, trace_id, project, &sums).map_err(from_rusqlite)?;
    let mut by_type = transaction
        .prepare_cached(
            "INSERT INTO project_span_counts (project, type, spans) VALUES (?1, ?2, ?3) \
             ON CONFLICT (project, type) DO UPDATE SET spans = spans + excluded.spans",
        )
        .map_err(from_rusqlite)?;
    for (kind, spans) in (0_i64..).zip(change.spans).filter(|(_, spans)| *spans != 0) {
        by_type.execute(params![project, kind, spans]).map_err(from_rusqlite)?;
    }
    Ok(())
}

fn write_sums(
    transaction: &Transaction<'_>,
    workspace: i64,
    trace_id: &[u8; 16],
    project: i64,
    sums: &Sums,
) -> rusqlite::Result<()> {
    if sums.all_spans() == 0 {
        let sql = "DELETE FROM trace_sums WHERE workspace = ?1 AND trace_id = ?2 AND project = ?3";
        transaction.prepare_cached(sql)?.execute(params![workspace, trace_id, project])?;
        return Ok(());
    }
    let map = |map: &std::collections::BTreeMap<String, i64>| (!map.is_empty()).then(|| json_text(map));
    let cost = Decimal::cut(&sums.cost, COST_FRACTION_DIGITS);
    let sql = "INSERT OR REPLACE INTO trace_sums (workspace, trace_id, project, spans, general_spans, tool_spans, \
               llm_spans, guardrail_spans, usage, usage_spans, providers, cost, cost_value) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    transaction.prepare_cached(sql)?.execute(params![
        workspace,
        trace_id,
        project,
        sums.all_spans(),
        sums.spans[1],
        sums.spans[2],
        sums.spans[3],
        sums.spans[4],
        map(&sums.usage),
        map(&sums.usage_spans),
        map(&sums.providers),
        (!cost.is_zero()).then(|| cost.as_str().to_owned()),
        (!cost.is_zero()).then(|| cost.to_f64()),
    ])?;
    Ok(())
}

/// A thread is there as soon as one of its traces is.
fn save_thread(
    transaction: &Transaction<'_>,
    (project, thread_id): &ThreadKey,
    touched: &Touched,
    clock: &Clock,
    now: i64,
) -> rusqlite::Result<()> {
    let Touched { first_trace, closed, last_updated_at, user, source, environment } = touched;
    let sql = "UPDATE threads SET closed = ifnull(?3, closed), last_updated_at = max(last_updated_at, ?4), \
               last_updated_by = ifnull(?5, last_updated_by), source = CASE source WHEN 0 THEN ?6 ELSE source END, \
               environment = ifnull(environment, ?7) WHERE project = ?1 AND thread_id = ?2";
    let mut update = transaction.prepare_cached(sql)?;
    let known = update.execute(params![project, thread_id, closed, last_updated_at, user, source, environment])?;
    let Some(first_trace) = first_trace.filter(|_| known == 0) else { return Ok(()) };
    // Its id tells the time of its first trace.
    let id = clock.fresh_id().at_time_of(first_trace);
    let sql = "INSERT INTO threads (project, thread_id, id, closed, source, environment, created_at, created_by, \
               last_updated_at, last_updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8)";
    transaction.prepare_cached(sql)?.execute(params![
        project,
        thread_id,
        id.0.as_bytes(),
        closed.unwrap_or_default(),
        source,
        environment,
        now,
        user,
        last_updated_at,
    ])?;
    Ok(())
}
