//! The suite: real servers on free ports, real databases, every answer held against the served document.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod support;

mod activities;
mod attachments;
mod bad_input;
mod batch;
mod commands;
mod commits;
mod contract;
mod copying;
mod coverage;
mod create_span;
mod deletes;
mod document;
mod durability;
mod examples;
mod filters;
mod lifecycle;
mod limits;
mod lists;
mod long_names;
mod metrics;
mod model;
mod plans;
mod postgres;
mod pressure;
mod projects;
mod purge;
mod replay;
mod scores;
mod settings;
mod strict;
mod test_api;
mod threads;
mod tidy;
mod trace_lists;
mod traces;
mod transport;
mod ui;
mod update;
mod upgrades;
