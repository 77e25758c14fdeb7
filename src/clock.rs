//! Time and fresh ids, passed in so that tests can hold them still.

use std::sync::Arc;

use uuid::{NoContext, Timestamp as UuidTime, Uuid};

use crate::model::Id;

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Clock")
    }
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
        Self(Arc::new(|| chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX)))
    }

    /// A clock that says what `now` says, in nanoseconds since 1970.
    pub fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        (self.0)()
    }

    /// A fresh UUIDv7 of the present time.
    #[must_use]
    pub fn fresh_id(&self) -> Id {
        let now = self.now().max(0);
        let (seconds, nanos) = (now / 1_000_000_000, now % 1_000_000_000);
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "not negative, below a billion")]
        Id(Uuid::new_v7(UuidTime::from_unix(NoContext, seconds as u64, nanos as u32)))
    }
}
