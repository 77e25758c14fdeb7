//! Random sequences of writes, held against a simple model after each step.
//!
//! The model is the history of what was accepted: what a member is, is told from all of it every time. Writes are also
//! delivered twice, and later than others. `SPANDREL_MODEL_SEED` repeats a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use spandrel::clock::Clock;

use crate::support::{Server, fresh_id, recounted};

const SEQUENCES: u64 = 25;
const STEPS: usize = 120;
const DAY: i64 = 24 * 3600 * 1_000_000_000;

/// What was accepted for one span.
#[derive(Default)]
struct Span {
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

impl Span {
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
    fn conflict(&self, update: bool, members: &Map<String, Value>) -> Option<&'static str> {
        if !self.created() {
            return None;
        }
        let project = members.get("project_name").is_some_and(|name| *name != self.shown("project_name"));
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
    server: Server,
    now: Arc<AtomicI64>,
    spans: BTreeMap<String, Span>,
    ids: Vec<String>,
    others: Vec<String>,
    rng: StdRng,
    /// Writes that were sent before, to be sent again.
    sent: Vec<(bool, String, Map<String, Value>)>,
}

const MEMBERS: [&str; 16] = [
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
    "tags",
    "usage",
    "environment",
    "ttft",
    "source",
];

impl World {
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.rng).unwrap().clone()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share)
    }

    /// Some members, as a create or an update states them.
    fn members(&mut self, update: bool) -> Map<String, Value> {
        let mut members = Map::new();
        let others = self.others.clone();
        let mark = self.rng.random_range(0..1000);
        for (name, values) in [
            ("trace_id", vec![json!(others[0]), json!(others[0]), json!(others[0]), json!(others[1])]),
            ("parent_span_id", vec![json!(others[2]), json!(others[2]), json!(others[3])]),
            ("project_name", vec![json!("one"), json!("one"), json!("two")]),
            ("name", vec![json!(format!("n{mark}"))]),
            ("type", vec![json!("llm"), json!("tool")]),
            ("end_time", vec![json!("2024-01-15T10:00:00Z"), json!("2024-01-15T10:00:01Z")]),
            ("input", vec![json!({"i": mark}), json!([mark])]),
            ("output", vec![json!({"o": mark})]),
            ("metadata", vec![json!({"m": mark})]),
            ("model", vec![json!(format!("m{mark}"))]),
            ("tags", vec![json!(["a"]), json!(["b", "a"]), json!(["c"])]),
            ("usage", vec![json!({"t": mark}), json!({})]),
            ("environment", vec![json!("prod"), json!("test")]),
            ("ttft", vec![json!(1.5), json!(2.5)]),
            ("source", vec![json!("sdk"), json!("evaluator")]),
        ] {
            if self.chance(0.4) || (update && name == "trace_id") {
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

    fn record(&mut self, id: &str, update: bool, members: &Map<String, Value>, arrival: i64) {
        let write = Write { update, arrival, members: members.clone() };
        self.spans.entry(id.to_owned()).or_default().writes.push(write);
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of write")]
    async fn step(&mut self) {
        let ids = self.ids.clone();
        let id = self.pick(&ids);
        let path = format!("/v1/private/spans/{id}");
        let there = self.spans.get(&id).is_some_and(|span| !span.writes.is_empty());
        let arrival = self.tick();
        match self.rng.random_range(0..100) {
            0..30 => {
                let members = self.members(false);
                self.create(&id, members, arrival).await;
            }
            30..45 => {
                let mut spans = Vec::new();
                for _ in 0..self.rng.random_range(1..5) {
                    let id = self.pick(&ids);
                    spans.push((id, self.members(false)));
                }
                let bodies: Vec<Value> = spans.iter().map(|(id, members)| with_id(id, members)).collect();
                self.server.api.post("/v1/private/spans/batch", &json!({"spans": bodies})).await.expect(204);
                for (id, members) in spans {
                    self.record(&id, false, &members, arrival);
                }
            }
            45..65 => {
                let members = self.members(true);
                self.update(&id, members, arrival).await;
            }
            65..72 => {
                let Some((update, id, members)) = self.sent.choose(&mut self.rng).cloned() else { return };
                if update { self.update(&id, members, arrival).await } else { self.create(&id, members, arrival).await }
            }
            72..80 => {
                let mut members = self.members(true);
                let several = [self.pick(&ids), self.pick(&ids)];
                let merge = self.chance(0.5);
                let body = json!({"ids": several, "update": members, "merge_tags": merge});
                self.server.api.patch("/v1/private/spans/batch", &body).await.expect(204);
                if merge
                    && !members.contains_key("tags_to_add")
                    && let Some(tags) = members.remove("tags")
                {
                    members.insert("tags_to_add".to_owned(), tags);
                }
                members.retain(|name, _| !["trace_id", "parent_span_id", "project_name"].contains(&name.as_str()));
                let mut done = Vec::new();
                for id in several {
                    if !done.contains(&id) && self.spans.get(&id).is_some_and(|span| !span.writes.is_empty()) {
                        self.record(&id, true, &members, arrival);
                    }
                    done.push(id);
                }
            }
            80..84 => {
                self.server.api.send(self.server.api.request("DELETE", &path)).await.expect(204);
                // What was accepted before is gone: scores, too, that came before their span.
                self.spans.remove(&id);
            }
            84..92 => {
                let name = self.pick(&["q", "r"]);
                let value = json!(self.rng.random_range(0..10));
                let single = self.chance(0.5);
                if single {
                    let body = json!({"name": name, "value": value, "source": "sdk"}).to_string();
                    let answer = self.server.api.raw("PUT", &format!("{path}/feedback-scores"), body).await;
                    assert_eq!(answer.status, if there { 204 } else { 404 });
                } else {
                    let body =
                        json!({"scores": [{"id": id, "name": name, "value": value, "source": "sdk"}]}).to_string();
                    self.server.api.raw("PUT", "/v1/private/spans/feedback-scores", body).await.expect(204);
                }
                if there || !single {
                    self.spans.entry(id).or_default().scores.insert(name.to_owned(), value);
                }
            }
            92..95 => {
                let name = self.pick(&["q", "r"]);
                self.server
                    .api
                    .post(&format!("{path}/feedback-scores/delete"), &json!({"name": name}))
                    .await
                    .expect(204);
                if let Some(span) = self.spans.get_mut(&id) {
                    span.scores.remove(name);
                }
            }
            95..98 => {
                let text = format!("c{}", self.rng.random_range(0..1000));
                let answer = self.server.api.post(&format!("{path}/comments"), &json!({"text": text})).await;
                assert_eq!(answer.status, if there { 201 } else { 404 });
                if there {
                    let comment = answer.json()["id"].as_str().unwrap().to_owned();
                    self.spans.get_mut(&id).unwrap().comments.push((comment, text));
                }
            }
            _ => {
                let known: Vec<(String, String)> = self
                    .spans
                    .iter()
                    .flat_map(|(id, span)| span.comments.iter().map(|(comment, _)| (id.clone(), comment.clone())))
                    .collect();
                let Some((id, comment)) = known.choose(&mut self.rng).cloned() else { return };
                let comments = &mut self.spans.get_mut(&id).unwrap().comments;
                if self.rng.random_bool(0.5) {
                    self.server
                        .api
                        .patch(&format!("/v1/private/spans/comments/{comment}"), &json!({"text": "changed"}))
                        .await
                        .expect(204);
                    let changed = comments.iter_mut().find(|(known, _)| *known == comment).unwrap();
                    changed.1 = String::from("changed");
                } else {
                    self.server
                        .api
                        .post("/v1/private/spans/comments/delete", &json!({"ids": [comment]}))
                        .await
                        .expect(204);
                    comments.retain(|(known, _)| *known != comment);
                }
            }
        }
    }

    async fn create(&mut self, id: &str, members: Map<String, Value>, arrival: i64) {
        let answer = self.server.api.post("/v1/private/spans", &with_id(id, &members)).await;
        if let Some(text) = self.spans.get(id).and_then(|span| span.conflict(false, &members)) {
            assert_eq!(answer.expect(409).errors(), [text]);
            return;
        }
        answer.expect(201);
        self.record(id, false, &members, arrival);
        self.sent.push((false, id.to_owned(), members));
    }

    async fn update(&mut self, id: &str, members: Map<String, Value>, arrival: i64) {
        let answer = self.server.api.patch(&format!("/v1/private/spans/{id}"), &Value::Object(members.clone())).await;
        if let Some(text) = self.spans.get(id).and_then(|span| span.conflict(true, &members)) {
            assert_eq!(answer.expect(409).errors(), [text]);
            return;
        }
        answer.expect(204);
        self.record(id, true, &members, arrival);
        self.sent.push((true, id.to_owned(), members));
    }

    /// Every span is what the model tells.
    async fn compare(&self) {
        let mut totals: BTreeMap<String, usize> = BTreeMap::new();
        for id in &self.ids {
            let path = format!("/v1/private/spans/{id}");
            let Some(span) = self.spans.get(id).filter(|span| !span.writes.is_empty()) else {
                self.server.api.get(&path).await.expect(404);
                continue;
            };
            let stored = self.server.api.get(&path).await.expect(200).json();
            for member in MEMBERS {
                let wanted = span.shown(member);
                let got =
                    if member == "environment" && stored[member] == "" { Value::Null } else { stored[member].clone() };
                // A trace that no client stated is one that the server made.
                if member == "trace_id" && wanted.is_null() {
                    assert!(got.is_string());
                    continue;
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
            let scores: BTreeMap<String, Value> = stored["feedback_scores"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|score| (score["name"].as_str().unwrap().to_owned(), score["value"].clone()))
                .collect();
            assert_eq!(scores, span.scores);
            let comments: Vec<&str> = stored["comments"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|comment| comment["text"].as_str().unwrap())
                .collect();
            assert_eq!(comments, span.comments.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>());
            *totals.entry(span.shown("project_name").as_str().unwrap().to_owned()).or_default() += 1;
        }
        for (project, total) in totals {
            let query = [("project_name", project.as_str()), ("size", "1")];
            let page = self
                .server
                .api
                .send(self.server.api.request("GET", "/v1/private/spans").query(&query))
                .await
                .expect(200)
                .json();
            assert_eq!(page["total"], total, "{project}");
        }
    }
}

fn with_id(id: &str, members: &Map<String, Value>) -> Value {
    let mut body = members.clone();
    body.insert("id".to_owned(), json!(id));
    Value::Object(body)
}

#[tokio::test]
async fn every_step_ends_where_the_model_does() {
    let given = std::env::var("SPANDREL_MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    let first: u64 = given.unwrap_or_else(|| rand::rng().random());
    for sequence in 0..if given.is_some() { 1 } else { SEQUENCES } {
        let seed = first.wrapping_add(sequence);
        println!("SPANDREL_MODEL_SEED={seed}");
        // After every stamp but those far ahead.
        let now = Arc::new(AtomicI64::new(1_705_400_000_000_000_000));
        let told = Arc::clone(&now);
        let server = Server::with(&[], Clock::new(move || told.load(Ordering::SeqCst))).await;
        let mut world = World {
            server,
            now,
            spans: BTreeMap::new(),
            ids: (0..6).map(|_| fresh_id()).collect(),
            others: (0..4).map(|_| fresh_id()).collect(),
            rng: StdRng::seed_from_u64(seed),
            sent: Vec::new(),
        };
        for _ in 0..STEPS {
            world.step().await;
            world.compare().await;
        }
        recounted(&world.server);
        let database = rusqlite::Connection::open(&world.server.database).unwrap();
        let orphans: i64 = database
            .query_row("SELECT count(*) FROM span_payloads WHERE span NOT IN (SELECT key FROM spans)", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(orphans, 0);
    }
}
