//! What every test stands on.

mod answer;
pub(crate) mod cluster;
mod contract;
mod database;
pub(crate) mod flatten;
mod home;
mod pooler;
mod postgres;
mod process;
pub(crate) mod samples;
mod server;
mod snapshots;
mod together;
pub(crate) use spandrel::contract::views;

pub(crate) use answer::Answer;
pub(crate) use cluster::Cluster;
pub(crate) use contract::contract;
pub(crate) use database::{in_workspace, recounted, recounted_in};
pub(crate) use home::{Home, on_postgres};
pub(crate) use pooler::Pooler;
pub(crate) use process::{BINARY, Process, beside, database, database_url, until, wait_for};
pub(crate) use server::{Api, Server, config};
pub(crate) use snapshots::{snap, snap_exactly};
pub(crate) use together::together;

/// A point in time, to compare: as texts, `…00.1Z` comes after `…00.1005Z`.
#[track_caller]
pub(crate) fn time(value: &serde_json::Value) -> spandrel::model::Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// A fresh UUIDv7, as clients make them.
pub(crate) fn fresh_id() -> String {
    spandrel::clock::Clock::system().fresh_id().to_string()
}

/// Every order of so many things.
pub(crate) fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, count - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..count).map(move |at| insert(order, at)).collect::<Vec<_>>()).collect()
}
