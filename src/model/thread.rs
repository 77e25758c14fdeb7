//! Threads: the traces of one conversation, as clients read and change them.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::feedback_score::SCORES_IN_BATCH_MAX;
use super::json::{object, objects};
use super::span_query::ids_and_update;
use super::validation::{broken, broken_list_items, broken_rules, broken_set_items, rule};
use super::{
    Comment, Decimal, Environment, FeedbackScore, Id, Ids, JsonListString, NotEmpty, ProjectName, ScoreSource,
    ScoreValue, Tags, Timestamp, UpdateTags, UsageSums,
};

/// From the published contract.
const THREADS_MAX: usize = 1_000;

/// A thread, named by its text.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with a thread_id")]
pub struct TraceThreadIdentifier {
    /// Its project, by name. This or `project_id` is needed.
    pub project_name: Option<String>,
    /// Its project, by id; counts more than a name.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// What its traces say in `thread_id`.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub thread_id: Option<NotEmpty>,
    /// Cut the messages short. Means something where threads are read alone.
    pub truncate: Option<bool>,
}

/// One or many threads, named by their texts.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with a thread_id or thread_ids")]
pub struct TraceThreadBatchIdentifier {
    /// Their project, by name. This or `project_id` is needed.
    pub project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// The one thread. This or `thread_ids` is needed, not both.
    pub thread_id: Option<String>,
    /// The threads.
    #[schema(inline)]
    #[validate(nested)]
    pub thread_ids: Option<TextSet>,
}

fn not_one_to(max: usize, count: usize) -> Option<ValidationErrors> {
    (!(1..=max).contains(&count)).then(|| broken("length", format!("size must be between 1 and {max}")))
}

/// Members without a text, by index.
fn blank(texts: &[String]) -> impl Iterator<Item = (usize, validator::ValidationError)> + '_ {
    let blank = texts.iter().enumerate().filter(|(_, text)| text.is_empty());
    blank.map(|(index, _)| (index, rule("length", "must not be blank")))
}

fn texts() -> ArrayBuilder {
    ArrayBuilder::new()
        .items(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)))
        .min_items(Some(1))
        .max_items(Some(THREADS_MAX))
}

/// From 1 to 1,000 different texts; repetitions are dropped.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct TextSet(pub Vec<String>);

impl<'de> Deserialize<'de> for TextSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = Vec::<String>::deserialize(deserializer)?;
        let mut seen = std::collections::HashSet::new();
        Ok(Self(sent.into_iter().filter(|text| seen.insert(text.clone())).collect()))
    }
}

impl Validate for TextSet {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if let Some(error) = not_one_to(THREADS_MAX, self.0.len()) {
            return Err(error);
        }
        let blank: Vec<_> = blank(&self.0).collect();
        if blank.is_empty() { Ok(()) } else { Err(broken_set_items(blank)) }
    }
}

impl PartialSchema for TextSet {
    fn schema() -> RefOr<Schema> {
        texts().unique_items(true).into()
    }
}

impl ToSchema for TextSet {}

/// From 1 to 1,000 texts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextList(pub Vec<String>);

impl Validate for TextList {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0.is_empty() {
            // The original has both rules, and says both.
            let size = format!("size must be between 1 and {THREADS_MAX}");
            return Err(broken_rules(vec![rule("length", "must not be empty"), rule("length", size)]));
        }
        if let Some(error) = not_one_to(THREADS_MAX, self.0.len()) {
            return Err(error);
        }
        let blank: Vec<_> = blank(&self.0).collect();
        if blank.is_empty() { Ok(()) } else { Err(broken_list_items(blank)) }
    }
}

impl PartialSchema for TextList {
    fn schema() -> RefOr<Schema> {
        texts().into()
    }
}

impl ToSchema for TextList {}

/// Which threads to delete.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with thread_ids")]
pub struct DeleteTraceThreads {
    /// If null, `project_id` must be provided
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// If null, `project_name` must be provided. Counts more than a name.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// The threads; unknown ones are passed over.
    #[schema(required, inline, value_type = TextList)]
    #[validate(required(message = "must not be empty"), nested)]
    pub thread_ids: Option<TextList>,
}

/// A change to a thread. Its traces and their tags stay as they are.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with the changes")]
pub struct TraceThreadUpdate {
    /// Replaces the tags; an empty list clears them.
    #[schema(inline)]
    #[validate(nested)]
    pub tags: Option<UpdateTags>,
    /// Added to the tags, after `tags_to_remove` was taken from them; `tags` is then not looked at.
    #[schema(inline)]
    #[validate(nested)]
    pub tags_to_add: Option<UpdateTags>,
    /// Taken from the tags; `tags` is then not looked at.
    #[schema(inline)]
    #[validate(nested)]
    pub tags_to_remove: Option<UpdateTags>,
}

/// One change to many threads.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object with ids and an update")]
pub struct TraceThreadBatchUpdate {
    /// Ids of threads as `thread_model_id` tells them; unknown ones are passed over.
    #[schema(required, inline, value_type = Ids)]
    pub ids: Option<Ids>,
    /// The change.
    #[schema(required, value_type = TraceThreadUpdate)]
    #[serde(default, deserialize_with = "object")]
    pub update: Option<TraceThreadUpdate>,
    /// If true, `tags` are added to the tags there are; if false, they replace them.
    pub merge_tags: Option<bool>,
}

impl Validate for TraceThreadBatchUpdate {
    fn validate(&self) -> Result<(), ValidationErrors> {
        ids_and_update(self.ids.as_ref(), self.update.as_ref())
    }
}

/// Scores to give together: all of them or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object with scores")]
pub struct FeedbackScoreBatchThread {
    /// Any mix of threads; they need not have traces yet.
    #[schema(required, inline, value_type = ThreadScoreList)]
    pub scores: Option<ThreadScoreList>,
}

impl Validate for FeedbackScoreBatchThread {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let scores = match &self.scores {
            Some(scores) => scores.validate(),
            None => Err(broken("required", "must not be null")),
        };
        let mut errors = ValidationErrors::new();
        errors.merge_self("scores", scores);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The members of a batch.
#[derive(Debug)]
pub struct ThreadScoreList(pub Vec<FeedbackScoreBatchItemThread>);

impl<'de> Deserialize<'de> for ThreadScoreList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        objects(deserializer).map(Self)
    }
}

impl Validate for ThreadScoreList {
    fn validate(&self) -> Result<(), ValidationErrors> {
        not_one_to(SCORES_IN_BATCH_MAX, self.0.len()).map_or_else(|| self.0.validate(), Err)
    }
}

impl PartialSchema for ThreadScoreList {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(FeedbackScoreBatchItemThread::name()))
            .min_items(Some(1))
            .max_items(Some(SCORES_IN_BATCH_MAX))
            .into()
    }
}

impl ToSchema for ThreadScoreList {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((FeedbackScoreBatchItemThread::name().into_owned(), FeedbackScoreBatchItemThread::schema()));
        FeedbackScoreBatchItemThread::schemas(schemas);
    }
}

/// A score to give to the thread it names.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a score object")]
pub struct FeedbackScoreBatchItemThread {
    /// The thread's project, by name, made if there is none. If null and `project_id` is too, the default project is
    /// used. At most 1,000 characters unless the server is set up otherwise.
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// The thread's project, by id; counts more than a name, and must exist.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// What is judged.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub name: Option<NotEmpty>,
    /// The category chosen, for scores with categories.
    pub category_name: Option<String>,
    /// The score.
    #[schema(required, value_type = ScoreValue, inline)]
    #[validate(required(message = "must not be null"), nested)]
    pub value: Option<ScoreValue>,
    /// Why.
    pub reason: Option<String>,
    /// Who or what gives it.
    #[schema(required, value_type = ScoreSource, inline)]
    #[validate(required(message = "must not be null"))]
    pub source: Option<ScoreSource>,
    /// Who gives it, if not the caller.
    pub author: Option<String>,
    /// The annotation queue it is given in.
    #[schema(inline)]
    pub source_queue_id: Option<Id>,
    /// What the thread's traces say in `thread_id`. At most 20,000 characters unless the server is set up otherwise.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub thread_id: Option<NotEmpty>,
}

/// Which scores to take back.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with names of scores")]
pub struct DeleteThreadFeedbackScores {
    /// The thread's project, by name.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub project_name: Option<NotEmpty>,
    /// What the thread's traces say in `thread_id`.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub thread_id: Option<NotEmpty>,
    /// Their names.
    #[schema(required, inline, value_type = TextSet)]
    #[validate(required(message = "size must be between 1 and 1000"), nested)]
    pub names: Option<TextSet>,
    /// Only this author's; all authors' when absent.
    pub author: Option<String>,
    /// Only those given in this annotation queue; those given in none when absent.
    #[schema(inline)]
    pub source_queue_id: Option<Id>,
}

/// Whether a conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThreadStatus {
    /// It does.
    Active,
    /// It was closed, or nothing was heard of it for a while.
    Inactive,
}

/// A thread: what the traces of a conversation amount to.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraceThread {
    /// What its traces say in `thread_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its project.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Id>,
    /// Its own id, which tells when it began.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_model_id: Option<Id>,
    /// When its first trace began.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When the last of its traces to end ended.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// Milliseconds from the one to the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Input of the trace that began first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_message: Option<JsonListString>,
    /// Output of the trace that ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<JsonListString>,
    /// Scores given to it, one for each name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_scores: Option<Vec<FeedbackScore>>,
    /// Whether it goes on.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ThreadStatus>,
    /// Two for each of its traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_messages: Option<i64>,
    /// What the spans of its traces cost together, in US dollars.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_estimated_cost: Option<Decimal>,
    /// Token counts of the spans of its traces, by name.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageSums>,
    /// Comments on it, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<Vec<Comment>>,
    /// Its own tags, in the order they were added; those of its traces are not among them.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// When one of its traces last changed, or it was opened.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_at: Option<Timestamp>,
    /// Who did that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_by: Option<String>,
    /// Who wrote the first of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When the server first heard of it.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Name of the environment it began in; empty when none was stated.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}
