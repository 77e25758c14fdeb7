//! No space: what cannot be stored is refused so that SDKs keep it, nothing is there by halves, and the server goes on by
//! itself once there is space again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{check_file, noise, upload};
use crate::support::{Answer, Api, Process, beside, database, database_url, fresh_id, until};

/// How large a file may become.
const BYTES_MAX: u64 = 2 << 20;

const BATCH: &str = "/v1/private/spans/batch";

#[tokio::test]
async fn a_database_that_may_not_grow_is_told_and_works_again_when_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = limited(folder.path());
    let file = database(folder.path());
    let mut stored = Vec::new();
    let mut batch = ids();
    // The journal is full first. It begins anew until the database is full, too.
    write_until_refused(&process.api, &mut stored, &mut batch, async |answer, refused| {
        answer.expect_try_later("Cannot store now: the disk does not read or write");
        expect_absent(&process.api, refused).await;
        file.metadata().unwrap().len() + 65_536 > BYTES_MAX
    })
    .await;
    until(async || process.api.is_ill().await.then_some(())).await;
    expect_stored(&process.api, &stored).await;
    expect_absent(&process.api, &batch).await;

    raise(&process);
    until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
    send(&process.api, &batch).await.expect(204);
    stored.append(&mut batch);
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    let process = Process::on_disk(folder.path());
    expect_stored(&process.api, &stored).await;
    expect_file(folder.path(), &stored);
}

#[tokio::test]
async fn an_attachment_that_may_not_become_so_large_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let process = limited(folder.path());
    let content = vec![b'x'; usize::try_from(BYTES_MAX).unwrap() + 1];
    upload(&process.api, &content).await.expect_try_later("Cannot store now: files may not become so large");
    assert_eq!(contents(&database(folder.path())), [] as [PathBuf; 0]);
    // What is smaller can be stored.
    process.api.get("/is-alive/ping").await.expect(200);
    upload(&process.api, b"small").await.expect(204);
    raise(&process);
    upload(&process.api, &content).await.expect(204);
    assert_eq!(contents(&database(folder.path())).len(), 2);
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_and_all_works_again_when_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let Some(runner) = with_a_small_disk(&disk) else {
        println!("not run: no file system can be mounted here");
        return;
    };
    let runner: Vec<&str> = runner.iter().map(String::as_str).collect();
    let process = Process::start_under(&runner, folder.path(), &["--database", &database_url(&disk)]);
    // Only the server sees its disk.
    let inside = format!("/proc/{}/root{}", process.child.id(), disk.display());
    let inside = Path::new(&inside);
    let mut stored = ids();
    send(&process.api, &stored).await.expect(204);
    upload(&process.api, b"first").await.expect(204);
    let ballast = fill(&inside.join("ballast"), 1 << 20);

    let mut batch = ids();
    write_until_refused(&process.api, &mut stored, &mut batch, async |answer, _| {
        answer.expect_try_later("Cannot store now: the disk is full");
        process.api.is_ill().await
    })
    .await;
    let content = vec![b'x'; 2 << 20];
    upload(&process.api, &content).await.expect_try_later("Cannot store now: the disk is full");
    assert_eq!(contents(&database(inside)).len(), 1);
    expect_stored(&process.api, &stored).await;
    expect_absent(&process.api, &batch).await;

    std::fs::remove_file(ballast).unwrap();
    until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
    send(&process.api, &batch).await.expect(204);
    stored.append(&mut batch);
    upload(&process.api, &content).await.expect(204);
    assert_eq!(contents(&database(inside)).len(), 2);
    expect_stored(&process.api, &stored).await;
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for ending in ["", "-wal"] {
        std::fs::copy(beside(&database(inside), ending), beside(&database(&copy), ending)).unwrap();
    }
    expect_file(&copy, &stored);
}

/// A server whose files may not become large, until [`raise`].
fn limited(folder: &Path) -> Process {
    // So that it is told of a write that fails, and not ended.
    let limit = format!("--fsize={BYTES_MAX}:");
    let runner = ["env", "--ignore-signal=XFSZ", "prlimit", &limit];
    Process::start_under(&runner, folder, &["--database", &database_url(folder)])
}

fn raise(process: &Process) {
    let pid = process.child.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status().unwrap().success());
}

/// What runs a program with a disk of its own in this folder, if the machine lets us.
fn with_a_small_disk(folder: &Path) -> Option<Vec<String>> {
    let mount = r#"mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@""#;
    [&["unshare", "--mount"][..], &["unshare", "--map-root-user", "--mount"]].into_iter().find_map(|unshare| {
        let line = [unshare, &["sh", "-c", mount, folder.to_str().unwrap()]].concat();
        let mut trial = Command::new(line[0]);
        let trial = trial.args(&line[1..]).arg("true").stderr(Stdio::null()).status();
        trial.is_ok_and(|status| status.success()).then(|| line.into_iter().map(str::to_owned).collect())
    })
}

/// Takes all of a disk but so much.
fn fill(path: &Path, left: u64) -> PathBuf {
    let mut ballast = File::create(path).unwrap();
    let error = loop {
        if let Err(error) = ballast.write_all(&vec![0; 65_536]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    ballast.set_len(ballast.metadata().unwrap().len() - left).unwrap();
    path.to_owned()
}

/// Sends batch after batch, until one is refused and `is_enough` of what it was told; that is then `batch`.
async fn write_until_refused(
    api: &Api,
    stored: &mut Vec<String>,
    batch: &mut Vec<String>,
    is_enough: impl AsyncFn(Answer, &[String]) -> bool,
) {
    until(async || {
        let answer = send(api, batch).await;
        if answer.status == 204 {
            stored.append(batch);
            *batch = ids();
            return None;
        }
        is_enough(answer, batch).await.then_some(())
    })
    .await;
}

fn ids() -> Vec<String> {
    (0..3).map(|_| fresh_id()).collect()
}

async fn send(api: &Api, ids: &[String]) -> Answer {
    let span = |id: &String| json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "input": input(id)});
    api.post(BATCH, &json!({"spans": ids.iter().map(span).collect::<Vec<Value>>()})).await
}

fn input(id: &str) -> String {
    noise(id, 25_000)
}

async fn expect_stored(api: &Api, ids: &[String]) {
    for id in ids {
        assert_eq!(api.span(id).await["input"], input(id));
    }
}

async fn expect_absent(api: &Api, ids: &[String]) {
    for id in ids {
        api.get(&format!("/v1/private/spans/{id}")).await.expect(404);
    }
}

fn expect_file(folder: &Path, ids: &[String]) {
    let keys: Vec<String> = ids.iter().map(|id| format!("spans/{id}")).collect();
    check_file(folder, &keys.iter().map(String::as_str).collect::<BTreeSet<_>>());
}

/// The files beside a database, those that are not whole among them.
fn contents(database: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let folder = beside(database, "-files");
    let partial = folder.join("partial");
    list(&folder).filter(|path| *path != partial).chain(list(&partial)).collect()
}
