//! This node's counters and histograms: one struct, handed to whoever reports, no globals.

mod at_scrape;
#[cfg(test)]
mod catalogue_test;
mod maker;
mod process;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::clock::Clock;
use crate::domain::buckets::{BOUNDS_US, Buckets};
use crate::domain::figures::{ActorFigures, Figures, LATE, LateStarts};
use crate::domain::mastership::{Mastership, Passes};
use crate::domain::time::{Mono, Timestamp, millis_of};

pub use at_scrape::{InDatabase, Looked, OnTopic};
pub use maker::Described;
pub use process::Process;

use maker::Maker;

/// What stands before the name of every metric that is this program's own.
const PREFIX: &str = "task_scheduler";
const PREFIX_OF_NAMES: &str = "task_scheduler_";
/// Bounds of the times of requests, in seconds.
const REQUEST_BOUNDS_S: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

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
    catalogue: Vec<Described>,
    clock: Clock,
    /// Submissions by their end: `stored`, `same`, `conflict`, `invalid`, `refused`.
    pub submissions: IntCounterVec,
    starts: IntCounter,
    /// Outcomes by kind: `succeeded`, `failed`, `not_sent`, `ambiguous`.
    pub outcomes: IntCounterVec,
    /// Claims made by this node as master.
    pub claims: IntCounter,
    lateness: Histogram,
    late: Mutex<LateStarts>,
    /// Time of one call, in seconds.
    pub execution: Histogram,
    /// Time of one ingest transaction, in seconds.
    pub ingest: Histogram,
    /// Time of one claim transaction, in seconds.
    pub claim: Histogram,
    /// Finished tasks that this node has removed as master.
    pub removed: IntCounter,
    /// How often the database's clock was found to have been set.
    pub clock_steps: IntCounter,
    /// Partitions of this node's share of the topic that are not read until an operator says from where.
    pub stopped_partitions: IntGauge,
    /// Pauses in force, as this node knows as master.
    pub pauses: IntGauge,
    /// Calls under way.
    pub calls: IntGauge,
    requests: IntCounterVec,
    request_times: HistogramVec,
    master: IntGauge,
    mastership: Mutex<Mastership>,
    passes: Mutex<Passes>,
    actors: Vec<ActorMetrics>,
}

impl Metrics {
    /// Registers everything under names that begin with `task_scheduler_`.
    ///
    /// # Errors
    /// A name stands twice or is no metric name: a fault of this file.
    pub fn new(clock: Clock) -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let made = Maker::new(&registry, PREFIX_OF_NAMES);
        let version = [(env!("CARGO_PKG_VERSION"), 1.0)];
        made.shown_by("build_info", "1, with the program's version.", "version", version)?;
        let actors = ActorName::ALL.into_iter().map(|name| actor(&made, name)).collect::<Result<_, _>>()?;
        let request_times = HistogramOpts::new(
            "http_request_duration_seconds",
            "Time from a request's head to that of its answer, by method and route.",
        );
        let mut metrics = Self {
            submissions: made.counters("submissions_total", "Submissions to this node by their end.", "result")?,
            starts: made.counter("starts_total", "Calls of targets that were started.")?,
            outcomes: made.counters("outcomes_total", "Outcomes of calls by kind.", "outcome")?,
            claims: made.counter("claims_total", "Claims made by this node as master.")?,
            lateness: made.histogram("lateness_seconds", "How late calls were started: start minus due_at.")?,
            late: Mutex::default(),
            execution: made.histogram("execution_seconds", "Time of one call of a target.")?,
            ingest: made.histogram("ingest_seconds", "Time of one ingest transaction.")?,
            claim: made.histogram("claim_seconds", "Time of one claim transaction.")?,
            removed: made.counter("removed_total", "Finished tasks that this node has removed as master.")?,
            clock_steps: made.counter("database_clock_steps_total", "How often the database's clock was found to have been set.")?,
            stopped_partitions: made.gauge(
                "stopped_partitions",
                "Partitions of this node's share of the submission topic that are not read until an operator sets their offsets.",
            )?,
            pauses: made.gauge("pauses", "Pauses of dispatch in force, as the master knows; 0 on other nodes.")?,
            calls: made.gauge("calls_in_flight", "Calls of targets that are under way.")?,
            requests: made.counters_by(
                "http_requests_total",
                "Requests by method, route and class of their status.",
                &["method", "route", "status"],
            )?,
            request_times: made
                .histograms_by(request_times.buckets(REQUEST_BOUNDS_S.to_vec()), &["method", "route"])?,
            master: made.gauge("master", "1 while this node may claim as master, by its own clock.")?,
            mastership: Mutex::default(),
            passes: Mutex::default(),
            actors,
            clock,
            catalogue: made.described(),
            registry: registry.clone(),
        };
        metrics.catalogue.extend(Looked::described()?);
        Ok(metrics)
    }

    /// All metrics that there are.
    pub fn catalogue(&self) -> &[Described] {
        &self.catalogue
    }

    /// One request was answered: with a status of this class (`2xx`), after this time. The route is a pattern: a path would be
    /// a label without bound.
    pub fn request(&self, method: &str, route: &str, class: &str, took: Duration) {
        self.requests.with_label_values(&[method, route, class]).inc();
        self.request_times.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// A call was started.
    pub fn started(&self, due_at: Timestamp, started_at: Timestamp) {
        let lateness = started_at.since(due_at);
        self.starts.inc();
        self.lateness.observe(lateness.as_secs_f64());
        if lateness > LATE {
            self.late().started(due_at, started_at);
        }
    }

    fn late(&self) -> MutexGuard<'_, LateStarts> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// What was counted and measured since the process began.
    pub fn figures(&self) -> Figures {
        Figures {
            submissions: by_word(&self.submissions),
            outcomes: by_word(&self.outcomes),
            starts: self.starts.get(),
            claims: self.claims.get(),
            lateness: buckets(&self.lateness),
            late: self.late().counts(),
            execution: buckets(&self.execution),
            ingest: buckets(&self.ingest),
            claim: buckets(&self.claim),
        }
    }

    /// What each actor has done since the process began.
    pub fn actor_figures(&self) -> Vec<ActorFigures> {
        let now = self.clock.mono();
        let figures = |actor: &ActorMetrics| ActorFigures {
            name: actor.name.word().to_owned(),
            messages: actor.messages.get(),
            errors: actor.errors.get(),
            restarts: actor.restarts.get(),
            mailbox: actor.mailbox.get(),
            silence_ms: actor.silence_ms(now),
            handling: buckets(&actor.handling),
        };
        self.actors.iter().map(figures).collect()
    }

    /// What this node knows of its own mastership from now on.
    pub fn reigns(&self, mastership: Mastership) {
        *self.mastership.lock().unwrap_or_else(PoisonError::into_inner) = mastership;
    }

    /// How the Dispatcher's passes as master go.
    pub fn passes(&self) -> MutexGuard<'_, Passes> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted and measured, in the Prometheus text format.
    ///
    /// # Errors
    /// It cannot be encoded: a fault of this file.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        // At the moment of the question: trust ends by itself, whoever is stuck.
        let mastership = *self.mastership.lock().unwrap_or_else(PoisonError::into_inner);
        self.master.set(i64::from(mastership.epoch_at(self.clock.mono()).is_some()));
        written(&self.registry)
    }
}

fn written(registry: &Registry) -> Result<String, prometheus::Error> {
    TextEncoder::new().encode_to_string(&registry.gather())
}

/// The counts of a family by the value of its one label.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers from 0 on, which the library hands out as floats"
)]
fn by_word(family: &IntCounterVec) -> BTreeMap<String, u64> {
    use prometheus::core::Collector as _;
    let mut counts = BTreeMap::new();
    for metric in family.collect().iter().flat_map(prometheus::proto::MetricFamily::get_metric) {
        if let Some(label) = metric.get_label().first() {
            counts.insert(label.value().to_owned(), metric.get_counter().get_value() as u64);
        }
    }
    counts
}

/// What a histogram has seen, bucket by bucket.
fn buckets(histogram: &Histogram) -> Buckets {
    use prometheus::core::Metric as _;
    let metric = histogram.metric();
    let seen = metric.get_histogram();
    let bounds = BOUNDS_US.into_iter().chain([u64::MAX]);
    let cumulative =
        seen.get_bucket().iter().map(prometheus::proto::Bucket::cumulative_count).chain([seen.get_sample_count()]);
    let mut below = 0;
    Buckets::of(bounds.zip(cumulative).map(|(bound, up_to)| {
        let count = up_to.saturating_sub(below);
        below = up_to.max(below);
        (bound, count)
    }))
}

fn actor(maker: &Maker<'_>, name: ActorName) -> Result<ActorMetrics, prometheus::Error> {
    const LABEL: &str = "actor";
    let labelled = |metric: &str, help: &str| Opts::new(metric, help).const_label(LABEL, name.word());
    let counter = |metric: &str, help: &str| maker.counter_of(labelled(metric, help), LABEL);
    let handling = HistogramOpts::new("actor_handling_seconds", "Time per message of an actor.");
    Ok(ActorMetrics {
        name,
        messages: counter("actor_messages_total", "Messages that an actor has handled.")?,
        errors: counter("actor_errors_total", "Messages or passes of an actor that failed.")?,
        restarts: counter("actor_restarts_total", "Lives of an actor after the first.")?,
        mailbox: maker.gauge_of(labelled("actor_mailbox_depth", "Messages that wait for an actor."), LABEL)?,
        handling: maker.histogram_of(handling.const_label(LABEL, name.word()), LABEL)?,
        last_sign_ms: AtomicU64::new(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_shown() {
        let metrics = Metrics::new(Clock::new()).unwrap();
        metrics.submissions.with_label_values(&["stored"]).inc();
        metrics.started(Timestamp::from_micros(0), Timestamp::from_micros(300));
        let text = metrics.text().unwrap();
        assert!(text.contains("task_scheduler_submissions_total{result=\"stored\"} 1"), "{text}");
        assert!(text.contains("task_scheduler_actor_messages_total{actor=\"dispatcher\"} 0"), "{text}");
    }

    #[test]
    fn figures_are_what_was_counted_and_measured() {
        let metrics = Metrics::new(Clock::new()).unwrap();
        assert_eq!(metrics.figures(), Figures::default());
        metrics.submissions.with_label_values(&["stored"]).inc_by(3);
        for lateness_us in [40, 4_000, 100_000_000_000] {
            metrics.started(Timestamp::from_micros(0), Timestamp::from_micros(lateness_us));
        }
        metrics.started(Timestamp::from_micros(0), Timestamp::from_micros(2_000_000));
        metrics.actor(ActorName::Executor).messages.inc();
        let figures = metrics.figures();
        assert_eq!(figures.submissions, [("stored".to_owned(), 3)].into());
        assert_eq!(figures.lateness, Buckets::of([(50, 1), (5_000, 1), (2_500_000, 1), (u64::MAX, 1)]));
        assert_eq!((figures.starts, figures.late), (4, [(0, 1)].into()));
        assert!(metrics.actor_figures().iter().any(|actor| actor.name == "executor" && actor.messages == 1));
    }

    #[test]
    fn each_actor_is_found_by_its_name() {
        let metrics = Metrics::new(Clock::new()).unwrap();
        for name in ActorName::ALL {
            assert_eq!(metrics.actor(name).name, name);
        }
    }
}
