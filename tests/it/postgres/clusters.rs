//! A PostgreSQL that is stopped, or has no room: each test has one of its own, whatever server the others use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::faults::{SPANS, span};
use crate::durability::kill::{check_clients, new_clients};
use crate::durability::seeded;
use crate::support::{Cluster, Home, Process, fresh_id, until};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_restart_of_postgresql_under_load_is_told_and_survived() {
    let cluster = Cluster::start(true, &[]);
    let home = Home::in_cluster(&cluster);
    let process = Process::on(&home);
    let mut clients = new_clients(&mut seeded());
    for how in ["fast", "immediate", "fast"] {
        println!("stopped: {how}");
        let mut writing = JoinSet::new();
        let written = Arc::new(AtomicUsize::new(0));
        for mut client in clients {
            let (api, written) = (process.api.clone(), Arc::clone(&written));
            writing.spawn(async move {
                while client.write_or_later(&api).await.is_some() {
                    written.fetch_add(1, Ordering::AcqRel);
                }
                client
            });
        }
        until(async || (written.load(Ordering::Acquire) > 100).then_some(())).await;
        tokio::task::block_in_place(|| cluster.stop(how));
        clients = writing.join_all().await;

        // Nobody is told anything else than to come again.
        until(async || process.api.is_ill().await.then_some(())).await;
        let id = fresh_id();
        for _ in 0..5 {
            let answer = process.api.post(SPANS, &span(&id)).await;
            answer.expect_try_later("database");
            process.api.get(&format!("{SPANS}/{id}")).await.expect(503);
            let list = process.api.get(&format!("{SPANS}?project_name=p")).await;
            list.expect(503);
        }
        tokio::task::block_in_place(|| cluster.begin());
        until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
        process.api.get("/health").await.expect(200);
        process.api.get(&format!("{SPANS}/{id}")).await.expect(404);
        process.api.create(&span(&id)).await;
        clients = check_clients(&process.api, clients).await.0;
    }
    crate::support::recounted_in(&home);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn a_database_without_room_for_connections_is_told_until_there_is_some() {
    let cluster = Cluster::start(false, &[("max_connections", "12"), ("superuser_reserved_connections", "2")]);
    let home = Home::in_cluster(&cluster);
    let process = Process::on(&home);
    let kept = process.api.create(&span(&fresh_id())).await;
    // Others take what there is, and the server has to connect anew.
    cluster.limit_connections(0);
    cluster.disconnect_all();
    // Whoever writes first finds out.
    process.api.post(SPANS, &span(&fresh_id())).await.expect_try_later("database");
    until(async || process.api.is_ill().await.then_some(())).await;
    process.api.post(SPANS, &span(&fresh_id())).await.expect_try_later("database");
    process.api.get(&format!("{SPANS}/{kept}")).await.expect(503);
    cluster.limit_connections(-1);
    until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
    process.api.span(&kept).await;
    process.api.create(&span(&fresh_id())).await;
}
