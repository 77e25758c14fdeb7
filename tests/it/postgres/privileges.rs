//! A role that may do what the documentation says, and nothing else.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::faults::{SPANS, span};
use crate::support::{Cluster, Home, Process, fresh_id};

/// What an administrator does beforehand, as `docs/deploy.md` has it: nobody may do anything that was not granted.
const PREPARE: &str = "
    CREATE ROLE limited LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    REVOKE ALL ON DATABASE limits FROM PUBLIC;
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT CONNECT ON DATABASE limits TO limited;
    CREATE SCHEMA tracing;
    GRANT USAGE, CREATE ON SCHEMA tracing TO limited;
";

/// A database of the superuser's, in which the role has these privileges.
fn home(cluster: &Cluster) -> Home {
    cluster.administer("postgres", "CREATE DATABASE limits");
    cluster.administer("limits", PREPARE);
    Home::at(cluster.url("limited", "limits?schema=tracing"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_role_with_one_schema_is_enough() {
    let cluster = Cluster::start(false, &[]);
    let home = home(&cluster);
    let output = Process::run(&["migrate", "--database", &home.url()], &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let process = Process::on(&home);
    let api = &process.api;

    let (trace, id) = (fresh_id(), fresh_id());
    let made = json!({"id": trace, "project_name": "p", "start_time": "2024-01-15T09:30:00Z", "thread_id": "t"});
    api.post("/v1/private/traces", &made).await.expect(201);
    let many: Vec<_> = (0..300).map(|_| span(&fresh_id())).chain([span(&id)]).collect();
    api.post(&format!("{SPANS}/batch"), &json!({"spans": many})).await.expect(204);
    let change = json!({"trace_id": api.span(&id).await["trace_id"], "project_name": "p", "name": "changed"});
    api.patch(&format!("{SPANS}/{id}"), &change).await.expect(204);
    api.put(&format!("{SPANS}/{id}/feedback-scores"), &json!({"name": "q", "value": 1, "source": "sdk"}))
        .await
        .expect(204);
    for path in ["spans", "traces", "spans/stats", "traces/threads"] {
        api.get(&format!("/v1/private/{path}?project_name=p")).await.expect(200);
    }
    api.post("/v1/private/traces/delete", &json!({"ids": [trace]})).await.expect(204);
    api.get("/health").await.expect(200);
    let old = Process::run(&["migrate", "--check", "--database", &home.url()], &[]);
    assert!(old.status.success(), "{}", String::from_utf8_lossy(&old.stderr));

    let all = Home::at(cluster.url("postgres", "limits"));
    let elsewhere = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE c.relowner = 'limited'::regrole AND n.nspname NOT IN ('tracing', 'pg_toast')";
    assert_eq!(all.number(elsewhere), 0);
    assert!(all.number("SELECT count(*) FROM tracing.spans") == 301);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn as_many_connections_as_are_documented_are_enough() {
    let cluster = Cluster::start(false, &[]);
    let home = home(&cluster);
    // Two that read, four that write, and one to spare.
    cluster.administer("limits", "ALTER ROLE limited CONNECTION LIMIT 7");
    let process = Process::start(home.folder(), &["--database", &home.url(), "--readers", "2"]);
    let kept = Arc::new(process.api.create(&span(&fresh_id())).await);
    let mut sending = JoinSet::new();
    for _ in 0..32 {
        let (api, kept) = (process.api.clone(), Arc::clone(&kept));
        sending.spawn(async move {
            for _ in 0..10 {
                api.span(&kept).await;
                api.create(&span(&fresh_id())).await;
                api.get(&format!("{SPANS}?project_name=p")).await.expect(200);
            }
        });
    }
    sending.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn with_fewer_connections_nothing_is_lost_and_all_is_well_once_there_are_enough() {
    let cluster = Cluster::start(false, &[]);
    let home = home(&cluster);
    cluster.administer("limits", "ALTER ROLE limited CONNECTION LIMIT 2");
    let process = Process::start(home.folder(), &["--database", &home.url(), "--readers", "8"]);
    let mut sending = JoinSet::new();
    for _ in 0..16 {
        let api = process.api.clone();
        sending.spawn(async move {
            let (mut written, mut refused) = (Vec::new(), 0);
            for _ in 0..20 {
                let id = fresh_id();
                match api.post(SPANS, &span(&id)).await.status {
                    201 => written.push(id),
                    429 => refused += 1,
                    other => panic!("{other}"),
                }
                let list = api.get(&format!("{SPANS}?project_name=p")).await.status;
                // There is no such project before the first one is written.
                assert!([200, 404, 503].contains(&list), "{list}");
                refused += usize::from(list == 503);
            }
            (written, refused)
        });
    }
    let told = sending.join_all().await;
    let refused: usize = told.iter().map(|(_, refused)| refused).sum();
    assert!(refused > 0, "the limit was none");
    cluster.administer("limits", "ALTER ROLE limited CONNECTION LIMIT 20");
    crate::support::until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
    for id in told.iter().flat_map(|(written, _)| written) {
        process.api.span(id).await;
    }
    process.api.create(&span(&fresh_id())).await;
}
