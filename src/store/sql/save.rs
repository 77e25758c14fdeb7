//! What a commit decided, written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::effects::carry_out;
use super::table::{
    CLOSE_THREADS, COUNT_SPANS, COUNT_TRACES, DELETE_SUMS, INSERT_SUMS, MAKE_SUMS, PUT_THREADS, PUT_THREADS_CLOSED,
    SUMS_NEEDED, UPDATE_SUMS,
};
use super::workspaces::{Workspaces, make_project};
use super::{Connection, Param, Row as Written, SPANS, TRACES, Wanted, id, integer, params};
use crate::clock::Clock;
use crate::model::{Decimal, EnvironmentName, Id, Payload};
use crate::record::{Row, SpanField, SpanFields, TraceField, TraceFields};
use crate::store::StoreError;
use crate::store::apply::{Changed, Commit, Key, Outcome, ThreadKey, Touched};
use crate::store::cells::{Cells as _, json, others_text, tag_edits_text};
use crate::store::sums::{COST_FRACTION_DIGITS, Sums};

pub(in crate::store) fn save<C: Connection>(
    connection: &C,
    mut commit: Commit,
    workspaces: &mut Workspaces,
    clock: &Clock,
    now: i64,
    environments_max: usize,
) -> Result<(), StoreError> {
    let mut project_keys = Vec::with_capacity(commit.new_projects().len());
    for project in commit.new_projects() {
        let workspace = workspaces.make(connection, &project.workspace)?;
        project_keys.push(make_project(connection, workspace, project, clock.fresh_id(), now)?);
    }
    commit.settle(&project_keys);
    carry_out(connection, workspaces, commit.effects(), now)?;
    let Outcome { spans, traces, sums, trace_counts, threads } = commit.outcome();
    // First, so that nobody deletes the traces of these spans meanwhile.
    let stored_sums = load_sums(connection, workspaces, &sums)?;
    save_spans(connection, workspaces, &spans)?;
    save_traces(connection, workspaces, &traces)?;
    let mut named = Named::new();
    for span in &spans {
        note_environment(&mut named, span, SpanField::ENVIRONMENT, span.row.fields.environment.as_deref());
    }
    for trace in &traces {
        note_environment(&mut named, trace, TraceField::ENVIRONMENT, trace.row.fields.environment.as_deref());
    }
    make_environments(connection, workspaces, named, environments_max, clock, now)?;
    save_sums(connection, workspaces, &sums, stored_sums)?;
    let counts = trace_counts
        .into_iter()
        .map(|(project, (change, last_updated_at))| vec![project.into(), change.into(), last_updated_at.into()]);
    connection.many(&COUNT_TRACES, counts)?;
    save_threads(connection, &threads, clock, now)
}

/// Environments are there as soon as something names them: by workspace and name, who did so first.
type Named = BTreeMap<(Arc<str>, EnvironmentName), Arc<str>>;

fn note_environment<F>(named: &mut Named, Changed { id, row, .. }: &Changed<F>, field: u8, name: Option<&str>) {
    if let Some(name) = name.filter(|_| row.changed.contains(field)).and_then(EnvironmentName::of) {
        named.entry((Arc::clone(&id.0), name)).or_insert_with(|| Arc::clone(&row.last_updated_by));
    }
}

/// Makes the environments that are not there yet, as far as there may be so many.
fn make_environments<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    named: Named,
    max: usize,
    clock: &Clock,
    now: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO environments (workspace, id, name, color, position, created_at, created_by, \
               last_updated_at, last_updated_by) SELECT ?1, ?2, ?3, ?4, 0, ?5, ?6, ?5, ?6 \
               WHERE (SELECT count(*) FROM environments WHERE workspace = ?1) < ?7 \
               ON CONFLICT (workspace, name) DO NOTHING";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    for ((workspace, name), user) in named {
        let workspace = workspaces.make(connection, &workspace)?;
        let id = clock.fresh_id();
        connection.execute(sql, params![workspace, &id, &name.0, name.color(), now, &user, max])?;
    }
    Ok(())
}

/// Which payloads there are, in bits.
fn payload_bits(payloads: [bool; 3]) -> i64 {
    payloads.into_iter().enumerate().map(|(bit, there)| i64::from(there) << bit).sum()
}

fn save_spans<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    spans: &[Changed<SpanFields>],
) -> Result<(), StoreError> {
    let keys = keys_of(connection, workspaces, spans)?;
    let rows = spans.iter().zip(keys).map(|(Changed { id, key, row }, workspace)| {
        let fields = &row.fields;
        let any = fields.input.is_some() || fields.output.is_some() || fields.metadata.is_some();
        let written = if key.is_none() { any } else { !row.changed.common(SpanField::PAYLOADS).is_empty() };
        let notes = fields.metadata.as_ref().map(|metadata| &metadata.notes);
        let payloads = written.then(|| {
            vec![
                text(fields.input.as_ref()).into(),
                text(fields.output.as_ref()).into(),
                fields.metadata.as_ref().map(|metadata| metadata.raw.get()).into(),
                notes.and_then(|notes| notes.model.as_deref()).into(),
                notes.is_some_and(|notes| notes.has_provider).into(),
            ]
        });
        Written { key: *key, columns: span_columns(id, workspace, row), payloads }
    });
    connection.save(&SPANS, rows)
}

/// The keys of the workspaces of rows, which are ordered by them.
fn keys_of<C: Connection, F>(
    connection: &C,
    workspaces: &mut Workspaces,
    rows: &[Changed<F>],
) -> Result<Vec<i64>, StoreError> {
    let mut keys = Vec::with_capacity(rows.len());
    for rows in rows.chunk_by(|one, other| one.id.0 == other.id.0) {
        let Some(row) = rows.first() else { continue };
        let key = workspaces.make(connection, &row.id.0)?;
        keys.resize(keys.len() + rows.len(), key);
    }
    Ok(keys)
}

fn text(payload: Option<&Payload>) -> Option<&str> {
    payload.map(Payload::get)
}

/// A span, as [`SPANS`] lists its columns.
fn span_columns<'r>(id: &'r Key, workspace: i64, row: &'r Row<SpanFields>) -> Vec<Param<'r>> {
    let fields = &row.fields;
    let stated = fields.total_estimated_cost.as_ref().map(|cost| &cost.0);
    let estimate = row.estimate.as_ref().filter(|_| stated.is_none());
    let cost = stated.or(estimate.map(|estimate| &estimate.cost));
    let mut columns = Vec::with_capacity(SPANS.columns.len());
    columns.extend([
        workspace.into(),
        (&id.1).into(),
        fields.project.into(),
        fields.trace_id.as_ref().into(),
        fields.parent_span_id.as_ref().into(),
        fields.name.as_deref().into(),
        fields.span_type.map_or(0, crate::model::SpanType::code).into(),
        fields.start_time.unwrap_or_default().into(),
        fields.end_time.into(),
        fields.model.as_deref().into(),
        fields.provider.as_deref().into(),
        fields.tags.as_ref().map(json_text).into(),
        fields.usage.as_ref().map(json_text).into(),
        fields.error_info.as_ref().map(json_text).into(),
        cost.map(Decimal::as_str).into(),
        cost.map(Decimal::to_f64).into(),
        fields.ttft.into(),
        fields.source.map_or(0, crate::model::Source::code).into(),
        fields.environment.as_deref().into(),
    ]);
    columns.extend(row_columns(row));
    columns.push(estimate.map(|estimate| estimate.version.as_str()).into());
    columns.push(payload_bits([fields.input.is_some(), fields.output.is_some(), fields.metadata.is_some()]).into());
    columns
}

fn save_traces<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    traces: &[Changed<TraceFields>],
) -> Result<(), StoreError> {
    let keys = keys_of(connection, workspaces, traces)?;
    let rows = traces.iter().zip(keys).map(|(Changed { id, key, row }, workspace)| {
        let fields = &row.fields;
        let any = fields.input.is_some() || fields.output.is_some() || fields.metadata.is_some();
        let written = if key.is_none() { any } else { !row.changed.common(TraceField::PAYLOADS).is_empty() };
        let payloads = written.then(|| {
            [&fields.input, &fields.output, &fields.metadata].map(|payload| text(payload.as_ref()).into()).to_vec()
        });
        Written { key: *key, columns: trace_columns(id, workspace, row), payloads }
    });
    connection.save(&TRACES, rows)
}

/// A trace, as [`TRACES`] lists its columns.
fn trace_columns<'r>(id: &'r Key, workspace: i64, row: &'r Row<TraceFields>) -> Vec<Param<'r>> {
    let fields = &row.fields;
    let mut columns = Vec::with_capacity(TRACES.columns.len());
    columns.extend([
        workspace.into(),
        (&id.1).into(),
        fields.project.into(),
        fields.name.as_deref().into(),
        fields.start_time.unwrap_or_default().into(),
        fields.end_time.into(),
        fields.tags.as_ref().map(json_text).into(),
        fields.error_info.as_ref().map(json_text).into(),
        fields.ttft.into(),
        fields.thread_id.as_deref().into(),
        fields.source.map_or(0, crate::model::Source::code).into(),
        fields.environment.as_deref().into(),
    ]);
    columns.extend(row_columns(row));
    columns.push(payload_bits([fields.input.is_some(), fields.output.is_some(), fields.metadata.is_some()]).into());
    columns
}

/// What all rows have.
fn row_columns<F>(row: &Row<F>) -> [Param<'_>; 9] {
    let lanes = &row.lanes;
    [
        row.created_at.into(),
        (&row.created_by).into(),
        row.last_updated_at.into(),
        (&row.last_updated_by).into(),
        lanes.newest.map(|owner| owner.stamp).into(),
        lanes.newest.is_some_and(|owner| owner.ended).into(),
        lanes.updated.0.into(),
        others_text(lanes).into(),
        tag_edits_text(lanes).into(),
    ]
}

fn json_text(value: &impl serde::Serialize) -> String {
    // Texts, integers, lists and maps of them: there is nothing that JSON could not say.
    serde_json::to_string(value).unwrap_or_default()
}

/// What traces amount to, or how that changes: by workspace, trace and project.
type AllSums = BTreeMap<(Key, i64), Sums>;

/// What is stored of what is to change.
fn load_sums<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    changes: &AllSums,
) -> Result<AllSums, StoreError> {
    const COLUMNS: &str = "trace_id, project, spans - general_spans - tool_spans - llm_spans - guardrail_spans, \
                           general_spans, tool_spans, llm_spans, guardrail_spans, usage, usage_spans, providers, cost";
    let mut stored = AllSums::new();
    let traces: Vec<&(Key, i64)> = changes.keys().collect();
    for traces in traces.chunk_by(|one, other| one.0.0 == other.0.0) {
        let Some(((name, _), _)) = traces.first() else { continue };
        let mut ids: Vec<Id> = traces.iter().map(|((_, id), _)| *id).collect();
        ids.dedup();
        let workspace = workspaces.make(connection, name)?;
        let wanted = Wanted { workspace, ids: &ids, alias: "u", column: "trace_id", probe: Some("trace_sums") };
        let nothing = Sums::default();
        let rows = traces.iter().map(|((_, trace), project)| {
            let mut columns = sums_columns(workspace, trace, *project, &nothing);
            columns.truncate(SUMS_NEEDED);
            columns
        });
        connection.hold(&MAKE_SUMS, rows, COLUMNS, wanted, |row| {
            let key = ((Arc::clone(name), id(row, 0)?), integer(row, 1)?);
            if !changes.contains_key(&key) {
                return Ok(());
            }
            let mut sums = Sums::default();
            for (at, spans) in sums.spans.iter_mut().enumerate() {
                *spans = integer(row, at + 2)?;
            }
            sums.usage = json(row, 7, "usage")?.unwrap_or_default();
            sums.usage_spans = json(row, 8, "usage_spans")?.unwrap_or_default();
            sums.providers = json(row, 9, "providers")?.unwrap_or_default();
            let cost: Option<Decimal> = row.text(10)?.and_then(|text| text.parse().ok());
            sums.cost = cost.map(|cost| cost.exact()).unwrap_or_default();
            stored.insert(key, sums);
            Ok(())
        })?;
    }
    Ok(stored)
}

fn save_sums<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    changes: &AllSums,
    mut stored: AllSums,
) -> Result<(), StoreError> {
    let (mut new, mut changed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    let mut counts: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for (key, change) in changes {
        let ((workspace, trace_id), project) = key;
        for (kind, spans) in (0_i64..).zip(change.spans).filter(|(_, spans)| *spans != 0) {
            *counts.entry((*project, kind)).or_default() += spans;
        }
        let workspace = workspaces.make(connection, workspace)?;
        let known = stored.remove(key);
        let is_known = known.is_some();
        let mut sums = known.unwrap_or_default();
        sums.change_by(change);
        if sums.all_spans() == 0 {
            if is_known {
                gone.push(vec![workspace.into(), trace_id.into(), (*project).into()]);
            }
        } else {
            let rows = if is_known { &mut changed } else { &mut new };
            rows.push(sums_columns(workspace, trace_id, *project, &sums));
        }
    }
    connection.many(&INSERT_SUMS, new.into_iter())?;
    connection.many(&UPDATE_SUMS, changed.into_iter())?;
    connection.many(&DELETE_SUMS, gone.into_iter())?;
    let counts = counts.into_iter().map(|((project, kind), spans)| vec![project.into(), kind.into(), spans.into()]);
    connection.many(&COUNT_SPANS, counts)
}

fn sums_columns<'r>(workspace: i64, trace_id: &'r Id, project: i64, sums: &Sums) -> Vec<Param<'r>> {
    let map = |map: &BTreeMap<String, i64>| (!map.is_empty()).then(|| json_text(map));
    let cost = Decimal::cut(&sums.cost, COST_FRACTION_DIGITS);
    vec![
        workspace.into(),
        trace_id.into(),
        project.into(),
        sums.all_spans().into(),
        sums.spans[1].into(),
        sums.spans[2].into(),
        sums.spans[3].into(),
        sums.spans[4].into(),
        map(&sums.usage).into(),
        map(&sums.usage_spans).into(),
        map(&sums.providers).into(),
        (!cost.is_zero()).then(|| cost.as_str().to_owned()).into(),
        (!cost.is_zero()).then(|| cost.to_f64()).into(),
    ]
}

/// Threads that were written to, opened or closed.
fn save_threads<C: Connection>(
    connection: &C,
    threads: &BTreeMap<ThreadKey, Touched>,
    clock: &Clock,
    now: i64,
) -> Result<(), StoreError> {
    // Their ids tell the times of their first traces.
    let written: Vec<(&ThreadKey, &Touched, Id)> = threads
        .iter()
        .filter_map(|(thread, touched)| Some((thread, touched, clock.fresh_id().at_time_of(touched.first_trace?))))
        .collect();
    let of = |closed: bool| written.iter().filter(move |(_, touched, _)| touched.closed.is_some() == closed);
    connection.many(&PUT_THREADS, of(false).map(|(thread, touched, id)| thread_columns(thread, touched, id, now)))?;
    let closed = of(true).map(|(thread, touched, id)| {
        let mut columns = thread_columns(thread, touched, id, now);
        columns.push(touched.closed.into());
        columns
    });
    connection.many(&PUT_THREADS_CLOSED, closed)?;
    let known = threads.iter().filter(|(_, touched)| touched.first_trace.is_none());
    let known = known.map(|((project, thread_id), touched)| {
        let Touched { closed, last_updated_at, user, .. } = touched;
        vec![(*project).into(), thread_id.into(), (*closed).into(), (*last_updated_at).into(), user.as_ref().into()]
    });
    connection.many(&CLOSE_THREADS, known)
}

/// A thread, as [`PUT_THREADS`] lists its columns.
fn thread_columns<'r>(
    (project, thread_id): &'r ThreadKey,
    touched: &'r Touched,
    id: &'r Id,
    now: i64,
) -> Vec<Param<'r>> {
    let Touched { last_updated_at, user, source, environment, .. } = touched;
    let mut columns = Vec::with_capacity(PUT_THREADS_CLOSED.columns.len());
    columns.extend([
        (*project).into(),
        thread_id.into(),
        id.into(),
        (*source).into(),
        environment.as_deref().into(),
        now.into(),
        user.as_ref().into(),
        (*last_updated_at).into(),
        user.as_ref().into(),
    ]);
    columns
}
