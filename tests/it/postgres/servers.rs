//! Servers that share a database.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rand::Rng as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::durability::seeded;

use crate::support::{BINARY, Home, Process, Server, fresh_id};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn servers_that_start_at_once_migrate_once() {
    let home = Home::in_postgres_unmade();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let children: Vec<_> = folders
        .iter()
        .map(|folder| {
            let mut command = Command::new(BINARY);
            command.args(["serve", "--listen", "127.0.0.1:0", "--database", &home.url(), "--ready-file"]);
            command.arg(folder.path().join("ready")).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let processes: Vec<Process> = children
        .into_iter()
        .zip(&folders)
        .map(|(child, folder)| Process::ready(child, &folder.path().join("ready")))
        .collect();
    let id = processes[0].api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    for process in &processes {
        process.api.span(&id).await;
    }
    let (all, different) =
        ("SELECT count(*) FROM _sqlx_migrations", "SELECT count(DISTINCT version) FROM _sqlx_migrations");
    assert_eq!(home.number(all), home.number(different));
}

/// What was acknowledged by one server is seen by the others at once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn servers_make_one_project_of_a_name_and_one_score_of_an_author() {
    let home = std::sync::Arc::new(Home::in_postgres());
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::on(std::sync::Arc::clone(&home), &[], spandrel::clock::Clock::system()).await);
    }
    for round in 0..10 {
        let (project, trace, span) = (format!("project {round}"), fresh_id(), fresh_id());
        let mut sending = JoinSet::new();
        for number in 0..12 {
            let api = servers[number % servers.len()].api.clone();
            let (project, trace, span) = (project.clone(), trace.clone(), span.clone());
            sending.spawn(async move {
                let own = json!({"id": fresh_id(), "trace_id": trace, "project_name": project, "type": "llm",
                    "start_time": "2024-01-15T09:30:00Z", "usage": {"total_tokens": 2}});
                let shared = json!({"id": span, "trace_id": trace, "project_name": project, "name": "shared",
                    "start_time": "2024-01-15T09:30:00Z"});
                api.post("/v1/private/spans/batch", &json!({"spans": [own, shared]})).await.expect(204);
                let score = json!({"scores": [{"id": span, "name": "q", "value": number, "source": "sdk"}]});
                api.put("/v1/private/spans/feedback-scores", &score).await.expect(204);
                api.span(&span).await;
            });
        }
        sending.join_all().await;
        for server in &servers {
            let shared = server.api.span(&span).await;
            assert_eq!(shared["feedback_scores"].as_array().map(Vec::len), Some(1), "{shared}");
            let list = format!("/v1/private/spans?project_name={}", project.replace(' ', "%20"));
            assert_eq!(server.api.get(&list).await.expect(200).json()["total"], 13);
        }
    }
    assert_eq!(home.rows("projects WHERE name LIKE 'project %'"), 10);
    assert_eq!(home.number("SELECT CAST(sum(spans) AS bigint) FROM trace_sums"), 130);
    crate::support::recounted_in(&home);
}

/// What is written to three servers at once, in any order and some of it twice, comes to the same as if it had come in
/// order and once: of each member, the value of the latest create that states it, or of an update.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn the_order_in_which_servers_get_writes_makes_no_difference() {
    const SPANS: usize = 12;
    const CREATES: usize = 20;
    let home = Arc::new(Home::in_postgres());
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::on(Arc::clone(&home), &[], spandrel::clock::Clock::system()).await);
    }
    let mut rng = seeded();
    for round in 0..4 {
        let trace = fresh_id();
        let place = json!({"trace_id": trace, "project_name": format!("round {round}")});
        let mut wanted: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut requests = Vec::new();
        for _ in 0..SPANS {
            let id = fresh_id();
            let stated = wanted.entry(id.clone()).or_default();
            for second in 0..CREATES {
                let mut create = place.as_object().unwrap().clone();
                create.insert("id".to_owned(), json!(id));
                create.insert("start_time".to_owned(), json!("2024-01-15T09:30:00Z"));
                create.insert("last_updated_at".to_owned(), json!(format!("2024-01-15T10:00:{second:02}Z")));
                for (name, value) in [
                    ("input", json!({"n": second})),
                    ("output", json!([second])),
                    ("model", json!(format!("m{second}"))),
                    ("provider", json!(format!("p{second}"))),
                    ("tags", json!([format!("t{second}")])),
                    ("usage", json!({"total_tokens": second})),
                    ("end_time", json!(format!("2024-01-15T09:30:{second:02}Z"))),
                ] {
                    if rng.random_bool(0.3) {
                        create.insert(name.to_owned(), value.clone());
                        stated.insert(name.to_owned(), value);
                    }
                }
                requests.push(("POST", "/v1/private/spans".to_owned(), Value::from(create)));
            }
            let mut update = place.clone();
            update["name"] = json!(format!("updated {id}"));
            stated.insert("name".to_owned(), update["name"].clone());
            requests.push(("PATCH", format!("/v1/private/spans/{id}"), update));
        }
        let twice: Vec<_> = requests.iter().filter(|_| rng.random_bool(0.3)).cloned().collect();
        requests.extend(twice);
        requests.shuffle(&mut rng);
        // Some of them come in batches.
        let (creates, updates): (Vec<_>, Vec<_>) = requests.into_iter().partition(|(method, _, _)| *method == "POST");
        let mut requests = updates;
        for some in creates.chunk_by(|_, _| rng.random_bool(0.4)) {
            match some {
                [one] => requests.push(one.clone()),
                several => {
                    let spans: Vec<&Value> = several.iter().map(|(_, _, body)| body).collect();
                    requests.push(("POST", "/v1/private/spans/batch".to_owned(), json!({"spans": spans})));
                }
            }
        }
        requests.shuffle(&mut rng);
        let mut sending = JoinSet::new();
        for (method, path, body) in requests {
            let api = servers.choose(&mut rng).unwrap().api.clone();
            sending.spawn(async move {
                let answer = api.raw(method, &path, body.to_string()).await;
                assert!(matches!(answer.status, 201 | 204), "{} {}", answer.status, answer.text());
            });
        }
        sending.join_all().await;
        let total: i64 = wanted.values().filter_map(|stated| stated.get("usage")?["total_tokens"].as_i64()).sum();
        for server in &servers {
            for (id, stated) in &wanted {
                let span = server.api.span(id).await;
                for (name, value) in stated {
                    assert_eq!(span[name], *value, "{name} of {span}");
                }
            }
            let stats = format!("/v1/private/spans/stats?project_name=round%20{round}");
            let stats = server.api.get(&stats).await.expect(200).json();
            let usage = stats["stats"].as_array().unwrap().iter().find(|stat| stat["name"] == "usage.total_tokens");
            let mean = usage.map_or(0.0, |stat| stat["value"].as_f64().unwrap());
            let stating = wanted.values().filter(|stated| stated.contains_key("usage")).count();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let expected = total as f64 / stating.max(1) as f64;
            assert!((mean - expected).abs() < 0.01, "{stats}: {expected}");
        }
    }
    crate::support::recounted_in(&home);
}
