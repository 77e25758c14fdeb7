//! Every operation, and every answer it documents, is provoked.
//!
//! The document is walked: each status of each of its operations must have a row in [`ROWS`], whose request gets exactly
//! that answer, or stand in `tests/data/coverage.txt` with the reason why nothing gets it. What is `default` in the
//! document is every status that it does not name: the row says which it is.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::flatten::operations;
use crate::support::{Answer, Api, Server, contract, fresh_id};

/// The answers that nothing gets.
const NEVER: &str = "tests/data/coverage.txt";

/// What is special about a request.
#[derive(Debug, Clone, Copy)]
enum Sent {
    /// It has no body.
    Bare,
    /// It has this JSON body.
    Json(&'static str),
    /// It has a body that is no JSON.
    Plain,
    /// It is for a workspace whose name is too long.
    Lost,
    /// Another program holds the database. Without a body.
    Held,
    /// It asks for a part of a file that is beyond its end.
    Beyond,
    /// The server has no operations for tests. Without a body.
    Off,
}

use Sent::{Bare, Beyond, Held, Json, Lost, Off, Plain};

/// Operation, the status as documented, the status that comes, the address, and what is special about the request.
/// `{span}`, with its `{trace}`, `{project}` and `{comment}`, exists and is each row's own, and so is the trace `{whole}`
/// in the same project, with its `{remark}`, in the thread `{talk}`, which has the own id `{thread}` and the comment
/// `{word}`; so are the project `{other}`, `{environment}` and `{definition}`; `{file}` names a file of the span in a query; `{no}` is
/// nowhere.
static ROWS: [(&str, &str, u16, &str, Sent); 288] = [
    ("createSpan", "201", 201, "/v1/private/spans", Json(r#"{"start_time":"2024-01-15T09:30:00Z"}"#)),
    (
        "createSpan",
        "409",
        409,
        "/v1/private/spans",
        Json(r#"{"id":"{span}","trace_id":"{no}","start_time":"2024-01-15T09:30:00Z"}"#),
    ),
    ("createSpan", "default", 422, "/v1/private/spans", Json("{}")),
    (
        "createSpans",
        "204",
        204,
        "/v1/private/spans/batch",
        Json(r#"{"spans":[{"id":"{no}","start_time":"2024-01-15T09:30:00Z"}]}"#),
    ),
    ("createSpans", "default", 422, "/v1/private/spans/batch", Json(r#"{"spans":[]}"#)),
    (
        "batchUpdateSpans",
        "204",
        204,
        "/v1/private/spans/batch",
        Json(r#"{"ids":["{span}"],"update":{"trace_id":"{trace}","name":"a"}}"#),
    ),
    ("batchUpdateSpans", "400", 400, "/v1/private/spans/batch", Json(r#"{"ids":["1"]}"#)),
    ("batchUpdateSpans", "default", 422, "/v1/private/spans/batch", Json(r#"{"ids":[]}"#)),
    ("updateSpan", "204", 204, "/v1/private/spans/{span}", Json(r#"{"trace_id":"{trace}","name":"a"}"#)),
    ("updateSpan", "404", 404, "/v1/private/spans/{no}", Json(r#"{"trace_id":"{no}","project_id":"{no}"}"#)),
    ("updateSpan", "409", 409, "/v1/private/spans/{span}", Json(r#"{"trace_id":"{no}"}"#)),
    ("updateSpan", "default", 422, "/v1/private/spans/{span}", Json("{}")),
    ("getSpanById", "200", 200, "/v1/private/spans/{span}", Bare),
    ("getSpanById", "404", 404, "/v1/private/spans/{no}", Bare),
    ("getSpanById", "default", 400, "/v1/private/spans/{span}?strip_attachments=1", Bare),
    ("deleteSpanById", "204", 204, "/v1/private/spans/{span}", Bare),
    ("deleteSpanById", "default", 400, "/v1/private/spans/{span}", Lost),
    ("deleteSpanById", "default", 429, "/v1/private/spans/{span}", Held),
    ("getSpansByProject", "200", 200, "/v1/private/spans?project_id={project}", Bare),
    ("getSpansByProject", "default", 400, "/v1/private/spans", Bare),
    ("getSpansByProject", "default", 404, "/v1/private/spans?project_id={no}", Bare),
    ("searchSpans", "200", 200, "/v1/private/spans/search", Json(r#"{"project_id":"{project}"}"#)),
    ("searchSpans", "400", 400, "/v1/private/spans/search", Json("{}")),
    ("searchSpans", "default", 404, "/v1/private/spans/search", Json(r#"{"project_id":"{no}"}"#)),
    ("searchSpans", "default", 422, "/v1/private/spans/search", Json(r#"{"project_id":"{project}","limit":0}"#)),
    ("getSpanStats", "200", 200, "/v1/private/spans/stats?project_id={project}", Bare),
    ("getSpanStats", "default", 400, "/v1/private/spans/stats", Bare),
    ("getSpanStats", "default", 404, "/v1/private/spans/stats?project_id={no}", Bare),
    ("spansExist", "200", 200, "/v1/private/spans/exists?project_id={project}", Bare),
    ("spansExist", "default", 400, "/v1/private/spans/exists?project_id={project}&source=SDK", Bare),
    ("spansExist", "default", 404, "/v1/private/spans/exists?project_id={no}", Bare),
    ("findFeedbackScoreNames_1", "200", 200, "/v1/private/spans/feedback-scores/names?project_id={project}", Bare),
    ("findFeedbackScoreNames_1", "default", 400, "/v1/private/spans/feedback-scores/names", Bare),
    (
        "addSpanFeedbackScore",
        "204",
        204,
        "/v1/private/spans/{span}/feedback-scores",
        Json(r#"{"name":"a","value":1,"source":"sdk"}"#),
    ),
    (
        "addSpanFeedbackScore",
        "404",
        404,
        "/v1/private/spans/{no}/feedback-scores",
        Json(r#"{"name":"a","value":1,"source":"sdk"}"#),
    ),
    ("addSpanFeedbackScore", "default", 422, "/v1/private/spans/{span}/feedback-scores", Json("{}")),
    (
        "scoreBatchOfSpans",
        "204",
        204,
        "/v1/private/spans/feedback-scores",
        Json(r#"{"scores":[{"id":"{span}","name":"a","value":1,"source":"sdk"}]}"#),
    ),
    ("scoreBatchOfSpans", "default", 422, "/v1/private/spans/feedback-scores", Json(r#"{"scores":[]}"#)),
    ("deleteSpanFeedbackScore", "204", 204, "/v1/private/spans/{span}/feedback-scores/delete", Json(r#"{"name":"a"}"#)),
    ("deleteSpanFeedbackScore", "default", 422, "/v1/private/spans/{span}/feedback-scores/delete", Json("{}")),
    ("addSpanComment", "201", 201, "/v1/private/spans/{span}/comments", Json(r#"{"text":"a"}"#)),
    ("addSpanComment", "404", 404, "/v1/private/spans/{no}/comments", Json(r#"{"text":"a"}"#)),
    ("addSpanComment", "default", 422, "/v1/private/spans/{span}/comments", Json("{}")),
    ("getSpanComment", "200", 200, "/v1/private/spans/{span}/comments/{comment}", Bare),
    ("getSpanComment", "404", 404, "/v1/private/spans/{span}/comments/{no}", Bare),
    ("getSpanComment", "default", 400, "/v1/private/spans/{span}/comments/{comment}", Lost),
    ("updateSpanComment", "204", 204, "/v1/private/spans/comments/{comment}", Json(r#"{"text":"b"}"#)),
    ("updateSpanComment", "404", 404, "/v1/private/spans/comments/{no}", Json(r#"{"text":"b"}"#)),
    ("updateSpanComment", "default", 422, "/v1/private/spans/comments/{comment}", Json("{}")),
    ("deleteSpanComments", "204", 204, "/v1/private/spans/comments/delete", Json(r#"{"ids":["{comment}"]}"#)),
    ("deleteSpanComments", "default", 422, "/v1/private/spans/comments/delete", Json("{}")),
    ("createTrace", "201", 201, "/v1/private/traces", Json(r#"{"start_time":"2024-01-15T09:30:00Z"}"#)),
    (
        "createTrace",
        "409",
        409,
        "/v1/private/traces",
        Json(r#"{"id":"{whole}","project_name":"another","start_time":"2024-01-15T09:30:00Z"}"#),
    ),
    ("createTrace", "default", 422, "/v1/private/traces", Json("{}")),
    (
        "createTraces",
        "204",
        204,
        "/v1/private/traces/batch",
        Json(r#"{"traces":[{"id":"{no}","start_time":"2024-01-15T09:30:00Z"}]}"#),
    ),
    ("createTraces", "default", 422, "/v1/private/traces/batch", Json(r#"{"traces":[]}"#)),
    ("batchUpdateTraces", "204", 204, "/v1/private/traces/batch", Json(r#"{"ids":["{whole}"],"update":{"name":"a"}}"#)),
    ("batchUpdateTraces", "400", 400, "/v1/private/traces/batch", Json(r#"{"ids":["1"]}"#)),
    ("batchUpdateTraces", "default", 422, "/v1/private/traces/batch", Json(r#"{"ids":[]}"#)),
    ("updateTrace", "204", 204, "/v1/private/traces/{whole}", Json(r#"{"name":"a"}"#)),
    ("updateTrace", "404", 404, "/v1/private/traces/{no}", Json(r#"{"project_id":"{no}"}"#)),
    ("updateTrace", "409", 409, "/v1/private/traces/{whole}", Json(r#"{"project_name":"another"}"#)),
    ("updateTrace", "default", 422, "/v1/private/traces/{whole}", Json(r#"{"project_name":" "}"#)),
    ("getTraceById", "200", 200, "/v1/private/traces/{whole}", Bare),
    ("getTraceById", "404", 404, "/v1/private/traces/{no}", Bare),
    ("getTraceById", "default", 400, "/v1/private/traces/{whole}?strip_attachments=1", Bare),
    ("deleteTraceById", "204", 204, "/v1/private/traces/{whole}", Bare),
    ("deleteTraceById", "default", 400, "/v1/private/traces/{whole}", Lost),
    ("deleteTraceById", "default", 429, "/v1/private/traces/{whole}", Held),
    ("getTracesByProject", "200", 200, "/v1/private/traces?project_id={project}", Bare),
    ("getTracesByProject", "default", 400, "/v1/private/traces", Bare),
    ("getTracesByProject", "default", 404, "/v1/private/traces?project_id={no}", Bare),
    ("searchTraces", "200", 200, "/v1/private/traces/search", Json(r#"{"project_id":"{project}"}"#)),
    ("searchTraces", "400", 400, "/v1/private/traces/search", Json("{}")),
    ("searchTraces", "default", 404, "/v1/private/traces/search", Json(r#"{"project_id":"{no}"}"#)),
    ("searchTraces", "default", 422, "/v1/private/traces/search", Json(r#"{"project_id":"{project}","limit":0}"#)),
    ("getTraceStats", "200", 200, "/v1/private/traces/stats?project_id={project}", Bare),
    ("getTraceStats", "default", 400, "/v1/private/traces/stats", Bare),
    ("getTraceStats", "default", 404, "/v1/private/traces/stats?project_id={no}", Bare),
    ("tracesExist", "200", 200, "/v1/private/traces/exists?project_id={project}", Bare),
    ("tracesExist", "default", 400, "/v1/private/traces/exists?project_id={project}&source=SDK", Bare),
    ("tracesExist", "default", 404, "/v1/private/traces/exists?project_id={no}", Bare),
    ("findFeedbackScoreNames_2", "200", 200, "/v1/private/traces/feedback-scores/names?project_id={project}", Bare),
    ("findFeedbackScoreNames_2", "default", 400, "/v1/private/traces/feedback-scores/names", Bare),
    (
        "addTraceFeedbackScore",
        "204",
        204,
        "/v1/private/traces/{whole}/feedback-scores",
        Json(r#"{"name":"a","value":1,"source":"sdk"}"#),
    ),
    (
        "addTraceFeedbackScore",
        "404",
        404,
        "/v1/private/traces/{no}/feedback-scores",
        Json(r#"{"name":"a","value":1,"source":"sdk"}"#),
    ),
    ("addTraceFeedbackScore", "default", 422, "/v1/private/traces/{whole}/feedback-scores", Json("{}")),
    (
        "scoreBatchOfTraces",
        "204",
        204,
        "/v1/private/traces/feedback-scores",
        Json(r#"{"scores":[{"id":"{whole}","name":"a","value":1,"source":"sdk"}]}"#),
    ),
    ("scoreBatchOfTraces", "default", 422, "/v1/private/traces/feedback-scores", Json(r#"{"scores":[]}"#)),
    (
        "deleteTraceFeedbackScore",
        "204",
        204,
        "/v1/private/traces/{whole}/feedback-scores/delete",
        Json(r#"{"name":"a"}"#),
    ),
    ("deleteTraceFeedbackScore", "default", 422, "/v1/private/traces/{whole}/feedback-scores/delete", Json("{}")),
    ("addTraceComment", "201", 201, "/v1/private/traces/{whole}/comments", Json(r#"{"text":"a"}"#)),
    ("addTraceComment", "404", 404, "/v1/private/traces/{no}/comments", Json(r#"{"text":"a"}"#)),
    ("addTraceComment", "default", 422, "/v1/private/traces/{whole}/comments", Json("{}")),
    ("getTraceComment", "200", 200, "/v1/private/traces/{whole}/comments/{remark}", Bare),
    ("getTraceComment", "404", 404, "/v1/private/traces/{whole}/comments/{no}", Bare),
    ("getTraceComment", "default", 400, "/v1/private/traces/{whole}/comments/{remark}", Lost),
    ("updateTraceComment", "204", 204, "/v1/private/traces/comments/{remark}", Json(r#"{"text":"b"}"#)),
    ("updateTraceComment", "404", 404, "/v1/private/traces/comments/{no}", Json(r#"{"text":"b"}"#)),
    ("updateTraceComment", "default", 422, "/v1/private/traces/comments/{remark}", Json("{}")),
    ("deleteTraceComments", "204", 204, "/v1/private/traces/comments/delete", Json(r#"{"ids":["{remark}"]}"#)),
    ("deleteTraceComments", "default", 422, "/v1/private/traces/comments/delete", Json("{}")),
    ("deleteTraces", "204", 204, "/v1/private/traces/delete", Json(r#"{"ids":["{whole}"]}"#)),
    ("deleteTraces", "default", 422, "/v1/private/traces/delete", Json(r#"{"ids":[]}"#)),
    // Threads.
    ("getTraceThreads", "200", 200, "/v1/private/traces/threads?project_id={project}", Bare),
    ("getTraceThreads", "default", 400, "/v1/private/traces/threads", Bare),
    ("getTraceThreads", "default", 404, "/v1/private/traces/threads?project_id={no}", Bare),
    (
        "getTraceThread",
        "200",
        200,
        "/v1/private/traces/threads/retrieve",
        Json(r#"{"project_id":"{project}","thread_id":"{talk}"}"#),
    ),
    (
        "getTraceThread",
        "404",
        404,
        "/v1/private/traces/threads/retrieve",
        Json(r#"{"project_id":"{project}","thread_id":"{no}"}"#),
    ),
    ("getTraceThread", "default", 422, "/v1/private/traces/threads/retrieve", Json("{}")),
    ("searchTraceThreads", "200", 200, "/v1/private/traces/threads/search", Json(r#"{"project_id":"{project}"}"#)),
    ("searchTraceThreads", "400", 400, "/v1/private/traces/threads/search", Json("{}")),
    ("searchTraceThreads", "default", 404, "/v1/private/traces/threads/search", Json(r#"{"project_id":"{no}"}"#)),
    ("getTraceThreadStats", "200", 200, "/v1/private/traces/threads/stats?project_id={project}", Bare),
    ("getTraceThreadStats", "default", 400, "/v1/private/traces/threads/stats", Bare),
    (
        "openTraceThread",
        "204",
        204,
        "/v1/private/traces/threads/open",
        Json(r#"{"project_id":"{project}","thread_id":"{talk}"}"#),
    ),
    (
        "openTraceThread",
        "default",
        404,
        "/v1/private/traces/threads/open",
        Json(r#"{"project_id":"{no}","thread_id":"{talk}"}"#),
    ),
    (
        "closeTraceThread",
        "204",
        204,
        "/v1/private/traces/threads/close",
        Json(r#"{"project_id":"{project}","thread_ids":["{talk}"]}"#),
    ),
    (
        "closeTraceThread",
        "404",
        404,
        "/v1/private/traces/threads/close",
        Json(r#"{"project_id":"{project}","thread_id":"{no}"}"#),
    ),
    ("closeTraceThread", "default", 422, "/v1/private/traces/threads/close", Json("{}")),
    ("updateThread", "204", 204, "/v1/private/traces/threads/{thread}", Json(r#"{"tags":["a"]}"#)),
    ("updateThread", "404", 404, "/v1/private/traces/threads/{no}", Json(r#"{"tags":["a"]}"#)),
    ("updateThread", "default", 422, "/v1/private/traces/threads/{thread}", Json(r#"{"tags":[null]}"#)),
    (
        "batchUpdateThreads",
        "204",
        204,
        "/v1/private/traces/threads/batch",
        Json(r#"{"ids":["{thread}"],"update":{"tags":["a"]}}"#),
    ),
    ("batchUpdateThreads", "400", 400, "/v1/private/traces/threads/batch", Json(r#"{"ids":["1"]}"#)),
    ("batchUpdateThreads", "default", 422, "/v1/private/traces/threads/batch", Json(r#"{"ids":[]}"#)),
    (
        "deleteTraceThreads",
        "204",
        204,
        "/v1/private/traces/threads/delete",
        Json(r#"{"project_id":"{project}","thread_ids":["{talk}"]}"#),
    ),
    ("deleteTraceThreads", "default", 422, "/v1/private/traces/threads/delete", Json("{}")),
    (
        "scoreBatchOfThreads",
        "204",
        204,
        "/v1/private/traces/threads/feedback-scores",
        Json(r#"{"scores":[{"thread_id":"{talk}","name":"a","value":1,"source":"sdk"}]}"#),
    ),
    ("scoreBatchOfThreads", "default", 422, "/v1/private/traces/threads/feedback-scores", Json(r#"{"scores":[]}"#)),
    (
        "deleteThreadFeedbackScores",
        "204",
        204,
        "/v1/private/traces/threads/feedback-scores/delete",
        Json(r#"{"project_name":"Default Project","thread_id":"{talk}","names":["a"]}"#),
    ),
    ("deleteThreadFeedbackScores", "default", 422, "/v1/private/traces/threads/feedback-scores/delete", Json("{}")),
    ("findTraceThreadsFeedbackScoreNames", "200", 200, "/v1/private/traces/threads/feedback-scores/names", Bare),
    (
        "findTraceThreadsFeedbackScoreNames",
        "default",
        400,
        "/v1/private/traces/threads/feedback-scores/names?project_id=1",
        Bare,
    ),
    ("addThreadComment", "201", 201, "/v1/private/traces/threads/{thread}/comments", Json(r#"{"text":"a"}"#)),
    ("addThreadComment", "404", 404, "/v1/private/traces/threads/{no}/comments", Json(r#"{"text":"a"}"#)),
    ("addThreadComment", "default", 422, "/v1/private/traces/threads/{thread}/comments", Json("{}")),
    ("getThreadComment", "200", 200, "/v1/private/traces/threads/{thread}/comments/{word}", Bare),
    ("getThreadComment", "404", 404, "/v1/private/traces/threads/{thread}/comments/{no}", Bare),
    ("getThreadComment", "default", 400, "/v1/private/traces/threads/{thread}/comments/{word}", Lost),
    ("updateThreadComment", "204", 204, "/v1/private/traces/threads/comments/{word}", Json(r#"{"text":"b"}"#)),
    ("updateThreadComment", "404", 404, "/v1/private/traces/threads/comments/{no}", Json(r#"{"text":"b"}"#)),
    ("updateThreadComment", "default", 422, "/v1/private/traces/threads/comments/{word}", Json("{}")),
    ("deleteThreadComments", "204", 204, "/v1/private/traces/threads/comments/delete", Json(r#"{"ids":["{word}"]}"#)),
    ("deleteThreadComments", "default", 422, "/v1/private/traces/threads/comments/delete", Json("{}")),
    // Projects, environments, feedback definitions, workspaces.
    ("createProject", "201", 201, "/v1/private/projects", Json(r#"{"name":"{no}"}"#)),
    ("createProject", "400", 400, "/v1/private/projects", Json(r#"{"name":1}"#)),
    ("createProject", "409", 409, "/v1/private/projects", Json(r#"{"name":"default PROJECT"}"#)),
    ("createProject", "422", 422, "/v1/private/projects", Json("{}")),
    ("createProject", "default", 415, "/v1/private/projects", Plain),
    ("findProjects", "200", 200, "/v1/private/projects", Bare),
    ("findProjects", "default", 400, "/v1/private/projects?page=0", Bare),
    ("getProjectById", "200", 200, "/v1/private/projects/{project}", Bare),
    ("getProjectById", "404", 404, "/v1/private/projects/{no}", Bare),
    ("getProjectById", "default", 400, "/v1/private/projects/{project}", Lost),
    ("retrieveProject", "200", 200, "/v1/private/projects/retrieve", Json(r#"{"name":"default project"}"#)),
    ("retrieveProject", "400", 400, "/v1/private/projects/retrieve", Json(r#"{"name":1}"#)),
    ("retrieveProject", "404", 404, "/v1/private/projects/retrieve", Json(r#"{"name":"{no}"}"#)),
    ("retrieveProject", "422", 422, "/v1/private/projects/retrieve", Json("{}")),
    ("retrieveProject", "default", 415, "/v1/private/projects/retrieve", Plain),
    ("getProjectStats", "200", 200, "/v1/private/projects/stats", Bare),
    ("getProjectStats", "default", 400, "/v1/private/projects/stats?filters=1", Bare),
    (
        "getProjectMetrics",
        "200",
        200,
        "/v1/private/projects/{project}/metrics",
        Json(
            r#"{"metric_type":"TRACE_COUNT","interval":"DAILY","interval_start":"2026-01-01T00:00:00Z","interval_end":"2026-01-02T00:00:00Z"}"#,
        ),
    ),
    ("getProjectMetrics", "400", 400, "/v1/private/projects/{project}/metrics", Json("{}")),
    (
        "getProjectMetrics",
        "404",
        404,
        "/v1/private/projects/{no}/metrics",
        Json(
            r#"{"metric_type":"TRACE_COUNT","interval":"DAILY","interval_start":"2026-01-01T00:00:00Z","interval_end":"2026-01-02T00:00:00Z"}"#,
        ),
    ),
    ("getProjectMetrics", "default", 415, "/v1/private/projects/{project}/metrics", Plain),
    (
        "getProjectKpiCards",
        "200",
        200,
        "/v1/private/projects/{project}/kpi-cards",
        Json(
            r#"{"entity_type":"spans","interval_start":"2026-01-01T00:00:00Z","interval_end":"2026-01-02T00:00:00Z"}"#,
        ),
    ),
    ("getProjectKpiCards", "400", 400, "/v1/private/projects/{project}/kpi-cards", Json(r#"{"entity_type":1}"#)),
    ("getProjectKpiCards", "default", 422, "/v1/private/projects/{project}/kpi-cards", Json("{}")),
    ("findFeedbackScoreNamesByProjectIds", "200", 200, "/v1/private/projects/feedback-scores/names", Bare),
    (
        "findFeedbackScoreNamesByProjectIds",
        "default",
        400,
        "/v1/private/projects/feedback-scores/names?project_ids=1",
        Bare,
    ),
    ("findTokenUsageNames", "200", 200, "/v1/private/projects/{project}/token-usage/names", Bare),
    ("findTokenUsageNames", "404", 404, "/v1/private/projects/{no}/token-usage/names", Bare),
    ("findTokenUsageNames", "default", 400, "/v1/private/projects/{project}/token-usage/names", Lost),
    ("getRecentActivity", "200", 200, "/v1/private/projects/{project}/activities", Bare),
    ("getRecentActivity", "400", 400, "/v1/private/projects/{project}/activities?size=101", Bare),
    ("getRecentActivity", "default", 404, "/v1/private/projects/{no}/activities", Bare),
    ("updateProject", "204", 204, "/v1/private/projects/{project}", Json(r#"{"description":"d"}"#)),
    ("updateProject", "400", 400, "/v1/private/projects/{project}", Json(r#"{"name":1}"#)),
    ("updateProject", "404", 404, "/v1/private/projects/{no}", Json(r#"{"description":"d"}"#)),
    ("updateProject", "409", 409, "/v1/private/projects/{other}", Json(r#"{"name":"default project"}"#)),
    ("updateProject", "422", 422, "/v1/private/projects/{project}", Json(r#"{"name":" "}"#)),
    ("updateProject", "default", 415, "/v1/private/projects/{project}", Plain),
    ("deleteProjectById", "204", 204, "/v1/private/projects/{no}", Bare),
    ("deleteProjectById", "default", 404, "/v1/private/projects/1", Bare),
    ("deleteProjectById", "default", 429, "/v1/private/projects/{no}", Held),
    ("deleteProjectsBatch", "204", 204, "/v1/private/projects/delete", Json(r#"{"ids":["{no}"]}"#)),
    ("deleteProjectsBatch", "default", 422, "/v1/private/projects/delete", Json(r#"{"ids":[]}"#)),
    ("createEnvironment", "201", 201, "/v1/private/environments", Json(r#"{"name":"{no}"}"#)),
    ("createEnvironment", "409", 409, "/v1/private/environments", Json(r#"{"name":"production"}"#)),
    ("createEnvironment", "default", 422, "/v1/private/environments", Json("{}")),
    ("findEnvironments", "200", 200, "/v1/private/environments", Bare),
    ("findEnvironments", "default", 400, "/v1/private/environments", Lost),
    ("getEnvironmentById", "200", 200, "/v1/private/environments/{environment}", Bare),
    ("getEnvironmentById", "404", 404, "/v1/private/environments/{no}", Bare),
    ("getEnvironmentById", "default", 400, "/v1/private/environments/{environment}", Lost),
    ("updateEnvironment", "204", 204, "/v1/private/environments/{environment}", Json(r#"{"position":7}"#)),
    ("updateEnvironment", "404", 404, "/v1/private/environments/{no}", Json(r#"{"position":7}"#)),
    ("updateEnvironment", "409", 409, "/v1/private/environments/{environment}", Json(r#"{"name":"production"}"#)),
    ("updateEnvironment", "default", 422, "/v1/private/environments/{environment}", Json(r#"{"name":"a b"}"#)),
    ("deleteEnvironmentsBatch", "204", 204, "/v1/private/environments/delete", Json(r#"{"ids":["{environment}"]}"#)),
    ("deleteEnvironmentsBatch", "default", 422, "/v1/private/environments/delete", Json(r#"{"ids":[]}"#)),
    (
        "createFeedbackDefinition",
        "201",
        201,
        "/v1/private/feedback-definitions",
        Json(r#"{"name":"{no}","type":"numerical","details":{"min":0,"max":1}}"#),
    ),
    (
        "createFeedbackDefinition",
        "409",
        409,
        "/v1/private/feedback-definitions",
        Json(r#"{"name":"user FEEDBACK","type":"numerical","details":{"min":0,"max":1}}"#),
    ),
    ("createFeedbackDefinition", "default", 422, "/v1/private/feedback-definitions", Json("{}")),
    ("findFeedbackDefinitions", "200", 200, "/v1/private/feedback-definitions?type=categorical", Bare),
    ("findFeedbackDefinitions", "default", 400, "/v1/private/feedback-definitions?type=text", Bare),
    ("getFeedbackDefinitionById", "200", 200, "/v1/private/feedback-definitions/{definition}", Bare),
    ("getFeedbackDefinitionById", "404", 404, "/v1/private/feedback-definitions/{no}", Bare),
    ("getFeedbackDefinitionById", "default", 400, "/v1/private/feedback-definitions/{definition}", Lost),
    (
        "updateFeedbackDefinition",
        "204",
        204,
        "/v1/private/feedback-definitions/{definition}",
        Json(r#"{"name":"{no}","type":"numerical","details":{"min":0,"max":1}}"#),
    ),
    (
        "updateFeedbackDefinition",
        "404",
        404,
        "/v1/private/feedback-definitions/{no}",
        Json(r#"{"name":"{no}","type":"numerical","details":{"min":0,"max":1}}"#),
    ),
    (
        "updateFeedbackDefinition",
        "409",
        409,
        "/v1/private/feedback-definitions/{definition}",
        Json(r#"{"name":"user FEEDBACK","type":"numerical","details":{"min":0,"max":1}}"#),
    ),
    ("updateFeedbackDefinition", "default", 422, "/v1/private/feedback-definitions/{definition}", Json("{}")),
    ("deleteFeedbackDefinitionById", "204", 204, "/v1/private/feedback-definitions/{definition}", Bare),
    (
        "deleteFeedbackDefinitionById",
        "409",
        409,
        "/v1/private/feedback-definitions/0190babc-62a0-71d2-832a-0feffa4676eb",
        Bare,
    ),
    ("deleteFeedbackDefinitionById", "default", 429, "/v1/private/feedback-definitions/{no}", Held),
    (
        "deleteFeedbackDefinitionsBatch",
        "204",
        204,
        "/v1/private/feedback-definitions/delete",
        Json(r#"{"ids":["{definition}"]}"#),
    ),
    (
        "deleteFeedbackDefinitionsBatch",
        "409",
        409,
        "/v1/private/feedback-definitions/delete",
        Json(r#"{"ids":["{definition}","0190babc-62a0-71d2-832a-0feffa4676eb"]}"#),
    ),
    (
        "deleteFeedbackDefinitionsBatch",
        "default",
        422,
        "/v1/private/feedback-definitions/delete",
        Json(r#"{"ids":[]}"#),
    ),
    // Attachments.
    ("startMultiPartUpload", "200", 200, "/v1/private/attachment/upload-start", Json(FILE)),
    ("startMultiPartUpload", "default", 422, "/v1/private/attachment/upload-start", Json("{}")),
    ("uploadAttachment", "204", 204, "/v1/private/attachment/upload?{file}&mime_type=text/plain", Plain),
    ("uploadAttachment", "default", 400, "/v1/private/attachment/upload?file_name=a.txt", Plain),
    ("uploadAttachment", "default", 429, "/v1/private/attachment/upload?{file}", Held),
    ("completeMultiPartUpload", "204", 204, "/v1/private/attachment/upload-complete", Json(FILE)),
    ("completeMultiPartUpload", "default", 422, "/v1/private/attachment/upload-complete", Json("{}")),
    (
        "attachmentList",
        "200",
        200,
        "/v1/private/attachment/list?project_id={project}&{file}&path=aHR0cDovL2xvY2FsaG9zdC9hcGk",
        Bare,
    ),
    ("attachmentList", "default", 400, "/v1/private/attachment/list?project_id={project}&{file}", Bare),
    (
        "downloadAttachment",
        "200",
        200,
        "/v1/private/attachment/download?container_id={project}&{file}&mime_type=text/plain",
        Bare,
    ),
    (
        "downloadAttachment",
        "416",
        416,
        "/v1/private/attachment/download?container_id={project}&{file}&mime_type=text/plain",
        Beyond,
    ),
    (
        "downloadAttachment",
        "default",
        404,
        "/v1/private/attachment/download?container_id={no}&{file}&mime_type=text/plain",
        Bare,
    ),
    ("deleteAttachments", "204", 204, "/v1/private/attachment/delete", Json(FILE)),
    ("deleteAttachments", "default", 422, "/v1/private/attachment/delete", Json("{}")),
    ("checkAccess", "204", 204, "/v1/private/auth", Json("{}")),
    ("checkAccess", "default", 400, "/v1/private/auth", Lost),
    ("getWorkspaceName", "200", 200, "/v1/private/auth/workspace", Bare),
    ("getWorkspaceName", "default", 400, "/v1/private/auth/workspace", Lost),
    ("getWorkspaceUserPermissions", "200", 200, "/v1/private/workspace-permissions", Bare),
    ("getWorkspaceUserPermissions", "400", 400, "/v1/private/workspace-permissions", Lost),
    ("getWorkspaceVersion", "200", 200, "/v1/private/workspaces/versions", Bare),
    ("getWorkspaceVersion", "default", 400, "/v1/private/workspaces/versions", Lost),
    ("getWorkspaceConfiguration", "404", 404, "/v1/private/workspaces/configurations", Bare),
    (
        "upsertWorkspaceConfiguration",
        "200",
        200,
        "/v1/private/workspaces/configurations",
        Json(r#"{"truncation_on_tables":true}"#),
    ),
    (
        "upsertWorkspaceConfiguration",
        "400",
        400,
        "/v1/private/workspaces/configurations",
        Json(r#"{"truncation_on_tables":1}"#),
    ),
    (
        "upsertWorkspaceConfiguration",
        "422",
        422,
        "/v1/private/workspaces/configurations",
        Json(r#"{"color_map":{"a":"red"}}"#),
    ),
    ("upsertWorkspaceConfiguration", "default", 415, "/v1/private/workspaces/configurations", Plain),
    ("getWorkspaceConfiguration", "200", 200, "/v1/private/workspaces/configurations", Bare),
    ("getWorkspaceConfiguration", "default", 400, "/v1/private/workspaces/configurations", Lost),
    ("deleteWorkspaceConfiguration", "204", 204, "/v1/private/workspaces/configurations", Bare),
    ("deleteWorkspaceConfiguration", "default", 400, "/v1/private/workspaces/configurations", Lost),
    ("getServiceToggles", "200", 200, "/v1/private/toggles", Bare),
    ("getServiceToggles", "default", 400, "/v1/private/toggles", Lost),
    (
        "projectsRedirect",
        "303",
        303,
        "/v1/session/redirect/projects?trace_id={trace}&path=aHR0cDovL2xvY2FsaG9zdC9hcGk",
        Bare,
    ),
    ("projectsRedirect", "400", 400, "/v1/session/redirect/projects?trace_id={trace}", Bare),
    (
        "projectsRedirect",
        "404",
        404,
        "/v1/session/redirect/projects?trace_id={no}&path=aHR0cDovL2xvY2FsaG9zdC9hcGk",
        Bare,
    ),
    ("isAlive", "default", 200, "/is-alive/ping", Bare),
    ("isAlive", "503", 503, "/is-alive/ping", Held),
    ("version", "default", 200, "/is-alive/ver", Bare),
    ("health", "200", 200, "/health", Bare),
    ("health", "503", 503, "/health", Held),
    ("resetData", "204", 204, "/v1/test/reset", Bare),
    ("resetData", "404", 404, "/v1/test/reset", Off),
    ("resetData", "default", 429, "/v1/test/reset", Held),
    ("addFault", "204", 204, "/v1/test/faults", Json(r#"{"operation_id":"createTraces","path":"/nowhere"}"#)),
    ("addFault", "404", 404, "/v1/test/faults", Off),
    ("addFault", "422", 422, "/v1/test/faults", Json(r#"{"operation_id":"createNothing"}"#)),
    ("addFault", "default", 400, "/v1/test/faults", Json("{")),
    ("addFault", "default", 415, "/v1/test/faults", Plain),
    ("listFaults", "200", 200, "/v1/test/faults", Bare),
    ("listFaults", "404", 404, "/v1/test/faults", Off),
    ("clearFaults", "204", 204, "/v1/test/faults", Bare),
    ("clearFaults", "404", 404, "/v1/test/faults", Off),
    ("listRequests", "200", 200, "/v1/test/requests?operation_id=createSpan&last=2", Bare),
    ("listRequests", "404", 404, "/v1/test/requests", Off),
    ("listRequests", "default", 400, "/v1/test/requests?last=0", Bare),
    ("waitFor", "200", 200, "/v1/test/wait", Json(r#"{"kind":"spans","project_id":"{project}"}"#)),
    (
        "waitFor",
        "200",
        200,
        "/v1/test/wait",
        Json(r#"{"kind":"traces","project_id":"{project}","trace_id":"{whole}"}"#),
    ),
    ("waitFor", "400", 400, "/v1/test/wait", Json(r#"{"kind":"spans"}"#)),
    ("waitFor", "404", 404, "/v1/test/wait", Off),
    ("waitFor", "408", 408, "/v1/test/wait", Json(r#"{"kind":"spans","project_id":"{no}","count":2,"timeout_ms":0}"#)),
    ("waitFor", "422", 422, "/v1/test/wait", Json("{}")),
    ("waitFor", "422", 422, "/v1/test/wait", Json(r#"{"kind":"traces","type":"llm","project_id":"{project}"}"#)),
    ("waitFor", "default", 415, "/v1/test/wait", Plain),
    ("getDocumentationIndex", "200", 200, "/llms.txt", Bare),
    ("getDocumentation", "200", 200, "/llms-full.txt", Bare),
    ("getDocumentationPage", "200", 200, "/docs/createSpan.md", Bare),
    ("getDocumentationPage", "404", 404, "/docs/createSpan", Bare),
];

/// A file of the span that rows name, in all that is said of it.
const FILE: &str = r#"{"file_name":"a.txt","entity_type":"span","entity_id":"{span}","file_size":2,"num_of_file_parts":1,
    "path":"aHR0cDovL2xvY2FsaG9zdC9hcGk","upload_id":"BEMinIO","uploaded_file_parts":[]}"#;

/// A span and a trace with all that rows name, made for one of them.
struct Things(Vec<(&'static str, String)>);

impl Things {
    /// Those that everyone needs, and of the others those that are named in `text`.
    async fn make(api: &Api, text: &str) -> Self {
        let span = api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
        let read = api.span(&span).await;
        let answer = api.post(&format!("/v1/private/spans/{span}/comments"), &json!({"text": "a"})).await.expect(201);
        let talk = format!("talk {}", fresh_id());
        let whole = api.create_trace(&json!({"start_time": "2024-01-15T09:30:00Z", "thread_id": talk})).await;
        let remark = api.post(&format!("/v1/private/traces/{whole}/comments"), &json!({"text": "a"})).await.expect(201);
        let id = |value: &Value| value.as_str().unwrap().to_owned();
        let thread = json!({"project_id": read["project_id"], "thread_id": talk});
        let thread = id(&api.post("/v1/private/traces/threads/retrieve", &thread).await.json()["thread_model_id"]);
        let word =
            api.post(&format!("/v1/private/traces/threads/{thread}/comments"), &json!({"text": "a"})).await.expect(201);
        let mut things = vec![
            ("{trace}", id(&read["trace_id"])),
            ("{project}", id(&read["project_id"])),
            ("{comment}", id(&answer.json()["id"])),
            ("{span}", span),
            ("{remark}", id(&remark.json()["id"])),
            ("{whole}", whole),
            ("{word}", id(&word.json()["id"])),
            ("{talk}", talk),
            ("{thread}", thread),
            ("{no}", fresh_id()),
        ];
        let name = fresh_id();
        let details = json!({"min": 0, "max": 1});
        for (thing, area, body) in [
            ("{other}", "projects", json!({"name": name})),
            ("{environment}", "environments", json!({"name": name})),
            ("{definition}", "feedback-definitions", json!({"name": name, "type": "numerical", "details": details})),
        ] {
            if text.contains(thing) {
                let answer = api.post(&format!("/v1/private/{area}"), &body).await.expect(201);
                things.push((thing, answer.header("location").rsplit('/').next().unwrap().to_owned()));
            }
        }
        if text.contains("{file}") || text.contains("/attachment/") {
            let file = format!("file_name=a.txt&entity_type=span&entity_id={}", things[3].1);
            let request = api.request("PUT", &format!("/v1/private/attachment/upload?{file}")).body("{}");
            api.send(request).await.expect(204);
            things.push(("{file}", file));
        }
        Self(things)
    }

    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
    }
}

/// The method of an operation, all of whose addresses must be its own.
#[track_caller]
fn method_of(operation: &str, address: &str) -> String {
    let found = operations(&contract().document).find(|(.., node)| node["operationId"] == operation);
    let (method, ..) = found.unwrap_or_else(|| panic!("a row for {operation}, which the document does not have"));
    let (_, there) = contract().operation(&method, address).unwrap_or_else(|| panic!("{method} {address}"));
    assert_eq!(there["operationId"], operation, "{method} {address} is another operation");
    method
}

/// What a row names.
fn named((_, _, _, address, sent): (&str, &str, u16, &str, Sent)) -> String {
    let body = if let Json(body) = sent { body } else { "" };
    format!("{address} {body}")
}

/// Sends a row's request.
async fn ask(api: &Api, things: &Things, (operation, _, _, address, sent): (&str, &str, u16, &str, Sent)) -> Answer {
    let address = things.fill(address);
    let request = api.request(&method_of(operation, &address), &address);
    let request = match sent {
        Bare | Held | Off => request,
        Json(body) => request.header("content-type", "application/json").body(things.fill(body)),
        Plain => request.header("content-type", "text/plain").body("{}"),
        Lost => request.header("comet-workspace", "x".repeat(151)),
        Beyond => request.header("range", "bytes=1000-"),
    };
    api.send(request).await
}

/// The answers that the table gets, each as operation and documented status.
fn provoked() -> BTreeSet<String> {
    ROWS.iter().map(|(operation, status, ..)| format!("{operation} {status}")).collect()
}

/// The answers that nothing gets.
fn never() -> BTreeSet<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(NEVER)).unwrap();
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = rows.map(|row| {
        let (answer, reason) = row.split_once(" | ").unwrap_or_else(|| panic!("{NEVER}: no reason: {row}"));
        assert!(!reason.trim().is_empty(), "{NEVER}: no reason: {row}");
        answer.to_owned()
    });
    rows.collect()
}

/// The answers that a document knows.
fn documented(document: &Value) -> BTreeSet<String> {
    let answers = operations(document).flat_map(|(.., operation)| {
        let name = operation["operationId"].as_str().unwrap();
        operation["responses"].as_object().unwrap().keys().map(move |status| format!("{name} {status}"))
    });
    answers.collect()
}

/// What a document knows and neither list has.
fn forgotten(document: &Value) -> Vec<String> {
    let (provoked, never) = (provoked(), never());
    documented(document).into_iter().filter(|answer| !provoked.contains(answer) && !never.contains(answer)).collect()
}

#[test]
fn every_documented_answer_has_a_row_or_a_reason() {
    let documented = documented(&contract().document);
    assert_eq!(forgotten(&contract().document), [""; 0], "add rows, or reasons to {NEVER}");
    let (provoked, never) = (provoked(), never());
    let none: Vec<&String> = Vec::new();
    assert_eq!(provoked.difference(&documented).collect::<Vec<_>>(), none, "rows for what the document does not have");
    assert_eq!(never.difference(&documented).collect::<Vec<_>>(), none, "{NEVER}: not in the document");
    assert_eq!(never.intersection(&provoked).collect::<Vec<_>>(), none, "{NEVER}: a row gets it");
    for (operation, status, comes, address, _) in ROWS {
        let named = |status: &str| documented.contains(&format!("{operation} {status}"));
        if status == "default" {
            assert!(!named(&comes.to_string()), "{operation} {comes} has a place of its own in the document");
        } else {
            assert_eq!(status, comes.to_string(), "{operation} {address}");
        }
    }
    for (tag, count) in [("Spans", 18), ("Traces", 35)] {
        let tagged = operations(&contract().document).filter(|(.., operation)| operation["tags"] == json!([tag]));
        assert_eq!(tagged.count(), count, "{tag}");
    }
}

#[test]
fn an_operation_or_status_without_a_row_is_found() {
    let mut document = contract().document.clone();
    let paths = document["paths"].as_object_mut().unwrap();
    paths["/v1/private/spans"]["post"]["responses"]["202"] = json!({"description": "Accepted"});
    let operation = json!({"operationId": "countSpans", "responses": {"200": {}, "default": {}}});
    paths.insert("/v1/private/spans/count".to_owned(), json!({"get": operation}));
    assert_eq!(forgotten(&document), ["countSpans 200", "countSpans default", "createSpan 202"]);
}

#[tokio::test]
async fn every_documented_answer_comes() {
    let server = Server::with_flags(&["--test-api"]).await;
    let without = Server::start().await;
    for row in ROWS.into_iter().filter(|(.., sent)| !matches!(sent, Held)) {
        let things = Things::make(&server.api, &named(row)).await;
        let server = if matches!(row.4, Off) { &without } else { &server };
        let answer = ask(&server.api, &things, row).await;
        assert_eq!(answer.status, row.2, "{row:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_comes_while_another_program_holds_the_database_comes() {
    let server = Server::with_flags(&["--test-api"]).await;
    let things = Things::make(&server.api, "{environment} {definition} {talk} {word} {file}").await;
    let _held = server.home.hold();
    // The first write finds out, and is refused as the others are.
    for (operation, address, sent) in writes() {
        let answer = ask(&server.api, &things, (operation, "", 429, address, sent)).await;
        assert_eq!(answer.status, 429, "{operation}: {}", answer.text());
    }
    for row in ROWS.into_iter().filter(|(.., sent)| matches!(sent, Held)) {
        let answer = ask(&server.api, &things, row).await;
        assert_eq!(answer.status, row.2, "{row:?}: {}", answer.text());
    }
}

/// A request that each operation with a body takes.
fn with_bodies() -> impl Iterator<Item = (&'static str, &'static str, Sent)> {
    let taken = ROWS.into_iter().filter(|(_, _, comes, _, sent)| *comes < 300 && matches!(sent, Json(_)));
    taken.map(|(operation, _, _, address, sent)| (operation, address, sent))
}

/// The same without those that only read.
fn writes() -> impl Iterator<Item = (&'static str, &'static str, Sent)> {
    with_bodies().filter(|(operation, ..)| {
        const ONLY_READ: [&str; 9] = [
            "addFault",
            "checkAccess",
            "completeMultiPartUpload",
            "getProjectKpiCards",
            "getProjectMetrics",
            "getTraceThread",
            "retrieveProject",
            "startMultiPartUpload",
            "waitFor",
        ];
        !operation.starts_with("search") && !ONLY_READ.contains(operation)
    })
}

#[tokio::test]
async fn every_operation_with_a_body_refuses_what_is_no_body_in_the_same_words() {
    let server = Server::with_flags(&["--test-api", "--body-bytes-max", "1000"]).await;
    let things = Things::make(&server.api, "{environment} {definition} {talk} {word}").await;
    let mut tried = BTreeSet::new();
    for (operation, address, _) in with_bodies() {
        let address = things.fill(address);
        let method = method_of(operation, &address);
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(1_000));
        for (status, media_type, body) in [
            (400, "application/json", "{"),
            (400, "application/json", "[]"),
            (413, "application/json", large.as_str()),
            (415, "text/plain", "{}"),
            (422, "application/json", "null"),
        ] {
            let request = server.api.request(&method, &address).header("content-type", media_type);
            let answer = server.api.send(request.body(body.to_owned())).await;
            assert_eq!(answer.status, status, "{operation} {media_type} {body:.20}: {}", answer.text());
        }
        tried.insert(operation);
    }
    // Any bytes are a file.
    let is_json = |operation: &Value| operation["requestBody"]["content"].get("application/json").is_some();
    let wanted = operations(&contract().document).filter(|(.., operation)| is_json(operation));
    let wanted: BTreeSet<&str> = wanted.map(|(.., operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(tried, wanted);
}
