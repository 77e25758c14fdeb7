//! Spandrel: the Opik REST API in one binary.
//!
//! The parts, and the only directions in which they know of each other:
//!
//! ```text
//! main -> app -> server -> api -> ingest -> store -> filter -> model
//!                           |                 |
//!                           +-> error         +-> record -> scan
//! ```
//!
//! A test holds every file to them. What each part is for:
//!
//! * [`model`] is the contract: what goes over the wire. It knows nothing else.
//! * [`scan`] walks a JSON body before it is parsed; [`json_path`] and [`like`] look into texts without parsing them.
//! * [`record`] says what a write states, how writes merge, whatever order they come in, and how
//!   spans and traces are shown.
//! * [`cost`] works out what a span cost, where nobody said.
//! * [`filter`] is the table of what can be asked of spans, traces and threads.
//! * [`store`] keeps them, projects and settings; databases stand behind one trait.
//! * [`ingest`] lets concurrent writes share a transaction.
//! * [`api`] has the route table, the handlers, and the document that is generated from them.
//! * [`contract`] compares OpenAPI documents; it knows of no other part.
//! * [`error`] is the only place that knows status codes.
//! * [`aside`] has threads for work that takes long; what gives way to what is set in [`priority`].
//! * [`healthcheck`] asks a running server how it is.
//! * [`app`] puts the parts together, [`server`] takes connections, [`config`] names every setting.

pub mod api;
pub mod app;
pub mod aside;
pub mod clock;
pub mod config;
pub mod contract;
pub mod cost;
pub mod ephemeral;
pub mod error;
pub mod filter;
pub mod healthcheck;
pub mod ingest;
pub mod json_path;
pub mod like;
pub mod model;
pub mod parent;
mod priority;
pub mod record;
pub mod scan;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod telemetry;
