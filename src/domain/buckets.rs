//! A histogram as counts by bucket: what nodes tell each other of their times, and what can be added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets in microseconds, from 50 µs to a day: latency and lateness both live there, that of a
/// backlog too. What is above all of them counts under [`u64::MAX`].
pub const BOUNDS_US: [u64; 23] = [
    50,
    100,
    250,
    500,
    1_000,
    2_000,
    3_000,
    5_000,
    10_000,
    20_000,
    30_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    30_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
    86_400_000_000,
];

/// How many of what was measured lie in which bucket. Written with the bounds, so that programs with other buckets read it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Buckets(BTreeMap<u64, u64>);

impl Buckets {
    /// From pairs of a bucket's upper bound in microseconds and its count.
    pub fn of(counts: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self(counts.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// How many were measured.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Each bucket that is not empty: its upper bound in microseconds and its count, in their order.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(bound, count)| (*bound, *count))
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (bound, count) in &other.0 {
            let own = self.0.entry(*bound).or_default();
            *own = own.saturating_add(*count);
        }
    }

    /// What came in since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bound| earlier.0.get(&bound).copied().unwrap_or(0);
        Self::of(self.counts().map(|(bound, count)| (bound, count.saturating_sub(before(bound)))))
    }

    /// The quantile `q` (0 to 1) in seconds, interpolated within its bucket; for what lies above the last bound, that bound.
    /// `None` when nothing was measured.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.total();
        let rank = q * to_f64(total);
        let mut below = 0.0;
        for (bound, count) in self.counts() {
            let (lower, count) = (lower_of(bound), to_f64(count));
            if below + count >= rank {
                let upper = if bound == u64::MAX { lower } else { bound };
                let share = (rank - below) / count;
                return Some((to_f64(lower) + to_f64(upper - lower) * share) / 1e6);
            }
            below += count;
        }
        None
    }
}

/// Where the bucket begins that ends at `bound`.
fn lower_of(bound: u64) -> u64 {
    BOUNDS_US.into_iter().rev().find(|lower| *lower < bound).unwrap_or(0)
}

/// Exact below 2^53.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a count or a time for people's eyes")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_within_their_bucket() {
        assert_eq!(Buckets::default().quantile(0.5), None);
        let all = Buckets::of([(5_000, 100)]);
        assert!((0.003..=0.005).contains(&all.quantile(0.5).unwrap()));
        let two = Buckets::of([(50, 50), (1_000, 50)]);
        assert!(two.quantile(0.5).unwrap() <= 0.000_05);
        assert!((0.000_5..=0.001).contains(&two.quantile(0.99).unwrap()));
        assert_eq!(Buckets::of([(u64::MAX, 1)]).quantile(0.5), Some(86_400.0));
    }

    #[test]
    fn sums_and_differences_are_taken_bucket_by_bucket() {
        let mut sum = Buckets::of([(50, 1), (100, 2)]);
        sum.add(&Buckets::of([(100, 3), (250, 4)]));
        assert_eq!(sum, Buckets::of([(50, 1), (100, 5), (250, 4)]));
        assert_eq!(sum.since(&Buckets::of([(50, 1), (100, 1)])), Buckets::of([(100, 4), (250, 4)]));
    }

    #[test]
    fn it_is_written_with_its_bounds() {
        let written = serde_json::to_string(&Buckets::of([(50, 1), (u64::MAX, 2)])).unwrap();
        assert_eq!(written, r#"{"50":1,"18446744073709551615":2}"#);
        assert_eq!(serde_json::from_str::<Buckets>(&written).unwrap().total(), 3);
    }
}
