//! Large contents of attachments on their way in: they are written before the commits that refer to them, on connections
//! of their own. Nobody waits for one but who sent it.
//!
//! What no commit comes to refer to, as its server was killed, is noted as arriving, and removed after [`KEPT`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::contents::{self, PIECE_BYTES};
use super::link::{Link, Patience};
use crate::store::sql::{Connection as _, params};
use crate::store::{ReceivedFile, StoreError};

/// How many are written at once.
const AT_ONCE: usize = 2;

/// How long one waits for others.
const WAIT: Duration = Duration::from_secs(30);

/// How long a piece may take.
const PIECE_TIME_MAX: Duration = Duration::from_secs(20);

/// How long a content is waited for to be referred to, in SQL.
const KEPT: &str = "interval '1 hour'";

/// The way in.
#[derive(Debug)]
pub(super) struct Arrivals {
    address: Address,
    room: Arc<Semaphore>,
}

impl Arrivals {
    pub(super) fn new(address: Address) -> Self {
        Self { address, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Writes a content, unless it is small enough for a commit, or there.
    pub(super) async fn take(&self, file: ReceivedFile) -> Result<ReceivedFile, StoreError> {
        if file.bytes <= PIECE_BYTES {
            return Ok(file);
        }
        let Ok(Ok(permit)) = tokio::time::timeout(WAIT, Arc::clone(&self.room).acquire_owned()).await else {
            return Err(StoreError::Unavailable {
                reason: "other files are being written to the database",
                full: false,
            });
        };
        let gone = CancellationToken::new();
        let _waiting = gone.clone().drop_guard();
        let address = self.address.clone();
        let work = move || {
            let _permit = permit;
            write(&address, &gone, &file)?;
            Ok(file)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Other(error.into()))?
    }
}

fn write(address: &Address, gone: &CancellationToken, file: &ReceivedFile) -> Result<(), StoreError> {
    let patience = || Patience { deadline: Instant::now() + PIECE_TIME_MAX, gone: gone.clone() };
    let link = Link::open(address, patience())?;
    // The commit that refers to it is on disk only when all is that was written before.
    let begin = format!(
        "BEGIN; {}; SET LOCAL synchronous_commit = off; SET LOCAL idle_in_transaction_session_timeout = {}",
        address.settings(PIECE_TIME_MAX),
        PIECE_TIME_MAX.as_millis()
    );
    link.begin(&begin)?;
    contents::put(&link, file, || link.have(patience()))?;
    let sql = "INSERT INTO arriving_contents (sha256, since) VALUES (?1, clock_timestamp()) \
               ON CONFLICT (sha256) DO UPDATE SET since = excluded.since";
    link.execute(sql, params![&file.hash.0])?;
    link.commit()?;
    link.close();
    Ok(())
}

/// Lets go of contents that were waited for in vain; those that something refers to after all are kept.
pub(super) fn let_go(link: &Link) -> Result<(), StoreError> {
    let sql = format!(
        "WITH late AS (DELETE FROM arriving_contents WHERE sha256 IN \
         (SELECT a.sha256 FROM arriving_contents a WHERE a.since < now() - {KEPT} FOR UPDATE SKIP LOCKED) \
         RETURNING sha256) \
         INSERT INTO loose_contents (sha256) SELECT sha256 FROM late ON CONFLICT DO NOTHING"
    );
    link.execute(&sql, &[]).map(drop)
}
