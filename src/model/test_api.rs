//! What tests of other programs ask of this server.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::span_query::filters;
use super::within::Within;
use super::{Id, ShortText, SpanFilter, SpanType, Timestamp, Violation};

/// The body of a made-up answer. Its greatest length is chosen.
pub type FaultBody = ShortText<65_536>;

/// Methods of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "named after the methods")]
pub enum RequestMethod {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl RequestMethod {
    /// As it stands in a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How a connection ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hangup {
    /// In good order: the client reads the end of the stream.
    Closed,
    /// By a reset: the client's next use of the connection fails.
    Reset,
}

/// What is to go wrong, with which requests. A request must be all that is stated of it; the first fault that fits and
/// has turns left is its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a fault object")]
pub struct Fault {
    /// Only requests for this operation, such as `createSpans`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
    /// Only requests with this method.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<RequestMethod>,
    /// Only requests for this path, without `/api` before it: the one of an operation, such as
    /// `/v1/private/spans/{id}`, or one in which each `*` stands for any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many such requests are spared first.
    #[schema(inline)]
    #[validate(nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<Within<0, 1_000_000, 0>>,
    /// How many then get the fault.
    #[schema(inline)]
    #[validate(nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Within<1, 1_000_000, 1>>,
    /// The answer's status. Without it, the server does what it is asked and answers itself.
    #[schema(inline)]
    #[validate(nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Within<200, 599>>,
    /// The answer's headers, by name; those of the server's own answer are replaced.
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<IndexMap<String, String>>,
    /// The answer's body, if `status` is stated, as it is to be sent. Without it, an error has the body that all errors
    /// have. Its type is JSON, if it can be read as that, unless `headers` say otherwise.
    #[schema(inline)]
    #[validate(nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<FaultBody>,
    /// How long the answer is held back, or the end of the connection, in milliseconds.
    #[schema(inline)]
    #[validate(nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<Within<0, 600_000, 0>>,
    /// After how many bytes of its body the answer breaks off and the connection ends.
    #[schema(inline)]
    #[validate(nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_after_bytes: Option<Within<0, { i32::MAX }>>,
    /// The connection ends in this way, without an answer; `status` and what else is said of an answer counts no more.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Hangup>,
    /// With `status` or `connection`: whether the server does what it is asked all the same, so that only the answer is
    /// lost.
    #[schema(default = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handled: Option<bool>,
    /// How many requests got the fault so far.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hits: Option<i64>,
}

/// The faults that were added.
#[derive(Debug, Serialize, ToSchema)]
pub struct Faults {
    /// In the order in which they were added.
    pub faults: Vec<Fault>,
}

/// A request as it was received.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordedRequest {
    /// Which it was since the last reset, from 1.
    pub number: i64,
    /// When its head had come.
    #[schema(inline)]
    pub received_at: Timestamp,
    /// Its method.
    pub method: String,
    /// Its path, as it was sent.
    pub path: String,
    /// What follows the question mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Its headers, by name in lower case; of several with one name, the values are joined by commas. `***` stands for
    /// what gives access.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub headers: IndexMap<String, String>,
    /// The operation that it is for, if for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
    /// Its body, unpacked, as text; what is no UTF-8 is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How many bytes of the body came, packed as they were.
    pub body_bytes: i64,
    /// Whether `body` has only the beginning: the rest was too much to keep, or never came.
    pub body_cut: bool,
    /// The status of the answer; none while there is no answer, and where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Whether it got a fault.
    pub fault: bool,
    /// Where it breaks the contract, as strict mode sees it. Nothing is said of a body of which only the beginning is
    /// kept.
    pub violations: Vec<Violation>,
}

/// The last requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordedRequests {
    /// How many were received since the last reset; the first of them may not be kept any more.
    pub total: i64,
    /// Those that are kept and asked for, in the order in which they came.
    pub requests: Vec<RecordedRequest>,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "named after what they are")]
pub enum AwaitedKind {
    Spans,
    Traces,
}

/// What is waited for: so many spans or traces of a project, which need not exist yet.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object that says what to wait for")]
pub struct Awaited {
    /// Spans or traces.
    #[schema(required, inline, value_type = AwaitedKind)]
    #[validate(required(message = "must not be null"))]
    pub kind: Option<AwaitedKind>,
    /// Their project, by name. This or `project_id` is needed.
    pub project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// Only this trace's spans.
    #[schema(inline)]
    pub trace_id: Option<Id>,
    /// Only spans of this type.
    #[schema(inline)]
    pub r#type: Option<SpanType>,
    /// Only those for which all of these hold, as in the list of spans or traces.
    #[serde(default, deserialize_with = "filters")]
    pub filters: Option<Vec<SpanFilter>>,
    /// Only those in which this text is found, as in the list.
    pub search: Option<String>,
    /// How many there must be at least.
    #[schema(inline)]
    #[validate(nested)]
    pub count: Option<Within<1, { i32::MAX }, 1>>,
    /// How long to wait, in milliseconds.
    #[schema(inline)]
    #[validate(nested)]
    pub timeout_ms: Option<Within<0, 60_000, 10_000>>,
}

/// What was waited for is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Arrived {
    /// How many there are.
    pub count: i64,
}
