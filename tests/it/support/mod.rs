//! What every test stands on.

mod answer;
mod contract;
pub(crate) mod flatten;
mod process;
pub(crate) mod samples;
mod server;
mod snapshots;
pub(crate) mod views;

pub(crate) use answer::Answer;
pub(crate) use contract::contract;
pub(crate) use process::Process;
pub(crate) use server::{Api, Server};
pub(crate) use snapshots::snap;

/// A fresh UUIDv7, as clients make them.
pub(crate) fn fresh_id() -> String {
    spandrel::clock::Clock::system().fresh_id().to_string()
}
