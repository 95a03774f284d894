//! How much a running total has grown of late: the proof of speed that credits and start records go by.

use std::collections::VecDeque;
use std::time::Duration;

use super::time::Mono;

/// A total as it was seen over a span of time.
#[derive(Debug)]
pub struct Recent {
    span: Duration,
    seen: VecDeque<(Mono, u64)>,
}

impl Recent {
    /// Looks back over `span`.
    pub fn over(span: Duration) -> Self {
        Self { span, seen: VecDeque::new() }
    }

    /// Notes the `total` at `now` and tells by how much it has grown, as far as it was seen to, within the span: never
    /// more than it really has.
    pub fn growth(&mut self, total: u64, now: Mono) -> u64 {
        // Of looks that saw the same total the first and the last are enough.
        if self.seen.iter().rev().take(2).filter(|(_, seen)| *seen == total).count() == 2 {
            self.seen.pop_back();
        }
        self.seen.push_back((now, total));
        while self.seen.front().is_some_and(|(at, _)| now.since(*at) > self.span) {
            self.seen.pop_front();
        }
        self.seen.front().map_or(0, |(_, base)| total.saturating_sub(*base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    fn recent() -> Recent {
        Recent::over(Duration::from_millis(20))
    }

    #[test]
    fn the_first_look_shows_no_growth() {
        assert_eq!(recent().growth(900, at(0)), 0);
    }

    #[test]
    fn growth_counts_until_it_is_a_span_old() {
        let mut recent = recent();
        recent.growth(0, at(0));
        assert_eq!(recent.growth(5, at(4)), 5);
        assert_eq!(recent.growth(9, at(10)), 9);
        assert_eq!(recent.growth(9, at(24)), 4, "the first five may be older than 20 ms");
        assert_eq!(recent.growth(9, at(31)), 0);
    }

    #[test]
    fn what_grew_unseen_is_not_counted() {
        let mut recent = recent();
        recent.growth(0, at(0));
        assert_eq!(recent.growth(900, at(500)), 0, "nobody knows when");
    }

    #[test]
    fn a_total_that_stood_still_until_now_is_a_base() {
        let mut recent = recent();
        (0..1_000).for_each(|ms| assert_eq!(recent.growth(7, at(ms)), 0));
        assert_eq!(recent.seen.len(), 2, "and takes no memory");
        assert_eq!(recent.growth(10, at(1_001)), 3);
    }
}
