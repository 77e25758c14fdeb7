//! 2xx means on disk: what was acknowledged is there whatever ends the program, and nothing is ever there by halves.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Process, fresh_id};
use client::Client;

/// Writers at a time.
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_survives_a_kill_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seeded();
    let mut clients = new_clients(&mut rng);
    for _ in 0..5 {
        let acknowledged = rng.random_range(50..1_500);
        let mut process = Process::on_disk(folder.path());
        clients = write_until(&process, clients, acknowledged, Signal::SIGKILL).await;
        process.wait();
        clients = check(folder.path(), clients).await.0;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_keeps_what_it_acknowledged_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seeded();
    let mut clients = new_clients(&mut rng);
    for _ in 0..3 {
        let acknowledged = rng.random_range(50..500);
        let mut process = Process::on_disk(folder.path());
        clients = write_until(&process, clients, acknowledged, Signal::SIGTERM).await;
        assert!(process.wait().success());
        let unanswered;
        (clients, unanswered) = check(folder.path(), clients).await;
        assert_eq!(unanswered, [false; CLIENTS], "stored, but never answered");
    }
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_by_a_server_that_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::on_disk(folder.path());
    let id = fresh_id();
    let body = json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "input": "late"}).to_string();
    let length = body.len().to_string();
    let mut wire = process.api.connect();
    wire.head("POST", "/v1/private/spans", &[("Content-Length", &length), ("Expect", "100-continue")]);
    wire.wait_for_continue();
    process.signal(Signal::SIGTERM);
    process.wait_until_closed();
    wire.send(body);
    wire.answer().expect(201);
    assert!(process.wait().success());
    let process = Process::on_disk(folder.path());
    assert_eq!(process.api.span(&id).await["input"], "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_when_the_server_is_told_to_stop_are_stored_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spandrel.db");
    let database = format!("sqlite:{}", file.display());
    let mut process = Process::start(folder.path(), &["--database", &database, "--queue-rows-max", "8"]);
    let held = Connection::open(file).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut sending = JoinSet::new();
    for id in (0..9).map(|_| fresh_id()) {
        let api = process.api.clone();
        let body = json!({"id": id, "start_time": "2024-01-15T09:30:00Z"});
        sending.spawn(async move { (id, api.post("/v1/private/spans", &body).await) });
    }
    // One finds the queue full: the other eight are in it.
    sending.join_next().await.unwrap().unwrap().1.expect(429);
    process.signal(Signal::SIGTERM);
    process.wait_until_closed();
    drop(held);
    let answers = sending.join_all().await;
    assert!(process.wait().success());
    let process = Process::on_disk(folder.path());
    for (id, answer) in answers {
        answer.expect(201);
        process.api.span(&id).await;
    }
}

#[tokio::test]
async fn every_write_is_synced_before_its_answer() {
    let Some(trace) = trace::of_writes(30, false).await else { return };
    let (answers, wrong) = trace::unsynced(&trace);
    assert_eq!(answers, 30);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn without_syncing_the_same_check_fails() {
    let Some(trace) = trace::of_writes(10, true).await else { return };
    let (answers, wrong) = trace::unsynced(&trace);
    assert_eq!(answers, 10);
    assert!(wrong.len() >= 10, "{wrong:#?}");
}

#[test]
fn a_sync_counts_only_between_the_write_and_the_answer() {
    let write = r#"1 pwrite64(9</a/spandrel.db-wal>, "\0\"", 2, 24) = 2"#;
    let sync = "1 fsync(9</a/spandrel.db-wal>)   = 0";
    let answer = r#"2 writev(7<socket:[1]>, [{iov_base="HTTP/1.1 201 Created\r\n", iov_len=22}], 1) = 22"#;
    let (begun, ended) = ("1 fsync(9</a/spandrel.db-wal> <unfinished ...>", "1 <... fsync resumed>) = 0");
    for (lines, good) in [
        (vec![write, sync, answer], true),
        (vec![write, sync, answer, write, sync, answer], true),
        (vec![write, begun, r#"2 write(1</dev/null>, "", 0) = 0"#, ended, answer], true),
        (vec![write, answer], false),
        (vec![sync, write, answer], false),
        (vec![write, answer, sync], false),
        (vec![write, begun, answer, ended], false),
        (vec![write, begun, "1 <... fsync resumed>) = -1 EIO (Input/output error)", answer], false),
        (vec![write, "1 fsync(8</a/spandrel.db>) = 0", answer], false),
        (vec![write, sync, answer, answer], false),
        (vec![write, sync, write, answer], false),
    ] {
        assert_eq!(trace::unsynced(&lines.join("\n")).1.is_empty(), good, "{lines:#?}");
    }
}

/// A source of chance that can be had again.
fn seeded() -> StdRng {
    let seed = std::env::var("SPANDREL_TESTS_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SPANDREL_TESTS_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn new_clients(rng: &mut StdRng) -> Vec<Client> {
    (0..CLIENTS).map(|number| Client::new(number, rng.random())).collect()
}

/// Lets the clients write, sends the signal after so many spans were acknowledged, and returns when all clients have
/// seen the end.
async fn write_until(process: &Process, clients: Vec<Client>, acknowledged: i64, signal: Signal) -> Vec<Client> {
    let left = Arc::new(AtomicI64::new(acknowledged));
    let pid = Pid::from_raw(i32::try_from(process.child.id()).unwrap());
    let mut writing = JoinSet::new();
    for mut client in clients {
        let (api, left) = (process.api.clone(), Arc::clone(&left));
        writing.spawn(async move {
            while let Some(spans) = client.write(&api).await {
                // At once: a server that only promised has no time to keep its word. Large batches, which take it
                // longest, are the likeliest to be the last.
                let before = left.fetch_sub(spans, Ordering::AcqRel);
                if before > 0 && before <= spans {
                    nix::sys::signal::kill(pid, signal).unwrap();
                }
            }
            assert!(left.load(Ordering::Acquire) <= 0, "no answer from a server that nobody told to stop");
            client
        });
    }
    writing.join_all().await
}

/// Starts a server again and has every client look for its spans. Also tells for each client whether the write that
/// nobody answered is there.
async fn check(folder: &Path, clients: Vec<Client>) -> (Vec<Client>, Vec<bool>) {
    let process = Process::on_disk(folder);
    let mut looking = JoinSet::new();
    for mut client in clients {
        let api = process.api.clone();
        looking.spawn(async move {
            let unanswered = client.check(&api).await;
            (client, unanswered)
        });
    }
    let (clients, unanswered): (Vec<Client>, Vec<bool>) = looking.join_all().await.into_iter().unzip();
    check_file(folder, &clients.iter().flat_map(Client::keys).collect());
    (clients, unanswered)
}

/// Checks what SQLite can tell of the file: it is sound, has exactly these spans and traces, and its counts are true.
fn check_file(folder: &Path, keys: &BTreeSet<&str>) {
    let file = Connection::open_with_flags(folder.join("spandrel.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = file.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(rows("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(rows("SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
    let there = "SELECT 'spans/' || lower(hex(id)) FROM spans UNION ALL SELECT 'traces/' || lower(hex(id)) FROM traces";
    let there: BTreeSet<String> = rows(there).into_iter().collect();
    assert_eq!(there, keys.iter().map(|key| key.replace('-', "")).collect());
    for (kept, counted) in [
        (
            "SELECT project || ' ' || type || ' ' || spans FROM project_span_counts WHERE spans != 0 ORDER BY 1",
            "SELECT project || ' ' || type || ' ' || count(*) FROM spans GROUP BY project, type ORDER BY 1",
        ),
        (
            "SELECT project || ' ' || hex(trace_id) || ' ' || spans FROM trace_sums ORDER BY 1",
            "SELECT project || ' ' || hex(trace_id) || ' ' || count(*) FROM spans GROUP BY project, trace_id ORDER BY 1",
        ),
        (
            "SELECT project || ' ' || traces FROM project_trace_counts WHERE traces != 0 ORDER BY 1",
            "SELECT project || ' ' || count(*) FROM traces GROUP BY project ORDER BY 1",
        ),
    ] {
        assert_eq!(rows(kept), rows(counted));
    }
}

/// A client that knows how its spans and traces must read.
mod client {
    use std::collections::{BTreeMap, BTreeSet};

    use rand::distr::{Alphanumeric, SampleString as _};
    use rand::rngs::StdRng;
    use rand::seq::IteratorRandom as _;
    use rand::{Rng as _, SeedableRng as _};
    use serde_json::{Map, Value, json};

    use crate::support::{Api, fresh_id};

    /// What clients write, by the name that addresses and batches have for it.
    const KINDS: [&str; 2] = ["spans", "traces"];

    type Members = Map<String, Value>;

    /// What a span or trace is after the writes so far.
    #[derive(Debug, Clone, Default)]
    struct Thing {
        members: Members,
        created: bool,
        /// Members that updates stated: a create that comes later leaves them alone.
        updated: BTreeSet<String>,
    }

    impl Thing {
        fn create(&mut self, stated: &Members) {
            let stated = stated.iter().filter(|(name, _)| !self.updated.contains(*name));
            self.members.extend(stated.map(|(name, value)| (name.clone(), value.clone())));
            self.created = true;
        }

        fn update(&mut self, stated: &Members) {
            self.members.extend(stated.clone());
            self.updated.extend(stated.keys().cloned());
        }

        /// As the server tells it, without what the server made of its own.
        fn as_read(&self) -> Members {
            let mut members = self.members.clone();
            members.entry("start_time").or_insert(json!("1970-01-01T00:00:00Z"));
            members.entry("environment").or_insert(json!(""));
            // The project of a trace is not told by its name.
            if !members.contains_key("trace_id") {
                members.remove("project_name");
            }
            if let Some(provider) = members.get("provider").cloned() {
                members.entry("metadata").or_insert(json!({}))["provider"] = provider;
            }
            members
        }
    }

    /// The only writer of its spans and traces, one write after the other: what they must be is known exactly.
    #[derive(Debug)]
    pub(super) struct Client {
        rng: StdRng,
        project: String,
        /// What was acknowledged, by kind and id: `spans/01a2…`.
        things: BTreeMap<String, Thing>,
        /// What the write that is under way makes of some of them.
        pending: BTreeMap<String, Thing>,
    }

    impl Client {
        pub(super) fn new(number: usize, seed: u64) -> Self {
            let project = format!("project {}", number % 3);
            Self { rng: StdRng::seed_from_u64(seed), project, things: BTreeMap::new(), pending: BTreeMap::new() }
        }

        pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
            self.things.keys().map(String::as_str)
        }

        /// Makes up a write and sends it; of how many spans or traces it was, if it was acknowledged. Where it was not, it got no
        /// answer at all, or that the server is stopping.
        pub(super) async fn write(&mut self, api: &Api) -> Option<i64> {
            let kind = KINDS.into_iter().choose(&mut self.rng).unwrap();
            let (method, path, body) = match self.rng.random_range(0..10) {
                0..4 => ("POST", format!("/v1/private/{kind}"), Value::Object(self.create(kind))),
                4..6 => {
                    let large = self.rng.random_bool(0.2);
                    let count = self.rng.random_range(if large { 100..300 } else { 1..15 });
                    let things: Vec<_> = (0..count).map(|_| self.create(kind)).collect();
                    ("POST", format!("/v1/private/{kind}/batch"), json!({kind: things}))
                }
                _ => {
                    let (key, body) = self.update(kind);
                    ("PATCH", format!("/v1/private/{key}"), Value::Object(body))
                }
            };
            let request = api.request(method, &path).header("content-type", "application/json");
            match api.try_send(request.body(body.to_string())).await {
                Ok(answer) if matches!(answer.status, 201 | 204) => {
                    let written = i64::try_from(self.pending.len()).unwrap();
                    self.things.append(&mut self.pending);
                    Some(written)
                }
                Ok(answer) => {
                    assert_eq!(answer.status, 503, "{}", answer.text());
                    None
                }
                Err(error) => {
                    assert!(error.is_connect() || error.is_request(), "half an answer: {error:?}");
                    None
                }
            }
        }

        /// Reads every span and trace; whether the write that was not acknowledged is there, whole. It counts from now on if so.
        pub(super) async fn check(&mut self, api: &Api) -> bool {
            let mut there = BTreeSet::new();
            for key in self.pending.keys().chain(self.things.keys().filter(|key| !self.pending.contains_key(*key))) {
                let read = read(api, key).await;
                let old = self.things.get(key).map(Thing::as_read);
                match self.pending.get(key) {
                    Some(pending) if read != old => {
                        assert_eq!(read, Some(pending.as_read()), "{key}");
                        there.insert(true);
                    }
                    Some(_) => {
                        there.insert(false);
                    }
                    None => assert_eq!(read, old, "{key}"),
                }
            }
            assert!(there.len() < 2, "half a write is there: {:#?}", self.pending);
            let mut pending = std::mem::take(&mut self.pending);
            let there = there.contains(&true);
            if there {
                self.things.append(&mut pending);
            }
            there
        }

        /// The body that creates a new one, or one that so far was only updated.
        fn create(&mut self, kind: &str) -> Members {
            let waiting = self
                .things
                .iter()
                .filter(|(key, thing)| key.starts_with(kind) && !thing.created && !self.pending.contains_key(*key));
            let waiting = waiting.map(|(key, thing)| (key.clone(), thing.clone())).choose(&mut self.rng);
            let fresh = waiting.is_none() || self.rng.random_bool(0.5);
            let new = || (format!("{kind}/{}", fresh_id()), Thing::default());
            let (key, mut thing) = waiting.filter(|_| !fresh).unwrap_or_else(new);
            let mut body = self.some_members(kind, &thing);
            body.insert("id".to_owned(), json!(key.split('/').next_back()));
            body.insert("start_time".to_owned(), json!("2024-01-15T09:30:00Z"));
            if kind == "spans" && self.rng.random() {
                body.insert("parent_span_id".to_owned(), json!(fresh_id()));
            }
            thing.create(&body);
            self.pending.insert(key, thing);
            body
        }

        /// The body that updates one, which may be one that is not there yet.
        fn update(&mut self, kind: &str) -> (String, Members) {
            let known = self.things.iter().filter(|(key, _)| key.starts_with(kind)).choose(&mut self.rng);
            let known = known.map(|(key, thing)| (key.clone(), thing.clone()));
            let fresh = known.is_none() || self.rng.random_bool(0.3);
            let (key, mut thing) = known.filter(|_| !fresh).unwrap_or_else(|| {
                let id = fresh_id();
                let members = Members::from_iter([("id".to_owned(), json!(id))]);
                (format!("{kind}/{id}"), Thing { members, ..Thing::default() })
            });
            let body = self.some_members(kind, &thing);
            thing.update(&body);
            self.pending.insert(key.clone(), thing);
            (key, body)
        }

        /// Some of the members that creates and updates have in common, and those that must be as they were.
        fn some_members(&mut self, kind: &str, of: &Thing) -> Members {
            let rng = &mut self.rng;
            let number = rng.random_range(0..1_000_u16);
            let span_type = ["general", "tool", "llm", "guardrail"][usize::from(number % 4)];
            let text = |rng: &mut StdRng| {
                let length = rng.random_range(10..4_000);
                Alphanumeric.sample_string(rng, length)
            };
            let members = json!({
                "name": format!("name {number}"),
                "type": span_type,
                "end_time": format!("2024-01-15T09:30:{:02}Z", number % 60),
                "input": {"messages": [{"role": "user", "content": text(rng)}]},
                "output": [number, text(rng), null],
                "metadata": {"number": number, "text": text(rng)},
                "model": format!("model {number}"),
                "provider": "openai",
                "tags": [format!("tag {number}"), "every"],
                "usage": {"prompt_tokens": number, "completion_tokens": 4},
                "error_info": {"exception_type": "E", "message": format!("{number}"), "traceback": text(rng)},
                "total_estimated_cost": f64::from(number) + 0.5,
                "ttft": f64::from(number) + 0.25,
                "source": "sdk",
                "environment": format!("environment-{number}"),
            });
            let Value::Object(mut members) = members else { unreachable!() };
            members.retain(|_, _| self.rng.random_bool(0.7));
            members.insert("project_name".to_owned(), json!(self.project));
            if kind == "spans" {
                let trace_id = of.members.get("trace_id").cloned().unwrap_or_else(|| json!(fresh_id()));
                members.insert("trace_id".to_owned(), trace_id);
            } else {
                for of_spans in ["type", "model", "provider", "usage", "total_estimated_cost"] {
                    members.remove(of_spans);
                }
                members.insert("thread_id".to_owned(), json!(format!("thread {}", number % 7)));
            }
            members
        }
    }

    async fn read(api: &Api, key: &str) -> Option<Members> {
        let answer = api.get(&format!("/v1/private/{key}")).await;
        if answer.status == 404 {
            return None;
        }
        let Value::Object(mut members) = answer.expect(200).json() else { panic!("no object") };
        for made in ["project_id", "duration", "created_at", "created_by", "last_updated_at", "last_updated_by"] {
            members.remove(made);
        }
        // What the spans of a trace amount to: these have none.
        for made in ["span_count", "llm_span_count", "has_tool_spans", "visibility_mode"] {
            members.remove(made);
        }
        Some(members)
    }
}

/// What the program asked of the system, as `strace` tells it.
mod trace {
    use std::path::Path;
    use std::process::Command;
    use std::sync::LazyLock;

    use nix::sys::signal::Signal;
    use regex::Regex;

    use super::client::Client;
    use crate::support::Process;

    /// The trace of a server that takes so many writes, one after the other. None where it cannot be had.
    pub(super) async fn of_writes(writes: usize, ephemeral: bool) -> Option<String> {
        if Command::new("strace").arg("-V").output().is_err() {
            assert!(std::env::var_os("SPANDREL_TESTS_COMPLETE").is_none(), "strace is not installed");
            println!("not run: strace is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trace");
        let mut process = start(folder.path(), &file, ephemeral);
        let mut client = Client::new(0, 1);
        for _ in 0..writes {
            assert!(client.write(&process.api).await.is_some());
        }
        process.signal(Signal::SIGTERM);
        assert!(process.wait().success());
        // The tracer is a process of its own and may be a little behind.
        Some(Process::wait_for_text(&file, &format!("\n{:<5} +++ exited with 0 +++\n", process.child.id())))
    }

    fn start(folder: &Path, file: &Path, ephemeral: bool) -> Process {
        let temporary = format!("TMPDIR={}", folder.display());
        // With -D the tracer is the child, and signals go to the program.
        let mut runner = vec!["env", &temporary, "strace", "-D", "-f", "-y", "-s", "64", "-o", file.to_str().unwrap()];
        runner.extend(["-e", "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync"]);
        let database = format!("sqlite:{}", folder.join("spandrel.db").display());
        let flags: &[&str] = if ephemeral { &["--ephemeral"] } else { &["--database", &database] };
        Process::start_under(&runner, folder, flags)
    }

    /// A call that concerns an open file or socket. Times are lines of the trace.
    #[derive(Debug)]
    struct Call<'a> {
        thread: &'a str,
        name: &'a str,
        target: &'a str,
        line: &'a str,
        begun: usize,
        /// When it succeeded.
        done: Option<usize>,
    }

    fn calls(trace: &str) -> Vec<Call<'_>> {
        static BEGUN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+) +(\w+)\(\d+<([^>]*)>").unwrap());
        static RESUMED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+) +<\.\.\. (\w+) resumed>").unwrap());
        static DONE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\) += \d+$").unwrap());
        let mut calls: Vec<Call> = Vec::new();
        for (at, line) in trace.lines().enumerate() {
            let done = DONE.is_match(line).then_some(at);
            if let Some(found) = BEGUN.captures(line) {
                let [thread, name, target] = found.extract().1;
                calls.push(Call { thread, name, target, line, begun: at, done });
            } else if let Some(found) = RESUMED.captures(line) {
                let [thread, name] = found.extract().1;
                let call = calls.iter_mut().rev().find(|call| call.thread == thread && call.name == name);
                call.unwrap_or_else(|| panic!("never begun: {line}")).done = done;
            }
        }
        calls
    }

    /// How many writes were answered, and what of them was not on disk then.
    pub(super) fn unsynced(trace: &str) -> (usize, Vec<String>) {
        static ANSWER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""HTTP/1\.1 20[14] "#).unwrap());
        let calls = calls(trace);
        let is_answer = |call: &&Call| call.target.starts_with("socket:") && ANSWER.is_match(call.line);
        let is_sync = |call: &&Call| matches!(call.name, "fsync" | "fdatasync");
        let is_write =
            |call: &&Call| !is_sync(call) && [".db", ".db-wal"].iter().any(|ending| call.target.ends_with(ending));
        let answers: Vec<&Call> = calls.iter().filter(is_answer).collect();
        let mut wrong = Vec::new();
        let mut before = 0;
        for answer in &answers {
            let at = answer.begun;
            let written = |call: &Call| call.done.filter(|done| (before..at).contains(done));
            let writes = calls.iter().filter(is_write).filter_map(|call| Some((call, written(call)?)));
            let writes: Vec<(&Call, usize)> = writes.collect();
            if writes.is_empty() {
                wrong.push(format!("line {at}: nothing was written: {}", answer.line));
            }
            for (write, done) in writes {
                let mut syncs = calls.iter().filter(is_sync).filter(|sync| sync.target == write.target);
                if !syncs.any(|sync| sync.begun > done && sync.done.is_some_and(|done| done < at)) {
                    wrong.push(format!("line {at}: not synced: {}", write.line));
                }
            }
            before = at;
        }
        (answers.len(), wrong)
    }
}
