//! Everything of one database in another: `spandrel copy`.

use std::process::Output;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

use crate::support::{Api, Home, Process, fresh_id};
use crate::upgrades::databases::{IDS, fill, settings, told};

const UPLOAD: &str = "/v1/private/attachment/upload";

/// Spans beside those of `fill`: many pages of a copy.
const SPANS: usize = 1_500;

/// A database with some of everything, and much of some.
async fn filled(home: &Home) {
    let mut process = Process::on(home);
    let api = &process.api;
    fill(api).await;
    let trace = fresh_id();
    for first in (0..SPANS).step_by(500) {
        let span = |number: usize| {
            json!({"id": fresh_id(), "trace_id": trace, "project_name": "p", "start_time": "2024-01-15T09:30:00Z",
                "type": "llm", "name": format!("tab\t, line\n, \\, {number}"), "input": {"nul": "\u{0}", "n": number},
                "usage": {"total_tokens": number}, "total_estimated_cost": 0.1})
        };
        let spans: Vec<Value> = (first..first + 500).map(span).collect();
        api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    }
    for (name, content) in [("large", vec![7_u8; 3 << 20]), ("empty", Vec::new())] {
        let query = [("file_name", name), ("entity_type", "trace"), ("entity_id", &trace), ("project_name", "p")];
        api.send(api.request("PUT", UPLOAD).query(&query).body(content)).await.expect(204);
    }
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
}

fn copy(from: &Home, to: &Home) -> Output {
    Process::run(&["copy", "--from", &from.url(), "--to", &to.url()], &[])
}

#[track_caller]
fn copied(from: &Home, to: &Home) -> String {
    let output = copy(from, to);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(from: &Home, to: &Home, why: &str) {
    let output = copy(from, to);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && message.contains(why), "{message}");
}

/// All that the API tells, of spans and traces of `fill` one by one, of all in lists, of settings, and of files.
async fn read_out(home: &Home) -> Vec<Value> {
    let mut process = Process::on(home);
    let mut ids = home.texts(IDS);
    ids.retain(|id| id.contains("|019A"));
    assert!(ids.len() > 5, "{ids:?}");
    let mut all = vec![told(&process.api, ids).await, settings(&process.api).await];
    let second = process.api.get("/v1/private/spans?project_name=p&size=1000&page=2").await.expect(200).json();
    assert_eq!(second["size"], SPANS - 1_000, "{second}");
    all.push(second);
    for list in ["spans", "traces", "spans/stats", "traces/stats", "traces/threads"] {
        for project in ["p", "other", "%C3%9Cn%C3%AFcode%20%F0%9F%9A%80"] {
            let path = format!("/v1/private/{list}?project_name={project}&size=1000");
            all.push(process.api.get(&path).await.expect(200).json());
        }
    }
    all.push(files(&process.api).await);
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    // Addresses are of the server that was asked.
    let text = serde_json::to_string(&all).unwrap().replace(&process.api.base, "BASE");
    serde_json::from_str(&text).unwrap()
}

/// Names and lengths of the files of project `p`.
async fn files(api: &Api) -> Value {
    let project = api.post("/v1/private/projects/retrieve", &json!({"name": "p"})).await.expect(200).json();
    let span = api.get("/v1/private/spans?project_name=p&size=1").await.expect(200).json();
    let trace = span["content"][0]["trace_id"].as_str().unwrap().to_owned();
    let query = [
        ("project_id", project["id"].as_str().unwrap()),
        ("entity_type", "trace"),
        ("entity_id", &trace),
        ("path", "aHR0cDovL2E="),
    ];
    let list = api.request("GET", "/v1/private/attachment/list").query(&query);
    let mut list = api.send(list).await.expect(200).json();
    for file in list["content"].as_array_mut().unwrap() {
        let link: reqwest::Url = file["link"].as_str().unwrap().parse().unwrap();
        let content = api.get(&format!("{}?{}", link.path(), link.query().unwrap())).await.expect(200).body;
        file["content"] = json!(content.iter().fold(content.len(), |sum, byte| sum + usize::from(*byte)));
    }
    assert_eq!(list["total"], 2, "{list}");
    list
}

/// Every row of a file, but what tells of migrations.
fn rows(home: &Home) -> Vec<(String, Vec<Vec<Cell>>)> {
    let database = Connection::open(home.file()).unwrap();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                 AND name NOT IN ('_sqlx_migrations', 'writable') ORDER BY name";
    let rows = |table: String| {
        let mut statement = database
            .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3"))
            .unwrap_or_else(|_| database.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap());
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).unwrap();
        (table, rows.map(Result::unwrap).collect())
    };
    home.texts(names).into_iter().map(rows).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_copied_into_another() {
    let (from, to) = (Home::in_a_file(), Home::in_a_file());
    filled(&from).await;
    let told = copied(&from, &to);
    assert!(told.contains("spans\n") && told.contains("both are the same"), "{told}");
    assert_eq!(rows(&to), rows(&from));
    assert_eq!(read_out(&to).await, read_out(&from).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_told_and_nothing_is_changed() {
    let (from, to, third) = (Home::in_a_file(), Home::in_a_file(), Home::in_a_file());
    refused(&from, &to, "there is nothing to copy");
    filled(&from).await;
    filled(&to).await;
    let before = rows(&to);
    refused(&from, &to, "is not empty");
    assert_eq!(rows(&to), before);
    refused(&from, &from, "into itself");
    let process = Process::on(&from);
    refused(&from, &third, "another spandrel uses this database");
    drop(process);
    let old = Home::in_file(crate::upgrades::databases::copied("0002").0);
    refused(&old, &third, "older schema");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_file_is_copied_to_postgresql_and_back() {
    let (from, postgres, other, back) =
        (Home::in_a_file(), Home::in_postgres(), Home::in_postgres_unmade(), Home::in_a_file());
    filled(&from).await;
    copied(&from, &postgres);
    crate::support::recounted_in(&postgres);
    let wanted = read_out(&from).await;
    assert_eq!(read_out(&postgres).await, wanted);
    copied(&postgres, &other);
    copied(&other, &back);
    assert_eq!(read_out(&back).await, wanted);
    assert_eq!(rows(&back), rows(&from));
    // What is made from now on does not get a key that is taken.
    let process = Process::on(&other);
    for name in ["new", "newer"] {
        let body = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": name});
        process.api.create(&body).await;
        process.api.create_trace(&body).await;
    }
    drop(process);
    crate::support::recounted_in(&other);
}

/// Breaks a copy off in the middle of the spans, and begins it again.
async fn go_on(from: &Home, to: &Home) {
    filled(from).await;
    to.spoil("INSERT", "spans", "new.name LIKE '%, 1000'");
    refused(from, to, "spoilt");
    let there = to.rows("spans");
    assert!(there > 0 && there < from.rows("spans"), "{there}");
    let third = Home::in_a_file();
    filled(&third).await;
    refused(&third, to, "was begun");
    to.unspoil("spans");
    let told = copied(from, to);
    assert!(told.contains("rows were there already"), "{told}");
    assert_eq!(read_out(to).await, read_out(from).await);
    refused(from, to, "is not empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_broke_off_goes_on_where_it_was() {
    let (from, to) = (Home::in_a_file(), Home::in_a_file());
    // It is made by whoever comes first.
    drop(Process::on(&to));
    go_on(&from, &to).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_copy_to_postgresql_that_broke_off_goes_on_where_it_was() {
    go_on(&Home::in_a_file(), &Home::in_postgres()).await;
}
