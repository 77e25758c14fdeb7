//! A store, over whatever database is behind it.

use std::sync::Arc;

use async_trait::async_trait;

use super::attachments::Contents;
use super::{Connection, Writer, any, attachments, lookups, read, series, stats};
use crate::model::{
    CommentPublic, EnvironmentPublic, FeedbackPublic, Id, ProjectPublic, Source, SpanType, WorkspaceConfiguration,
};
use crate::record::{Entity, Parts, ProjectRef, StoredSpan, StoredThread, StoredTrace, Target};
use crate::store::upload::{ContentHash, Upload};
use crate::store::{
    Amount, AttachmentFile, AttachmentQuery, Caller, DefinitionQuery, Handle, Kind, Manage, ManageRefusal, OnPage,
    Order, PageQuery, Pending, ProjectQuery, Query, ReceivedFile, Series, SeriesQuery, Stats, Store, StoreError,
    StoredAttachment, TraceDay,
};

/// What a database has of its own.
pub(in crate::store) trait Backend: Send + Sync + 'static {
    /// On which what is asked for is read.
    type Connection: Connection;
    /// Where the contents of attachments are.
    type Contents: Contents<Self::Connection> + Clone + Send + Sync + 'static;

    /// Runs `query` on a connection.
    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Self::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// The way to the writing thread.
    fn writer(&self) -> &Writer;

    /// The ways to those that make commits, each one after the other.
    fn committers(&self) -> &[Writer] {
        std::slice::from_ref(self.writer())
    }

    /// Where the contents of attachments are.
    fn contents(&self) -> Self::Contents;

    /// Bytes of attachments that are put where the payloads of one span or trace refer to them.
    fn inline_bytes_max(&self) -> u64;

    /// Begins to receive a file.
    fn upload(&self) -> impl Future<Output = Result<Upload, StoreError>> + Send;

    /// Puts a file that was received where a commit keeps it soon.
    fn received(&self, file: ReceivedFile) -> impl Future<Output = Result<ReceivedFile, StoreError>> + Send;

    /// The file with a content, if it is there.
    fn file(&self, content: ContentHash) -> impl Future<Output = Result<Option<AttachmentFile>, StoreError>> + Send;

    /// Closes what reads.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// A store in an SQL database.
#[derive(Debug)]
pub(in crate::store) struct SqlStore<B>(pub B);

/// What reading puts in the place of references, as far as that is wanted.
fn inlining<B: Backend>(backend: &B) -> read::Inlining<B::Contents> {
    read::Inlining { contents: backend.contents(), bytes_max: backend.inline_bytes_max() }
}

/// In how many parts what is summed up is read side by side.
fn parts() -> i64 {
    std::thread::available_parallelism().map_or(1, |cores| i64::try_from(cores.get()).unwrap_or(1))
}

/// Reads ranges of keys side by side; everything at once if there are none. Each part is of its own moment; every row is
/// in one part, and counted once.
async fn in_parts<T, F: Future<Output = Result<T, StoreError>>>(
    ranges: Vec<(i64, i64)>,
    read: impl Fn(Option<(i64, i64)>) -> F,
) -> Result<Vec<T>, StoreError> {
    if ranges.is_empty() {
        return Ok(vec![read(None).await?]);
    }
    futures_util::future::try_join_all(ranges.into_iter().map(|range| read(Some(range)))).await
}

impl<B: Backend> SqlStore<B> {
    /// A page, and the first of what is on it, on one connection: nobody waits for another again and again.
    async fn on_page<T: Send + 'static>(
        &self,
        asked: PageQuery,
        first: impl FnOnce(&B::Connection, &[Handle]) -> Result<(Vec<T>, usize), StoreError> + Send + 'static,
    ) -> Result<Option<OnPage<T>>, StoreError> {
        let PageQuery { workspace, named, query, order, limit, offset } = asked;
        let mut query = query.by_type();
        let on_page = |connection: &B::Connection, (keys, total): (Vec<Handle>, u64)| {
            if keys.is_empty() {
                return Ok(Some(OnPage { keys, total, first: Vec::new(), looked_at: 0 }));
            }
            // One span or trace, its payloads, scores and comments are of the same moment.
            let (first, looked_at) = connection.snapshot(|connection| first(connection, &keys))?;
            Ok(Some(OnPage { keys, total, first, looked_at }))
        };
        if query.reads_payloads() {
            // Counted on all processors.
            let Some(project) = self.project(&workspace, &named).await? else { return Ok(None) };
            let found = self.page(Query { project, ..query }, order, limit, offset).await?;
            return self.0.read(move |connection| on_page(connection, found)).await;
        }
        let read = move |connection: &B::Connection| {
            let Some(project) = read::project(connection, &workspace, &named)? else { return Ok(None) };
            query.project = project;
            on_page(connection, read::page(connection, &query, &order, limit, offset)?)
        };
        self.0.read(read).await
    }
}

#[async_trait]
impl<B: Backend> Store for SqlStore<B> {
    fn commit(&self, pending: Box<dyn Pending>) {
        let committers = self.0.committers().iter();
        committers.min_by_key(|writer| writer.commits()).unwrap_or(self.0.writer()).commit(pending);
    }

    fn commits_at_once(&self) -> usize {
        self.0.committers().len()
    }

    async fn upload(&self) -> Result<Upload, StoreError> {
        self.0.upload().await
    }

    async fn received(&self, upload: Upload) -> Result<ReceivedFile, StoreError> {
        self.0.received(upload.finish().await?).await
    }

    async fn attachments(&self, query: AttachmentQuery) -> Result<(Vec<StoredAttachment>, u64), StoreError> {
        self.0.read(move |connection| attachments::list(connection, &query)).await
    }

    async fn attachment_file(
        &self,
        workspace: &str,
        project: Id,
        target: Target,
        name: &str,
    ) -> Result<Option<AttachmentFile>, StoreError> {
        let (workspace, name) = (workspace.to_owned(), name.to_owned());
        let read =
            move |connection: &B::Connection| attachments::content(connection, &workspace, project, target, &name);
        match self.0.read(read).await? {
            Some(content) => self.0.file(content).await,
            None => Ok(None),
        }
    }

    async fn span(&self, workspace: &str, id: Id, parts: Parts) -> Result<Option<StoredSpan>, StoreError> {
        let (workspace, inlining) = (workspace.to_owned(), inlining(&self.0));
        let read = move |connection: &B::Connection| {
            connection.snapshot(|connection| {
                let Some(handle) = read::handle(connection, Kind::Spans, &workspace, id)? else { return Ok(None) };
                Ok(read::spans(connection, &inlining, &[handle], parts, usize::MAX)?.0.pop())
            })
        };
        self.0.read(read).await
    }

    async fn project(&self, workspace: &str, project: &ProjectRef) -> Result<Option<i64>, StoreError> {
        let (workspace, project) = (workspace.to_owned(), project.clone());
        self.0.read(move |connection| read::project(connection, &workspace, &project)).await
    }

    async fn find(&self, query: Query, order: Order, limit: u64, offset: u64) -> Result<Vec<Handle>, StoreError> {
        let query = query.by_type();
        self.0.read(move |connection| read::find(connection, &query, &order, limit, offset)).await
    }

    async fn page(
        &self,
        query: Query,
        order: Order,
        limit: u64,
        offset: u64,
    ) -> Result<(Vec<Handle>, u64), StoreError> {
        let query = query.by_type();
        if query.reads_payloads() {
            // Counted on all processors.
            let total = self.count(query.clone()).await?;
            let rest = total.saturating_sub(offset).min(limit);
            let keys = if rest > 0 { self.find(query, order, rest, offset).await? } else { Vec::new() };
            return Ok((keys, total));
        }
        self.0.read(move |connection| read::page(connection, &query, &order, limit, offset)).await
    }

    async fn span_page(
        &self,
        asked: PageQuery,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<Option<OnPage<StoredSpan>>, StoreError> {
        let inlining = inlining(&self.0);
        self.on_page(asked, move |connection, keys| read::spans(connection, &inlining, keys, parts, bytes_max)).await
    }

    async fn trace_page(
        &self,
        asked: PageQuery,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<Option<OnPage<StoredTrace>>, StoreError> {
        let inlining = inlining(&self.0);
        self.on_page(asked, move |connection, keys| read::traces(connection, &inlining, keys, parts, bytes_max)).await
    }

    async fn count(&self, query: Query) -> Result<u64, StoreError> {
        let query = query.by_type();
        if !query.reads_payloads() {
            return self.0.read(move |connection| read::count(connection, &query)).await;
        }
        let query = Arc::new(query);
        let (parts, asked) = (parts(), Arc::clone(&query));
        let ranges = self.0.read(move |connection| read::stats_ranges(connection, &asked, parts)).await?;
        let counts = in_parts(ranges, |range| {
            let query = Arc::clone(&query);
            self.0.read(move |connection| read::count_in(connection, &query, range))
        });
        Ok(counts.await?.into_iter().sum())
    }

    async fn spans(
        &self,
        keys: Arc<[Handle]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredSpan>, usize), StoreError> {
        let inlining = inlining(&self.0);
        // One span or trace, its payloads, scores and comments are of the same moment.
        let read = move |connection: &B::Connection| {
            connection.snapshot(|connection| read::spans(connection, &inlining, &keys[from..], parts, bytes_max))
        };
        self.0.read(read).await
    }

    async fn trace(&self, workspace: &str, id: Id, parts: Parts) -> Result<Option<StoredTrace>, StoreError> {
        let (workspace, inlining) = (workspace.to_owned(), inlining(&self.0));
        let read = move |connection: &B::Connection| {
            connection.snapshot(|connection| {
                let Some(handle) = read::handle(connection, Kind::Traces, &workspace, id)? else { return Ok(None) };
                Ok(read::traces(connection, &inlining, &[handle], parts, usize::MAX)?.0.pop())
            })
        };
        self.0.read(read).await
    }

    async fn traces(
        &self,
        keys: Arc<[Handle]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredTrace>, usize), StoreError> {
        let inlining = inlining(&self.0);
        // One span or trace, its payloads, scores and comments are of the same moment.
        let read = move |connection: &B::Connection| {
            connection.snapshot(|connection| read::traces(connection, &inlining, &keys[from..], parts, bytes_max))
        };
        self.0.read(read).await
    }

    async fn threads(
        &self,
        query: Query,
        keys: Arc<[Handle]>,
        from: usize,
        bytes_max: usize,
    ) -> Result<(Vec<StoredThread>, usize), StoreError> {
        let read = move |connection: &B::Connection| {
            connection.snapshot(|connection| read::threads(connection, &query, &keys[from..], bytes_max))
        };
        self.0.read(read).await
    }

    async fn thread_id(&self, project: i64, text: &str) -> Result<Option<Id>, StoreError> {
        let text = text.to_owned();
        self.0.read(move |connection| read::thread_id(connection, project, &text)).await
    }

    async fn thread_score_names(&self, workspace: &str, project: Option<Id>) -> Result<Vec<String>, StoreError> {
        let workspace = workspace.to_owned();
        let read = move |connection: &B::Connection| {
            lookups::score_names_of(connection, &workspace, Entity::Thread, project.as_ref().map(std::slice::from_ref))
        };
        self.0.read(read).await
    }

    async fn stats(&self, query: Query) -> Result<Stats, StoreError> {
        let query = Arc::new(query.by_type());
        let parts = parts();
        let asked = Arc::clone(&query);
        let plan = move |connection: &B::Connection| {
            let ranges = read::stats_ranges(connection, &asked, parts)?;
            let mut all = stats::Sums::default();
            all.add_scores(read::stats_scores(connection, &asked)?);
            if asked.of == Kind::Traces {
                all.add_span_scores(read::stats_span_scores(connection, &asked)?);
                all.set_threads(read::stats_threads(connection, &asked)?);
            }
            Ok((ranges, all))
        };
        let (ranges, mut all) = self.0.read(plan).await?;
        for part in in_parts(ranges, |range| {
            let query = Arc::clone(&query);
            self.0.read(move |connection| read::stats_sums(connection, &query, range))
        })
        .await?
        {
            all.absorb(part);
        }
        Ok(all.finish())
    }

    async fn series(&self, asked: SeriesQuery) -> Result<Series, StoreError> {
        let asked = Arc::new(SeriesQuery { query: asked.query.by_type(), ..asked });
        let query = Arc::clone(&asked);
        if matches!(asked.amount, Amount::Score(_)) {
            let groups = self.0.read(move |connection| series::scores(connection, &query)).await?;
            return Ok(groups.finish(&asked.amount));
        }
        let parts = parts();
        let ranges = self.0.read(move |connection| read::stats_ranges(connection, &query.query, parts)).await?;
        let mut all = series::Groups::default();
        for part in in_parts(ranges, |range| {
            let asked = Arc::clone(&asked);
            self.0.read(move |connection| series::rows(connection, &asked, range))
        })
        .await?
        {
            all.absorb(part);
        }
        Ok(all.finish(&asked.amount))
    }

    async fn exists(&self, of: Kind, project: i64, source: Option<Source>, threads: bool) -> Result<bool, StoreError> {
        self.0.read(move |connection| read::exists(connection, of, project, source, threads)).await
    }

    async fn score_names(
        &self,
        of: Kind,
        project: i64,
        span_type: Option<SpanType>,
    ) -> Result<Vec<String>, StoreError> {
        self.0.read(move |connection| read::score_names(connection, of, project, span_type)).await
    }

    async fn project_score_names(&self, workspace: &str, projects: Option<Vec<Id>>) -> Result<Vec<String>, StoreError> {
        let workspace = workspace.to_owned();
        let read =
            move |connection: &B::Connection| lookups::project_score_names(connection, &workspace, projects.as_deref());
        self.0.read(read).await
    }

    async fn comment(&self, workspace: &str, target: Target, id: Id) -> Result<Option<CommentPublic>, StoreError> {
        let workspace = workspace.to_owned();
        self.0.read(move |connection| read::comment(connection, &workspace, target, id)).await
    }

    async fn manage(&self, caller: Caller, change: Manage) -> Result<Result<(), ManageRefusal>, StoreError> {
        self.0.writer().manage(caller, change).await
    }

    async fn project_public(&self, workspace: &str, project: &ProjectRef) -> Result<Option<ProjectPublic>, StoreError> {
        let (workspace, project) = (workspace.to_owned(), project.clone());
        self.0.read(move |connection| lookups::project(connection, &workspace, &project)).await
    }

    async fn projects(&self, query: ProjectQuery) -> Result<(Vec<ProjectPublic>, u64), StoreError> {
        self.0.read(move |connection| lookups::projects(connection, &query)).await
    }

    async fn project_of_trace(&self, workspace: &str, trace_id: Id) -> Result<Option<Id>, StoreError> {
        let workspace = workspace.to_owned();
        self.0.read(move |connection| lookups::project_of_trace(connection, &workspace, trace_id)).await
    }

    async fn trace_days(&self, project: i64, limit: u64, offset: u64) -> Result<(Vec<TraceDay>, u64), StoreError> {
        let read = move |connection: &B::Connection| {
            connection.snapshot(|connection| lookups::trace_days(connection, project, limit, offset))
        };
        self.0.read(read).await
    }

    async fn environments(&self, workspace: &str, id: Option<Id>) -> Result<Vec<EnvironmentPublic>, StoreError> {
        let workspace = workspace.to_owned();
        self.0.read(move |connection| lookups::environments(connection, &workspace, id)).await
    }

    async fn definition(&self, workspace: &str, id: Id) -> Result<Option<FeedbackPublic>, StoreError> {
        let workspace = workspace.to_owned();
        self.0.read(move |connection| lookups::definition(connection, &workspace, id)).await
    }

    async fn definitions(&self, query: DefinitionQuery) -> Result<(Vec<FeedbackPublic>, u64), StoreError> {
        self.0.read(move |connection| lookups::definitions(connection, &query)).await
    }

    async fn configuration(&self, workspace: &str) -> Result<Option<WorkspaceConfiguration>, StoreError> {
        let workspace = workspace.to_owned();
        self.0.read(move |connection| lookups::configuration(connection, &workspace)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.0.read(|connection| any(connection, "SELECT key FROM workspaces LIMIT 1", &[]).map(drop)).await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.0.writer().check_writable().await
    }

    async fn reset(&self) -> Result<(), StoreError> {
        self.0.writer().reset().await
    }

    async fn prepare_reset(&self) -> Result<(), StoreError> {
        self.0.writer().prepare_reset().await
    }

    async fn close(&self) {
        self.0.close().await;
        for writer in self.0.committers() {
            writer.close().await;
        }
    }
}
