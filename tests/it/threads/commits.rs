//! Writes that share a commit do what they would do one after the other.

use std::sync::Arc;

use serde_json::{Value, json};
use spandrel::app::open_store;
use spandrel::clock::Clock;
use spandrel::model::Id;
use spandrel::record::{Entity, ProjectRef, Score, TagChange, TagEdits, Target, ThreadScore, TraceRecord};
use spandrel::store::{Caller, Change, Kind, Order, Query, Store, Submission};

use crate::support::{Home, together};

/// What is written: an id of a trace by number, and the name of a thread.
#[derive(Debug, Clone, Copy)]
enum Step {
    Trace(u8, &'static str),
    Move(u8, &'static str),
    DeleteTrace(u8),
    Open(&'static str),
    Close(&'static str),
    Delete(&'static str),
    Score(&'static str),
    Unscore(&'static str),
    /// Tags the thread that the first commit made.
    Tag(&'static str),
    /// Comments on the thread that the first commit made.
    Comment,
}

use Step::{Close, Comment, Delete, DeleteTrace, Move, Open, Score as Rate, Tag, Trace, Unscore};

const PROJECT: &str = "made on the way";

fn id(number: u8) -> Id {
    format!("01a20204-c23a-7bad-84c4-1aba0815{number:04}").parse().unwrap()
}

fn change(step: Step, own: Option<Id>) -> Change {
    let project = ProjectRef::Name(PROJECT.to_owned());
    let target = Target { entity: Entity::Thread, id: own.unwrap_or_else(|| id(99)) };
    match step {
        Trace(number, thread_id) => {
            let trace = json!({"id": id(number), "project_name": PROJECT, "thread_id": thread_id,
                "start_time": "2024-01-15T09:30:00Z", "input": number});
            Change::Traces(vec![TraceRecord::create(serde_json::from_str(&trace.to_string()).unwrap(), || id(98))])
        }
        Move(number, thread_id) => {
            let update = json!({"project_name": PROJECT, "thread_id": thread_id});
            Change::Trace(Box::new(TraceRecord::update(id(number), serde_json::from_value(update).unwrap())))
        }
        DeleteTrace(number) => Change::DeleteTraces(vec![id(number)]),
        Open(thread_id) => Change::OpenThread { project, thread_id: thread_id.to_owned() },
        Close(thread_id) => Change::CloseThreads { project, thread_ids: vec![thread_id.to_owned()] },
        Delete(thread_id) => Change::DeleteThreads { project, thread_ids: vec![thread_id.to_owned()] },
        Rate(thread_id) => {
            let score = Score {
                target: Target { entity: Entity::Thread, id: Clock::system().fresh_id() },
                name: "q".to_owned(),
                author: "a".to_owned(),
                queue_id: None,
                value: "1".parse().unwrap(),
                category_name: None,
                reason: None,
                source: spandrel::model::ScoreSource::Sdk,
            };
            Change::ScoreThreads(vec![ThreadScore { project: Some(project), thread_id: thread_id.to_owned(), score }])
        }
        Unscore(thread_id) => Change::DeleteThreadScores {
            project,
            thread_id: thread_id.to_owned(),
            names: vec!["q".to_owned()],
            author: None,
            queue_id: None,
        },
        Tag(tag) => {
            let edits = TagEdits { added: vec![tag.to_owned()], ..TagEdits::default() };
            Change::UpdateThread { id: target.id, tags: Some(TagChange::Edit(edits)) }
        }
        Comment => Change::AddComment { target, id: id(96), text: "x".to_owned(), queue_id: None },
    }
}

async fn project(store: &Arc<dyn Store>) -> Option<i64> {
    store.project("default", &ProjectRef::Name(PROJECT.to_owned())).await.unwrap()
}

/// All threads, by name: what does not differ from run to run.
async fn threads(store: &Arc<dyn Store>) -> Vec<Value> {
    let Some(project) = project(store).await else { return Vec::new() };
    let query = Query::all(Kind::Threads, project);
    let keys = store.find(query.clone(), Order::Default, 1_000, 0).await.unwrap();
    let (found, _) = store.threads(query, keys.into(), 0, usize::MAX).await.unwrap();
    let mut shown: Vec<Value> = found
        .into_iter()
        .map(|thread| {
            let shown = serde_json::to_value(thread.into_public(false)).unwrap();
            json!({"id": shown["id"], "status": shown["status"], "messages": shown["number_of_messages"],
                "first": shown["first_message"], "tags": shown["tags"],
                "scores": shown["feedback_scores"].as_array().map(Vec::len),
                "comments": shown["comments"].as_array().map(Vec::len)})
        })
        .collect();
    shown.sort_by_key(|thread| thread["id"].to_string());
    shown
}

/// What is refused, and what there is in the end, if `first` is stored and `steps` are then stored in commits of so many.
async fn outcome(first: &[Step], steps: &[Step], at_once: usize) -> (Vec<String>, Vec<Value>, Vec<i64>) {
    let home = Home::new();
    let mut config = crate::support::config(&[]);
    config.ephemeral = true;
    let store = open_store(&home.url(), &config, Clock::system()).await.unwrap();
    let caller = Caller { workspace: "default".into(), user: "admin".into() };
    let submission = |step: &Step, own| Submission { caller: caller.clone(), change: change(*step, own) };
    together(&*store, first.iter().map(|step| submission(step, None))).await;
    let own = match project(&store).await {
        Some(project) => store.thread_id(project, "t").await.unwrap(),
        None => None,
    };
    let mut refusals = Vec::new();
    for steps in steps.chunks(at_once) {
        let outcome = together(&*store, steps.iter().map(|step| submission(step, own))).await;
        refusals.extend(outcome.into_iter().map(|outcome| match outcome {
            Ok(()) => String::new(),
            Err(refusal) => format!("{refusal:?}").split('(').next().unwrap().to_owned(),
        }));
    }
    let shown = threads(&store).await;
    store.close().await;
    let counts = ["projects", "threads", "traces", "scores", "comments"].map(|table| home.rows(table));
    (refusals, shown, counts.to_vec())
}

#[tokio::test]
async fn one_commit_does_what_many_do() {
    let mut told = Vec::new();
    for (first, steps) in [
        (&[][..], &[Trace(1, "t"), Close("t"), Trace(2, "t"), Close("t")][..]),
        (&[], &[Trace(1, "t"), Close("t"), Trace(2, "t")]),
        (&[], &[Close("t"), Trace(1, "t"), Open("t"), Close("t"), Open("t")]),
        (&[], &[Trace(1, "t"), DeleteTrace(1), Close("t")]),
        (&[], &[Trace(1, "t"), Move(1, "u"), Close("t"), Close("u")]),
        (&[], &[Rate("t"), Trace(1, "t"), Rate("u"), Unscore("u"), Delete("u")]),
        (&[], &[Trace(1, "t"), Rate("t"), Delete("t"), Rate("t"), Trace(2, "t"), Unscore("t")]),
        (&[], &[Delete("t"), Unscore("t"), Open("t")]),
        (&[Trace(1, "t")], &[DeleteTrace(1), Close("t"), Trace(1, "t"), Close("t")]),
        (&[Trace(1, "t")], &[Move(1, "u"), Close("t"), Close("u"), Move(1, "u")]),
        (&[Trace(1, "t"), Trace(2, "t")], &[Move(1, "u"), Delete("t"), Close("t"), Close("u")]),
        (&[Trace(1, "t"), Trace(2, "u")], &[Move(2, "t"), Delete("t"), Trace(1, "u")]),
        (&[Trace(1, "t")], &[Tag("a"), Tag("b"), Comment, Rate("t")]),
        (&[Trace(1, "t")], &[Tag("a"), Comment, Delete("t"), Tag("b"), Comment, Trace(1, "t"), Rate("t")]),
        (&[Trace(1, "t"), Rate("t")], &[Delete("t"), Trace(2, "t")]),
    ] {
        let one_by_one = outcome(first, steps, 1).await;
        assert_eq!(outcome(first, steps, usize::MAX).await, one_by_one, "{first:?} {steps:?}");
        assert_eq!(outcome(first, steps, 2).await, one_by_one, "{first:?} {steps:?}");
        let (refusals, threads, counts) = one_by_one;
        told.push(json!({"first": format!("{first:?}"), "steps": format!("{steps:?}"), "refusals": refusals,
            "threads": threads, "projects, threads, traces, scores, comments": counts}));
    }
    crate::support::snap_exactly("threads__commits", &json!(told));
}
