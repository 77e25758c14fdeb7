//! What the writing thread does on a server: as other servers do it at the same time, a transaction may be in another's
//! way, and is then made again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::address::Address;
use super::arrivals;
use super::contents::{self, Rows};
use super::link::{Link, Patience};
use crate::clock::Clock;
use crate::cost::Prices;
use crate::store::sql::{Connection as _, Work, any, commit, is_pending, manage, params, piece};
use crate::store::{Caller, Change, Manage, ManageRefusal, Refusal, StoreError, StoreOptions, Submission};

/// How long a transaction may take: clients do not wait longer for an answer.
const TIME_MAX: Duration = Duration::from_secs(20);

/// How long a transaction waits for what another program holds.
const LOCK: Duration = Duration::from_secs(5);

/// How often a transaction is tried while other servers are in its way.
const TRIES: u32 = 30;

/// How often it is seen to that the months to come have partitions.
const PARTITIONS_EVERY: Duration = Duration::from_hours(6);

/// Whether large values can be packed by LZ4, which takes a fraction of the time for nearly as little room.
const PACKS_FAST: &str = "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)";

/// Leaves the tables as a new database has them. Readers take tables in any order: one that waits for this, while this waits
/// for it, would be told of a deadlock. So this waits for a moment only, lets go, and begins anew.
const RESET: &str = "SET LOCAL lock_timeout = 50; \
     DO $$ BEGIN FOR tried IN 1 .. 200 LOOP BEGIN \
     TRUNCATE workspaces, projects, spans, traces, trace_sums, project_span_counts, project_trace_counts, threads, scores, \
     comments, purges, project_purges, environments, feedback_definitions, workspace_configurations, attachments, contents, \
     arriving_contents, loose_contents RESTART IDENTITY; \
     PERFORM make_first_rows(); RETURN; \
     EXCEPTION WHEN lock_not_available THEN PERFORM pg_sleep(0.005); END; END LOOP; RAISE lock_not_available; END $$";

/// What the thread works with.
pub(super) struct ServerWork {
    address: Address,
    durable: bool,
    /// The connection, if there is one.
    link: Option<Link>,
    /// Whether the server was built with the faster way to pack large values.
    packs_fast: bool,
    clock: Clock,
    prices: Arc<Prices>,
    environments_max: usize,
    partitions_made: Instant,
}

impl ServerWork {
    pub(super) fn new(address: Address, options: StoreOptions, clock: Clock, prices: Arc<Prices>) -> Self {
        Self {
            address,
            durable: options.durable,
            link: None,
            packs_fast: false,
            clock,
            prices,
            environments_max: options.environments_max,
            partitions_made: Instant::now(),
        }
    }

    /// Begins a transaction. A connection that was idle may have ended meanwhile.
    fn begin(&mut self) -> Result<&Link, StoreError> {
        if let Some(link) = self.link.take() {
            link.have(Patience::of(TIME_MAX));
            if link.begin(&self.beginning()).is_ok() {
                return Ok(self.link.insert(link));
            }
        }
        let link = Link::open(&self.address, Patience::of(TIME_MAX))?;
        // In a transaction, so that a pooler does not give each part of it to another connection.
        link.begin("BEGIN")?;
        self.packs_fast = any(&link, PACKS_FAST, &[])?;
        link.roll_back()?;
        link.begin(&self.beginning())?;
        Ok(self.link.insert(link))
    }

    /// What a transaction begins with.
    fn beginning(&self) -> String {
        // Rows are named by keys and ids: no plan is better for some of them than for others, or reads all there is.
        format!(
            "BEGIN; {}; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; \
             SET LOCAL default_toast_compression = {}; SET LOCAL synchronous_commit = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {}; SET LOCAL lock_timeout = {}",
            self.address.settings(TIME_MAX),
            if self.packs_fast { "lz4" } else { "pglz" },
            if self.durable { "on" } else { "off" },
            TIME_MAX.as_millis(),
            LOCK.as_millis()
        )
    }

    /// Does something in a transaction, which is given up unless `keeps` says otherwise of what came out.
    fn transaction<T>(
        &mut self,
        make: impl Fn(&Link) -> Result<T, StoreError>,
        keeps: impl Fn(&T) -> bool,
    ) -> Result<T, StoreError> {
        self.tried(make, keeps).map_err(|error| match error {
            StoreError::TooLong => {
                StoreError::Unavailable { reason: "the database does not answer in time", full: false }
            }
            error => error,
        })
    }

    fn tried<T>(
        &mut self,
        make: impl Fn(&Link) -> Result<T, StoreError>,
        keeps: impl Fn(&T) -> bool,
    ) -> Result<T, StoreError> {
        let mut tried: u32 = 0;
        loop {
            let link = self.begin()?;
            let outcome = make(link).and_then(|made| {
                if keeps(&made) { link.commit() } else { link.roll_back() }?;
                Ok(made)
            });
            let error = match outcome {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            let collided = link.collided();
            if link.is_broken() || link.roll_back().is_err() {
                self.link = None;
            }
            tried += 1;
            if !collided || tried >= TRIES {
                return Err(error);
            }
            // Not all at once again.
            let chance = u64::from(self.clock.fresh_id().0.as_bytes()[15] % 8);
            std::thread::sleep(Duration::from_millis(u64::from(tried.min(10)) * chance));
        }
    }
}

impl Work for ServerWork {
    /// The server does most of the work, and gives way to nobody.
    const NICE: i32 = 0;

    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        let (clock, prices, environments_max) = (self.clock.clone(), Arc::clone(&self.prices), self.environments_max);
        let make = |link: &Link| {
            for submission in submissions {
                if let Change::PutAttachment(attachment) = &submission.change {
                    contents::put(link, &attachment.file, || ())?;
                }
            }
            commit(link, submissions, &clock, &prices, environments_max)
        };
        self.transaction(make, |_| true)
    }

    fn manage(&mut self, caller: &Caller, change: &Manage) -> Result<Result<(), ManageRefusal>, StoreError> {
        let clock = self.clock.clone();
        self.transaction(|link| manage(link, caller, change, &clock), Result::is_ok)
    }

    fn check_writable(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let sql = "INSERT INTO writable (one, checked_at) VALUES (1, ?1) \
                   ON CONFLICT (one) DO UPDATE SET checked_at = excluded.checked_at";
        self.transaction(|link| link.execute(sql, params![now]), |_| true).map(drop)
    }

    fn reset(&mut self) -> Result<(), StoreError> {
        self.transaction(|link| link.batch(RESET), |()| true)
    }

    fn is_pending(&mut self) -> Result<bool, StoreError> {
        let make = |link: &Link| {
            arrivals::let_go(link)?;
            is_pending(link)
        };
        self.transaction(make, |_| true)
    }

    fn remove_piece(&mut self) -> Result<bool, StoreError> {
        let make = |link: &Link| {
            // One server removes at a time; the others would only wait for it.
            let mine =
                "SELECT 1 WHERE pg_try_advisory_xact_lock(hashtextextended(current_schema() || '.spandrel.purge', 0))";
            if !any(link, mine, &[])? {
                return Ok(false);
            }
            arrivals::let_go(link)?;
            piece(link, &Rows)
        };
        self.transaction(make, |_| true)
    }

    fn after(&mut self) {
        if self.partitions_made.elapsed() < PARTITIONS_EVERY {
            return;
        }
        self.partitions_made = Instant::now();
        let make = |link: &Link| any(link, "SELECT 1 FROM make_partitions((now() AT TIME ZONE 'UTC')::date, 4)", &[]);
        if let Err(error) = self.transaction(make, |_| true) {
            tracing::warn!(%error, "the partitions of the next months could not be made");
        }
    }

    fn close(self) {
        if let Some(link) = self.link {
            link.close();
        }
    }
}
