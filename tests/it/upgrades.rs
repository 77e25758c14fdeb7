//! Databases of other versions: older ones are migrated, newer ones refused, and nothing is lost on the way.

pub(crate) mod databases;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::json;

use crate::support::Process;
use databases::{copied, ids, newest, shape, told};

/// The exit code of `migrate --check` that says that there is something to do.
const NEEDED: i32 = 3;

/// Tells of a migration after the newest.
const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT max(version) + 1, 'newer', 1, x'00', 0 FROM _sqlx_migrations";

fn run(command: &[&str], file: &Path) -> Output {
    let url = format!("sqlite:{}", file.display());
    Process::run(&[command, &["--database", &url]].concat(), &[])
}

#[track_caller]
fn check(file: &Path, code: i32, says: &str) {
    let output = run(&["migrate", "--check"], file);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(says) && said.lines().count() == 1 && said.contains(file.to_str().unwrap()), "{said}");
    assert!(output.stderr.is_empty(), "{:?}", String::from_utf8(output.stderr));
}

/// What a command says when all goes well, and what stands in its log.
#[track_caller]
fn success(command: &[&str], file: &Path) -> (String, String) {
    let output = run(command, file);
    assert!(output.status.success(), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// What a command says when it fails.
#[track_caller]
fn failure(command: &[&str], file: &Path) -> String {
    let output = run(command, file);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// No command takes the database, and none changes it.
#[track_caller]
fn refused_unchanged(folder: &Path, says: &[&str]) {
    let before = files(folder);
    for command in [&["migrate", "--check"][..], &["migrate"], &["serve", "--listen", "127.0.0.1:0"]] {
        let message = failure(command, &folder.join("spandrel.db"));
        for text in says {
            assert!(message.contains(text), "{message}");
        }
        assert!(message.contains("Nothing was changed") || message.contains("another program"), "{message}");
        unchanged(folder, &before);
    }
}

/// All that is in a folder, except the lock.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap_or_default()));
    files.filter(|(name, _)| name != "spandrel.db.lock").collect()
}

#[track_caller]
fn unchanged(folder: &Path, before: &BTreeMap<String, Vec<u8>>) {
    let after = files(folder);
    assert_eq!(names(folder), before.keys().cloned().collect::<Vec<_>>());
    let changed: Vec<&String> =
        after.iter().filter(|(name, bytes)| before[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
}

fn names(folder: &Path) -> Vec<String> {
    files(folder).into_keys().collect()
}

fn execute(file: &Path, sql: &str) {
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

fn query<T: rusqlite::types::FromSql>(file: &Path, sql: &str) -> T {
    Connection::open(file).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// As a killed server leaves it: the last writes are in the journal only.
fn with_journal(schema: &str, index: bool, sql: &str) -> tempfile::TempDir {
    let (from, file) = copied(schema);
    let database = Connection::open(&file).unwrap();
    database.execute_batch(sql).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["spandrel.db", "spandrel.db-wal", "spandrel.db-shm"] {
        if index || !name.ends_with("-shm") {
            std::fs::copy(from.path().join(name), folder.path().join(name)).unwrap();
        }
    }
    assert!(std::fs::metadata(folder.path().join("spandrel.db-wal")).unwrap().len() > 0);
    folder
}

#[test]
fn a_check_tells_what_is_needed_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("folder/spandrel.db");
    check(&missing, NEEDED, &format!("would be made with schema {}", newest()));
    assert!(names(folder.path()).is_empty());
    let migrated = format!("would be migrated to {}", newest());
    for (schema, code, says) in [("0001", NEEDED, &*migrated), (&newest(), 0, "up to date")] {
        let (folder, file) = copied(schema);
        let before = files(folder.path());
        check(&file, code, &format!("has schema {schema}"));
        check(&file, code, says);
        unchanged(folder.path(), &before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "there is a lock");
    }
    // What it has may stand in the journal alone.
    // (0002 made two tables and nothing else.)
    let back = "DROP TABLE comments; DROP TABLE span_scores; DELETE FROM _sqlx_migrations WHERE version = 2";
    for index in [true, false] {
        let folder = with_journal("0002", index, back);
        let before = files(folder.path());
        check(&folder.path().join("spandrel.db"), NEEDED, "has schema 0001");
        unchanged(folder.path(), &before);
    }
}

#[test]
fn any_path_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ä ?mode=memory #%41&/spandrel.db");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::copy(databases::file("0001"), &file).unwrap();
    check(&file, NEEDED, "has schema 0001");
    success(&["migrate"], &file);
    check(&file, 0, "up to date");
    check(&file.with_file_name("spandrel.db.before-0002"), NEEDED, "has schema 0001");
}

#[tokio::test]
async fn a_check_works_beside_a_server_and_a_migration_does_not() {
    let (folder, file) = copied(&newest());
    let process = Process::on_disk(folder.path());
    check(&file, 0, "up to date");
    process.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    check(&file, 0, "up to date");
    let message = failure(&["migrate"], &file);
    assert!(message.contains("another spandrel uses this database"), "{message}");
    process.api.get("/is-alive/ping").await.expect(200);
}

#[tokio::test]
async fn a_migration_makes_or_migrates_without_serving() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("folder/spandrel.db");
    let (said, log) = success(&["migrate"], &file);
    assert!(said.ends_with(&format!("was made with schema {}\n", newest())) && log.is_empty(), "{said}{log}");
    assert_eq!(names(file.parent().unwrap()), ["spandrel.db"]);
    let before = files(file.parent().unwrap());
    assert!(success(&["migrate"], &file).0.ends_with("up to date\n"));
    unchanged(file.parent().unwrap(), &before);
    assert_eq!(query::<i64>(&file, "PRAGMA page_size"), 8_192);
    assert_eq!(query::<i64>(&file, "PRAGMA auto_vacuum"), 2);

    let (folder, file) = copied("0001");
    let said = success(&["migrate"], &file).0;
    let migrated = format!("was migrated from schema 0001 to {}\n", newest());
    assert!(said.ends_with(&migrated) && said.lines().count() == 1, "{said}");
    check(&file, 0, "up to date");
    let process = Process::on_disk(folder.path());
    process.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
}

#[test]
fn the_database_can_be_named_by_the_environment() {
    let (_folder, file) = copied("0001");
    let url = format!("sqlite:{}", file.display());
    let variables = [("SPANDREL_DATABASE", &*url), ("SPANDREL_NO_BACKUP", "true")];
    assert_eq!(Process::run(&["migrate", "--check"], &variables).status.code(), Some(NEEDED));
    assert!(Process::run(&["migrate"], &variables).status.success());
    assert_eq!(names(file.parent().unwrap()), ["spandrel.db"]);
    let output = Process::run(&["migrate", "--check", "--database", "mysql://localhost/spandrel"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("unknown kind of database"));
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let newest = newest();
    let (has, knows) = (format!("has schema {:04}", newest.parse::<u32>().unwrap() + 1), format!("up to {newest}"));
    let says = ["spandrel.db", &has, env!("CARGO_PKG_VERSION"), &knows, "Use the newer one"];
    let (folder, file) = copied(&newest);
    execute(&file, NEWER);
    refused_unchanged(folder.path(), &says);
    for index in [true, false] {
        refused_unchanged(with_journal(&newest, index, NEWER).path(), &says);
    }
}

#[test]
fn a_database_whose_migrations_were_others_is_refused_and_left_alone() {
    for sql in [
        "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1",
        "UPDATE _sqlx_migrations SET version = 0 WHERE version = 1",
    ] {
        let (folder, file) = copied(&newest());
        execute(&file, sql);
        refused_unchanged(folder.path(), &["is not the one that this program has", "edited after its release"]);
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    execute(&folder.path().join("spandrel.db"), "CREATE TABLE diary (entry TEXT)");
    refused_unchanged(folder.path(), &["spandrel.db", "of another program"]);
}

#[tokio::test]
async fn a_copy_is_kept_from_before_and_leads_back() {
    for command in [&["migrate"][..], &["serve"]] {
        // The names are in the journal only.
        let folder = with_journal("0001", false, "UPDATE spans SET name = 'from the journal'");
        let file = folder.path().join("spandrel.db");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        let kept = folder.path().join("spandrel.db.before-0002");
        if command == ["migrate"] {
            let (_, log) = success(command, &file);
            assert!(log.contains(kept.to_str().unwrap()), "{log}");
        } else {
            let mut process = Process::on_disk(folder.path());
            process.signal(Signal::SIGTERM);
            assert!(process.wait().success());
            std::fs::remove_file(folder.path().join("spandrel.db.lock")).unwrap();
        }
        assert_eq!(names(folder.path()), ["spandrel.db", "spandrel.db.before-0002"]);
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o640);
        check(&kept, NEEDED, "has schema 0001");
        assert_eq!(query::<i64>(&kept, "SELECT count(*) FROM spans WHERE name <> 'from the journal'"), 0);
        assert_eq!(query::<i64>(&kept, "SELECT count(*) FROM spans"), 6);
        assert_eq!(query::<String>(&kept, "PRAGMA integrity_check"), "ok");

        let process = Process::on_disk(folder.path());
        let after = told(&process.api, ids(&Connection::open(&file).unwrap())).await;
        drop(process);
        for name in ["spandrel.db-wal", "spandrel.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        std::fs::rename(&kept, &file).unwrap();
        check(&file, NEEDED, "has schema 0001");
        let process = Process::on_disk(folder.path());
        assert_eq!(told(&process.api, ids(&Connection::open(&file).unwrap())).await, after);
    }
}

#[test]
fn copies_that_are_there_are_never_overwritten() {
    let (folder, file) = copied("0001");
    std::fs::write(folder.path().join("spandrel.db.before-0002"), "mine").unwrap();
    std::fs::write(folder.path().join("spandrel.db.before-0002.2"), "mine, too").unwrap();
    // Of a program that was killed.
    std::fs::write(folder.path().join("spandrel.db.before-0002.partial"), "half").unwrap();
    let (_, log) = success(&["migrate"], &file);
    assert!(log.contains("spandrel.db.before-0002.3"), "{log}");
    let files = files(folder.path());
    assert_eq!(files["spandrel.db.before-0002"], b"mine");
    assert_eq!(files["spandrel.db.before-0002.2"], b"mine, too");
    check(&folder.path().join("spandrel.db.before-0002.3"), NEEDED, "has schema 0001");
    assert_eq!(files.len(), 4);
}

#[test]
fn a_copy_can_be_done_without_and_nothing_is_copied_for_nothing() {
    let (folder, file) = copied("0001");
    assert_eq!(success(&["migrate", "--no-backup"], &file).1, "");
    assert_eq!(names(folder.path()), ["spandrel.db"]);
    success(&["migrate"], &file);
    assert_eq!(names(folder.path()), ["spandrel.db"]);
}

/// The copy finds no room: it goes, and the database stays as it is.
#[test]
fn a_copy_that_fails_is_removed_and_nothing_is_migrated() {
    let (folder, file) = copied("0001");
    let before = files(folder.path());
    // No file may become larger than 64 KiB.
    let script = r#"trap '' XFSZ; ulimit -f 64; exec "$0" "$@""#;
    let url = format!("sqlite:{}", file.display());
    let binary = env!("CARGO_BIN_EXE_spandrel");
    for command in ["migrate", "serve"] {
        let output = std::process::Command::new("bash")
            .args(["-c", script, binary, command, "--database", &url])
            .env("SPANDREL_LISTEN", "127.0.0.1:0")
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        let bytes = std::fs::metadata(&file).unwrap().len();
        for text in ["spandrel.db.before-0002.partial", &format!("{bytes} bytes"), "--no-backup"] {
            assert!(message.contains(text), "{message}");
        }
        unchanged(folder.path(), &before);
    }
}

#[test]
fn a_migration_is_whole_or_not_at_all() {
    let (folder, file) = copied("0001");
    let old = shape(&Connection::open(&file).unwrap());
    // In the way of the second table of the migration.
    execute(&file, "CREATE TABLE comments (stray TEXT)");
    for command in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let message = failure(command, &file);
        for text in ["spandrel.db", "to schema 0002", "comments", "It still has schema 0001"] {
            assert!(message.contains(text), "{message}");
        }
        // Nor is there a copy: it would be one more with every try.
        assert_eq!(names(folder.path()), ["spandrel.db"]);
    }
    check(&file, NEEDED, "has schema 0001");
    execute(&file, "DROP TABLE comments");
    assert_eq!(shape(&Connection::open(&file).unwrap()), old);
    assert_eq!(query::<String>(&file, "PRAGMA integrity_check"), "ok");
    success(&["migrate"], &file);
    check(&file, 0, "up to date");
}

#[test]
fn migrations_before_one_that_fails_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spandrel.db");
    // Nothing was migrated yet, and something is in the way of the second migration.
    let table: String = query(&copied("0001").1, "SELECT sql FROM sqlite_schema WHERE name = '_sqlx_migrations'");
    execute(&file, &format!("{table}; CREATE TABLE comments (stray TEXT)"));
    let message = failure(&["migrate"], &file);
    assert!(message.contains("to schema 0002") && message.contains("It still has schema 0001"), "{message}");
    check(&file, NEEDED, "has schema 0001");
    execute(&file, "DROP TABLE comments");
    assert_eq!(shape(&Connection::open(&file).unwrap()), shape(&Connection::open(copied("0001").1).unwrap()));
    success(&["migrate"], &file);
    check(&file, 0, "up to date");
}
