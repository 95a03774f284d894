//! What a node has counted and measured, as it tells the others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::time::{Mono, Timestamp, millis_of};

/// How far back [`Snapshot::recent`] looks.
const WINDOW: Duration = Duration::from_mins(1);
/// A calendar minute in microseconds.
const MINUTE_US: i64 = 60_000_000;

/// Counts and times. Every field may be absent in what another version of the program has written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Submissions by their end, as in `submissions_total`.
    pub submissions: BTreeMap<String, u64>,
    /// Outcomes of calls by their kind, as in `outcomes_total`.
    pub outcomes: BTreeMap<String, u64>,
    /// Calls started.
    pub starts: u64,
    /// Claims made as master.
    pub claims: u64,
    /// Start minus `due_at`.
    pub lateness: Buckets,
    /// Time of a call.
    pub execution: Buckets,
    /// Time of an ingest transaction.
    pub ingest: Buckets,
    /// Time of a claim transaction.
    pub claim: Buckets,
}

impl Figures {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (own, others) in [(&mut self.submissions, &other.submissions), (&mut self.outcomes, &other.outcomes)] {
            for (word, count) in others {
                let own = own.entry(word.clone()).or_default();
                *own = own.saturating_add(*count);
            }
        }
        self.starts = self.starts.saturating_add(other.starts);
        self.claims = self.claims.saturating_add(other.claims);
        self.lateness.add(&other.lateness);
        self.execution.add(&other.execution);
        self.ingest.add(&other.ingest);
        self.claim.add(&other.claim);
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let words = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            let moved = |(word, count): (&String, &u64)| {
                let moved = count.saturating_sub(before.get(word).copied().unwrap_or(0));
                (moved > 0).then(|| (word.clone(), moved))
            };
            now.iter().filter_map(moved).collect()
        };
        Self {
            submissions: words(&self.submissions, &earlier.submissions),
            outcomes: words(&self.outcomes, &earlier.outcomes),
            starts: self.starts.saturating_sub(earlier.starts),
            claims: self.claims.saturating_sub(earlier.claims),
            lateness: self.lateness.since(&earlier.lateness),
            execution: self.execution.since(&earlier.execution),
            ingest: self.ingest.since(&earlier.ingest),
            claim: self.claim.since(&earlier.claim),
        }
    }
}

/// What one actor has done since its process began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ActorFigures {
    /// Which.
    pub name: String,
    /// Messages handled.
    pub messages: u64,
    /// Messages or passes that failed.
    pub errors: u64,
    /// Lives after the first.
    pub restarts: u64,
    /// Messages that wait, and passes under way.
    pub mailbox: i64,
    /// Since its last sign of life, in milliseconds.
    pub silence_ms: u64,
    /// Time per message.
    pub handling: Buckets,
}

/// The sums of a calendar minute, or of the part of it in which its writer lived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// When it was begun, by the database's clock, in microseconds since 1970: unlike the minute itself never the same twice.
    pub begun_us: i64,
    /// What came in it.
    pub figures: Figures,
}

impl Minute {
    /// The beginning of the calendar minute.
    pub fn minute(&self) -> Timestamp {
        Timestamp::from_micros(self.begun_us.div_euclid(MINUTE_US) * MINUTE_US)
    }
}

/// A node at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// How far back `recent` looks, in milliseconds: a minute, less after a start.
    pub over_ms: u64,
    /// What came in the last minute.
    pub recent: Figures,
    /// Submissions that wait to be stored.
    pub queue_depth: i64,
    /// Records before the end of this node's part of the submission topic that are not stored.
    pub queue_lag: i64,
    /// How long ago the oldest record that was read and is not stored was written, in milliseconds.
    pub queue_age_ms: u64,
    /// How long the submission topic keeps records, in milliseconds; absent: for ever, or nobody knows.
    pub queue_retention_ms: Option<u64>,
    /// Partitions of its share of the topic that are not read until an operator says from where.
    pub queue_stopped: u64,
    /// Calls under way.
    pub calls: i64,
    /// Its actors.
    pub actors: Vec<ActorFigures>,
}

/// Makes sums of the last minute and of calendar minutes out of looks at counters that only rise.
#[derive(Debug, Default)]
pub struct Looks {
    /// The looks of the last minute and the one before them.
    looks: VecDeque<(Mono, Figures)>,
    /// The current minute: when it was begun by the database's clock, and the counters then.
    minute: Option<(i64, Figures)>,
}

/// What a look has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// How far back `recent` looks, in milliseconds.
    pub over_ms: u64,
    /// What came in that time.
    pub recent: Figures,
    /// The current minute so far.
    pub current: Minute,
    /// The one before it, if it has just ended.
    pub ended: Option<Minute>,
}

impl Looks {
    /// Another generation goes on looking: what was reported of the current minute is its predecessor's.
    pub fn begin_anew(&mut self) {
        self.minute = None;
    }

    /// The counters stand at `total` now. The first look's past begins with the process, at zero.
    pub fn look(&mut self, now: Mono, at: Timestamp, total: &Figures) -> Look {
        if self.looks.is_empty() {
            self.looks.push_back((Mono::default(), Figures::default()));
        }
        while self.looks.get(1).is_some_and(|(look, _)| now.since(*look) >= WINDOW) {
            self.looks.pop_front();
        }
        let (base_at, base) = self.looks.front().cloned().unwrap_or_default();
        let last = self.looks.back().map(|(_, last)| last.clone()).unwrap_or_default();
        self.looks.push_back((now, total.clone()));
        let (begun_us, before) = self.minute.take().unwrap_or_else(|| (at.micros(), last));
        let minute = Minute { begun_us, figures: total.since(&before) };
        let turned = at.micros().div_euclid(MINUTE_US) != begun_us.div_euclid(MINUTE_US);
        let (current, ended) = if turned {
            self.minute = Some((at.micros(), total.clone()));
            (Minute { begun_us: at.micros(), figures: Figures::default() }, Some(minute))
        } else {
            self.minute = Some((begun_us, before));
            (minute, None)
        };
        Look { over_ms: millis_of(now.since(base_at)), recent: total.since(&base), current, ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(starts: u64) -> Figures {
        Figures { starts, submissions: [("stored".to_owned(), starts)].into(), ..Figures::default() }
    }

    fn mono(s: u64) -> Mono {
        Mono(Duration::from_secs(s))
    }

    #[test]
    fn a_look_counts_over_the_last_minute_and_first_from_the_start() {
        let mut looks = Looks::default();
        let first = looks.look(mono(10), Timestamp::from_micros(0), &counted(50));
        assert_eq!((first.over_ms, first.recent.starts), (10_000, 50));
        let mut last = None;
        for s in 11..200 {
            last = Some(looks.look(mono(s), Timestamp::from_micros(0), &counted(50 + s)));
        }
        let last = last.unwrap();
        assert_eq!((last.over_ms, last.recent.starts, last.recent.submissions["stored"]), (60_000, 60, 60));
        assert!(looks.looks.len() <= 61 + 1, "{}", looks.looks.len());
    }

    #[test]
    fn a_minute_ends_when_the_database_turns_it() {
        let mut looks = Looks::default();
        let at = |s: i64| Timestamp::from_micros(s * 1_000_000);
        assert_eq!(looks.look(mono(1), at(59), &counted(5)).ended, None);
        let turned = looks.look(mono(3), at(61), &counted(8));
        assert_eq!(turned.ended, Some(Minute { begun_us: 59_000_000, figures: counted(8) }));
        assert_eq!(turned.current.figures, Figures::default());
        let next = looks.look(mono(5), at(63), &counted(9));
        assert_eq!((next.current.clone(), next.ended), (Minute { begun_us: 61_000_000, figures: counted(1) }, None));
        assert_eq!(next.current.minute(), at(60));
        // A clock that was set back begins a minute of its own.
        let back = looks.look(mono(6), at(30), &counted(9));
        assert_eq!((back.ended.unwrap().figures, back.current.begun_us), (counted(1), 30_000_000));
    }

    #[test]
    fn a_generation_reports_nothing_that_its_predecessor_has() {
        let mut looks = Looks::default();
        looks.look(mono(1), Timestamp::from_micros(1), &counted(5));
        looks.begin_anew();
        let first = looks.look(mono(2), Timestamp::from_micros(2), &counted(7));
        assert_eq!(first.current, Minute { begun_us: 2, figures: counted(2) });
        assert_eq!(first.recent.starts, 7, "of the process");
    }

    #[test]
    fn what_another_version_has_written_can_be_read() {
        let read: Snapshot = serde_json::from_str(r#"{"recent": {"starts": 3, "new": 1}, "later": []}"#).unwrap();
        assert_eq!(read.recent.starts, 3);
        let mut sum = read.recent;
        sum.add(&counted(4));
        assert_eq!((sum.starts, sum.submissions["stored"]), (7, 4));
    }
}
