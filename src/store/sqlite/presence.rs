//! Heartbeats and loads of this process's generations: in memory, since the holder of the lock file is alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::GenerationId;
use crate::domain::figures::Minute;
use crate::domain::time::Mono;
use crate::store::{Beat, Report, Reported};

/// What is remembered of one generation.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Rises with every heartbeat.
    pub counter: i64,
    /// What the last one said.
    pub beat: Beat,
    /// When it was.
    pub at: Mono,
    /// Claims assigned so far.
    pub assigned: u64,
    /// Claims settled so far.
    pub settled: u64,
    /// It has said farewell.
    pub gone: bool,
    /// Its last report, and when it was.
    pub report: Option<(Mono, Report)>,
}

impl Seen {
    /// How long ago its last heartbeat was.
    pub fn age(&self, now: Mono) -> Duration {
        now.since(self.at)
    }
}

/// All generations of this process. One that is not here belongs to an earlier process, and is gone.
#[derive(Debug, Default)]
pub struct Presence {
    seen: Mutex<HashMap<GenerationId, Seen>>,
}

impl Presence {
    /// What is remembered of `generation`.
    pub fn of(&self, generation: GenerationId) -> Option<Seen> {
        self.lock().get(&generation).cloned()
    }

    /// Makes it known.
    pub fn register(&self, generation: GenerationId, now: Mono) {
        self.lock().insert(generation, Seen { at: now, ..Seen::default() });
    }

    /// A sign of life.
    pub fn beat(&self, generation: GenerationId, beat: Beat, now: Mono) {
        if let Some(seen) = self.lock().get_mut(&generation) {
            seen.counter += 1;
            seen.beat = beat;
            seen.at = now;
        }
    }

    /// It is gone: it may be recovered. The minute that has ended with it.
    pub fn farewell(&self, generation: GenerationId) -> Option<Minute> {
        let mut all = self.lock();
        let seen = all.get_mut(&generation)?;
        seen.gone = true;
        seen.report.take().map(|(_, last)| last.current)
    }

    /// What it reports of itself.
    pub fn report(&self, generation: GenerationId, report: &Report, now: Mono) {
        if let Some(seen) = self.lock().get_mut(&generation).filter(|seen| !seen.gone) {
            seen.report = Some((now, report.clone()));
        }
    }

    /// The last report of each that is not gone.
    pub fn reports(&self, now: Mono) -> Vec<Reported> {
        let reported = |(generation, seen): (&GenerationId, &Seen)| {
            let (at, Report { snapshot, current, .. }) = seen.report.clone()?;
            Some(Reported { generation: *generation, age: now.since(at), snapshot, current })
        };
        let mut all: Vec<_> = self.lock().iter().filter_map(reported).collect();
        all.sort_by_key(|one| one.generation);
        all
    }

    /// Counts claims that it was assigned.
    pub fn assigned(&self, generation: GenerationId, claims: usize) {
        if let Some(seen) = self.lock().get_mut(&generation) {
            seen.assigned = seen.assigned.saturating_add(u64::try_from(claims).unwrap_or(u64::MAX));
        }
    }

    /// Counts claims of it that were settled.
    pub fn settled(&self, generation: GenerationId, claims: usize) {
        if let Some(seen) = self.lock().get_mut(&generation) {
            seen.settled = seen.settled.saturating_add(u64::try_from(claims).unwrap_or(u64::MAX));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GenerationId, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
