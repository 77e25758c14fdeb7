//! A client that knows how its spans and traces must read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString as _};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::support::{Answer, Api, fresh_id};

/// What clients write, by the name that addresses and batches have for it.
const KINDS: [&str; 2] = ["spans", "traces"];

/// How many are read at once.
const LIMIT: usize = 2_000;

type Members = Map<String, Value>;

/// What a span or trace is after the writes so far.
#[derive(Debug, Clone, Default)]
struct Thing {
    members: Members,
    scores: Members,
    created: bool,
    /// Members that updates stated: a create that comes later leaves them alone.
    updated: BTreeSet<String>,
}

impl Thing {
    fn create(&mut self, stated: &Members) {
        let stated = stated.iter().filter(|(name, _)| !self.updated.contains(*name));
        self.members.extend(stated.map(|(name, value)| (name.clone(), value.clone())));
        self.created = true;
    }

    fn update(&mut self, stated: &Members) {
        self.members.extend(stated.clone());
        self.updated.extend(stated.keys().cloned());
    }

    fn score(&mut self, score: &Value) {
        self.scores.insert(score["name"].as_str().unwrap().to_owned(), score["value"].clone());
    }

    /// As the server tells it, without what the server made of its own.
    fn as_read(&self) -> Members {
        let mut members = self.members.clone();
        members.remove("project_name");
        members.entry("start_time").or_insert(json!("1970-01-01T00:00:00Z"));
        members.entry("environment").or_insert(json!(""));
        if let Some(provider) = members.get("provider").cloned() {
            members.entry("metadata").or_insert(json!({}))["provider"] = provider;
        }
        if !self.scores.is_empty() {
            members.insert("feedback_scores".to_owned(), self.scores.clone().into());
        }
        members
    }
}

/// A request, to be sent with [`Client::send`].
pub(super) struct Write {
    method: &'static str,
    path: String,
    body: Value,
}

impl Write {
    /// Sends it until it gets another answer than one that says that there is too much to do.
    async fn patiently(&self, api: &Api, is_busy: fn(&Answer) -> bool) -> reqwest::Result<Answer> {
        let asking = async {
            loop {
                let sent = api.try_send(self.request(api)).await;
                if !sent.as_ref().is_ok_and(|answer| answer.status == 429 && is_busy(answer)) {
                    return sent;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), asking).await.expect("an end")
    }

    fn request(&self, api: &Api) -> reqwest::RequestBuilder {
        let request = api.request(self.method, &self.path);
        match &self.body {
            Value::Null => request,
            body => request.header("content-type", "application/json").body(body.to_string()),
        }
    }
}

/// The only writer of its spans and traces, one write after the other: what they must be is known exactly.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    rng: StdRng,
    project: String,
    /// What was acknowledged, by kind and id: `spans/01a2…`.
    things: BTreeMap<String, Thing>,
    /// What the write that is under way makes of some of them; none if it deletes them.
    pending: BTreeMap<String, Option<Thing>>,
}

impl Client {
    pub(super) fn new(number: usize, seed: u64) -> Self {
        let project = format!("project {number}");
        Self { rng: StdRng::seed_from_u64(seed), project, things: BTreeMap::new(), pending: BTreeMap::new() }
    }

    pub(super) fn keys(&self) -> BTreeSet<&str> {
        self.things.keys().map(String::as_str).collect()
    }

    /// Makes up a write and sends it, as [`Client::send`] does.
    pub(crate) async fn write(&mut self, api: &Api) -> Option<i64> {
        let write = self.prepare(300);
        self.send(api, write).await
    }

    /// The same, with a server whose database may be away: none if so.
    pub(crate) async fn write_or_later(&mut self, api: &Api) -> Option<i64> {
        let write = self.prepare(300);
        let answer = write.patiently(api, |answer| !answer.text().contains("database")).await.unwrap();
        if answer.status == 429 {
            answer.expect_try_later("database");
            return None;
        }
        assert!(matches!(answer.status, 201 | 204), "{}: {}", answer.status, answer.text());
        let written = i64::try_from(self.pending.len()).unwrap();
        self.acknowledged();
        Some(written)
    }

    /// Makes up a write, of at most so many spans or traces.
    pub(super) fn prepare(&mut self, count_max: usize) -> Write {
        let kind = KINDS.into_iter().choose(&mut self.rng).unwrap();
        let path = |rest: &str| format!("/v1/private/{rest}");
        let (method, path, body) = match self.rng.random_range(0..20) {
            0..7 => ("POST", path(kind), self.create(kind).into()),
            7..11 => {
                let large = self.rng.random_bool(0.2);
                let count = self.rng.random_range(if large { count_max / 3..count_max } else { 1..15.min(count_max) });
                let things: Vec<_> = (0..count).map(|_| self.create(kind)).collect();
                ("POST", path(&format!("{kind}/batch")), json!({kind: things}))
            }
            11..15 => {
                let (key, body) = self.update(kind);
                ("PATCH", path(&key), body.into())
            }
            15..18 => match &*self.some_known(kind) {
                [] => ("POST", path(kind), self.create(kind).into()),
                [key] => ("PUT", path(&format!("{key}/feedback-scores")), self.score(key)),
                keys => {
                    let scores: Vec<Value> = keys.iter().map(|key| self.score(key)).collect();
                    ("PUT", path(&format!("{kind}/feedback-scores")), json!({"scores": scores}))
                }
            },
            _ => match &*self.some_known(kind) {
                [] => ("POST", path(kind), self.create(kind).into()),
                keys if kind == "traces" => {
                    let ids: Vec<&str> = keys.iter().map(|key| self.delete(key)).collect();
                    ("POST", path("traces/delete"), json!({"ids": ids}))
                }
                [key, ..] => {
                    self.delete(key);
                    ("DELETE", path(key), Value::Null)
                }
            },
        };
        Write { method, path, body }
    }

    /// Sends a write, again where the server has too much to do; of how many spans or traces it was, if it was
    /// acknowledged. Where it was not, it got no answer at all, or that the server is stopping.
    pub(super) async fn send(&mut self, api: &Api, write: Write) -> Option<i64> {
        match write.patiently(api, |_| true).await {
            Ok(answer) if matches!(answer.status, 201 | 204) => {
                let written = i64::try_from(self.pending.len()).unwrap();
                self.acknowledged();
                Some(written)
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text());
                None
            }
            Err(error) => {
                assert!(error.is_connect() || error.is_request(), "half an answer: {error:?}");
                None
            }
        }
    }

    fn acknowledged(&mut self) {
        for (key, thing) in std::mem::take(&mut self.pending) {
            match thing {
                Some(thing) => self.things.insert(key, thing),
                None => self.things.remove(&key),
            };
        }
    }

    /// Reads all that there is: it must be what was acknowledged, to the letter. Tells whether the write that was not
    /// acknowledged is there, whole; it counts from now on if so.
    pub(super) async fn check(&mut self, api: &Api) -> bool {
        let mut read = BTreeMap::new();
        for kind in KINDS {
            read_all(api, kind, &self.project, &mut read).await;
        }
        let mut there = BTreeSet::new();
        for (key, pending) in &self.pending {
            let (old, new) = (self.things.get(key).map(Thing::as_read), pending.as_ref().map(Thing::as_read));
            if old != new {
                there.insert(read.get(key) == new.as_ref());
            }
        }
        assert!(there.len() < 2, "half a write is there: {:#?}", self.pending);
        let there = there.contains(&true);
        if there {
            self.acknowledged();
        }
        self.pending.clear();
        for (key, thing) in &self.things {
            assert_eq!(read.remove(key), Some(thing.as_read()), "{key}");
        }
        assert!(read.is_empty(), "nobody wrote this, or it was deleted: {read:#?}");
        there
    }

    /// The body that creates a new one, or one that so far was only updated.
    fn create(&mut self, kind: &str) -> Members {
        let waiting = self
            .things
            .iter()
            .filter(|(key, thing)| key.starts_with(kind) && !thing.created && !self.pending.contains_key(*key));
        let waiting = waiting.map(|(key, thing)| (key.clone(), thing.clone())).choose(&mut self.rng);
        let fresh = waiting.is_none() || self.rng.random_bool(0.5);
        let new = || (format!("{kind}/{}", fresh_id()), Thing::default());
        let (key, mut thing) = waiting.filter(|_| !fresh).unwrap_or_else(new);
        let mut body = self.some_members(kind, &thing);
        body.insert("id".to_owned(), json!(id_of(&key)));
        body.insert("start_time".to_owned(), json!("2024-01-15T09:30:00Z"));
        if kind == "spans" && self.rng.random() {
            body.insert("parent_span_id".to_owned(), json!(fresh_id()));
        }
        thing.create(&body);
        self.pending.insert(key, Some(thing));
        body
    }

    /// The body that updates one, which may be one that is not there yet.
    fn update(&mut self, kind: &str) -> (String, Members) {
        let known = self.things.iter().filter(|(key, _)| key.starts_with(kind)).choose(&mut self.rng);
        let known = known.map(|(key, thing)| (key.clone(), thing.clone()));
        let fresh = known.is_none() || self.rng.random_bool(0.3);
        let (key, mut thing) = known.filter(|_| !fresh).unwrap_or_else(|| {
            let id = fresh_id();
            let members = Members::from_iter([("id".to_owned(), json!(id))]);
            (format!("{kind}/{id}"), Thing { members, ..Thing::default() })
        });
        let body = self.some_members(kind, &thing);
        thing.update(&body);
        self.pending.insert(key.clone(), Some(thing));
        (key, body)
    }

    /// A few that are there, if any are.
    fn some_known(&mut self, kind: &str) -> Vec<String> {
        let count = self.rng.random_range(1..4);
        self.things.keys().filter(|key| key.starts_with(kind)).cloned().choose_multiple(&mut self.rng, count)
    }

    /// The body that scores one.
    fn score(&mut self, key: &str) -> Value {
        let (number, value) = (self.rng.random_range(0..3), f64::from(self.rng.random_range(0..1_000_u16)) + 0.25);
        let name = format!("score {number}");
        let score =
            json!({"id": id_of(key), "name": name, "value": value, "source": "sdk", "project_name": self.project});
        let mut thing = self.things[key].clone();
        thing.score(&score);
        self.pending.insert(key.to_owned(), Some(thing));
        score
    }

    /// One goes, and with a trace its spans; says its id.
    fn delete<'a>(&mut self, key: &'a str) -> &'a str {
        let id = id_of(key);
        let of_trace = self.things.iter().filter(|(_, thing)| thing.members.get("trace_id").is_some_and(|of| of == id));
        let gone: Vec<String> = of_trace.map(|(key, _)| key.clone()).chain([key.to_owned()]).collect();
        self.pending.extend(gone.into_iter().map(|key| (key, None)));
        id
    }

    /// Some of the members that creates and updates have in common, and those that must be as they were.
    fn some_members(&mut self, kind: &str, of: &Thing) -> Members {
        let rng = &mut self.rng;
        let number = rng.random_range(0..1_000_u16);
        let span_type = ["general", "tool", "llm", "guardrail"][usize::from(number % 4)];
        let text = |rng: &mut StdRng| {
            let length = rng.random_range(10..4_000);
            Alphanumeric.sample_string(rng, length)
        };
        let members = json!({
            "name": format!("name {number}"),
            "type": span_type,
            "end_time": format!("2024-01-15T09:30:{:02}Z", number % 60),
            "input": {"messages": [{"role": "user", "content": text(rng)}]},
            "output": [number, text(rng), null],
            "metadata": {"number": number, "text": text(rng)},
            "model": format!("model {number}"),
            "provider": "openai",
            "tags": [format!("tag {number}"), "every"],
            "usage": {"prompt_tokens": number, "completion_tokens": 4},
            "error_info": {"exception_type": "E", "message": format!("{number}"), "traceback": text(rng)},
            "total_estimated_cost": f64::from(number) + 0.5,
            "ttft": f64::from(number) + 0.25,
            "source": "sdk",
            "environment": format!("environment-{number}"),
        });
        let Value::Object(mut members) = members else { unreachable!() };
        members.retain(|_, _| self.rng.random_bool(0.7));
        members.insert("project_name".to_owned(), json!(self.project));
        if kind == "spans" {
            let trace = self.things.keys().filter(|key| key.starts_with("traces")).choose(&mut self.rng);
            let trace = trace.filter(|_| self.rng.random_bool(0.3));
            let trace = trace.map_or_else(fresh_id, |key| id_of(key).to_owned());
            let trace_id = of.members.get("trace_id").cloned().unwrap_or_else(|| json!(trace));
            members.insert("trace_id".to_owned(), trace_id);
        } else {
            for of_spans in ["type", "model", "provider", "usage", "total_estimated_cost"] {
                members.remove(of_spans);
            }
            members.insert("thread_id".to_owned(), json!(format!("thread {}", number % 7)));
        }
        members
    }
}

fn id_of(key: &str) -> &str {
    key.split('/').next_back().unwrap()
}

/// All that a project has of one kind. It is much: no answer is held against the document.
async fn read_all(api: &Api, kind: &str, project: &str, read: &mut BTreeMap<String, Members>) {
    let mut last = Value::Null;
    loop {
        let body = json!({"project_name": project, "limit": LIMIT, "last_retrieved_id": last});
        let request = api.request("POST", &format!("/v1/private/{kind}/search"));
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        if status == 404 {
            // Nothing was stored yet: there is no such project.
            return;
        }
        assert_eq!(status, 200, "{text}");
        let lines = text.lines().map(|line| serde_json::from_str::<Members>(line).unwrap());
        let mut count = 0;
        for mut members in lines {
            last = members.get("id").unwrap_or_else(|| panic!("{members:?}")).clone();
            count += 1;
            clean(kind, &mut members);
            assert!(read.insert(format!("{kind}/{}", last.as_str().unwrap()), members).is_none(), "{last} comes twice");
        }
        if count < LIMIT {
            return;
        }
    }
}

/// Takes out what the server made of its own.
fn clean(kind: &str, members: &mut Members) {
    for made in ["project_id", "duration", "created_at", "created_by", "last_updated_at", "last_updated_by"] {
        members.remove(made);
    }
    if kind == "traces" {
        // What its spans amount to.
        for made in ["span_count", "llm_span_count", "has_tool_spans", "visibility_mode", "providers"] {
            members.remove(made);
        }
        for made in ["usage", "total_estimated_cost", "span_feedback_scores"] {
            members.remove(made);
        }
        if let Some(metadata) = members.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("providers");
        }
        if members.get("metadata").is_some_and(|metadata| *metadata == json!({})) {
            members.remove("metadata");
        }
    }
    if let Some(Value::Array(scores)) = members.remove("feedback_scores") {
        let scores = scores.iter().map(|score| (score["name"].as_str().unwrap().to_owned(), score["value"].clone()));
        let scores: Members = scores.collect();
        members.insert("feedback_scores".to_owned(), scores.into());
    }
}
