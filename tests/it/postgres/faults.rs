//! Servers that are killed, a PostgreSQL that is out of reach: what was acknowledged is there, nothing else is said than
//! that it has to be tried later, and all goes on by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::proxy::Proxy;
use crate::durability::client::Client;
use crate::durability::kill::{check_clients, new_clients, write_until};
use crate::durability::seeded;
use crate::support::{Api, Home, Process, fresh_id, until};

pub(super) const SPANS: &str = "/v1/private/spans";

/// Has clients write until they are told to stop; none may ever be refused.
pub(super) fn go_on(
    api: &Api,
    clients: Vec<Client>,
    stop: &Arc<AtomicBool>,
    written: &Arc<AtomicUsize>,
) -> JoinSet<Client> {
    let mut writing = JoinSet::new();
    for mut client in clients {
        let (api, stop, written) = (api.clone(), Arc::clone(stop), Arc::clone(written));
        writing.spawn(async move {
            while !stop.load(Ordering::Acquire) {
                client.write(&api).await.expect("a server that nobody told to stop acknowledges every write");
                written.fetch_add(1, Ordering::AcqRel);
            }
            client
        });
    }
    writing
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_server_that_is_killed_loses_nothing_and_the_other_goes_on() {
    let home = Home::in_postgres();
    let mut rng = seeded();
    let (mut ours, mut theirs) = (new_clients(&mut rng), Vec::new());
    theirs.extend(ours.drain(..ours.len() / 2));
    let stays = Process::on(&home);
    for round in 0..5 {
        println!("round {round}");
        let folder = tempfile::tempdir().unwrap();
        let mut killed = Process::start(folder.path(), &["--database", &home.url()]);
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let going_on = go_on(&stays.api, theirs, &stop, &written);
        ours = write_until(&killed, ours, 200, Signal::SIGKILL).await;
        killed.wait();
        let before = written.load(Ordering::Acquire);
        until(async || (written.load(Ordering::Acquire) > before + 20).then_some(())).await;
        stop.store(true, Ordering::Release);
        theirs = going_on.join_all().await;
        ours = check_clients(&stays.api, ours).await.0;
        theirs = check_clients(&stays.api, theirs).await.0;
    }
    crate::support::recounted_in(&home);
}

/// A span, as the body of a request.
pub(super) fn span(id: &str) -> Value {
    json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p"})
}

/// Bytes of memory that a process has at most had.
fn memory_at_most(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_database_out_of_reach_is_told_and_takes_no_memory() {
    let home = Home::in_postgres();
    let mut url: reqwest::Url = home.url().parse().unwrap();
    let proxy = Proxy::start(url.port().unwrap_or(5432)).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.port)).unwrap();
    let flags = [
        "--database",
        url.as_str(),
        "--queue-bytes-max",
        "8000000",
        "--read-seconds-max",
        "2",
        "--bodies-bytes-max",
        "32000000",
    ];
    let process = Process::start(home.folder(), &flags);
    let kept = process.api.create(&span(&fresh_id())).await;
    let before = memory_at_most(&process);

    proxy.stand_still();
    let mut sending = JoinSet::new();
    for _ in 0..64 {
        let api = process.api.clone();
        sending.spawn(async move {
            let mut refused = Vec::new();
            for _ in 0..10 {
                let id = fresh_id();
                let mut body = span(&id);
                body["input"] = json!("x".repeat(500_000));
                let answer = api.post(SPANS, &body).await;
                assert_eq!(answer.status, 429, "{}", answer.text());
                refused.push(id);
            }
            refused
        });
    }
    let refused: Vec<String> = sending.join_all().await.concat();
    // 320 MB were sent.
    let grown = memory_at_most(&process) - before;
    assert!(grown < 160_000_000, "{grown} bytes more");
    until(async || process.api.is_ill().await.then_some(())).await;
    process.api.get(&format!("{SPANS}/{kept}")).await.expect(503);

    proxy.flow();
    until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
    until(async || (process.api.get("/health").await.status == 200).then_some(())).await;
    process.api.span(&kept).await;
    for id in refused.iter().take(20) {
        process.api.create(&span(id)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn no_more_connections_are_made_than_are_set_and_lacking_ones_are_waited_for() {
    let home = Home::in_postgres();
    let flags = ["--database", &home.url(), "--readers", "2"];
    let process = Process::start(home.folder(), &flags);
    let mut sending = JoinSet::new();
    let most = Arc::new(AtomicUsize::new(0));
    for _ in 0..32 {
        let api = process.api.clone();
        sending.spawn(async move {
            for _ in 0..10 {
                let id = api.create(&span(&fresh_id())).await;
                api.span(&id).await;
                api.get(&format!("{SPANS}?project_name=p&size=10")).await.expect(200);
            }
        });
    }
    let connections =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while !sending.is_empty() {
        let now = tokio::task::block_in_place(|| home.number(connections));
        most.fetch_max(usize::try_from(now).unwrap(), Ordering::AcqRel);
        while let Some(done) = sending.try_join_next() {
            done.unwrap();
        }
    }
    // Two that read, four that write, and one to spare.
    let most = most.load(Ordering::Acquire);
    assert!((2..=7).contains(&most), "{most} connections");
}

#[test]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
fn a_database_that_is_not_there_is_told_without_its_password() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let url = format!("postgres://somebody:secret@127.0.0.1:{port}/spandrel");
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["migrate", "--check"]] {
        let output = Process::run(&[command, &["--database", &url]].concat(), &[]);
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("127.0.0.1") && !told.contains("secret") && !told.contains("panicked"), "{told}");
    }
}
