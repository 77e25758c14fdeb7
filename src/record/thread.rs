//! Threads: what is said of them, and how they are read.

use super::truncate::cut_short;
use super::view::duration_ms;
use super::{ProjectRef, Score, StoredScore, TagEdits, shown_scores};
use crate::model::{
    CommentPublic, Decimal, Environment, Id, JsonListString, Payload, Tags, ThreadStatus, Timestamp, TraceThread,
    TraceThreadUpdate, UpdateTags, UsageSums,
};

/// A score for a thread, which is made if there is none.
#[derive(Debug, Clone)]
pub struct ThreadScore {
    /// The thread's project; the default one where none is named.
    pub project: Option<ProjectRef>,
    /// What the thread's traces call it.
    pub thread_id: String,
    /// The score. Its target is the id that the thread gets if it is made.
    pub score: Score,
}

/// What is done to tags.
#[derive(Debug, Clone)]
pub enum TagChange {
    /// They are replaced.
    Replace(Vec<String>),
    /// Some are taken away, and others added.
    Edit(TagEdits),
}

impl TagChange {
    /// What an update does to tags, if anything: additions and removals, if it has any, else a replacement. `merge` makes
    /// additions of the latter.
    #[must_use]
    pub fn of(update: TraceThreadUpdate, merge: bool) -> Option<Self> {
        let TraceThreadUpdate { tags, tags_to_add, tags_to_remove } = update;
        let list = |tags: Option<UpdateTags>| tags.map(UpdateTags::into_vec).unwrap_or_default();
        if tags_to_add.is_some() || tags_to_remove.is_some() {
            return Some(Self::Edit(TagEdits { base: None, added: list(tags_to_add), removed: list(tags_to_remove) }));
        }
        let tags = tags?.into_vec();
        Some(if merge { Self::Edit(TagEdits { added: tags, ..TagEdits::default() }) } else { Self::Replace(tags) })
    }

    /// The tags after it.
    #[must_use]
    pub fn applied_to(&self, tags: &[String]) -> Vec<String> {
        match self {
            Self::Replace(tags) => tags.clone(),
            Self::Edit(edits) => {
                let mut tags = Some(tags.to_vec());
                edits.apply(&mut tags);
                tags.unwrap_or_default()
            }
        }
    }

    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lists: [&[String]; 2] = match self {
            Self::Replace(tags) => [tags, &[]],
            Self::Edit(TagEdits { added, removed, .. }) => [added, removed],
        };
        lists.into_iter().flatten().map(|tag| size_of::<String>() + tag.len()).sum()
    }
}

/// A thread read from its store.
#[derive(Debug, Clone)]
pub struct StoredThread {
    /// Its own id.
    pub id: Id,
    /// What its traces call it.
    pub thread_id: String,
    /// Its project.
    pub project_id: Id,
    /// When the first of its traces began, nanoseconds since 1970; 0 if none was created yet.
    pub start_time: i64,
    /// When the last of its traces to end ended, nanoseconds since 1970.
    pub end_time: Option<i64>,
    /// Input of the trace that began first.
    pub first_message: Option<Payload>,
    /// Output of the trace that ended last.
    pub last_message: Option<Payload>,
    /// Two for each of its traces.
    pub messages: i64,
    /// Whether the conversation goes on.
    pub active: bool,
    /// Token counts of its spans.
    pub usage: UsageSums,
    /// What its spans cost, if anything.
    pub cost: Option<Decimal>,
    /// Its own tags.
    pub tags: Vec<String>,
    /// Its environment.
    pub environment: Option<String>,
    /// When it was first heard of, nanoseconds since 1970.
    pub created_at: i64,
    /// By whom.
    pub created_by: String,
    /// When it last changed, nanoseconds since 1970.
    pub last_updated_at: i64,
    /// By whom.
    pub last_updated_by: String,
    /// Its scores.
    pub scores: Vec<StoredScore>,
    /// Its comments, oldest first.
    pub comments: Vec<CommentPublic>,
}

impl StoredThread {
    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let payload = |payload: &Option<Payload>| payload.as_ref().map_or(0, |raw| raw.get().len());
        size_of::<Self>() + self.thread_id.len() + payload(&self.first_message) + payload(&self.last_message)
    }

    /// What a client reads; `truncate` cuts the messages short.
    #[must_use]
    pub fn into_public(self, truncate: bool) -> TraceThread {
        let message = |payload: Option<Payload>| {
            payload.map(|payload| JsonListString(if truncate { cut_short(payload) } else { payload }))
        };
        let scores = shown_scores(self.scores).into_iter().map(Into::into).collect();
        let comments = self.comments.into_iter().map(Into::into).collect();
        TraceThread {
            id: Some(self.thread_id),
            project_id: Some(self.project_id),
            thread_model_id: Some(self.id),
            start_time: Some(Timestamp::from_nanos(self.start_time)),
            end_time: self.end_time.map(Timestamp::from_nanos),
            duration: duration_ms(Some(self.start_time), self.end_time),
            first_message: message(self.first_message),
            last_message: message(self.last_message),
            feedback_scores: some(scores),
            status: Some(if self.active { ThreadStatus::Active } else { ThreadStatus::Inactive }),
            number_of_messages: Some(self.messages),
            total_estimated_cost: self.cost.filter(|cost| !cost.is_zero() && !cost.is_negative()),
            usage: Some(self.usage).filter(|usage| !usage.0.is_empty()),
            comments: some(comments),
            tags: some(self.tags).map(Tags::from),
            last_updated_at: Some(Timestamp::from_nanos(self.last_updated_at)),
            last_updated_by: Some(self.last_updated_by),
            created_by: Some(self.created_by),
            created_at: Some(Timestamp::from_nanos(self.created_at)),
            environment: Some(Environment(self.environment.unwrap_or_default())),
        }
    }
}

/// A list that is not empty.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}
