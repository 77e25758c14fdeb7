//! Spandrel: the Opik REST API in one binary.
//!
//! The parts, and the only directions in which they know of each other:
//!
//! ```text
//! main -> app -> server -> api -> ingest -> store -> record -> model
//!                           |       |                  |
//!                           +-> error                  +-> scan
//! ```
//!
//! * [`model`] is the contract: what goes over the wire. It knows nothing else.
//! * [`scan`] walks a JSON body before it is parsed.
//! * [`record`] says what a write states and how writes merge, whatever order they come in.
//! * [`store`] keeps spans; databases stand behind one trait.
//! * [`ingest`] lets concurrent writes share a transaction.
//! * [`api`] has the route table, the handlers, and the document that is generated from them.
//! * [`error`] is the only place that knows status codes.
//! * [`app`] puts the parts together, [`server`] takes connections, [`config`] names every setting.

pub mod api;
pub mod app;
pub mod clock;
pub mod config;
pub mod ephemeral;
pub mod error;
pub mod filter;
pub mod ingest;
pub mod json_path;
pub mod like;
pub mod model;
pub mod record;
pub mod scan;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod telemetry;
