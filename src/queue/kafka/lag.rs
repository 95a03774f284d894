//! How far the reading is behind the topic's end, and how long the topic keeps what was not read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::statistics::Statistics;

use crate::domain::time::{Timestamp, millis_of};

/// How far this node's reading is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Records before the end of its partitions, as far as that is known, that are not stored.
    pub records: i64,
    /// How long ago the oldest record that was read and is not stored was written, in milliseconds; 0 if there is none.
    pub age_ms: u64,
}

/// Where the partitions end, as the brokers have said with the last records.
#[derive(Debug, Default)]
pub struct Ends(Mutex<BTreeMap<i32, i64>>);

impl Ends {
    /// What lies between these partitions' next offsets and their ends.
    pub fn lag(&self, next: &BTreeMap<i32, Option<i64>>, oldest: Option<Timestamp>, now: Timestamp) -> Lag {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |(partition, next): (&i32, &Option<i64>)| Some((ends.get(partition)? - (*next)?).max(0));
        Lag {
            records: next.iter().filter_map(behind).sum(),
            age_ms: oldest.map_or(0, |oldest| millis_of(now.since(oldest))),
        }
    }
}

/// Hears the client library's own figures.
pub struct Hearing {
    /// The submission topic.
    pub topic: String,
    /// Where what is heard goes.
    pub ends: Arc<Ends>,
}

impl ClientContext for Hearing {
    fn stats(&self, figures: Statistics) {
        let Some(topic) = figures.topics.get(&self.topic) else { return };
        let known = topic.partitions.iter().filter(|(_, partition)| partition.hi_offset >= 0);
        *self.ends.0.lock().unwrap_or_else(PoisonError::into_inner) =
            known.map(|(id, partition)| (*id, partition.hi_offset)).collect();
    }
}

impl ConsumerContext for Hearing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_what_lies_before_the_ends() {
        let ends = Ends(Mutex::new([(0, 10), (1, 7), (2, 5)].into()));
        let next = [(0, Some(4)), (1, Some(9)), (2, None), (3, Some(1))].into();
        let at = |ms: i64| Timestamp::from_micros(ms * 1_000);
        assert_eq!(ends.lag(&next, Some(at(40)), at(100)), Lag { records: 6, age_ms: 60 });
        assert_eq!(Ends::default().lag(&next, None, at(100)), Lag::default());
    }
}
