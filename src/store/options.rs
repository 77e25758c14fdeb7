//! Settings of a store.

use std::time::Duration;

/// How a database is used.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Whether a commit is on disk when it is acknowledged. Off only for data that nobody will miss.
    pub durable: bool,
    /// Whether a copy of the file is kept before it is migrated.
    pub backup: bool,
    /// Connections that read.
    pub readers: u32,
    /// How long a query may take.
    pub read_time_max: Duration,
    /// Size beyond which the file does not grow; 0 for no limit.
    pub bytes_max: u64,
    /// Size of the journal from which writes wait for it to be put into the file.
    pub journal_bytes_max: u64,
    /// Bytes of attachments that are put where the payloads of one span or trace refer to them.
    pub inline_bytes_max: u64,
    /// Environments of a workspace beyond which spans and traces make no further ones.
    pub environments_max: usize,
}
