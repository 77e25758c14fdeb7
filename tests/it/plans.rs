//! By which index what is asked most is answered: of the very statements that a server runs, which it tells in its log.
//!
//! On PostgreSQL each is run as it is planned for the values at hand, which is what reading asks for, and what leads to one
//! month also as it is planned for any values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection as File;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use serde_json::{Value, json};
use spandrel::clock::Clock;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::{Api, BINARY, Home, Process, on_postgres};

/// Of a day, in the project that is asked, and in others.
const TRACES: usize = 300;
const OTHER_TRACES: usize = 1_500;

/// Rows that may be read without an index where there are nearly none.
const FEW: f64 = 50.0;

const START: &str = "2024-01-15T09:30:00Z";
const PROJECT: &str = "Default Project";

/// What is asked, and by which indices of spans, traces, threads, scores and projects it is answered.
struct Asked {
    what: &'static str,
    method: &'static str,
    path: String,
    body: Value,
    /// Values of the statements' parameters of their types, in order; the last of each is that of all others.
    ids: Vec<Uuid>,
    texts: Vec<&'static str>,
    sqlite: &'static [&'static str],
    postgres: &'static [&'static str],
    /// Whether one partition of spans and one of traces is all that is looked into.
    in_one_month: bool,
}

/// What the data have.
struct Seeded {
    trace: Uuid,
    span: Uuid,
    gone: Uuid,
    /// The first and the last id of a month.
    month: [Uuid; 2],
}

/// An id of this many days ago.
fn id(days: u64, number: usize) -> Uuid {
    let day = u64::try_from(Clock::system().now()).unwrap() / 1_000_000_000 - days * 86_400;
    Uuid::new_v7(Timestamp::from_unix(NoContext, day, u32::try_from(number).unwrap() * 100_000))
}

fn span(id: Uuid, trace: Uuid, project: &str, number: usize) -> Value {
    let kind = if number.is_multiple_of(20) { "llm" } else { "tool" };
    json!({"id": id, "trace_id": trace, "project_name": project, "start_time": START, "name": format!("span {number}"),
        "type": kind, "input": "x".repeat(300), "usage": {"total_tokens": 3}})
}

async fn seed(api: &Api) -> Seeded {
    let mut months = Vec::new();
    for (days, project) in [(0, PROJECT), (40, PROJECT), (0, "other"), (40, "other"), (1, "other"), (41, "other")] {
        let count = if project == PROJECT { TRACES } else { OTHER_TRACES };
        let ids: Vec<[Uuid; 2]> = (0..count).map(|number| [id(days, 2 * number), id(days, 2 * number + 1)]).collect();
        let traces = ids.iter().enumerate().map(|(number, [trace, _])| {
            json!({"id": trace, "project_name": project, "start_time": START, "end_time": START,
                "input": "x".repeat(300), "thread_id": format!("thread {}", number / 3)})
        });
        for traces in traces.collect::<Vec<_>>().chunks(1_000) {
            api.post("/v1/private/traces/batch", &json!({"traces": traces})).await.expect(204);
        }
        let spans = ids.iter().enumerate().map(|(number, [trace, id])| span(*id, *trace, project, number));
        for spans in spans.collect::<Vec<_>>().chunks(1_000) {
            api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
        }
        for (kind, at) in [("traces", 0), ("spans", 1)] {
            let score = |ids: &[Uuid; 2]| json!({"id": ids[at], "name": "q", "value": 1, "source": "sdk"});
            let scores: Vec<Value> = ids.iter().take(1_000).map(score).collect();
            let path = format!("/v1/private/{kind}/feedback-scores");
            api.put(&path, &json!({"scores": scores})).await.expect(204);
        }
        months.push(ids);
    }
    // More projects than would be gone through for one.
    for many in 0..2 {
        let spans = (0..1_000).map(|number| span(id(0, number), id(0, number), &format!("project {many} {number}"), 1));
        api.post("/v1/private/spans/batch", &json!({"spans": spans.collect::<Vec<_>>()})).await.expect(204);
    }
    let before = &months[1];
    let [[first, _], .., [_, last]] = before[..] else { panic!("there are no traces") };
    let [trace, span] = before[TRACES / 2];
    Seeded { trace, span, gone: before[TRACES / 3][1], month: [first, last] }
}

impl Asked {
    /// Something in the project, the answer to which has nothing to do with months.
    fn get(
        what: &'static str,
        path: &str,
        ids: &[Uuid],
        sqlite: &'static [&'static str],
        postgres: &'static [&'static str],
    ) -> Self {
        Self {
            what,
            method: "GET",
            path: format!("/v1/private/{path}"),
            body: Value::Null,
            ids: ids.to_vec(),
            texts: vec!["default", "default project"],
            sqlite,
            postgres,
            in_one_month: false,
        }
    }

    fn in_one_month(self) -> Self {
        Self { in_one_month: true, ..self }
    }

    fn sent(self, method: &'static str, body: Value) -> Self {
        Self { method, body, ..self }
    }
}

/// What is read most.
fn reads(seeded: &Seeded) -> Vec<Asked> {
    let Seeded { trace, span, month, .. } = seeded;
    let list = "project_name=Default%20Project";
    let filtered = |field: &str, value: &str| {
        let filters = json!([{"field": field, "operator": "=", "value": value}]).to_string();
        format!("spans?{list}&filters={}", form_urlencoded::byte_serialize(filters.as_bytes()).collect::<String>())
    };
    let at = |id: &Uuid| {
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        chrono::DateTime::from_timestamp(seconds.cast_signed(), nanos).unwrap().format("%Y-%m-%dT%H:%M:%S%.3fZ")
    };
    let times = format!("from_time={}&to_time={}", at(&month[0]), at(&month[1]));
    let next_page = json!({"project_name": PROJECT, "last_retrieved_id": span, "limit": 50});
    let contains = json!([{"field": "input", "operator": "contains", "value": "XXX"}]);
    let frequent = json!({"project_name": PROJECT, "filters": contains, "limit": 50});
    vec![
        Asked::get(
            "a span by its id",
            &format!("spans/{span}"),
            &[*span],
            &["spans_1"],
            &["spans_workspace_id_key", "spans_by_id"],
        )
        .in_one_month(),
        Asked::get(
            "a trace by its id",
            &format!("traces/{trace}"),
            &[*trace],
            &["traces_1"],
            &["traces_workspace_id_key", "traces_by_id", "scores_once"],
        ),
        Asked::get(
            "the spans of a trace",
            &format!("spans?{list}&trace_id={trace}"),
            &[*trace],
            &["spans_by_trace"],
            &["spans_by_trace", "projects_by_name"],
        ),
        Asked::get(
            "the first page of spans",
            &format!("spans?{list}"),
            &[*span],
            &["spans_by_trace"],
            &["spans_by_trace", "spans_by_id", "scores_once"],
        ),
        Asked::get(
            "the first page of traces",
            &format!("traces?{list}"),
            &[*trace],
            &["traces_by_id"],
            &["traces_by_id", "scores_once"],
        ),
        Asked::get("spans of a type", &filtered("type", "llm"), &[*span], &["spans_by_trace"], &["spans_by_trace"]),
        Asked::get("spans of a name", &filtered("name", "span 3"), &[*span], &["spans_by_trace"], &["spans_by_trace"]),
        Asked::get("the next page of a stream", "spans/search", &[*span], &["spans_by_id"], &["spans_by_id"])
            .sent("POST", next_page),
        Asked::get("the first of a text in many", "spans/search", &[*span], &["spans_by_id"], &["spans_by_id"])
            .sent("POST", frequent),
        Asked::get("a project by its name", "projects/retrieve", &[*span], &["projects_1"], &["projects_by_name"])
            .sent("POST", json!({"name": "project 1 500"})),
        Asked::get(
            "the first page of threads",
            &format!("traces/threads?{list}"),
            &[*trace],
            &["threads_1", "traces_by_thread"],
            &["threads_by_project", "traces_by_thread"],
        ),
        Asked::get(
            "what spans amount to in a time",
            &format!("spans/stats?{list}&{times}"),
            month,
            &["spans_by_id"],
            &["spans_by_id", "scores_once"],
        )
        .in_one_month(),
        Asked::get(
            "what traces amount to in a time",
            &format!("traces/stats?{list}&{times}"),
            month,
            &["traces_by_id"],
            &["traces_by_id", "scores_once"],
        ),
    ]
}

/// What is written most, as far as something is looked for.
fn writes(seeded: &Seeded) -> Vec<Asked> {
    let Seeded { trace, span, gone, .. } = seeded;
    let mut again = self::span(*span, *trace, PROJECT, 1);
    again["output"] = json!("more");
    let closed = json!({"project_name": PROJECT, "thread_ids": ["thread 1", "thread 2"]});
    let closing = Asked::get(
        "threads that are closed",
        "traces/threads/close",
        &[*trace],
        &["threads_1", "traces_by_thread"],
        &["threads_by_name", "traces_by_thread"],
    );
    vec![
        Asked::get("spans that are there", "spans/batch", &[*span], &["spans_1"], &["spans_workspace_id_key"])
            .sent("POST", json!({"spans": [again]}))
            .in_one_month(),
        Asked { texts: vec!["[\"thread 1\"]"], ..closing.sent("PUT", closed) },
        Asked::get(
            "a span that is deleted",
            &format!("spans/{gone}"),
            &[*gone],
            &["spans_1"],
            &["spans_workspace_id_key", "scores_once"],
        )
        .sent("DELETE", Value::Null)
        .in_one_month(),
        Asked::get(
            "a trace that is deleted",
            &format!("traces/{trace}"),
            &[*trace],
            &["spans_by_trace", "traces_1"],
            &["spans_by_trace", "traces_workspace_id_key"],
        )
        .sent("DELETE", Value::Null),
    ]
}

/// A server that tells its statements in a file.
pub(crate) fn start(home: &Home) -> Process {
    let (log, ready) = (home.folder().join("log"), home.folder().join("ready"));
    let mut command = Command::new(BINARY);
    command.args(["serve", "--listen", "127.0.0.1:0", "--database", &home.url(), "--ready-file"]).arg(&ready);
    command.env("SPANDREL_LOG", "off,spandrel::sql=trace").stdin(Stdio::null()).stdout(Stdio::null());
    Process::ready(command.stderr(std::fs::File::create(log).unwrap()).spawn().unwrap(), &ready)
}

/// The statements in the log from here on, each once.
fn statements(log: &Path, from: usize) -> BTreeSet<String> {
    let log = std::fs::read_to_string(log).unwrap();
    let told = log[from..].lines().filter_map(|line| line.split_once("TRACE "));
    let told: BTreeSet<String> = told.map(|(_, sql)| sql.trim_start().to_owned()).collect();
    // Of what is put in, nothing is looked for.
    told.into_iter()
        .filter(|sql| ["SELECT", "WITH", "UPDATE", "DELETE"].iter().any(|verb| sql.starts_with(verb)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_most_is_answered_by_the_indices_that_are_meant_for_it() {
    let home = Home::new();
    let process = start(&home);
    let seeded = seed(&process.api).await;
    if on_postgres() {
        home.execute("ANALYZE");
    }
    let log = home.folder().join("log");
    let mut wrong = Vec::new();
    for asked in reads(&seeded).into_iter().chain(writes(&seeded)) {
        let from = std::fs::metadata(&log).unwrap().len();
        let request = process.api.request(asked.method, &asked.path);
        let request = if asked.body.is_null() { request } else { request.json(&asked.body) };
        let status = process.api.send(request).await.status;
        assert!((200..300).contains(&status), "{}: {status}", asked.what);
        let told = statements(&log, usize::try_from(from).unwrap());
        assert!(!told.is_empty(), "{}: no statements are told", asked.what);
        let (wanted, found) = if on_postgres() {
            (asked.postgres, in_postgres(&home, &asked, &told, &mut wrong).await)
        } else {
            (asked.sqlite, in_sqlite(&home, &asked, &told, &mut wrong))
        };
        let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        if !wanted.is_subset(&found) {
            wrong.push(format!("{}: expected {wanted:?}, found {found:?}", asked.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tables whose indices are looked at.
const TABLES: [&str; 5] = ["spans", "traces", "threads", "scores", "projects"];

/// Runs the statements with the values of their parameters; tells which indices were used, and adds what must not be.
async fn in_postgres(home: &Home, asked: &Asked, told: &BTreeSet<String>, wrong: &mut Vec<String>) -> BTreeSet<String> {
    let mut connection = PgConnection::connect(&home.url()).await.unwrap();
    let parents = "SELECT c.relname::text, coalesce(p.relname, c.relname)::text FROM pg_class c \
                   LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent";
    let parents: BTreeMap<String, String> =
        sqlx::query_as(parents).fetch_all(&mut connection).await.unwrap().into_iter().collect();
    let (mut used, mut looked_into) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for sql in told {
        let modes = ["force_custom_plan", "force_generic_plan"];
        for mode in modes.into_iter().take(if asked.in_one_month { 2 } else { 1 }) {
            let mut transaction = connection.begin().await.unwrap();
            let prepare = format!("SET LOCAL plan_cache_mode = {mode}; SET LOCAL jit = off; PREPARE asked AS {sql}");
            sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *transaction).await.unwrap_or_else(|error| {
                panic!("{}: {error}: {sql}", asked.what);
            });
            let types = "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'asked'";
            let types: Vec<String> = sqlx::query_scalar(types).fetch_one(&mut *transaction).await.unwrap();
            let values = if types.is_empty() { String::new() } else { format!("({})", values(asked, &types)) };
            let execute = format!("EXECUTE asked{values}");
            let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) {execute}");
            let explained = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(&mut *transaction).await;
            let explained = explained.unwrap_or_else(|error| panic!("{}: {error}: {sql}", asked.what));
            let plan: Value = serde_json::from_str(explained.get_unchecked::<&str, _>(0)).unwrap();
            transaction.rollback().await.unwrap();
            sqlx::raw_sql("DEALLOCATE asked").execute(&mut connection).await.unwrap();
            for node in nodes(&plan[0]["Plan"]) {
                let number = |name: &str| node[name].as_f64().unwrap_or_default();
                if number("Actual Loops") == 0.0 {
                    continue;
                }
                let relation = node["Relation Name"].as_str().map(|name| parents[name].clone());
                if let Some(index) = node["Index Name"].as_str() {
                    let index = parents[index].clone();
                    if TABLES.iter().any(|table| index.starts_with(table)) {
                        used.insert(index);
                    }
                }
                let Some(table) = relation.filter(|relation| TABLES.contains(&relation.as_str())) else { continue };
                if node["Node Type"] == "ModifyTable" {
                    continue;
                }
                let partition = node["Relation Name"].as_str().unwrap().to_owned();
                looked_into.entry(table).or_default().insert(partition.clone());
                let rows = number("Actual Loops") * (number("Actual Rows") + number("Rows Removed by Filter"));
                if node["Node Type"] == "Seq Scan" && rows > FEW {
                    wrong.push(format!("{}: all of {partition} is read ({mode}): {sql}", asked.what));
                }
            }
        }
    }
    for table in ["spans", "traces"] {
        let partitions = looked_into.get(table).map_or(0, BTreeSet::len);
        if asked.in_one_month && partitions > 1 {
            wrong.push(format!("{}: {:?} are looked into", asked.what, looked_into[table]));
        }
    }
    used
}

/// A plan and all that it is made of.
fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten().flat_map(nodes);
    std::iter::once(plan).chain(below).collect()
}

/// Values of these types, as SQL.
fn values(asked: &Asked, types: &[String]) -> String {
    let (mut ids, mut texts) = (asked.ids.iter(), asked.texts.iter());
    let bytes = |id: &Uuid| format!("'\\x{}'::bytea", id.simple());
    let last = |ids: &[Uuid]| *ids.last().unwrap();
    let value = |kind: &String| match kind.as_str() {
        "bigint" | "double precision" => "1".to_owned(),
        "bigint[]" => "ARRAY[1]::bigint[]".to_owned(),
        "bytea" => bytes(&ids.next().copied().unwrap_or_else(|| last(&asked.ids))),
        "bytea[]" => format!("ARRAY[{}]", bytes(&last(&asked.ids))),
        "text" => format!("'{}'", texts.next().or(asked.texts.last()).unwrap()),
        "text[]" => format!("ARRAY['{}']", asked.texts.last().unwrap()),
        "double precision[]" => "ARRAY[1]::double precision[]".to_owned(),
        other => panic!("{}: no value of the type {other} is known", asked.what),
    };
    types.iter().map(value).collect::<Vec<_>>().join(", ")
}

/// What only has to be known by its name.
struct Nothing;

impl Aggregate<(), i64> for Nothing {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<()> {
        Ok(())
    }

    fn step(&self, _: &mut Context<'_>, (): &mut ()) -> rusqlite::Result<()> {
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, _: Option<()>) -> rusqlite::Result<i64> {
        Ok(0)
    }
}

/// Tells how the statements would be run.
fn in_sqlite(home: &Home, asked: &Asked, told: &BTreeSet<String>, wrong: &mut Vec<String>) -> BTreeSet<String> {
    let file = File::open(home.file()).unwrap();
    for name in [
        "uuid_text",
        "day_start",
        "plain_json",
        "has_text",
        "json_has_text",
        "has_exact_text",
        "json_text",
        "number_in",
        "usage_count",
    ] {
        file.create_scalar_function(name, -1, FunctionFlags::SQLITE_DETERMINISTIC, |_| Ok(0)).unwrap();
    }
    for name in ["mean_score", "usage_sums", "decimal_sum"] {
        file.create_aggregate_function(name, -1, FunctionFlags::SQLITE_DETERMINISTIC, Nothing).unwrap();
    }
    let mut used = BTreeSet::new();
    for sql in told {
        let explained = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
        let mut explained = explained.unwrap_or_else(|error| panic!("{}: {error}: {sql}", asked.what));
        let values = rusqlite::params_from_iter(vec![rusqlite::types::Null; explained.parameter_count()]);
        let details = explained.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        for detail in details.map(Result::unwrap) {
            let words: Vec<&str> = detail.split(' ').collect();
            let after = |word: &str| words.iter().position(|other| *other == word).and_then(|at| words.get(at + 1));
            if let Some(index) = after("INDEX") {
                let index = index.trim_start_matches("sqlite_autoindex_");
                if TABLES.iter().any(|table| index.starts_with(table)) {
                    used.insert(index.to_owned());
                }
            }
            let all = detail.starts_with("SCAN ") && !detail.contains(" USING ") && !detail.contains("VIRTUAL TABLE");
            // What these statements call rows of spans, traces and threads.
            if all && ["s", "m", "t", "x", "h", "spans", "traces", "threads"].contains(&words[1]) {
                wrong.push(format!("{}: {detail}: {sql}", asked.what));
            }
        }
    }
    used
}
