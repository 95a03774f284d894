//! Makes metrics, and keeps what was made in a list: what the README, the dashboard and the alerts are held against.

use std::cell::RefCell;

use prometheus::core::Collector;
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::domain::buckets::BOUNDS_US;

/// One metric as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its whole name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels. None has values without bound.
    pub labels: Vec<String>,
    /// What it says, one sentence.
    pub help: String,
}

/// Makes what is shown by one registry.
pub struct Maker<'a> {
    registry: &'a Registry,
    prefix: &'static str,
    made: RefCell<Vec<Described>>,
}

impl<'a> Maker<'a> {
    /// `prefix`: what the registry puts before each name.
    pub fn new(registry: &'a Registry, prefix: &'static str) -> Self {
        Self { registry, prefix, made: RefCell::default() }
    }

    /// What was made, each name once.
    pub fn described(self) -> Vec<Described> {
        self.made.into_inner()
    }

    /// One number that only rises.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.register("counter", &[], IntCounter::new(name, help)?)
    }

    /// The same with a fixed label.
    pub fn counter_of(&self, options: Opts, label: &str) -> Result<IntCounter, Error> {
        self.register("counter", &[label], IntCounter::with_opts(options)?)
    }

    /// The same for each value of a label.
    pub fn counters(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec, Error> {
        self.counters_by(name, help, &[label])
    }

    /// The same for each combination of labels.
    pub fn counters_by(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.register("counter", labels, IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A whole number.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.register("gauge", &[], IntGauge::new(name, help)?)
    }

    /// The same with a fixed label.
    pub fn gauge_of(&self, options: Opts, label: &str) -> Result<IntGauge, Error> {
        self.register("gauge", &[label], IntGauge::with_opts(options)?)
    }

    /// Shows a number as it is now.
    pub fn shown(&self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.register("gauge", &[], Gauge::new(name, help)?)?.set(value);
        Ok(())
    }

    /// The same for something that only rises.
    pub fn risen(&self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.register("counter", &[], prometheus::Counter::new(name, help)?)?.inc_by(value.max(0.0));
        Ok(())
    }

    /// Shows a number for each value of a label.
    pub fn shown_by<'v>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, f64)>,
    ) -> Result<(), Error> {
        let made = self.register("gauge", &[label], GaugeVec::new(Opts::new(name, help), &[label])?)?;
        for (word, value) in values {
            made.with_label_values(&[word]).set(value);
        }
        Ok(())
    }

    /// Times, from 50 µs to a day.
    pub fn histogram(&self, name: &str, help: &str) -> Result<Histogram, Error> {
        let options = HistogramOpts::new(name, help).buckets(bounds_s());
        self.register("histogram", &[], Histogram::with_opts(options)?)
    }

    /// The same with a fixed label.
    pub fn histogram_of(&self, options: HistogramOpts, label: &str) -> Result<Histogram, Error> {
        self.register("histogram", &[label], Histogram::with_opts(options.buckets(bounds_s()))?)
    }

    /// Times with bounds of its own for each combination of labels.
    pub fn histograms_by(&self, options: HistogramOpts, labels: &[&str]) -> Result<HistogramVec, Error> {
        self.register("histogram", labels, HistogramVec::new(options, labels)?)
    }

    fn register<C: Collector + Clone + 'static>(
        &self,
        kind: &'static str,
        labels: &[&str],
        made: C,
    ) -> Result<C, Error> {
        for desc in made.desc() {
            let name = format!("{}{}", self.prefix, desc.fq_name);
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let one = Described { name, kind, labels, help: desc.help.clone() };
            let mut all = self.made.borrow_mut();
            // Those of the actors are made once for each of them.
            if !all.contains(&one) {
                all.push(one);
            }
        }
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

/// The bounds of buckets for Prometheus, which counts in seconds.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a day in microseconds is exact in a float")]
fn bounds_s() -> Vec<f64> {
    BOUNDS_US.into_iter().map(|us| us as f64 / 1e6).collect()
}

/// Exact below 2^53.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
pub(super) fn number(count: impl TryInto<i64>) -> f64 {
    count.try_into().unwrap_or(i64::MAX) as f64
}
