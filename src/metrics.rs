//! This node's counters and histograms: one struct, handed to whoever reports, no globals.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::clock::Clock;
use crate::domain::time::{Mono, millis_of};

/// Buckets from 50 µs to a day, in seconds: latency and lateness both live there, that of a backlog too.
const SECONDS: [f64; 23] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0, 60.0, 600.0, 3_600.0, 86_400.0,
];

/// The six actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActorName {
    /// Builds, watches and restarts the others.
    Supervisor,
    /// Takes submissions in.
    KafkaIngest,
    /// Says that this node is alive.
    Heartbeat,
    /// Finds out who is master.
    MasterResolver,
    /// Claims what is due.
    Dispatcher,
    /// Calls the targets.
    Executor,
}

impl ActorName {
    /// All of them, in the order of a task's way.
    pub const ALL: [Self; 6] =
        [Self::Supervisor, Self::KafkaIngest, Self::Heartbeat, Self::MasterResolver, Self::Dispatcher, Self::Executor];

    /// Its name as written on pages and in labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::KafkaIngest => "kafka_ingest",
            Self::Heartbeat => "heartbeat",
            Self::MasterResolver => "master_resolver",
            Self::Dispatcher => "dispatcher",
            Self::Executor => "executor",
        }
    }
}

/// What one actor reports.
#[derive(Debug)]
pub struct ActorMetrics {
    /// Which.
    pub name: ActorName,
    /// Messages handled.
    pub messages: IntCounter,
    /// Passes or messages that failed.
    pub errors: IntCounter,
    /// Lives after the first.
    pub restarts: IntCounter,
    /// Messages that wait for it, and passes under way.
    pub mailbox: IntGauge,
    /// Time per message, in seconds.
    pub handling: Histogram,
    last_sign_ms: AtomicU64,
}

impl ActorMetrics {
    /// It has answered or worked just now.
    pub fn sign_of_life(&self, now: Mono) {
        self.last_sign_ms.store(millis_of(now.0), Ordering::Relaxed);
    }

    /// How long ago its last sign of life was, in milliseconds.
    pub fn silence_ms(&self, now: Mono) -> u64 {
        millis_of(now.0).saturating_sub(self.last_sign_ms.load(Ordering::Relaxed))
    }
}

/// What this node reports.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    clock: Clock,
    /// Submissions by their end: `stored`, `same`, `conflict`, `invalid`, `refused`.
    pub submissions: IntCounterVec,
    /// Calls started.
    pub starts: IntCounter,
    /// Outcomes by kind: `succeeded`, `failed`, `not_sent`, `ambiguous`.
    pub outcomes: IntCounterVec,
    /// Claims made by this node as master.
    pub claims: IntCounter,
    /// Start minus `due_at`, in seconds.
    pub lateness: Histogram,
    /// Time of one call, in seconds.
    pub execution: Histogram,
    /// Time of one ingest transaction, in seconds.
    pub ingest: Histogram,
    /// Time of one claim transaction, in seconds.
    pub claim: Histogram,
    /// How often the database's clock was found to have been set.
    pub clock_steps: IntCounter,
    /// Submissions that wait for their commit.
    pub queue_depth: IntGauge,
    /// Calls under way.
    pub calls: IntGauge,
    actors: Vec<ActorMetrics>,
}

impl Metrics {
    /// Registers everything under names that begin with `task_scheduler_`.
    ///
    /// # Errors
    /// A name stands twice or is no metric name: a fault of this file.
    pub fn new(clock: Clock) -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("task_scheduler".to_owned()), None)?;
        let made = Maker { registry: &registry };
        let actors = ActorName::ALL.into_iter().map(|name| made.actor(name)).collect::<Result<_, _>>()?;
        Ok(Self {
            submissions: made.counters("submissions_total", "Submissions by their end.", "result")?,
            starts: made.counter("starts_total", "Calls started.")?,
            outcomes: made.counters("outcomes_total", "Outcomes of calls by kind.", "outcome")?,
            claims: made.counter("claims_total", "Claims made by this node as master.")?,
            lateness: made.histogram("lateness_seconds", "Start minus due_at.")?,
            execution: made.histogram("execution_seconds", "Time of one call.")?,
            ingest: made.histogram("ingest_seconds", "Time of one ingest transaction.")?,
            claim: made.histogram("claim_seconds", "Time of one claim transaction.")?,
            clock_steps: made.counter("database_clock_steps_total", "Times the database's clock was set.")?,
            queue_depth: made.gauge("queue_depth", "Submissions that wait for their commit.")?,
            calls: made.gauge("calls_in_flight", "Calls under way.")?,
            actors,
            clock,
            registry,
        })
    }

    /// What `name` reports.
    #[expect(clippy::indexing_slicing, clippy::as_conversions, reason = "one entry per actor, made in this order")]
    pub fn actor(&self, name: ActorName) -> &ActorMetrics {
        &self.actors[name as usize]
    }

    /// All actors.
    pub fn actors(&self) -> &[ActorMetrics] {
        &self.actors
    }

    /// This process's clock, for how long ago a sign of life was.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Everything in the Prometheus text format.
    ///
    /// # Errors
    /// It cannot be encoded: a fault of this file.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// The quantile `q` (0 to 1) of what a histogram has seen, in seconds, interpolated within its bucket. `None` when it
/// has seen nothing.
pub fn quantile(histogram: &Histogram, q: f64) -> Option<f64> {
    use prometheus::core::Metric as _;
    let metric = histogram.metric();
    let seen = metric.get_histogram();
    let total = seen.get_sample_count();
    if total == 0 {
        return None;
    }
    let rank = q * to_f64(total);
    let (mut below, mut lower) = (0.0, 0.0);
    for bucket in seen.get_bucket() {
        let (upper, count) = (bucket.upper_bound(), to_f64(bucket.cumulative_count()));
        if count >= rank {
            let share = if count > below { (rank - below) / (count - below) } else { 1.0 };
            return Some(if upper.is_finite() { lower + (upper - lower) * share } else { lower });
        }
        (below, lower) = (count, upper);
    }
    Some(lower)
}

/// Counts far below 2^53 are exact.
fn to_f64(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let made = IntCounter::new(name, help)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
        let made = IntCounterVec::new(Opts::new(name, help), &[label])?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let made = IntGauge::new(name, help)?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histogram(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        self.histogram_of(HistogramOpts::new(name, help))
    }

    fn histogram_of(&self, options: HistogramOpts) -> Result<Histogram, prometheus::Error> {
        let made = Histogram::with_opts(options.buckets(SECONDS.to_vec()))?;
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn actor(&self, name: ActorName) -> Result<ActorMetrics, prometheus::Error> {
        let labelled = |metric: &str, help: &str| Opts::new(metric, help).const_label("actor", name.word());
        let counter = |metric: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let made = IntCounter::with_opts(labelled(metric, help))?;
            self.registry.register(Box::new(made.clone()))?;
            Ok(made)
        };
        let mailbox = IntGauge::with_opts(labelled("actor_mailbox_depth", "Messages that wait for an actor."))?;
        self.registry.register(Box::new(mailbox.clone()))?;
        let handling = HistogramOpts::new("actor_handling_seconds", "Time per message of an actor.");
        Ok(ActorMetrics {
            name,
            messages: counter("actor_messages_total", "Messages an actor has handled.")?,
            errors: counter("actor_errors_total", "Messages or passes of an actor that failed.")?,
            restarts: counter("actor_restarts_total", "Lives of an actor after the first.")?,
            mailbox,
            handling: self.histogram_of(handling.const_label("actor", name.word()))?,
            last_sign_ms: AtomicU64::new(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_shown() {
        let metrics = Metrics::new(Clock::new()).unwrap();
        metrics.submissions.with_label_values(&["stored"]).inc();
        metrics.lateness.observe(0.000_3);
        let text = metrics.text().unwrap();
        assert!(text.contains("task_scheduler_submissions_total{result=\"stored\"} 1"), "{text}");
        assert!(text.contains("task_scheduler_actor_messages_total{actor=\"dispatcher\"} 0"), "{text}");
    }

    #[test]
    fn quantiles_come_from_the_buckets() {
        let metrics = Metrics::new(Clock::new()).unwrap();
        assert_eq!(quantile(&metrics.lateness, 0.5), None);
        for _ in 0..100 {
            metrics.lateness.observe(0.004);
        }
        let p50 = quantile(&metrics.lateness, 0.5).unwrap();
        assert!((0.003..=0.005).contains(&p50), "{p50}");
    }

    #[test]
    fn each_actor_is_found_by_its_name() {
        let metrics = Metrics::new(Clock::new()).unwrap();
        for name in ActorName::ALL {
            assert_eq!(metrics.actor(name).name, name);
        }
    }
}
