//! What a generation reports of itself: figures of the last minute and of the calendar's, for every node to show.

use std::sync::PoisonError;

use super::parts::Parts;
use crate::domain::GenerationId;
use crate::domain::figures::Snapshot;
use crate::domain::time::millis_of;
use crate::store::{Report, Result};

/// Looks at the metrics and reports.
///
/// # Errors
/// The database does not answer: the next report says it all, but for a minute that has ended in between.
pub fn report(parts: &Parts, generation: GenerationId) -> Result<()> {
    let metrics = &parts.metrics;
    let (now, at) = (metrics.clock().mono(), parts.database_clock.now());
    let look = parts.looks.lock().unwrap_or_else(PoisonError::into_inner).look(now, at, &metrics.figures());
    let kafka = parts.kafka.as_ref();
    let lag = kafka.map(|kafka| kafka.lag(at)).unwrap_or_default();
    let snapshot = Snapshot {
        over_ms: look.over_ms,
        recent: look.recent,
        queue_depth: i64::try_from(parts.queue.depth()).unwrap_or(i64::MAX),
        queue_lag: lag.records,
        queue_age_ms: lag.age_ms,
        queue_retention_ms: kafka.and_then(|kafka| kafka.retention()).map(millis_of),
        queue_stopped: u64::try_from(kafka.map_or(0, |kafka| kafka.stopped())).unwrap_or(u64::MAX),
        calls: metrics.calls.get(),
        actors: metrics.actor_figures(),
    };
    if look.ended.is_some() {
        warn_of_loss(&snapshot);
    }
    parts.store.report(generation, &Report { snapshot, current: look.current, ended: look.ended })
}

/// Once a minute: what waits in the topic may be gone before it is stored.
fn warn_of_loss(snapshot: &Snapshot) {
    let Some(retention_ms) = snapshot.queue_retention_ms.filter(|ms| snapshot.queue_age_ms > ms / 2) else { return };
    log::error!(
        "submissions have waited in the topic for {} s, and it keeps them for {} s only",
        snapshot.queue_age_ms / 1_000,
        retention_ms / 1_000
    );
}

/// A generation begins: what was reported so far of the current minute is its predecessor's.
pub fn begin_anew(parts: &Parts) {
    parts.looks.lock().unwrap_or_else(PoisonError::into_inner).begin_anew();
}
