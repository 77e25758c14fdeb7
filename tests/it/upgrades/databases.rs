//! A database of every schema there was, in `tests/data/databases/`, made by the program of its time. Each opens with
//! this program, and tells all that it holds.
//!
//! A new migration comes with a database: add to `fill` what the new schema can hold, then
//! `SPANDREL_BLESS=1 cargo test --test it upgrades::databases`, which makes the missing file, and look at the new
//! snapshots. A file that is there is never made again. (0001 never had a program of its own: it is 0002 without scores
//! and comments.)

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Api, Process, snap_exactly};

const SPANS: &str = "/v1/private/spans";
const TRACES: &str = "/v1/private/traces";

/// The file of a schema.
pub(super) fn file(schema: &str) -> PathBuf {
    folder().join(format!("{schema}.db"))
}

/// The newest schema.
pub(super) fn newest() -> String {
    numbers(&folder(), ".db").pop_last().unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/databases")
}

fn migrations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations/sqlite")
}

/// The numbers that names of files in a folder begin with.
fn numbers(folder: &Path, ending: &str) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(ending)).map(|name| name[..4].to_owned()).collect()
}

#[tokio::test]
async fn every_migration_has_a_database_of_its_schema() {
    let migrations = numbers(&migrations(), ".sql");
    let newest = migrations.last().unwrap();
    if std::env::var_os("SPANDREL_BLESS").is_some() && !file(newest).exists() {
        make(newest).await;
    }
    assert_eq!(numbers(&folder(), ".db"), migrations, "SPANDREL_BLESS=1 cargo test --test it upgrades::databases");
    for schema in migrations {
        let (_folder, file) = copied(&schema);
        let database = Connection::open(file).unwrap();
        let has = "SELECT printf('%04d', max(version)) FROM _sqlx_migrations WHERE success";
        assert_eq!(database.query_row(has, [], |row| row.get::<_, String>(0)).unwrap(), schema);
    }
}

/// With this comment, sqlx would not make it one.
#[test]
fn every_migration_is_one_transaction() {
    let files: Vec<_> = std::fs::read_dir(migrations()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1);
    for file in files {
        assert!(!std::fs::read_to_string(&file).unwrap().contains("no-transaction"), "{}", file.display());
    }
}

#[tokio::test]
async fn a_database_of_any_schema_opens_and_tells_all_that_it_holds() {
    let fresh = tempfile::tempdir().unwrap();
    drop(Process::on_disk(fresh.path()));
    for schema in numbers(&folder(), ".db") {
        let (folder, file) = copied(&schema);
        let process = Process::on_disk(folder.path());
        let database = Connection::open(&file).unwrap();
        let told = told(&process.api, ids(&database)).await;
        snap_exactly(&format!("upgrades__{schema}"), &told);
        snap_exactly(&format!("upgrades__{schema}_settings"), &settings(&process.api).await);
        // Whether the snapshot is whole.
        let all = told.as_object().unwrap();
        let count = |of: &dyn Fn(&Value) -> usize| all.values().map(of).sum::<usize>();
        let list = |one: &Value, name: &str| one[name].as_array().map_or(0, Vec::len);
        assert_eq!(rows(&database, "spans") + rows(&database, "traces"), count(&|_| 1));
        assert_eq!(rows(&database, "comments"), count(&|one| list(one, "comments")));
        let scores = |one: &Value| {
            let scores = one["feedback_scores"].as_array().into_iter().flatten();
            scores.map(|score| score["value_by_author"].as_object().unwrap().len()).sum()
        };
        // One came before its span.
        let waiting = usize::from(schema.as_str() >= "0002");
        assert_eq!(rows(&database, "scores"), count(&scores) + waiting);
        // A migrated database is like a fresh one, and as good.
        let new = Connection::open(fresh.path().join("spandrel.db")).unwrap();
        assert_eq!(shape(&database), shape(&new), "{schema}");
        process.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    }
}

/// What spans amount to is money: the sum of what was stored before there were traces is exact.
#[tokio::test]
async fn costs_of_spans_from_before_there_were_traces_are_summed_exactly() {
    let (folder, file) = copied("0002");
    let database = Connection::open(&file).unwrap();
    for (trace, cost) in [
        (201, "0.1"),
        (201, "0.2"),
        (201, "0.000000000001"),
        (202, "123456789.9"),
        (202, "7.10"),
        (203, "0"),
        (204, "1000000000000000000000000000"),
        (204, "1000000000000000000000000000"),
        (205, "3"),
    ] {
        let sql = "INSERT INTO spans (workspace, id, project, trace_id, start_time, cost, cost_value, created_at, \
                   created_by, last_updated_at, last_updated_by) \
                   SELECT workspace, randomblob(16), key, ?1, 1, ?2, CAST(?2 AS REAL), 1, 'x', 1, 'x' FROM projects LIMIT 1";
        let trace = id(trace).parse::<uuid::Uuid>().unwrap();
        assert_eq!(database.execute(sql, rusqlite::params![trace.as_bytes(), cost]).unwrap(), 1);
    }
    let project: String =
        database.query_row("SELECT lower(hex(id)) FROM projects LIMIT 1", [], |row| row.get(0)).unwrap();
    let workspace = "SELECT w.name FROM projects j JOIN workspaces w ON w.key = j.workspace LIMIT 1";
    let workspace: String = database.query_row(workspace, [], |row| row.get(0)).unwrap();
    let project = project.parse::<uuid::Uuid>().unwrap().to_string();
    drop(database);
    let process = Process::on_disk(folder.path());
    for (trace, cost) in [
        (201, Some("0.300000000001")),
        (202, Some("123456797")),
        (203, None),
        (204, Some("2000000000000000000000000000")),
        (205, Some("3")),
    ] {
        let path = format!("{TRACES}/{}", id(trace));
        let send = |method: &str, body: String| {
            let request = process.api.request(method, &path).header("comet-workspace", &workspace);
            process.api.send(request.header("content-type", "application/json").body(body))
        };
        send("PATCH", json!({"project_id": project}).to_string()).await.expect(204);
        let text = send("GET", String::new()).await.expect(200).text();
        let shown = text.split_once("\"total_estimated_cost\":").map(|(_, rest)| rest.split(',').next().unwrap());
        assert_eq!(shown, cost, "{text}");
    }
}

/// A copy of the file of a schema, as `spandrel.db` in a folder of its own.
pub(crate) fn copied(schema: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("spandrel.db");
    std::fs::copy(file(schema), &to).unwrap();
    (folder, to)
}

fn rows(database: &Connection, table: &str) -> usize {
    let rows: i64 = database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    usize::try_from(rows).unwrap()
}

/// Names of the tables and indexes, and how they were made.
pub(super) fn shape(database: &Connection) -> BTreeMap<String, Option<String>> {
    let mut all = database.prepare("SELECT name, sql FROM sqlite_schema").unwrap();
    let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    all.map(Result::unwrap).collect()
}

/// What [`told`] needs to know of a database: the workspaces and ids of all spans and traces.
pub(crate) const IDS: &str = "SELECT 'spans|' || w.name || '|' || hex(s.id) FROM spans s \
    JOIN workspaces w ON w.key = s.workspace UNION ALL SELECT 'traces|' || w.name || '|' || hex(s.id) FROM traces s \
    JOIN workspaces w ON w.key = s.workspace";

/// The same of a file.
pub(super) fn ids(database: &Connection) -> Vec<String> {
    let mut ids = database.prepare(IDS).unwrap();
    ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// All that the API tells of these spans and traces, each under its id.
pub(crate) async fn told(api: &Api, ids: Vec<String>) -> Value {
    let mut told = json!({});
    for id in ids {
        let [things, workspace, id] = id.split('|').collect::<Vec<_>>().try_into().unwrap();
        let id = id.parse::<uuid::Uuid>().unwrap().to_string();
        let request = api.request("GET", &format!("/v1/private/{things}/{id}")).header("comet-workspace", workspace);
        told[&id] = api.send(request).await.expect(200).json();
        if told[&id]["input"] == long() {
            told[&id]["input"] = json!("[long]");
        }
    }
    told
}

/// All that the API tells of projects, and of what the default workspace is set up with.
pub(crate) async fn settings(api: &Api) -> Value {
    let mut told = json!({});
    for area in ["projects", "environments", "feedback-definitions", "workspaces/configurations"] {
        // There is no configuration until there is one.
        told[area] = api.get(&format!("/v1/private/{area}")).await.json();
    }
    for project in told["projects"]["content"].as_array().unwrap().clone() {
        for (entity, number) in [("trace", 105), ("span", 5), ("span", 98)] {
            let project_id = project["id"].as_str().unwrap();
            let query =
                format!("project_id={project_id}&entity_type={entity}&entity_id={}&path=aHR0cDovL2E", id(number));
            let list = api.get(&format!("/v1/private/attachment/list?{query}")).await.expect(200).json();
            if list["total"] != 0 {
                told["attachments"][entity][id(number)] = list["content"].clone();
            }
        }
    }
    told
}

/// Makes the file of the newest schema with this program.
async fn make(schema: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::on_disk(folder.path());
    fill(&process.api).await;
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    std::fs::copy(folder.path().join("spandrel.db"), file(schema)).unwrap();
}

/// More than a page of the file.
fn long() -> String {
    "long ".repeat(2_000)
}

fn id(number: usize) -> String {
    format!("019a0000-0000-7000-8000-{number:012}")
}

/// Some of everything that the newest schema can hold.
pub(crate) async fn fill(api: &Api) {
    let start = "2024-01-15T09:30:00.123456789Z";
    let all = json!({
        "id": id(1), "trace_id": id(101), "parent_span_id": id(102), "project_name": "Ünïcode 🚀", "name": "all",
        "type": "llm", "start_time": start, "end_time": "2024-01-15T09:30:01.5Z",
        "input": {"question": "the answer?", "n": 1.10}, "output": ["42", null, {"deep": [[]]}],
        "metadata": {"model": "m", "provider": "p"}, "model": "gpt-4o", "provider": "openai", "tags": ["b", "a"],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 20},
        "error_info": {"exception_type": "E", "message": "m", "traceback": "t"}, "ttft": 12.5,
        "total_estimated_cost": 0.000_123_456_789, "source": "sdk", "environment": "test",
    });
    let estimated = json!({
        "id": id(2), "trace_id": id(101), "start_time": start, "model": "gpt-4o", "provider": "openai", "type": "llm",
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0},
    });
    let long = json!({"id": id(3), "trace_id": id(103), "start_time": start, "input": long()});
    let least = json!({"id": id(4), "trace_id": id(104), "start_time": start});
    for span in [&all, &estimated, &long, &least] {
        api.post(SPANS, span).await.expect(201);
    }
    let update = json!({"trace_id": id(104), "tags_to_add": ["added"], "output": {"late": true}});
    api.patch(&format!("{SPANS}/{}", id(4)), &update).await.expect(204);
    // Updated before it is created.
    let update = json!({"trace_id": id(105), "project_name": "other", "name": "early", "tags_to_add": ["t"]});
    api.patch(&format!("{SPANS}/{}", id(5)), &update).await.expect(204);
    let elsewhere = json!({"id": id(6), "trace_id": id(106), "start_time": start, "project_name": "other"});
    let request = api.request("POST", SPANS).header("comet-workspace", "team");
    api.send(request.header("content-type", "application/json").body(elsewhere.to_string())).await.expect(201);

    let score = |span: usize, author: &str, value: Value| json!({"id": id(span), "name": "quality", "author": author, "value": value, "source": "sdk"});
    let mut scores = vec![score(1, "anna", json!(0.25)), score(1, "bert", json!(1)), score(99, "anna", json!(-3))];
    scores[0]["reason"] = json!("why not");
    scores[0]["category_name"] = json!("good");
    scores.push(json!({"id": id(2), "name": "speed", "value": 7, "source": "ui"}));
    api.raw("PUT", &format!("{SPANS}/feedback-scores"), json!({"scores": scores}).to_string()).await.expect(204);
    for text in ["first", "second 🚀"] {
        api.post(&format!("{SPANS}/{}/comments", id(1)), &json!({"text": text})).await.expect(201);
    }
    fill_traces(api, start).await;
    fill_settings(api).await;
    let file = |entity: &str, number: usize, name: &str| {
        let query = format!("file_name={name}&entity_type={entity}&entity_id={}&project_name=other", id(number));
        api.request("PUT", &format!("/v1/private/attachment/upload?{query}")).body("content")
    };
    for file in [file("trace", 105, "a.txt"), file("span", 5, "%C3%BC.png"), file("span", 98, "early")] {
        api.send(file).await.expect(204);
    }
}

/// Traces: one with spans and all members, one that was only updated, and one of another workspace.
async fn fill_traces(api: &Api, start: &str) {
    let all = json!({
        "id": id(101), "project_name": "Ünïcode 🚀", "name": "all", "start_time": start,
        "end_time": "2024-01-15T09:30:01.5Z", "input": {"question": "the answer?", "n": 1.10}, "output": ["42"],
        "metadata": {"k": 1}, "tags": ["b", "a"], "ttft": 12.5, "thread_id": "conversation", "source": "sdk",
        "error_info": {"exception_type": "E", "message": "m", "traceback": "t"}, "environment": "test",
    });
    api.post(&format!("{TRACES}/batch"), &json!({"traces": [all, {"id": id(108), "start_time": start}]}))
        .await
        .expect(204);
    let update = json!({"project_name": "other", "name": "early", "thread_id": "conversation", "tags_to_add": ["t"]});
    api.patch(&format!("{TRACES}/{}", id(105)), &update).await.expect(204);
    let elsewhere = json!({"id": id(106), "start_time": start, "project_name": "other"});
    let request = api.request("POST", TRACES).header("comet-workspace", "team");
    api.send(request.header("content-type", "application/json").body(elsewhere.to_string())).await.expect(201);
    let score = json!({"name": "quality", "value": 0.5, "source": "ui", "reason": "why not"});
    api.put(&format!("{TRACES}/{}/feedback-scores", id(101)), &score).await.expect(204);
    api.post(&format!("{TRACES}/{}/comments", id(101)), &json!({"text": "on the whole"})).await.expect(201);
}

/// Projects of their own, one of them deleted, and what a workspace is set up with.
async fn fill_settings(api: &Api) {
    const PRIVATE: &str = "/v1/private";
    let project = json!({"name": "made", "description": "d", "visibility": "public"});
    api.post(&format!("{PRIVATE}/projects"), &project).await.expect(201);
    let doomed = api.post(&format!("{PRIVATE}/projects"), &json!({"name": "doomed"})).await.expect(201);
    api.delete(doomed.header("location")).await.expect(204);
    let environment = json!({"id": id(301), "name": "qa", "description": "d", "color": "#123456", "position": 4});
    api.post(&format!("{PRIVATE}/environments"), &environment).await.expect(201);
    for (kind, details) in [
        ("numerical", json!({"min": 0.5, "max": 1})),
        ("categorical", json!({"categories": {"good": 1, "bad": 0}})),
        ("boolean", json!({"true_label": "yes", "false_label": "no"})),
    ] {
        let definition = json!({"name": kind, "description": "d", "type": kind, "details": details});
        api.post(&format!("{PRIVATE}/feedback-definitions"), &definition).await.expect(201);
    }
    let configuration = json!({"timeout_to_mark_thread_as_inactive": "PT30M", "truncation_on_tables": true,
                               "color_map": {"good": "#00FF00"}});
    api.put(&format!("{PRIVATE}/workspaces/configurations"), &configuration).await.expect(200);
}
