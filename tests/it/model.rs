//! Random sequences of writes of spans and traces, and the threads that come of them, held against a simple model after
//! each step.
//!
//! The model is the history of what was accepted: what a member is, is told from all of it every time. Writes are also
//! delivered twice, and later than others. `SPANDREL_MODEL_SEED` repeats a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use spandrel::clock::Clock;

use crate::support::{Api, Home, Server, fresh_id, on_postgres, recounted};

const SEQUENCES: u64 = 10;
const STEPS: usize = 120;
const DAY: i64 = 24 * 3600 * 1_000_000_000;

/// Spans or traces.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Spans,
    Traces,
}

use Kind::{Spans, Traces};

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Spans => "/v1/private/spans",
            Traces => "/v1/private/traces",
        }
    }

    /// The member of a batch.
    fn name(self) -> &'static str {
        match self {
            Spans => "spans",
            Traces => "traces",
        }
    }
}

/// What was accepted for one span or trace.
#[derive(Default)]
struct Thing {
    writes: Vec<Write>,
    scores: BTreeMap<String, Value>,
    comments: Vec<(String, String)>,
}

#[derive(Clone)]
struct Write {
    update: bool,
    arrival: i64,
    members: Map<String, Value>,
}

impl Write {
    fn stamp(&self, first_arrival: i64) -> (i64, bool) {
        let stated = self.members.get("last_updated_at").and_then(Value::as_str);
        let nanos =
            |text| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap_or(i64::MAX);
        (
            stated.map_or(first_arrival, |text| nanos(text).min(self.arrival + DAY)),
            self.members.contains_key("end_time"),
        )
    }
}

impl Thing {
    fn created(&self) -> bool {
        self.writes.iter().any(|write| !write.update)
    }

    /// The create that counts for a member: the greatest by stamp, end and arrival among those that state it.
    fn of_creates(&self, member: &str) -> Option<Value> {
        let first = self.writes[0].arrival;
        let stating =
            self.writes.iter().enumerate().filter(|(_, write)| !write.update && write.members.contains_key(member));
        stating.max_by_key(|(at, write)| (write.stamp(first), *at)).map(|(_, write)| write.members[member].clone())
    }

    fn of_updates<'a>(writes: impl DoubleEndedIterator<Item = &'a Write>, member: &str) -> Option<Value> {
        writes
            .rev()
            .find(|write| write.update && write.members.contains_key(member))
            .map(|write| write.members[member].clone())
    }

    /// Identity: the creates decide; before there is one, the last update places.
    fn identity(&self, member: &str) -> Option<Value> {
        let placing = self.writes.iter().position(|write| !write.update).unwrap_or(self.writes.len());
        self.of_creates(member).or_else(|| Self::of_updates(self.writes[..placing].iter(), member))
    }

    /// What answers show under a member; null is nothing.
    fn shown(&self, member: &str) -> Value {
        match member {
            "project_name" => self.identity(member).unwrap_or(json!("Default Project")),
            "trace_id" | "parent_span_id" => self.identity(member).unwrap_or_default(),
            "start_time" => self.of_creates(member).unwrap_or(json!("1970-01-01T00:00:00Z")),
            "tags" => self.tags(),
            _ => {
                let value = Self::of_updates(self.writes.iter(), member)
                    .or_else(|| self.of_creates(member))
                    .unwrap_or_default();
                if value == json!({}) && member == "usage" { Value::Null } else { value }
            }
        }
    }

    fn tags(&self) -> Value {
        let replaced = self.writes.iter().rposition(|write| write.update && write.members.contains_key("tags"));
        let base = match replaced {
            Some(at) => self.writes[at].members["tags"].clone(),
            None => self.of_creates("tags").unwrap_or(json!([])),
        };
        let mut tags: Vec<Value> = base.as_array().unwrap().clone();
        for write in self.writes.iter().skip(replaced.map_or(0, |at| at + 1)).filter(|write| write.update) {
            let list = |name: &str| write.members.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let (added, removed) = (list("tags_to_add"), list("tags_to_remove"));
            tags.retain(|tag| !removed.contains(tag));
            for tag in added {
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
        }
        if tags.is_empty() { Value::Null } else { json!(tags) }
    }

    /// What a single write that states another identity is answered.
    fn conflict(&self, kind: Kind, update: bool, members: &Map<String, Value>) -> Option<&'static str> {
        if !self.created() {
            return None;
        }
        let project = members.get("project_name").is_some_and(|name| *name != self.shown("project_name"));
        if kind == Traces {
            return project.then_some("Project name and workspace name do not match the existing trace");
        }
        let parent = members.get("parent_span_id").is_some_and(|stated| {
            let stored = self.shown("parent_span_id");
            if stored.is_null() { update } else { *stated != stored }
        });
        // A trace id that the server made is none that a client could state.
        let trace = members.get("trace_id").is_some_and(|stated| {
            let stored = self.shown("trace_id");
            stored.is_null() || *stated != stored
        });
        let project = (project, "Project name and workspace name do not match the existing span");
        let parent = (parent, "parent_span_id does not match the existing span");
        let order = if update { [project, parent] } else { [parent, project] };
        order
            .into_iter()
            .chain([(trace, "trace_id does not match the existing span")])
            .find(|(wrong, _)| *wrong)
            .map(|(_, text)| text)
    }
}

struct World {
    /// All on the same database: each request goes to any of them.
    servers: Vec<Server>,
    now: Arc<AtomicI64>,
    spans: BTreeMap<String, Thing>,
    traces: BTreeMap<String, Thing>,
    span_ids: Vec<String>,
    /// The first two are those that spans state.
    trace_ids: Vec<String>,
    parents: Vec<String>,
    rng: StdRng,
    /// Writes that were sent before, to be sent again.
    sent: Vec<(Kind, bool, String, Map<String, Value>)>,
}

const MEMBERS: [&str; 20] = [
    "trace_id",
    "parent_span_id",
    "project_name",
    "start_time",
    "name",
    "type",
    "end_time",
    "input",
    "output",
    "metadata",
    "model",
    "provider",
    "tags",
    "usage",
    "total_estimated_cost",
    "environment",
    "ttft",
    "source",
    "thread_id",
    "error_info",
];

/// Members that only spans, or only traces, have.
const OF_SPANS: [&str; 8] =
    ["trace_id", "parent_span_id", "type", "model", "provider", "usage", "total_estimated_cost", "project_name"];
const OF_TRACES: [&str; 1] = ["thread_id"];

impl World {
    fn new(servers: Vec<Server>, now: Arc<AtomicI64>, seed: u64) -> Self {
        let ids = |count: usize| (0..count).map(|_| fresh_id()).collect();
        Self {
            servers,
            now,
            spans: BTreeMap::new(),
            traces: BTreeMap::new(),
            span_ids: ids(6),
            trace_ids: ids(3),
            parents: ids(2),
            rng: StdRng::seed_from_u64(seed),
            sent: Vec::new(),
        }
    }

    /// With so many servers as the store allows, up to three, and a clock of their own.
    async fn start(seed: u64) -> Self {
        // After every stamp but those far ahead.
        let now = Arc::new(AtomicI64::new(1_705_400_000_000_000_000));
        let home = Arc::new(Home::new());
        let mut servers = Vec::new();
        for _ in 0..if on_postgres() { 3 } else { 1 } {
            let told = Arc::clone(&now);
            let clock = Clock::new(move || told.load(Ordering::SeqCst));
            servers.push(Server::on(Arc::clone(&home), &[], clock).await);
        }
        Self::new(servers, now, seed)
    }

    fn api(&self) -> &Api {
        &self.servers.choose(&mut rand::rng()).unwrap().api
    }

    fn things(&mut self, kind: Kind) -> &mut BTreeMap<String, Thing> {
        match kind {
            Spans => &mut self.spans,
            Traces => &mut self.traces,
        }
    }

    fn there(&mut self, kind: Kind, id: &str) -> bool {
        self.things(kind).get(id).is_some_and(|thing| !thing.writes.is_empty())
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.rng).unwrap().clone()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share)
    }

    /// Some members, as a create or an update states them.
    fn members(&mut self, kind: Kind, update: bool) -> Map<String, Value> {
        let mut members = Map::new();
        let (traces, parents) = (self.trace_ids.clone(), self.parents.clone());
        let mark = self.rng.random_range(0..1000);
        for (name, values) in [
            ("trace_id", vec![json!(traces[0]), json!(traces[0]), json!(traces[0]), json!(traces[1])]),
            ("parent_span_id", vec![json!(parents[0]), json!(parents[0]), json!(parents[1])]),
            ("project_name", vec![json!("one"), json!("one"), json!("one"), json!("two")]),
            ("name", vec![json!(format!("n{mark}"))]),
            ("type", vec![json!("llm"), json!("tool")]),
            ("end_time", vec![json!("2024-01-15T10:00:00Z"), json!("2024-01-15T10:00:01Z")]),
            ("input", vec![json!({"i": mark}), json!([mark])]),
            ("output", vec![json!({"o": mark})]),
            ("metadata", vec![json!({"m": mark})]),
            ("model", vec![json!(format!("m{mark}"))]),
            ("provider", vec![json!("openai"), json!("another")]),
            ("tags", vec![json!(["a"]), json!(["b", "a"]), json!(["c"])]),
            ("usage", vec![json!({"t": mark}), json!({"t": 1, "u": mark}), json!({})]),
            ("total_estimated_cost", vec![json!(0.1), json!(0.2), json!(0.7)]),
            ("environment", vec![json!("prod"), json!("test")]),
            ("ttft", vec![json!(1.5), json!(2.5)]),
            ("source", vec![json!("sdk"), json!("evaluator")]),
            ("thread_id", vec![json!("t1"), json!("t2")]),
            ("error_info", vec![json!({"exception_type": "E", "traceback": format!("{mark}")})]),
        ] {
            let foreign = if kind == Spans { &OF_TRACES[..] } else { &OF_SPANS[..7] };
            let stated = self.chance(0.4) || (kind == Spans && update && name == "trace_id");
            if stated && !foreign.contains(&name) {
                members.insert(name.to_owned(), self.pick(&values));
            }
        }
        if update {
            if self.chance(0.2) {
                members.insert("input".to_owned(), Value::Null);
            }
            if self.chance(0.3) {
                members.remove("tags");
                members.insert("tags_to_add".to_owned(), self.pick(&[json!(["x"]), json!(["y", "a"])]));
                members.insert("tags_to_remove".to_owned(), self.pick(&[json!(["a"]), json!(["x", "c"])]));
            } else if self.chance(0.1) {
                members.insert("tags".to_owned(), json!([]));
            }
        } else {
            members.insert(
                "start_time".to_owned(),
                self.pick(&[json!("2024-01-15T09:00:00Z"), json!("2024-01-15T09:30:00.500Z")]),
            );
            if self.chance(0.7) {
                let second = self.rng.random_range(0..4);
                members.insert("last_updated_at".to_owned(), json!(format!("2024-01-15T11:00:0{second}Z")));
            }
            if self.chance(0.05) {
                members.insert("last_updated_at".to_owned(), json!("2290-01-15T11:00:00Z"));
            }
        }
        members
    }

    /// Time goes on by a step; this is when the next write arrives.
    fn tick(&mut self) -> i64 {
        self.now.fetch_add(1_000_000, Ordering::SeqCst) + 1_000_000
    }

    fn record(&mut self, kind: Kind, id: &str, update: bool, members: &Map<String, Value>, arrival: i64) {
        let write = Write { update, arrival, members: members.clone() };
        self.things(kind).entry(id.to_owned()).or_default().writes.push(write);
    }

    async fn step(&mut self) {
        let kind = if self.chance(0.6) { Spans } else { Traces };
        let ids = if kind == Spans { self.span_ids.clone() } else { self.trace_ids.clone() };
        let id = self.pick(&ids);
        let arrival = self.tick();
        match self.rng.random_range(0..100) {
            0..30 => {
                let members = self.members(kind, false);
                self.create(kind, &id, members, arrival).await;
            }
            30..45 => self.create_many(kind, &ids, arrival).await,
            45..65 => {
                let members = self.members(kind, true);
                self.update(kind, &id, members, arrival).await;
            }
            65..72 => {
                let Some((kind, update, id, members)) = self.sent.choose(&mut self.rng).cloned() else { return };
                if update {
                    self.update(kind, &id, members, arrival).await;
                } else {
                    self.create(kind, &id, members, arrival).await;
                }
            }
            72..80 => self.update_many(kind, &ids, arrival).await,
            80..84 => self.delete(kind, &ids).await,
            84..92 => self.score(kind, id).await,
            92..95 => {
                let name = self.pick(&["q", "r"]);
                let path = format!("{}/{id}/feedback-scores/delete", kind.path());
                self.api().post(&path, &json!({"name": name})).await.expect(204);
                if let Some(thing) = self.things(kind).get_mut(&id) {
                    thing.scores.remove(name);
                }
            }
            95..98 => {
                let text = format!("c{}", self.rng.random_range(0..1000));
                let there = self.there(kind, &id);
                let path = format!("{}/{id}/comments", kind.path());
                let answer = self.api().post(&path, &json!({"text": text})).await;
                assert_eq!(answer.status, if there { 201 } else { 404 });
                if there {
                    let comment = answer.json()["id"].as_str().unwrap().to_owned();
                    self.things(kind).get_mut(&id).unwrap().comments.push((comment, text));
                }
            }
            _ => self.change_comment(kind).await,
        }
    }

    async fn create_many(&mut self, kind: Kind, ids: &[String], arrival: i64) {
        let mut things = Vec::new();
        for _ in 0..self.rng.random_range(1..5) {
            let id = self.pick(ids);
            things.push((id, self.members(kind, false)));
        }
        let bodies: Vec<Value> = things.iter().map(|(id, members)| with_id(id, members)).collect();
        self.api().post(&format!("{}/batch", kind.path()), &json!({kind.name(): bodies})).await.expect(204);
        for (id, members) in things {
            self.record(kind, &id, false, &members, arrival);
        }
    }

    async fn update_many(&mut self, kind: Kind, ids: &[String], arrival: i64) {
        let mut members = self.members(kind, true);
        let several = [self.pick(ids), self.pick(ids)];
        let merge = self.chance(0.5);
        let body = json!({"ids": several, "update": members, "merge_tags": merge});
        self.api().patch(&format!("{}/batch", kind.path()), &body).await.expect(204);
        if merge
            && !members.contains_key("tags_to_add")
            && let Some(tags) = members.remove("tags")
        {
            members.insert("tags_to_add".to_owned(), tags);
        }
        members.retain(|name, _| !["trace_id", "parent_span_id", "project_name"].contains(&name.as_str()));
        let mut done = Vec::new();
        for id in several {
            if !done.contains(&id) && self.there(kind, &id) {
                self.record(kind, &id, true, &members, arrival);
            }
            done.push(id);
        }
    }

    /// What was accepted before is gone: scores, too, that came before their span or trace. A trace takes its spans.
    async fn delete(&mut self, kind: Kind, ids: &[String]) {
        let (id, other) = (self.pick(ids), self.pick(ids));
        let gone = if kind == Traces && self.chance(0.3) {
            let body = json!({"ids": [id, other]});
            self.api().post("/v1/private/traces/delete", &body).await.expect(204);
            vec![id, other]
        } else {
            self.api().delete(&format!("{}/{id}", kind.path())).await.expect(204);
            vec![id]
        };
        for id in gone {
            self.things(kind).remove(&id);
            if kind == Traces {
                self.spans.retain(|_, span| span.writes.is_empty() || span.shown("trace_id") != id);
            }
        }
    }

    async fn score(&mut self, kind: Kind, id: String) {
        let there = self.there(kind, &id);
        let name = self.pick(&["q", "r"]);
        let value = json!(self.rng.random_range(0..10));
        let single = self.chance(0.5);
        if single {
            let body = json!({"name": name, "value": value, "source": "sdk"});
            let answer = self.api().put(&format!("{}/{id}/feedback-scores", kind.path()), &body).await;
            assert_eq!(answer.status, if there { 204 } else { 404 });
        } else {
            let body = json!({"scores": [{"id": id, "name": name, "value": value, "source": "sdk"}]});
            self.api().put(&format!("{}/feedback-scores", kind.path()), &body).await.expect(204);
        }
        if there || !single {
            self.things(kind).entry(id).or_default().scores.insert(name.to_owned(), value);
        }
    }

    async fn change_comment(&mut self, kind: Kind) {
        let known: Vec<(String, String)> = self
            .things(kind)
            .iter()
            .flat_map(|(id, thing)| thing.comments.iter().map(|(comment, _)| (id.clone(), comment.clone())))
            .collect();
        let Some((id, comment)) = known.choose(&mut self.rng).cloned() else { return };
        let change = self.chance(0.5);
        let path = format!("{}/comments", kind.path());
        if change {
            let body = json!({"text": "changed"});
            self.api().patch(&format!("{path}/{comment}"), &body).await.expect(204);
        } else {
            self.api().post(&format!("{path}/delete"), &json!({"ids": [comment]})).await.expect(204);
        }
        let comments = &mut self.things(kind).get_mut(&id).unwrap().comments;
        if change {
            comments.iter_mut().find(|(known, _)| *known == comment).unwrap().1 = String::from("changed");
        } else {
            comments.retain(|(known, _)| *known != comment);
        }
    }

    async fn create(&mut self, kind: Kind, id: &str, members: Map<String, Value>, arrival: i64) {
        let answer = self.api().post(kind.path(), &with_id(id, &members)).await;
        if let Some(text) = self.things(kind).get(id).and_then(|thing| thing.conflict(kind, false, &members)) {
            assert_eq!(answer.expect(409).errors(), [text]);
            return;
        }
        answer.expect(201);
        self.record(kind, id, false, &members, arrival);
        self.sent.push((kind, false, id.to_owned(), members));
    }

    async fn update(&mut self, kind: Kind, id: &str, members: Map<String, Value>, arrival: i64) {
        let path = format!("{}/{id}", kind.path());
        let answer = self.api().patch(&path, &Value::Object(members.clone())).await;
        if let Some(text) = self.things(kind).get(id).and_then(|thing| thing.conflict(kind, true, &members)) {
            assert_eq!(answer.expect(409).errors(), [text]);
            return;
        }
        answer.expect(204);
        self.record(kind, id, true, &members, arrival);
        self.sent.push((kind, true, id.to_owned(), members));
    }

    /// Every span and trace is what the model tells.
    async fn compare(&self) {
        for (kind, things, ids) in [(Spans, &self.spans, &self.span_ids), (Traces, &self.traces, &self.trace_ids)] {
            let mut totals: BTreeMap<String, usize> = BTreeMap::new();
            for id in ids {
                let path = format!("{}/{id}", kind.path());
                let Some(thing) = things.get(id).filter(|thing| !thing.writes.is_empty()) else {
                    self.api().get(&path).await.expect(404);
                    continue;
                };
                let stored = self.api().get(&path).await.expect(200).json();
                compare_one(kind, thing, &stored);
                if kind == Traces {
                    self.compare_sums(id, thing, &stored);
                }
                *totals.entry(thing.shown("project_name").as_str().unwrap().to_owned()).or_default() += 1;
            }
            for (project, total) in totals {
                let query = [("project_name", project.as_str()), ("size", "1")];
                let request = self.api().request("GET", kind.path()).query(&query);
                let page = self.api().send(request).await.expect(200).json();
                assert_eq!(page["total"], total, "{kind:?} of {project}");
            }
        }
    }

    /// Every thread is what its traces tell; without traces there is none.
    async fn compare_threads(&self) {
        for (project, thread) in
            ["one", "two", "Default Project"].into_iter().flat_map(|one| [(one, "t1"), (one, "t2")])
        {
            let body = json!({"project_name": project, "thread_id": thread});
            let answer = self.api().post("/v1/private/traces/threads/retrieve", &body).await;
            let of_thread = |(_, trace): &(&String, &Thing)| {
                !trace.writes.is_empty() && trace.shown("project_name") == project && trace.shown("thread_id") == thread
            };
            let traces: Vec<(&String, &Thing)> = self.traces.iter().filter(of_thread).collect();
            if traces.is_empty() {
                answer.expect(404);
                continue;
            }
            let stored = answer.expect(200).json();
            let text = |trace: &Thing, member: &str| trace.shown(member).as_str().map(str::to_owned);
            // A trace that was only updated began before all, as far as is told, and yet comes last.
            let first =
                traces.iter().min_by_key(|(id, trace)| (!trace.created(), text(trace, "start_time"), *id)).unwrap();
            let ended = traces.iter().filter(|(_, trace)| text(trace, "end_time").is_some());
            let last = ended.max_by_key(|(id, trace)| (text(trace, "end_time"), *id));
            assert_eq!(
                (&stored["number_of_messages"], &stored["first_message"], &stored["last_message"]),
                (
                    &json!(2 * traces.len()),
                    &first.1.shown("input"),
                    &last.map(|(_, trace)| trace.shown("output")).unwrap_or_default()
                ),
                "{project} {thread}: {stored:#}"
            );
        }
    }

    /// What its spans amount to: those of the model that are in the trace and in its project.
    fn compare_sums(&self, id: &str, trace: &Thing, stored: &Value) {
        let spans: Vec<&Thing> = self
            .spans
            .values()
            .filter(|span| !span.writes.is_empty())
            .filter(|span| span.shown("trace_id") == id && span.shown("project_name") == trace.shown("project_name"))
            .collect();
        let of_type = |kind: &str| spans.iter().filter(|span| span.shown("type") == kind).count();
        assert_eq!(
            (&stored["span_count"], &stored["llm_span_count"], &stored["has_tool_spans"]),
            (&json!(spans.len()), &json!(of_type("llm")), &json!(of_type("tool") > 0)),
            "{stored:#}"
        );
        let mut usage: BTreeMap<String, i64> = BTreeMap::new();
        for span in &spans {
            for (name, tokens) in span.shown("usage").as_object().into_iter().flatten() {
                *usage.entry(name.clone()).or_default() += tokens.as_i64().unwrap();
            }
        }
        assert_eq!(stored["usage"], if usage.is_empty() { Value::Null } else { json!(usage) }, "{stored:#}");
        // In tenths: exact, as the answer must be.
        let cost = |span: &&Thing| span.shown("total_estimated_cost").as_f64().map(|cost| (cost * 10.0).round());
        let cost: f64 = spans.iter().filter_map(cost).sum();
        let cost = if cost > 0.0 { (cost / 10.0).to_string() } else { "null".to_owned() };
        assert_eq!(stored["total_estimated_cost"].to_string(), cost, "{stored:#}");
        let providers = spans.iter().filter_map(|span| span.shown("provider").as_str().map(str::to_owned));
        let providers: BTreeSet<String> = providers.collect();
        let shown = if providers.is_empty() { Value::Null } else { json!(providers) };
        assert_eq!((&stored["providers"], &stored["metadata"]["providers"]), (&shown, &shown), "{stored:#}");
        let mut scores: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, value) in spans.iter().flat_map(|span| &span.scores) {
            scores.entry(name).or_default().push(value.as_f64().unwrap());
        }
        let shown = stored["span_feedback_scores"].as_array().into_iter().flatten();
        let shown: BTreeMap<&str, f64> =
            shown.map(|score| (score["name"].as_str().unwrap(), score["value"].as_f64().unwrap())).collect();
        assert!(shown.keys().eq(scores.keys()), "{stored:#}");
        for (name, values) in scores {
            let count = f64::from(u32::try_from(values.len()).unwrap());
            let mean = values.iter().sum::<f64>() / count;
            assert!((shown[name] - mean).abs() < 1e-8, "{name}: {mean} of {stored:#}");
        }
    }
}

/// The members, scores and comments of one.
fn compare_one(kind: Kind, thing: &Thing, stored: &Value) {
    // The name of a trace's project is not told; its totals are compared.
    let foreign = if kind == Spans { &OF_TRACES[..] } else { &OF_SPANS[..] };
    for member in MEMBERS.into_iter().filter(|member| !foreign.contains(member)) {
        let wanted = thing.shown(member);
        let mut got = stored[member].clone();
        match member {
            "environment" if got == "" => got = Value::Null,
            // A trace that no client stated is one that the server made.
            "trace_id" if wanted.is_null() => {
                assert!(got.is_string());
                continue;
            }
            // What answers add is not what was stated.
            "metadata" => {
                if let Some(members) = got.as_object_mut() {
                    members.retain(|name, _| !["provider", "providers"].contains(&name.as_str()));
                }
                if got == json!({}) {
                    got = Value::Null;
                }
            }
            _ => {}
        }
        if member == "tags" {
            let sorted = |value: &Value| -> Vec<String> {
                let mut tags: Vec<String> = serde_json::from_value(value.clone()).unwrap_or_default();
                tags.sort();
                tags
            };
            assert_eq!(sorted(&got), sorted(&wanted), "{member} of {stored:#}");
            continue;
        }
        assert_eq!(got, wanted, "{member} of {stored:#}");
    }
    let list = |name: &str| stored[name].as_array().cloned().unwrap_or_default();
    let scores: BTreeMap<String, Value> = list("feedback_scores")
        .into_iter()
        .map(|score| (score["name"].as_str().unwrap().to_owned(), score["value"].clone()))
        .collect();
    assert_eq!(scores, thing.scores);
    let comments = list("comments");
    let comments: Vec<&str> = comments.iter().map(|comment| comment["text"].as_str().unwrap()).collect();
    assert_eq!(comments, thing.comments.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>());
}

fn with_id(id: &str, members: &Map<String, Value>) -> Value {
    let mut body = members.clone();
    body.insert("id".to_owned(), json!(id));
    Value::Object(body)
}

/// The seeds of this run.
fn seeds() -> impl Iterator<Item = u64> {
    let given = std::env::var("SPANDREL_MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    let first: u64 = given.unwrap_or_else(|| rand::rng().random());
    let seeds = (0..if given.is_some() { 1 } else { SEQUENCES }).map(move |sequence| first.wrapping_add(sequence));
    seeds.inspect(|seed| println!("SPANDREL_MODEL_SEED={seed}"))
}

#[tokio::test]
async fn every_step_ends_where_the_model_does() {
    for seed in seeds() {
        let mut world = World::start(seed).await;
        for step in 0..STEPS {
            world.step().await;
            world.compare().await;
            world.compare_threads().await;
            if step % 10 == 0 {
                recounted(&world.servers[0]);
            }
        }
        recounted(&world.servers[0]);
        // PostgreSQL keeps payloads in the rows themselves.
        let apart = [("span_payloads", "span", "spans"), ("trace_payloads", "trace", "traces")];
        for (payloads, owner, things) in apart.into_iter().filter(|_| !on_postgres()) {
            let orphans = format!("{payloads} WHERE {owner} NOT IN (SELECT key FROM {things})");
            assert_eq!(world.servers[0].home.rows(&orphans), 0, "{payloads}");
        }
    }
}

/// A request of which nobody knows when it comes, and how often.
type Delivery = (&'static str, String, Value);

impl World {
    /// What is told of one span or trace, in requests that may come in any order.
    fn deliveries(&mut self, kind: Kind, id: &str) -> Vec<Delivery> {
        const OF_IDENTITY: [&str; 3] = ["trace_id", "parent_span_id", "project_name"];
        let mut deliveries = Vec::new();
        let arrival = self.tick();
        let identity = self.members(kind, true);
        let identity: Map<_, _> = identity.into_iter().filter(|(name, _)| OF_IDENTITY.contains(&&**name)).collect();
        for stamp in 0..4 {
            let mut members = self.members(kind, false);
            members.retain(|name, _| !OF_IDENTITY.contains(&&**name));
            members.extend(identity.clone());
            members.insert("last_updated_at".to_owned(), json!(format!("2024-01-15T11:00:0{stamp}Z")));
            let body = json!({kind.name(): [with_id(id, &members)]});
            deliveries.push(("POST", format!("{}/batch", kind.path()), body));
            self.record(kind, id, false, &members, arrival);
        }
        // Updates go by arrival: only those of different members come to the same in any order.
        let mut members = self.members(kind, true);
        members.retain(|name, _| !OF_IDENTITY.contains(&&**name) && !name.starts_with("tags"));
        let (mut ours, mut theirs) = (identity.clone(), identity);
        for (at, (name, value)) in members.into_iter().enumerate() {
            if at % 2 == 0 { &mut ours } else { &mut theirs }.insert(name, value);
        }
        for members in [ours, theirs] {
            deliveries.push(("PATCH", format!("{}/{id}", kind.path()), Value::Object(members.clone())));
            self.record(kind, id, true, &members, arrival);
        }
        let value = json!(self.rng.random_range(0..100));
        let score = json!({"id": id, "name": "q", "value": value, "source": "sdk"});
        deliveries.push(("PUT", format!("{}/feedback-scores", kind.path()), json!({"scores": [score]})));
        self.things(kind).get_mut(id).unwrap().scores.insert("q".to_owned(), value);
        deliveries
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_at_once_in_any_order_and_twice_ends_where_the_model_does() {
    for seed in seeds() {
        let mut world = World::start(seed).await;
        let ids = |kind, ids: &[String]| ids.iter().map(|id| (kind, id.clone())).collect::<Vec<_>>();
        let ids = [ids(Spans, &world.span_ids), ids(Traces, &world.trace_ids)].concat();
        let mut deliveries: Vec<Delivery> = ids.iter().flat_map(|(kind, id)| world.deliveries(*kind, id)).collect();
        let again = deliveries.choose_multiple(&mut world.rng, deliveries.len() / 2).cloned().collect::<Vec<_>>();
        deliveries.extend(again);
        deliveries.shuffle(&mut world.rng);
        let mut sending = tokio::task::JoinSet::new();
        for (number, (method, path, body)) in deliveries.into_iter().enumerate() {
            let api = world.servers[number % world.servers.len()].api.clone();
            sending.spawn(async move {
                let answer = api.raw(method, &path, body.to_string()).await;
                assert!(matches!(answer.status, 201 | 204), "{method} {path} {body}: {}", answer.text());
            });
        }
        sending.join_all().await;
        for _ in &world.servers {
            world.compare().await;
            world.compare_threads().await;
        }
        recounted(&world.servers[0]);
        let names = world.servers[0].home.number("SELECT count(DISTINCT name) FROM projects");
        assert_eq!(world.servers[0].home.rows("projects"), names);
    }
}
