//! Servers that share a database.

use std::process::{Command, Stdio};

use serde_json::json;
use tokio::task::JoinSet;

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
