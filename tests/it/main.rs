//! The suite: real servers on free ports, real databases, every answer held against the served document.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod support;

mod bad_input;
mod batch;
mod coverage;
mod create_span;
mod deletes;
mod document;
mod durability;
mod filters;
mod lifecycle;
mod limits;
mod lists;
mod model;
mod pressure;
mod replay;
mod scores;
mod transport;
mod update;
