//! What shares a commit ends as it would have one by one: spans that move between traces, are deleted with them and made
//! anew, scores and comments that come and go with what they are about.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use spandrel::app::open_store;
use spandrel::clock::Clock;
use spandrel::model::{Id, ScoreSource, SpanUpdate, SpanWrite, TraceUpdate, TraceWrite};
use spandrel::record::{Entity, Score, SpanRecord, Target, TraceRecord, TraceView, View};
use spandrel::store::{Caller, Change, Store, Submission};

use crate::support::{Home, config, fresh_id, recounted_in, together};

/// A store of its own, in which time stands still.
struct Own {
    store: Arc<dyn Store>,
    home: Home,
}

impl Own {
    async fn open() -> Self {
        let home = Home::new();
        let mut config = config(&[]);
        config.ephemeral = true;
        let clock = Clock::new(|| 1_705_400_000_000_000_000);
        let store = open_store(&home.url(), &config, clock).await.unwrap();
        Self { store, home }
    }

    /// Makes changes in one commit; what is answered to each.
    async fn commit(&self, workspace: &str, steps: &[Step]) -> Vec<String> {
        let caller = Caller { workspace: workspace.into(), user: "admin".into() };
        let submissions = steps.iter().map(|step| Submission { caller: caller.clone(), change: step.change() });
        let answers = together(&*self.store, submissions).await;
        answers.iter().map(|answer| format!("{answer:?}")).collect()
    }

    /// All that can be read.
    async fn told(&self, workspace: &str, ids: &Ids) -> Vec<Value> {
        let mut told = Vec::new();
        for id in &ids.spans {
            let span = self.store.span(workspace, id.parse().unwrap(), View::default().parts()).await.unwrap();
            told.push(span.map_or(Value::Null, |span| {
                let view = View { project_name: true, ..View::default() };
                serde_json::to_value(span.into_public(&view)).unwrap()
            }));
        }
        for id in &ids.traces {
            let trace = self.store.trace(workspace, id.parse().unwrap(), TraceView::default().parts()).await.unwrap();
            told.push(
                trace.map_or(Value::Null, |trace| {
                    serde_json::to_value(trace.into_public(&TraceView::default())).unwrap()
                }),
            );
        }
        // Each store made its own projects.
        for one in told.iter_mut().filter_map(Value::as_object_mut) {
            one.remove("project_id");
        }
        told
    }
}

/// The ids of one sequence.
struct Ids {
    spans: Vec<String>,
    traces: Vec<String>,
    comments: Vec<String>,
}

/// A change that can be made more than once.
#[derive(Debug, Clone)]
enum Step {
    Create(Entity, Value),
    CreateMany(Entity, Vec<Value>),
    Update(Entity, String, Value),
    Delete(Entity, String),
    Score(Entity, String, bool),
    Unscore(Entity, String),
    Comment(Entity, String, String),
    Recomment(String),
    Uncomment(String),
}

fn read<T: serde::de::DeserializeOwned>(body: &Value) -> T {
    serde_json::from_str(&body.to_string()).unwrap()
}

fn target(entity: Entity, id: &str) -> Target {
    Target { entity, id: id.parse().unwrap() }
}

fn span(body: &Value) -> SpanRecord {
    SpanRecord::create(read::<SpanWrite>(body), None, || unreachable!("every id is stated"))
}

fn trace(body: &Value) -> TraceRecord {
    TraceRecord::create(read::<TraceWrite>(body), || unreachable!("every id is stated"))
}

impl Step {
    fn change(&self) -> Change {
        let id = |text: &str| text.parse::<Id>().unwrap();
        match self {
            Self::Create(Entity::Span, body) => Change::Span(Box::new(span(body))),
            Self::Create(_, body) => Change::Trace(Box::new(trace(body))),
            Self::CreateMany(Entity::Span, bodies) => Change::Spans(bodies.iter().map(span).collect()),
            Self::CreateMany(_, bodies) => Change::Traces(bodies.iter().map(trace).collect()),
            Self::Update(Entity::Span, of, body) => {
                Change::Span(Box::new(SpanRecord::update(id(of), read::<SpanUpdate>(body), None)))
            }
            Self::Update(_, of, body) => {
                Change::Trace(Box::new(TraceRecord::update(id(of), read::<TraceUpdate>(body))))
            }
            Self::Delete(Entity::Span, of) => Change::DeleteSpan(id(of)),
            Self::Delete(_, of) => Change::DeleteTraces(vec![id(of)]),
            Self::Score(entity, of, single) => {
                let score = Score {
                    target: target(*entity, of),
                    name: "q".to_owned(),
                    author: "admin".to_owned(),
                    queue_id: None,
                    value: "0.5".parse().unwrap(),
                    category_name: None,
                    reason: None,
                    source: ScoreSource::Sdk,
                };
                if *single { Change::Score(Box::new(score)) } else { Change::Scores(vec![score]) }
            }
            Self::Unscore(entity, of) => {
                Change::DeleteScores { target: target(*entity, of), name: "q".to_owned(), author: None, queue_id: None }
            }
            Self::Comment(entity, of, comment) => Change::AddComment {
                target: target(*entity, of),
                id: id(comment),
                text: "said".to_owned(),
                queue_id: None,
            },
            Self::Recomment(comment) => Change::UpdateComment { id: id(comment), text: "changed".to_owned() },
            Self::Uncomment(comment) => Change::DeleteComments(vec![id(comment)]),
        }
    }

    fn random(rng: &mut StdRng, ids: &mut Ids) -> Self {
        let entity = if rng.random_bool(0.6) { Entity::Span } else { Entity::Trace };
        let of = if entity == Entity::Span { &ids.spans } else { &ids.traces };
        let id = of.choose(rng).unwrap().clone();
        match rng.random_range(0..100) {
            0..25 => Self::Create(entity, body(rng, ids, entity, true)),
            25..35 => {
                let count = rng.random_range(1..4);
                Self::CreateMany(entity, (0..count).map(|_| body(rng, ids, entity, true)).collect())
            }
            35..50 => Self::Update(entity, id, body(rng, ids, entity, false)),
            50..65 => Self::Delete(entity, id),
            65..77 => Self::Score(entity, id, rng.random_bool(0.5)),
            77..82 => Self::Unscore(entity, id),
            82..92 => {
                let comment = fresh_id();
                ids.comments.push(comment.clone());
                Self::Comment(entity, id, comment)
            }
            kind => match ids.comments.choose(rng) {
                Some(comment) if kind < 97 => Self::Recomment(comment.clone()),
                Some(comment) => Self::Uncomment(comment.clone()),
                None => Self::Delete(entity, id),
            },
        }
    }
}

/// The members of a create or an update.
fn body(rng: &mut StdRng, ids: &Ids, entity: Entity, create: bool) -> Value {
    let mark = rng.random_range(0..100_usize);
    let mut body = json!({"name": format!("n{mark}"), "project_name": (["one", "one", "two"][mark % 3])});
    if mark % 2 == 0 {
        body["input"] = json!(mark);
    }
    let of = if entity == Entity::Span { &ids.spans } else { &ids.traces };
    if create {
        body["id"] = json!(of.choose(rng).unwrap());
        body["start_time"] = json!("2024-01-15T09:30:00Z");
    }
    if entity == Entity::Span {
        body["trace_id"] = json!(ids.traces.choose(rng).unwrap());
        body["usage"] = json!({"t": mark});
        body["type"] = json!(["llm", "tool"][mark % 2]);
        body["provider"] = json!(["a", "b"][mark / 2 % 2]);
        body["total_estimated_cost"] = json!(0.1);
    } else if mark % 5 == 0 {
        body["thread_id"] = json!("conversation");
    }
    body
}

#[tokio::test]
async fn what_shares_a_commit_ends_as_it_would_one_by_one() {
    let given = std::env::var("SPANDREL_TESTS_SEED").ok().and_then(|seed| seed.parse().ok());
    let first: u64 = given.unwrap_or_else(|| rand::rng().random());
    let (alone, together) = (Own::open().await, Own::open().await);
    for sequence in 0..if given.is_some() { 1 } else { 400 } {
        let seed = first.wrapping_add(sequence);
        println!("SPANDREL_TESTS_SEED={seed}");
        let rng = &mut StdRng::seed_from_u64(seed);
        let fresh = |count: usize| (0..count).map(|_| fresh_id()).collect();
        let mut ids = Ids { spans: fresh(3), traces: fresh(2), comments: Vec::new() };
        let steps: Vec<Step> = (0..12).map(|_| Step::random(rng, &mut ids)).collect();
        let workspace = format!("sequence {sequence}");
        let (mut wanted, mut got) = (Vec::new(), Vec::new());
        for step in steps.chunks(1) {
            wanted.extend(alone.commit(&workspace, step).await);
        }
        // Some is stored already when the rest comes.
        let (before, after) = steps.split_at(rng.random_range(0..=6));
        for steps in [before, after] {
            got.extend(together.commit(&workspace, steps).await);
        }
        assert_eq!(got, wanted, "{steps:#?}");
        let (told, expected) = (together.told(&workspace, &ids).await, alone.told(&workspace, &ids).await);
        assert_eq!(told, expected, "{} steps stored before, of {steps:#?}", before.len());
    }
    recounted_in(&alone.home);
    recounted_in(&together.home);
}
