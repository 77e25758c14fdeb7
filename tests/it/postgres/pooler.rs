//! Servers behind a pooler that gives a connection away after each transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::task::JoinSet;

use super::faults::{SPANS, span};
use crate::durability::client::Client;
use crate::durability::kill::{check_clients, new_clients};
use crate::durability::seeded;
use crate::support::{Api, Cluster, Home, Pooler, Process, fresh_id, until};

/// Fewer than two servers have: one writes at a time, and one reads, or both write.
const CONNECTIONS: usize = 2;

/// The same database, through the pooler.
fn through(pooler: &Pooler, home: &Home) -> String {
    let mut url: reqwest::Url = home.url().parse().unwrap();
    url.set_port(Some(pooler.port)).unwrap();
    url.set_query(Some("statement-cache-capacity=0"));
    url.into()
}

/// Writes of a client of each server, until it is told to stop or to come again later.
fn write(processes: &[Process], clients: Vec<Client>, stop: &Arc<AtomicBool>) -> JoinSet<Client> {
    let mut writing = JoinSet::new();
    for (mut client, process) in clients.into_iter().zip(processes.iter().cycle()) {
        let (api, stop) = (process.api.clone(), Arc::clone(stop));
        writing.spawn(async move {
            while !stop.load(Ordering::Acquire) && client.write_or_later(&api).await.is_some() {}
            client
        });
    }
    writing
}

/// Everything that is read in a way of its own.
async fn read(api: &Api, id: &str) {
    api.span(id).await;
    for path in ["spans", "traces", "spans/stats", "traces/stats", "traces/threads"] {
        api.get(&format!("/v1/private/{path}?project_name=p")).await.expect(200);
    }
    api.get("/v1/private/projects").await.expect(200);
    let search = json!({"project_name": "p", "filters": [{"field": "name", "operator": "contains", "value": "x"}]});
    api.post(&format!("{SPANS}/search"), &search).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn two_servers_share_fewer_connections_than_they_have() {
    let cluster = Cluster::start(true, &[]);
    let home = Home::in_cluster(&cluster);
    let port = home.url().parse::<reqwest::Url>().unwrap().port().unwrap();
    let mut pooler = Pooler::start(port, CONNECTIONS);
    let url = through(&pooler, &home);
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    // The first makes the tables through the pooler, too. However slow all of this is, nobody is sent away for it.
    let flags = ["--database", &url, "--queue-millis-max", "60000"];
    let processes: Vec<_> = folders.iter().map(|folder| Process::start(folder.path(), &flags)).collect();
    let kept = processes[0].api.create(&span(&fresh_id())).await;
    processes[1]
        .api
        .post("/v1/private/traces", &json!({"project_name": "p", "start_time": "2024-01-15T09:30:00Z"}))
        .await;

    let mut clients = new_clients(&mut seeded());
    for round in 0..2 {
        println!("round {round}");
        let stop = Arc::new(AtomicBool::new(false));
        let writing = write(&processes, clients, &stop);
        let mut reading = JoinSet::new();
        for number in 0..8 {
            let (api, kept) = (processes[number % 2].api.clone(), kept.clone());
            reading.spawn(async move {
                for _ in 0..4 {
                    read(&api, &kept).await;
                    api.create(&span(&fresh_id())).await;
                }
            });
        }
        reading.join_all().await;

        // Nobody is told anything else than to come again.
        tokio::task::block_in_place(|| pooler.kill());
        until(async || processes[0].api.is_ill().await.then_some(())).await;
        processes[0].api.post(SPANS, &span(&fresh_id())).await.expect_try_later("database");
        processes[0].api.get(&format!("{SPANS}/{kept}")).await.expect(503);
        tokio::task::block_in_place(|| pooler.begin());
        for process in &processes {
            until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
            read(&process.api, &kept).await;
        }
        stop.store(true, Ordering::Release);
        clients = writing.join_all().await;
        clients = check_clients(&processes[round % 2].api, clients).await.0;
    }
    let told = cluster.log();
    assert!(!told.contains("prepared statement"), "{told}");
    let told = pooler.log();
    assert!(!told.contains("unsupported") && !told.contains("prepared statement"), "{told}");
    crate::support::recounted_in(&home);
}

#[test]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
fn a_database_is_copied_through_a_pooler() {
    let cluster = Cluster::start(false, &[]);
    let (from, to) = (Home::in_cluster(&cluster), Home::in_cluster(&cluster));
    let port = from.url().parse::<reqwest::Url>().unwrap().port().unwrap();
    let pooler = Pooler::start(port, CONNECTIONS);
    let (from, to) = (through(&pooler, &from), through(&pooler, &to));
    // Twice: what the first one left on a connection would be in the way of the second.
    for command in [&["migrate", "--database", &from][..], &["copy", "--from", &from, "--to", &to]] {
        let output = Process::run(command, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let told = cluster.log();
    assert!(!told.contains("prepared statement"), "{told}");
}
