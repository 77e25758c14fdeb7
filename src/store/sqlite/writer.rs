//! The one writer: a thread, a connection, a transaction at a time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::errors::from_rusqlite;
use super::{BUSY, PAGE_BYTES, SqliteOptions};
use crate::clock::Clock;
use crate::model::Id;
use crate::record::{Row, SpanField, SpanFields};
use crate::store::apply::{Changed, Commit, Counted, Effect, Key, NewProject, Outcome, Wanted, folded};
use crate::store::cells::{PAYLOAD_COLUMNS, SPAN_COLUMNS, others_text, read_span, tag_edits_text};
use crate::store::{NotCommitted, Refusal, StoreError, Submission};

type Answer = Result<Vec<Result<(), Refusal>>, NotCommitted>;

enum Job {
    Commit(Vec<Submission>, oneshot::Sender<Answer>),
    CheckWritable(oneshot::Sender<Result<(), StoreError>>),
}

/// The way to the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: std::sync::Mutex<Option<mpsc::Sender<Job>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(path: &Path, options: SqliteOptions, clock: Clock) -> Result<Self, StoreError> {
        let connection = connect(path, options).map_err(from_rusqlite)?;
        // Unbounded, but never long: its only sender waits for each commit before it sends the next.
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || run(connection, &queue, &clock))
            .map_err(|error| StoreError::Other(error.into()))?;
        Ok(Self { jobs: std::sync::Mutex::new(Some(jobs)), thread: std::sync::Mutex::new(Some(thread)) })
    }

    pub(super) async fn commit(&self, submissions: Vec<Submission>) -> Answer {
        let (reply, outcome) = oneshot::channel();
        let lost = || NotCommitted { error: gone(), submissions: Vec::new() };
        self.send(Job::Commit(submissions, reply)).map_err(|_| lost())?;
        outcome.await.map_err(|_| lost())?
    }

    pub(super) async fn check_writable(&self) -> Result<(), StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Job::CheckWritable(reply))?;
        outcome.await.map_err(|_| gone())?
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }

    /// Lets the thread finish what it was given, and waits until it has let go of the file.
    pub(super) async fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable { reason: "the writer has stopped", full: false }
}

fn connect(path: &Path, options: SqliteOptions) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if options.durable { "FULL" } else { "OFF" })?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if options.bytes_max > 0 {
        let pages = (options.bytes_max / u64::from(PAGE_BYTES)).clamp(1, u64::from(u32::MAX));
        connection.pragma_update(None, "max_page_count", i64::try_from(pages).unwrap_or(i64::MAX))?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn run(mut connection: Connection, queue: &mpsc::Receiver<Job>, clock: &Clock) {
    while let Ok(job) = queue.recv() {
        // Whoever asked may be gone; what was asked for is done all the same.
        match job {
            Job::Commit(submissions, reply) => {
                let outcome = commit(&mut connection, &submissions, clock);
                let _ = reply.send(outcome.map_err(|error| NotCommitted { error, submissions }));
            }
            Job::CheckWritable(reply) => {
                let _ = reply.send(check_writable(&mut connection, clock).map_err(from_rusqlite));
            }
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "closing the database failed");
    }
}

fn check_writable(connection: &mut Connection, clock: &Clock) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO writable (one, checked_at) VALUES (1, ?1) \
         ON CONFLICT (one) DO UPDATE SET checked_at = excluded.checked_at",
        params![clock.now()],
    )?;
    transaction.commit()
}

fn commit(
    connection: &mut Connection,
    submissions: &[Submission],
    clock: &Clock,
) -> Result<Vec<Result<(), Refusal>>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from_rusqlite)?;
    let mut workspaces = HashMap::new();
    let mut commit = load(&transaction, submissions, &mut workspaces)?;
    let now = clock.now();
    let refusals = commit.apply(submissions, now);
    save(&transaction, commit, &mut workspaces, clock, now).map_err(from_rusqlite)?;
    transaction.commit().map_err(from_rusqlite)?;
    Ok(refusals)
}

/// Keys of the workspaces that exist, by name.
type Workspaces = HashMap<Arc<str>, i64>;

fn load(
    transaction: &Transaction<'_>,
    submissions: &[Submission],
    workspaces: &mut Workspaces,
) -> Result<Commit, StoreError> {
    let wanted = Wanted::by(submissions);
    let mut commit = Commit::default();
    let mut workspace_key = |name: &Arc<str>| -> Result<Option<i64>, StoreError> {
        if let Some(key) = workspaces.get(name) {
            return Ok(Some(*key));
        }
        let mut find =
            transaction.prepare_cached("SELECT key FROM workspaces WHERE name = ?1").map_err(from_rusqlite)?;
        let key = find.query_row([name], |row| row.get(0)).optional().map_err(from_rusqlite)?;
        if let Some(key) = key {
            workspaces.insert(Arc::clone(name), key);
        }
        Ok(key)
    };

    let mut by_name = transaction
        .prepare_cached("SELECT key FROM projects WHERE workspace = ?1 AND name_folded = ?2")
        .map_err(from_rusqlite)?;
    for (workspace, name) in wanted.names {
        let Some(workspace_key) = workspace_key(&workspace)? else { continue };
        let key =
            by_name.query_row(params![workspace_key, name], |row| row.get(0)).optional().map_err(from_rusqlite)?;
        if let Some(key) = key {
            commit.know_project_name(workspace, name, key);
        }
    }
    let mut by_id = transaction
        .prepare_cached("SELECT key FROM projects WHERE workspace = ?1 AND id = ?2")
        .map_err(from_rusqlite)?;
    for (workspace, id) in wanted.ids {
        let Some(workspace_key) = workspace_key(&workspace)? else { continue };
        let found = by_id.query_row(params![workspace_key, id.0.as_bytes()], |row| row.get(0));
        if let Some(key) = found.optional().map_err(from_rusqlite)? {
            commit.know_project_id((workspace, id), key);
        }
    }

    let sql = format!(
        "SELECT s.key, {SPAN_COLUMNS}, {PAYLOAD_COLUMNS} FROM spans s LEFT JOIN span_payloads p ON p.span = s.key \
         WHERE s.workspace = ?1 AND s.id = ?2"
    );
    let mut find = transaction.prepare_cached(&sql).map_err(from_rusqlite)?;
    for key in wanted.spans {
        let Some(workspace) = workspace_key(&key.0)? else { continue };
        let mut rows = find.query(params![workspace, key.1.0.as_bytes()]).map_err(from_rusqlite)?;
        let stored = match rows.next().map_err(from_rusqlite)? {
            Some(row) => Some((row.get(0).map_err(from_rusqlite)?, read_span(row, 1)?)),
            None => None,
        };
        commit.know_span(key, stored);
    }
    let mut find = transaction
        .prepare_cached("SELECT span_id FROM comments WHERE workspace = ?1 AND id = ?2")
        .map_err(from_rusqlite)?;
    for comment in wanted.comments {
        let Some(workspace) = workspace_key(&comment.0)? else { continue };
        let found = find.query_row(params![workspace, comment.1.0.as_bytes()], |row| row.get::<_, [u8; 16]>(0));
        if let Some(span_id) = found.optional().map_err(from_rusqlite)? {
            commit.know_comment(comment, Id(uuid::Uuid::from_bytes(span_id)));
        }
    }
    Ok(commit)
}

fn save(
    transaction: &Transaction<'_>,
    mut commit: Commit,
    workspaces: &mut Workspaces,
    clock: &Clock,
    now: i64,
) -> rusqlite::Result<()> {
    let mut project_keys = Vec::with_capacity(commit.new_projects().len());
    for project in commit.new_projects() {
        let workspace = make_workspace(transaction, workspaces, &project.workspace)?;
        project_keys.push(make_project(transaction, workspace, project, clock.fresh_id(), now)?);
    }
    commit.settle(&project_keys);

    for effect in commit.effects() {
        carry_out(transaction, workspaces, effect, now)?;
    }
    let Outcome { rows, counts } = commit.outcome();
    let mut insert = transaction.prepare_cached(INSERT_SPAN)?;
    let mut update = transaction.prepare_cached(UPDATE_SPAN)?;
    let mut payloads = transaction.prepare_cached(UPSERT_PAYLOADS)?;
    for Changed { span, key, row } in &rows {
        let new = key.is_none();
        let key = if let Some(key) = key {
            bind_span(&mut update, span, *key, row)?;
            update.raw_execute()?;
            *key
        } else {
            let workspace = make_workspace(transaction, workspaces, &span.0)?;
            bind_span(&mut insert, span, workspace, row)?;
            insert.raw_execute()?;
            transaction.last_insert_rowid()
        };
        let fields = &row.fields;
        let any = fields.input.is_some() || fields.output.is_some() || fields.metadata.is_some();
        if if new { any } else { !row.changed.common(SpanField::PAYLOADS).is_empty() } {
            payloads.execute(params![
                key,
                fields.input.as_ref().map(|raw| raw.get()),
                fields.output.as_ref().map(|raw| raw.get()),
                fields.metadata.as_ref().map(|metadata| metadata.raw.get()),
                fields.metadata.as_ref().and_then(|metadata| metadata.notes.model.as_deref()),
                fields.metadata.as_ref().is_some_and(|metadata| metadata.notes.has_provider),
            ])?;
        }
    }
    save_counts(transaction, &counts)
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
fn bind_span(
    statement: &mut rusqlite::CachedStatement<'_>,
    span: &Key,
    first: i64,
    row: &Row<SpanFields>,
) -> rusqlite::Result<()> {
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
        span.1.0.as_bytes(),
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
        row.created_at,
        &*row.created_by,
        row.last_updated_at,
        &*row.last_updated_by,
        row.lanes.newest.map(|owner| owner.stamp),
        row.lanes.newest.is_some_and(|owner| owner.ended),
        row.lanes.updated.0,
        others_text(&row.lanes),
        tag_edits_text(&row.lanes),
        estimate.map(|estimate| estimate.version.as_str()),
        i64::from(fields.input.is_some())
            | i64::from(fields.output.is_some()) << 1
            | i64::from(fields.metadata.is_some()) << 2,
    );
    Ok(())
}

fn json_text(value: &impl serde::Serialize) -> String {
    // Texts, integers and lists of them: there is nothing that JSON could not say.
    serde_json::to_string(value).unwrap_or_default()
}

/// The key of a workspace, if there is one.
fn workspace_of(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    name: &Arc<str>,
) -> rusqlite::Result<Option<i64>> {
    if let Some(key) = workspaces.get(name) {
        return Ok(Some(*key));
    }
    let mut find = transaction.prepare_cached("SELECT key FROM workspaces WHERE name = ?1")?;
    let key = find.query_row([name], |row| row.get(0)).optional()?;
    workspaces.extend(key.map(|key| (Arc::clone(name), key)));
    Ok(key)
}

fn make_workspace(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    name: &Arc<str>,
) -> rusqlite::Result<i64> {
    if let Some(key) = workspace_of(transaction, workspaces, name)? {
        return Ok(key);
    }
    transaction.execute("INSERT INTO workspaces (name) VALUES (?1)", [name])?;
    let key = transaction.last_insert_rowid();
    workspaces.insert(Arc::clone(name), key);
    Ok(key)
}

fn make_project(
    transaction: &Transaction<'_>,
    workspace: i64,
    project: &NewProject,
    id: Id,
    now: i64,
) -> rusqlite::Result<i64> {
    transaction.execute(
        "INSERT INTO projects (workspace, id, name, name_folded, created_at, created_by, last_updated_at, \
         last_updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, ?6)",
        params![workspace, id.0.as_bytes(), project.name, folded(&project.name), now, project.user],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Empty: a score that was given outside of any annotation queue.
fn queue_bytes(queue_id: Option<&Id>) -> &[u8] {
    queue_id.map_or(&[], |id| id.0.as_bytes())
}

fn carry_out(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    effect: Effect,
    now: i64,
) -> rusqlite::Result<()> {
    match effect {
        Effect::DeleteSpan { span, key } => {
            let Some(workspace) = workspaces.get(&span.0) else { return Ok(()) };
            // The payloads go with the row.
            transaction.prepare_cached("DELETE FROM spans WHERE key = ?1")?.execute([key])?;
            for table in ["span_scores", "comments"] {
                let sql = format!("DELETE FROM {table} WHERE workspace = ?1 AND span_id = ?2");
                transaction.prepare_cached(&sql)?.execute(params![workspace, span.1.0.as_bytes()])?;
            }
        }
        Effect::PutScore { caller, score } => {
            let workspace = make_workspace(transaction, workspaces, &caller.workspace)?;
            let sql = "INSERT OR REPLACE INTO span_scores (workspace, span_id, name, author, queue_id, value, \
                       category_name, reason, source, created_at, created_by, last_updated_at, last_updated_by) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?10, ?11)";
            transaction.prepare_cached(sql)?.execute(params![
                workspace,
                score.span_id.0.as_bytes(),
                score.name,
                score.author,
                queue_bytes(score.queue_id.as_ref()),
                score.value.as_str(),
                score.category_name,
                score.reason,
                score.source.code(),
                now,
                caller.user,
            ])?;
        }
        Effect::DeleteScores { span, name, author, queue_id } => {
            let Some(workspace) = workspace_of(transaction, workspaces, &span.0)? else { return Ok(()) };
            let sql = "DELETE FROM span_scores WHERE workspace = ?1 AND span_id = ?2 AND name = ?3 AND queue_id = ?4 \
                       AND (?5 IS NULL OR author = ?5)";
            let queue = queue_bytes(queue_id.as_ref());
            transaction.prepare_cached(sql)?.execute(params![workspace, span.1.0.as_bytes(), name, queue, author])?;
        }
        Effect::AddComment { caller, span_id, id, text, queue_id } => {
            let workspace = make_workspace(transaction, workspaces, &caller.workspace)?;
            let sql = "INSERT INTO comments (workspace, id, span_id, text, queue_id, created_at, created_by, \
                       last_updated_at, last_updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?7)";
            let queue = queue_id.as_ref().map(|id| id.0.as_bytes());
            transaction.prepare_cached(sql)?.execute(params![
                workspace,
                id.0.as_bytes(),
                span_id.0.as_bytes(),
                text,
                queue,
                now,
                caller.user,
            ])?;
        }
        Effect::UpdateComment { caller, id, text } => {
            let Some(workspace) = workspaces.get(&caller.workspace) else { return Ok(()) };
            let sql = "UPDATE comments SET text = ?3, last_updated_at = max(last_updated_at + 1000, ?4), \
                       last_updated_by = ?5 WHERE workspace = ?1 AND id = ?2";
            transaction.prepare_cached(sql)?.execute(params![workspace, id.0.as_bytes(), text, now, caller.user])?;
        }
        Effect::DeleteComment { comment } => {
            let Some(workspace) = workspace_of(transaction, workspaces, &comment.0)? else { return Ok(()) };
            let sql = "DELETE FROM comments WHERE workspace = ?1 AND id = ?2";
            transaction.prepare_cached(sql)?.execute(params![workspace, comment.1.0.as_bytes()])?;
        }
    }
    Ok(())
}

fn save_counts(transaction: &Transaction<'_>, counts: &HashMap<Counted, i64>) -> rusqlite::Result<()> {
    let mut by_project = HashMap::new();
    let mut by_trace = HashMap::new();
    for (counted, change) in counts {
        *by_project.entry((counted.project, counted.type_code)).or_insert(0) += change;
        *by_trace.entry((counted.project, counted.trace_id)).or_insert(0) += change;
    }
    let mut project = transaction.prepare_cached(
        "INSERT INTO project_span_counts (project, type, spans) VALUES (?1, ?2, ?3) \
         ON CONFLICT (project, type) DO UPDATE SET spans = spans + excluded.spans",
    )?;
    for ((key, type_code), change) in by_project.into_iter().filter(|(_, change)| *change != 0) {
        project.execute(params![key, type_code, change])?;
    }
    let mut trace = transaction.prepare_cached(
        "INSERT INTO trace_span_counts (project, trace_id, spans) VALUES (?1, ?2, ?3) \
         ON CONFLICT (project, trace_id) DO UPDATE SET spans = spans + excluded.spans",
    )?;
    for ((key, trace_id), change) in by_trace.into_iter().filter(|(_, change)| *change != 0) {
        trace.execute(params![key, trace_id.0.as_bytes(), change])?;
    }
    Ok(())
}
