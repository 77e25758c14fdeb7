//! A server that is killed at any moment, under every kind of write, again and again on the same file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use super::client::Client;
use super::{check_file, seeded};
use crate::support::{Api, Process, database_url};

/// Writers at a time.
pub(super) const CLIENTS: usize = 8;

/// How often the server is killed, unless `SPANDREL_TESTS_ROUNDS` says otherwise.
const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_survives_a_kill_whole() {
    let rounds = std::env::var("SPANDREL_TESTS_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seeded();
    let mut clients = new_clients(&mut rng);
    // Now and then the journal begins anew, and a kill meets a checkpoint.
    let database = database_url(folder.path());
    let flags = ["--database", &database, "--journal-bytes-max", "1000000"];
    for round in 1..=rounds {
        let acknowledged = rng.random_range(1..150);
        println!("round {round}: killed after {acknowledged}");
        let mut process = Process::start(folder.path(), &flags);
        clients = check(&process, folder.path(), clients).await.0;
        clients = write_until(&process, clients, acknowledged, Signal::SIGKILL).await;
        process.wait();
    }
    let process = Process::start(folder.path(), &flags);
    check(&process, folder.path(), clients).await;
}

pub(crate) fn new_clients(rng: &mut StdRng) -> Vec<Client> {
    (0..CLIENTS).map(|number| Client::new(number, rng.random())).collect()
}

/// Lets the clients write, sends the signal after so many spans and traces were acknowledged, and returns when all
/// clients have seen the end.
pub(crate) async fn write_until(
    process: &Process,
    clients: Vec<Client>,
    acknowledged: i64,
    signal: Signal,
) -> Vec<Client> {
    let left = Arc::new(AtomicI64::new(acknowledged));
    let pid = Pid::from_raw(i32::try_from(process.child.id()).unwrap());
    let mut writing = JoinSet::new();
    for mut client in clients {
        let (api, left) = (process.api.clone(), Arc::clone(&left));
        writing.spawn(async move {
            while let Some(count) = client.write(&api).await {
                // At once: a server that only promised has no time to keep its word. Large batches, which take it
                // longest, are the likeliest to be the last.
                let before = left.fetch_sub(count, Ordering::AcqRel);
                if before > 0 && before <= count {
                    nix::sys::signal::kill(pid, signal).unwrap();
                }
            }
            assert!(left.load(Ordering::Acquire) <= 0, "no answer from a server that nobody told to stop");
            client
        });
    }
    writing.join_all().await
}

/// Has every client look for its spans and traces, and the file looked into. Also tells for each client whether the
/// write that nobody answered is there.
pub(super) async fn check(process: &Process, folder: &Path, clients: Vec<Client>) -> (Vec<Client>, Vec<bool>) {
    let (clients, unanswered) = check_clients(&process.api, clients).await;
    let keys: BTreeSet<&str> = clients.iter().flat_map(Client::keys).collect();
    check_file(folder, &keys);
    (clients, unanswered)
}

/// Has every client look for its spans and traces.
pub(crate) async fn check_clients(api: &Api, clients: Vec<Client>) -> (Vec<Client>, Vec<bool>) {
    let mut looking = JoinSet::new();
    for mut client in clients {
        let api = api.clone();
        looking.spawn(async move {
            let unanswered = client.check(&api).await;
            (client, unanswered)
        });
    }
    looking.join_all().await.into_iter().unzip()
}
