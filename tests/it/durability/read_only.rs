//! Files and folders that may not be written: told at the start, or refused so that SDKs keep the data.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use super::upload;
use crate::support::{Process, database, database_url};

#[test]
fn a_database_that_may_only_be_read_is_refused_at_the_start() {
    let folder = made();
    let file = database(folder.path());
    let before = std::fs::read(&file).unwrap();
    allow(&file, 0o444);
    let message = refusal(folder.path());
    assert!(message.contains("cannot write the database") && message.contains("Permission denied"), "{message}");
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn a_folder_that_may_only_be_read_is_refused_at_the_start() {
    let folder = made();
    allow(folder.path(), 0o555);
    let with_database = refusal(folder.path());
    let empty = tempfile::tempdir().unwrap();
    allow(empty.path(), 0o555);
    let without = refusal(empty.path());
    allow(folder.path(), 0o755);
    for (message, says, folder) in
        [(with_database, "cannot write the database", &folder), (without, "cannot lock the database", &empty)]
    {
        assert!(message.contains(says) && message.contains("Permission denied"), "{message}");
        assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    }
}

#[tokio::test]
async fn a_folder_that_becomes_read_only_refuses_files_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let url = database_url(folder.path());
    let process = Process::start_under(&unprivileged(), folder.path(), &["--database", &url]);
    allow(folder.path(), 0o555);
    let span = process.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    let answer = upload(&process.api, b"content").await;
    allow(folder.path(), 0o755);
    answer.expect_try_later("Cannot store now: files beside the database may not be written");
    process.api.span(&span).await;
    upload(&process.api, b"content").await.expect(204);
}

/// A folder with a database that no server uses.
fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::on_disk(folder.path());
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    folder
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What runs a program for which permissions count, even if it is the superuser's.
fn unprivileged() -> Vec<&'static str> {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if root { vec!["setpriv", "--bounding-set=-dac_override,-dac_read_search"] } else { Vec::new() }
}

/// What a server says that does not start.
fn refusal(folder: &Path) -> String {
    let flags = ["serve", "--listen", "127.0.0.1:0", "--database", &database_url(folder)];
    let output = Process::run_under(&unprivileged(), &flags, &[]);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}
