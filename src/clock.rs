//! The only place that reads a clock.
//!
//! Two readings: the monotonic one, for every wait and every right of this process; and the wall clock, which is the
//! *database's* clock where the database is this process's own file, and is otherwise only shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use tokio::time::Instant;

use crate::domain::clock_map::{ClockMap, Sample};
use crate::domain::time::{Mono, Timestamp, micros_of};

/// Reads the clocks. Clones share one origin. It follows tokio's clock, so that a test that pauses time pauses it too.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Instant,
    /// Added to the wall clock, in microseconds: tests set it to make the wall clock jump.
    shift_us: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock whose monotonic reading begins now.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn new() -> Self {
        Self { origin: Instant::now(), shift_us: Arc::default() }
    }

    /// The time since this clock was made. Never goes back.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn mono(&self) -> Mono {
        Mono(Instant::now().duration_since(self.origin))
    }

    /// The wall clock. It may jump.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn wall(&self) -> Timestamp {
        let shift = self.shift_us.load(Ordering::Relaxed);
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(micros_of(since_1970).saturating_add(shift))
    }

    /// Makes the wall clock jump, for tests.
    pub fn shift_wall(&self, by_us: i64) {
        self.shift_us.fetch_add(by_us, Ordering::Relaxed);
    }

    /// The instant of `at` for tokio's timers.
    pub fn instant(&self, at: Mono) -> Instant {
        self.origin + at.0
    }
}

/// The node's view of the database's clock, shared by those who sample it and those who fire by it.
#[derive(Debug)]
pub struct DatabaseClock {
    clock: Clock,
    map: std::sync::RwLock<ClockMap>,
}

impl DatabaseClock {
    /// Without a sample it knows nothing yet.
    pub fn new(clock: Clock, map: ClockMap) -> Self {
        Self { clock, map: std::sync::RwLock::new(map) }
    }

    /// Takes in a sample; true if it shows that the database's clock was set.
    pub fn observe(&self, sample: Sample) -> bool {
        self.map.write().unwrap_or_else(std::sync::PoisonError::into_inner).observe(sample)
    }

    /// The database's clock now, not later than it truly is. Before the first sample, this process's wall clock.
    pub fn now(&self) -> Timestamp {
        self.read().now(self.clock.mono()).unwrap_or_else(|| self.clock.wall())
    }

    /// The database's clock now, not earlier than it truly is: what a delay counts from that must not be too short.
    pub fn at_latest(&self) -> Timestamp {
        self.read().at_latest(self.clock.mono()).unwrap_or_else(|| self.clock.wall())
    }

    /// When to fire what is due at `due_at`, on this process's monotonic clock. Never early.
    pub fn fire_at(&self, due_at: Timestamp) -> Mono {
        let now = self.clock.mono();
        self.read().fire_at(due_at, now).unwrap_or_else(|| now.plus(due_at.since(self.clock.wall())))
    }

    /// How often the database's clock was found to have been set.
    pub fn steps(&self) -> u64 {
        self.read().steps()
    }

    /// This process's own clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, ClockMap> {
        self.map.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
