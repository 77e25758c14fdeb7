//! Servers of one release that go on while one of the next migrates the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::faults::{SPANS, go_on, span};
use crate::durability::kill::{check_clients, new_clients};
use crate::durability::seeded;
use crate::support::{Home, Process, fresh_id, until};

/// Tells of a migration after the newest, which does this.
fn newer(changes: &str, oldest: &str) -> String {
    format!(
        "BEGIN; SET LOCAL lock_timeout = 2000; {changes}; UPDATE compatible SET oldest = {oldest}; \
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT max(version) + 1, 'newer', true, '\\x00', 0 FROM _sqlx_migrations; COMMIT"
    )
}

/// What this program knows.
const KNOWN: &str = "(SELECT max(version) FROM _sqlx_migrations)";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn servers_go_on_while_a_newer_one_migrates() {
    let home = Home::in_postgres();
    let old = Process::on(&home);
    let kept = old.api.create(&span(&fresh_id())).await;
    let thread =
        json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "thread_id": "t", "input": {"a": 1}});
    old.api.create_trace(&thread).await;
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writing = go_on(&old.api, new_clients(&mut seeded()), &stop, &written);
    // Often enough for statements to be known to PostgreSQL by their names.
    let read = async || {
        old.api.span(&kept).await;
        for path in ["spans", "traces", "traces/threads", "spans/stats", "traces/stats"] {
            old.api.get(&format!("/v1/private/{path}?project_name=p")).await.expect(200);
        }
    };
    for _ in 0..8 {
        read().await;
    }
    until(async || (written.load(Ordering::Acquire) > 100).then_some(())).await;

    // A column that may be empty, a table, and an index of what is in partitions.
    let changes = "ALTER TABLE spans ADD COLUMN mood text; ALTER TABLE traces ADD COLUMN mood text; \
                   ALTER TABLE threads ADD COLUMN mood text; ALTER TABLE projects ADD COLUMN mood text; \
                   CREATE TABLE moods (mood text PRIMARY KEY); \
                   CREATE INDEX spans_by_name ON ONLY spans (project, entry(name))";
    tokio::task::block_in_place(|| home.execute(&newer(changes, KNOWN)));
    read().await;
    let before = written.load(Ordering::Acquire);
    until(async || (written.load(Ordering::Acquire) > before + 100).then_some(())).await;

    // One that starts now, as it was down meanwhile, goes on as well. It makes the index of each partition.
    let folder = tempfile::tempdir().unwrap();
    let late = Process::start(folder.path(), &["--database", &home.url()]);
    late.api.span(&kept).await;
    let unmade = "SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready";
    until(async || (home.number(unmade) == 0).then_some(())).await;
    let each = "SELECT count(*) - (SELECT count(*) FROM pg_inherits WHERE inhparent = 'spans'::regclass) \
                FROM pg_inherits WHERE inhparent = 'spans_by_name'::regclass";
    assert_eq!(home.number(each), 0);
    let before = written.load(Ordering::Acquire);
    until(async || (written.load(Ordering::Acquire) > before + 100).then_some(())).await;
    stop.store(true, Ordering::Release);
    let clients = writing.join_all().await;
    let clients = check_clients(&old.api, clients).await.0;
    check_clients(&late.api, clients).await;
    crate::support::recounted_in(&home);
}

#[test]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
fn a_database_that_a_server_cannot_go_on_with_is_refused_and_left_alone() {
    let home = Home::in_postgres();
    let url = home.url();
    let check = Process::run(&["migrate", "--check", "--database", &url], &[]);
    assert!(check.status.success(), "{check:?}");
    home.execute(&newer("SELECT 1", KNOWN));
    let check = Process::run(&["migrate", "--check", "--database", &url], &[]);
    let told = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && told.contains("newer Spandrel"), "{told}");
    home.execute(&newer("SELECT 1", "(SELECT max(version) + 1 FROM _sqlx_migrations)"));
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["migrate", "--check"]] {
        let output = Process::run(&[command, &["--database", &url]].concat(), &[]);
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("made by a newer Spandrel") && told.contains("Nothing was changed"), "{told}");
    }
}

/// Whoever comes after a migration that waits for a long reader would wait for both.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_migration_does_not_have_others_wait_for_long() {
    let home = Home::in_postgres();
    let old = Process::on(&home);
    // As a database of the schema before has it.
    home.execute(
        "DELETE FROM _sqlx_migrations WHERE version = 2; DROP TABLE compatible, arriving_contents; \
         DROP INDEX projects_once, projects_by_name, feedback_definitions_once, scores_once, attachments_once, \
         threads_once; DROP FUNCTION entry; CREATE UNIQUE INDEX threads_once ON threads (project, md5(thread_id)); \
         ALTER TABLE projects ADD UNIQUE (workspace, name_folded); \
         ALTER TABLE feedback_definitions ADD UNIQUE (workspace, name_folded); \
         ALTER TABLE scores ADD PRIMARY KEY (workspace, entity, entity_id, name, author, queue_id); \
         ALTER TABLE attachments ADD UNIQUE (workspace, entity, entity_id, project, name); \
         CREATE INDEX traces_by_key ON traces (key); \
         CREATE VIEW trace_payloads AS SELECT key AS trace, input, output, metadata FROM traces",
    );
    let held = home.lock("projects IN ACCESS SHARE MODE");
    let folder = tempfile::tempdir().unwrap();
    let url = home.url();
    let starting = tokio::task::spawn_blocking(move || (Process::start(folder.path(), &["--database", &url]), folder));
    let tried = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'projects'::regclass \
                 AND mode = 'AccessExclusiveLock'";
    for _ in 0..2 {
        until(async || (home.number(tried) == 1).then_some(())).await;
        old.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
        old.api.get(&format!("{SPANS}?project_name=Default%20Project")).await.expect(200);
        until(async || (home.number(tried) == 0).then_some(())).await;
    }
    drop(held);
    let (new, _folder) = starting.await.unwrap();
    new.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    assert_eq!(home.number("SELECT max(version) FROM _sqlx_migrations"), 2);
}
