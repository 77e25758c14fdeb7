//! How much may be on its way to the store at once, by its pace: what can be stored in the time that may be waited.
//!
//! A body takes room from the moment it is let in, not when it is parsed: else all come in that begin while there is
//! room for one, and wait in memory for their turn to be parsed and refused.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::IngestLimits;

/// Rows a second that clients are told to wait by, before any commit was timed. Chosen: slower than any disk seen.
const ROWS_A_SECOND: u64 = 1_000;

/// What one body on its way counts at most: a single large one does not keep all others out.
const BODY_BYTES_MAX: usize = 8 << 20;

/// The room, and what is in it.
#[derive(Debug)]
pub(super) struct Room {
    limits: IngestLimits,
    /// In the queue.
    rows: AtomicUsize,
    bytes: AtomicUsize,
    /// Of bodies that were let in and are not in the queue yet.
    bytes_on_their_way: AtomicUsize,
    /// Those of them that have arrived.
    arrived: AtomicUsize,
    pace: Mutex<Pace>,
    /// By the pace; 0 before there was any.
    rows_a_second: AtomicU64,
    bytes_a_second: AtomicU64,
}

/// What was stored lately, and in what time: each commit counts less the more came after it.
#[derive(Debug, Default)]
struct Pace {
    rows: f64,
    bytes: f64,
    seconds: f64,
}

/// A body that was let in and is not in the queue yet: its share of the room is taken while this is kept.
#[derive(Debug)]
pub struct OnItsWay {
    room: Arc<Room>,
    bytes: usize,
    is_there: bool,
}

impl Room {
    pub(super) fn new(limits: IngestLimits) -> Self {
        Self {
            limits,
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            bytes_on_their_way: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            pace: Mutex::default(),
            rows_a_second: AtomicU64::new(0),
            bytes_a_second: AtomicU64::new(0),
        }
    }

    /// Takes room in the queue, if there is some. What is larger than all of it is taken by an empty queue; and where
    /// there is room for some of its rows there is for all, or it would have been parsed for nothing.
    pub(super) fn take(&self, rows: usize, bytes: usize) -> bool {
        let rows_before = self.rows.fetch_add(rows, Ordering::AcqRel);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = rows_before < self.rows_max() && bytes_before + bytes <= self.limits.queue_bytes_max;
        if !fits && rows_before > 0 {
            self.give_back(rows, bytes);
            return false;
        }
        true
    }

    pub(super) fn give_back(&self, rows: usize, bytes: usize) {
        self.rows.fetch_sub(rows, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Whether the queue is full.
    pub(super) fn is_full(&self) -> bool {
        self.rows.load(Ordering::Acquire) >= self.rows_max()
            || self.bytes.load(Ordering::Acquire) >= self.limits.queue_bytes_max
    }

    /// Lets in a body of so many bytes, if there will be room once all is in the queue that was let in before.
    pub(super) fn let_in(self: &Arc<Self>, bytes: usize) -> Option<OnItsWay> {
        let before = self.bytes.load(Ordering::Acquire) + self.bytes_on_their_way.load(Ordering::Acquire);
        let fits = before < self.in_time(&self.bytes_a_second)
            && before.saturating_add(bytes) <= self.limits.queue_bytes_max
            && !self.is_full();
        (fits || before == 0).then(|| OnItsWay::new(self, bytes))
    }

    /// Whether anything that was let in has arrived and is not in the queue yet.
    pub(super) fn has_arrivals(&self) -> bool {
        self.arrived.load(Ordering::Acquire) > 0
    }

    /// Learns from what was stored in so long.
    pub(super) fn learn(&self, rows: usize, bytes: usize, took: Duration) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.learn(rows, bytes, took);
        self.rows_a_second.store(pace.a_second(pace.rows), Ordering::Release);
        self.bytes_a_second.store(pace.a_second(pace.bytes), Ordering::Release);
    }

    /// When what waits now will have been stored.
    pub(super) fn seconds_to_wait(&self) -> u64 {
        let rows = u64::try_from(self.rows.load(Ordering::Acquire)).unwrap_or(u64::MAX);
        let pace = match self.rows_a_second.load(Ordering::Acquire) {
            0 => ROWS_A_SECOND,
            pace => pace,
        };
        rows.div_ceil(pace).clamp(1, 60)
    }

    /// How many rows may wait: after an overload, all is well again as soon as they are stored.
    fn rows_max(&self) -> usize {
        self.in_time(&self.rows_a_second).min(self.limits.queue_rows_max)
    }

    /// What can be stored in the time that may be waited, at least 1.
    fn in_time(&self, a_second: &AtomicU64) -> usize {
        match a_second.load(Ordering::Acquire) {
            0 => usize::MAX,
            pace => {
                let in_time = pace.saturating_mul(self.limits.queue_millis_max) / 1_000;
                usize::try_from(in_time).unwrap_or(usize::MAX).max(1)
            }
        }
    }
}

impl Pace {
    /// What a commit says less with each that comes after it.
    const FADES: f64 = 7.0 / 8.0;

    #[expect(clippy::cast_precision_loss, reason = "a pace is no exact figure")]
    fn learn(&mut self, rows: usize, bytes: usize, took: Duration) {
        self.rows = self.rows * Self::FADES + rows as f64;
        self.bytes = self.bytes * Self::FADES + bytes as f64;
        self.seconds = self.seconds * Self::FADES + took.as_secs_f64();
    }

    /// So much of `amount` in a second, at least 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative, and saturates")]
    fn a_second(&self, amount: f64) -> u64 {
        ((amount / self.seconds.max(1e-6)) as u64).max(1)
    }
}

impl OnItsWay {
    fn new(room: &Arc<Room>, bytes: usize) -> Self {
        let bytes = bytes.min(BODY_BYTES_MAX);
        room.bytes_on_their_way.fetch_add(bytes, Ordering::AcqRel);
        Self { room: Arc::clone(room), bytes, is_there: false }
    }

    /// It has arrived, and is so large.
    #[must_use]
    pub fn arrived(self, bytes: usize) -> Self {
        let mut body = Self::new(&self.room, bytes);
        body.is_there = true;
        body.room.arrived.fetch_add(1, Ordering::AcqRel);
        body
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.room.bytes_on_their_way.fetch_sub(self.bytes, Ordering::AcqRel);
        self.room.arrived.fetch_sub(usize::from(self.is_there), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(rows_max: usize, bytes_max: usize) -> Arc<Room> {
        Arc::new(Room::new(IngestLimits {
            queue_rows_max: rows_max,
            queue_bytes_max: bytes_max,
            queue_millis_max: 500,
            commit_rows_max: 10,
            commit_bytes_max: 100,
        }))
    }

    #[test]
    fn bodies_on_their_way_take_room() {
        let room = room(10, 100);
        let first = room.let_in(60).expect("nothing else is there");
        assert!(room.let_in(60).is_none());
        let second = room.let_in(40).expect("it fits");
        drop(first);
        assert!(room.let_in(60).is_some());
        // It was told to be smaller than it is.
        let second = second.arrived(60);
        assert!(room.let_in(60).is_none());
        drop(second);
        assert!(room.take(1, 60));
        assert!(room.let_in(60).is_none());
        room.give_back(1, 60);
        assert!(room.let_in(60).is_some());
    }

    #[test]
    fn nothing_is_too_large_for_an_empty_queue() {
        let room = room(10, 100);
        let only = room.let_in(usize::MAX).expect("nothing else is there");
        assert!(room.let_in(1).is_none());
        drop(only);
        assert!(room.take(1_000, 1_000));
        assert!(!room.take(1, 1));
    }

    #[test]
    fn a_single_large_body_does_not_keep_all_others_out() {
        let room = room(10, BODY_BYTES_MAX + 10);
        let _only = room.let_in(usize::MAX).expect("nothing else is there");
        assert!(room.let_in(10).is_some());
    }

    #[test]
    fn there_is_room_for_all_rows_where_there_is_for_some() {
        let room = room(10, 1_000);
        assert!(room.take(9, 1));
        assert!(!room.is_full());
        assert!(room.take(9, 1));
        assert!(room.is_full());
        assert!(!room.take(1, 1));
        assert!(room.let_in(1).is_none());
    }

    #[test]
    fn there_is_room_for_what_can_be_stored_in_time() {
        let room = room(1_000, 10_000);
        room.learn(40, 400, Duration::from_secs(2));
        // Half a second's.
        assert!(room.take(9, 90));
        assert!(!room.is_full());
        assert!(room.let_in(1_000).is_some());
        assert!(room.take(1, 10));
        assert!(room.is_full());
        assert!(room.let_in(1).is_none());
        assert_eq!(room.seconds_to_wait(), 1);
        assert!(!room.take(1, 1));
    }

    #[test]
    fn the_pace_is_that_of_the_last_commits() {
        let room = room(1_000_000, 10_000);
        room.learn(1_000, 1, Duration::from_secs(1));
        for _ in 0..100 {
            room.learn(10, 1, Duration::from_secs(1));
        }
        assert_eq!(room.rows_max(), 5);
    }

    #[test]
    fn arrivals_are_seen_while_they_are_not_in_the_queue() {
        let room = room(10, 100);
        let body = room.let_in(1).expect("nothing else is there");
        assert!(!room.has_arrivals());
        let body = body.arrived(1);
        assert!(room.has_arrivals());
        drop(body);
        assert!(!room.has_arrivals());
        assert_eq!(room.bytes_on_their_way.load(Ordering::Acquire), 0);
    }
}
