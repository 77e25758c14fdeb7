//! Spans with the shapes of real traffic, the same for the same seed: chats that repeat their history, calls of tools,
//! texts in several languages, and now and then a large document.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

/// Spans in a trace.
pub(crate) const TRACE_SPANS: usize = 10;

/// One span in so many has a large document.
const DOCUMENT_EVERY: u64 = 10_000;
const DOCUMENT_BYTES: usize = 1 << 20;

/// The time of the first ids, in milliseconds since 1970: 2025-01-01.
pub(crate) const START: u64 = 1_735_689_600_000;

/// Of many spans, what their ids span, in milliseconds: 30 days.
pub(crate) const IDS_MILLIS: u64 = 30 * 24 * 3_600 * 1_000;

/// What spans have by the texts below.
const SPAN_BYTES: usize = 2_048;

/// The project of all.
pub(crate) const PROJECT: &str = "Bench";

const WORDS: &str = "the of and to in is that it for was on are as with his they at be this from have or by one had not \
    but what all were when we there can an your which their said if do will each about how up out them then she many \
    some so these would other into has more her two like him see time could no make than first been its who now people \
    my made over did down only way find use may water long little very after words called just where most know model \
    prompt context retrieval token answer question document customer invoice policy refund shipping account premium \
    error timeout latency database schema function argument parameter response request vector embedding similarity \
    chunk summary paragraph evidence citation quarter revenue forecast temperature Berlin Paris Tokyo yesterday \
    tomorrow Tuesday probably unfortunately however therefore additionally specifically";

const FOREIGN: [&str; 8] = ["größer", "naïve", "Straße", "今日は", "東京", "привет", "señor", "🚀"];

const MODELS: [(&str, &str); 4] = [
    ("gpt-4o", "openai"),
    ("gpt-4o-mini", "openai"),
    ("claude-3-5-sonnet-20241022", "anthropic"),
    ("gemini-1.5-pro", "google_ai"),
];

const TOOLS: [&str; 5] = ["search_documents", "get_weather", "run_query", "send_email", "fetch_url"];

/// One span to be created.
pub(crate) struct Span {
    pub(crate) id: Uuid,
    pub(crate) trace_id: Uuid,
    pub(crate) json: Value,
}

/// A source of spans that never ends.
pub(crate) struct Data {
    random: StdRng,
    words: Vec<&'static str>,
    /// Milliseconds since 1970 of the next id.
    now: u64,
    /// Whether time goes on from id to id.
    moves: bool,
    made: u64,
    trace: Trace,
    /// About what a span has.
    span_bytes: usize,
}

/// The trace that spans are being made of.
struct Trace {
    id: Uuid,
    root: Uuid,
    spans: usize,
    history: Vec<Value>,
}

impl Data {
    pub(crate) fn new(seed: u64, span_bytes: usize) -> Self {
        let trace = Trace { id: Uuid::nil(), root: Uuid::nil(), spans: usize::MAX, history: Vec::new() };
        Self {
            random: StdRng::seed_from_u64(seed),
            words: WORDS.split_whitespace().collect(),
            now: START + (seed << 32),
            moves: true,
            made: 0,
            trace,
            span_bytes,
        }
    }

    /// Makes all further ids of the first millisecond.
    pub(crate) fn stand_still(&mut self) {
        self.now = START;
        self.moves = false;
    }

    pub(crate) fn id(&mut self) -> Uuid {
        self.now += u64::from(self.moves && self.random.random_ratio(1, 4));
        Builder::from_unix_timestamp_millis(self.now, &self.random.random()).into_uuid()
    }

    /// The next so many spans, [`TRACE_SPANS`] of each trace.
    pub(crate) fn spans(&mut self, number: usize) -> Vec<Span> {
        (0..number).map(|_| self.span(TRACE_SPANS)).collect()
    }

    /// The next span; a new trace begins when this one has so many.
    pub(crate) fn span(&mut self, trace_spans: usize) -> Span {
        if self.trace.spans >= trace_spans {
            let system = self.text(160);
            self.trace = Trace {
                id: self.id(),
                root: Uuid::nil(),
                spans: 0,
                history: vec![json!({"role": "system", "content": system})],
            };
        }
        let id = self.id();
        self.made += 1;
        if self.trace.spans == 0 {
            self.trace.root = id;
        }
        let mut json = match self.trace.spans {
            0 => self.root(),
            at if at % 3 == 0 => self.tool_call(),
            _ => self.completion(),
        };
        json["id"] = id.to_string().into();
        json["trace_id"] = self.trace.id.to_string().into();
        if self.trace.spans > 0 {
            json["parent_span_id"] = self.trace.root.to_string().into();
        }
        json["project_name"] = PROJECT.into();
        json["start_time"] = self.time(0).into();
        json["end_time"] = self.time(1).into();
        json["tags"] = json!(["production", self.words.choose(&mut self.random), "checkout-flow"]);
        json["metadata"] = json!({"session": self.random.random::<u32>(), "release": "2025.01.3", "retries": 0,
            "region": "eu-central-1", "temperature": 0.7, "streamed": true});
        if self.made.is_multiple_of(DOCUMENT_EVERY) {
            json["input"] = json!({"document": self.text(DOCUMENT_BYTES)});
        }
        self.trace.spans += 1;
        Span { id, trace_id: self.trace.id, json }
    }

    fn root(&mut self) -> Value {
        let (question, answer) = (self.text(1_000), self.text(500));
        json!({"name": "handle_request", "type": "general", "input": {"question": question},
            "output": {"answer": answer}, "usage": {"total_tokens": 0}})
    }

    /// A call of a model, with what was said before, as far as it fits.
    fn completion(&mut self) -> Value {
        let question = self.text(300);
        self.trace.history.push(json!({"role": "user", "content": question}));
        let from = self.trace.history.len().saturating_sub(3).max(1);
        let messages: Vec<Value> = self.trace.history[..1].iter().chain(&self.trace.history[from..]).cloned().collect();
        let answer = self.text(380);
        self.trace.history.push(json!({"role": "assistant", "content": answer}));
        let (prompt, completion) = (self.random.random_range(100..4_000), self.random.random_range(10..800));
        let (model, provider) = *MODELS.choose(&mut self.random).unwrap_or(&MODELS[0]);
        json!({"name": "chat.completions.create", "type": "llm", "model": model, "provider": provider,
            "input": {"messages": messages, "model": model, "temperature": 0.7},
            "output": {"choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": answer}}]},
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}})
    }

    fn tool_call(&mut self) -> Value {
        let tool = *TOOLS.choose(&mut self.random).unwrap_or(&TOOLS[0]);
        let query = self.text(900);
        let found: Vec<Value> = (0..3)
            .map(|rank| json!({"rank": rank, "score": self.random.random::<f32>(), "text": self.text(120)}))
            .collect();
        json!({"name": tool, "type": "tool", "input": {"tool_call_id": format!("call_{}", self.random.random::<u64>()),
            "arguments": {"query": query, "top_k": 3}}, "output": {"result": found},
            "usage": {"total_tokens": self.random.random_range(1..50)}})
    }

    /// About so many bytes of text in a span of the usual size, more or fewer in a larger or smaller one.
    fn text(&mut self, bytes: usize) -> String {
        let bytes = bytes * self.span_bytes / SPAN_BYTES;
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            match self.random.random_range(0..40) {
                0 => text.push_str(FOREIGN.choose(&mut self.random).unwrap_or(&"")),
                1 => text.push_str(&self.random.random::<u32>().to_string()),
                2 => text.push_str("\n- \"quoted\""),
                _ => text.push_str(self.words.choose(&mut self.random).unwrap_or(&"")),
            }
            text.push(' ');
        }
        text
    }

    fn time(&mut self, seconds: u64) -> String {
        let millis = self.now % 1_000;
        let second = (self.now / 1_000 + seconds) % 86_400;
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        format!("2025-01-01T{hour:02}:{minute:02}:{:02}.{millis:03}Z", second % 60)
    }
}
