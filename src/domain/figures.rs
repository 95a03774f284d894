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
/// A start that is later than this is a late one.
pub const LATE: Duration = Duration::from_secs(1);
/// Minutes back from now for which late starts are counted: the last hour, and what its pages may lag behind.
const LATE_MINUTES: i64 = 70;

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
    /// Late starts by the minute in which they should have been, as minutes since 1970: a minute that was missed stands out
    /// after all of it was caught up, too.
    pub late: BTreeMap<i64, u64>,
    /// Time of a call.
    pub execution: Buckets,
    /// Time of an ingest transaction.
    pub ingest: Buckets,
    /// Time of a claim transaction.
    pub claim: Buckets,
}

impl Figures {
    /// Submissions that became tasks.
    pub fn stored(&self) -> u64 {
        self.submissions.get("stored").copied().unwrap_or(0)
    }

    /// Calls that succeeded.
    pub fn succeeded(&self) -> u64 {
        self.outcomes.get("succeeded").copied().unwrap_or(0)
    }

    /// Calls that did not, or of which nobody knows.
    pub fn not_succeeded(&self) -> u64 {
        self.outcomes.values().fold(0, |sum: u64, one| sum.saturating_add(*one)).saturating_sub(self.succeeded())
    }

    /// Starts that were late, or not.
    pub fn starts_by(&self, is_late: bool) -> u64 {
        let counts = self.lateness.counts().filter(|(bound, _)| (Duration::from_micros(*bound) > LATE) == is_late);
        counts.fold(0, |sum, (_, starts)| sum.saturating_add(starts))
    }

    /// Late starts of which it is not known any more, or never was, when they were due.
    pub fn late_for_long(&self) -> u64 {
        let known = self.late.values().fold(0, |sum: u64, one| sum.saturating_add(*one));
        self.starts_by(true).saturating_sub(known)
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        add_counts(&mut self.submissions, &other.submissions);
        add_counts(&mut self.outcomes, &other.outcomes);
        add_counts(&mut self.late, &other.late);
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
        Self {
            submissions: moved(&self.submissions, &earlier.submissions),
            outcomes: moved(&self.outcomes, &earlier.outcomes),
            late: moved(&self.late, &earlier.late),
            starts: self.starts.saturating_sub(earlier.starts),
            claims: self.claims.saturating_sub(earlier.claims),
            lateness: self.lateness.since(&earlier.lateness),
            execution: self.execution.since(&earlier.execution),
            ingest: self.ingest.since(&earlier.ingest),
            claim: self.claim.since(&earlier.claim),
        }
    }
}

/// Adds counts of the same things.
fn add_counts<K: Ord + Clone>(own: &mut BTreeMap<K, u64>, others: &BTreeMap<K, u64>) {
    for (of, count) in others {
        let own = own.entry(of.clone()).or_default();
        *own = own.saturating_add(*count);
    }
}

/// How far each count has risen, where it has.
fn moved<K: Ord + Clone>(now: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let moved = |(of, count): (&K, &u64)| {
        let moved = count.saturating_sub(before.get(of).copied().unwrap_or(0));
        (moved > 0).then(|| (of.clone(), moved))
    };
    now.iter().filter_map(moved).collect()
}

/// Counts late starts by the minute in which they should have been.
#[derive(Debug, Default)]
pub struct LateStarts(BTreeMap<i64, u64>);

impl LateStarts {
    /// A call was started; notes it if it was late, and not so late that no page shows it.
    pub fn started(&mut self, due_at: Timestamp, started_at: Timestamp) {
        let (due, oldest) = (minute_of(due_at), minute_of(started_at).saturating_sub(LATE_MINUTES));
        if started_at.since(due_at) <= LATE || due < oldest {
            return;
        }
        while self.0.first_key_value().is_some_and(|(minute, _)| *minute < oldest) {
            self.0.pop_first();
        }
        let count = self.0.entry(due).or_default();
        *count = count.saturating_add(1);
    }

    /// The counts; each only rises as long as it is there.
    pub fn counts(&self) -> BTreeMap<i64, u64> {
        self.0.clone()
    }
}

/// The calendar minute of an instant, in minutes since 1970.
pub fn minute_of(at: Timestamp) -> i64 {
    at.micros().div_euclid(MINUTE_US)
}

/// When a calendar minute, in minutes since 1970, begins.
pub fn begin_of(minute: i64) -> Timestamp {
    Timestamp::from_micros(minute.saturating_mul(MINUTE_US))
}

/// All their late starts together, by the minute in which they were due.
pub fn late_of<'f>(all: impl Iterator<Item = &'f Figures>) -> BTreeMap<i64, u64> {
    let mut sum = BTreeMap::new();
    all.for_each(|one| add_counts(&mut sum, &one.late));
    sum
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
        begin_of(minute_of(Timestamp::from_micros(self.begun_us)))
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
        let turned = minute_of(at) != minute_of(Timestamp::from_micros(begun_us));
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
    fn a_minute_begins_before_everything_in_it() {
        for (micros, minute, begun) in
            [(0, 0, 0), (59_999_999, 0, 0), (60_000_000, 1, 60_000_000), (-1, -1, -60_000_000)]
        {
            assert_eq!(minute_of(Timestamp::from_micros(micros)), minute, "{micros}");
            assert_eq!(begin_of(minute), Timestamp::from_micros(begun), "{minute}");
        }
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
    fn late_starts_are_counted_where_they_were_due_and_for_an_hour() {
        let at = |s: i64| Timestamp::from_micros(s * 1_000_000);
        let mut late = LateStarts::default();
        late.started(at(59), at(60));
        assert!(late.counts().is_empty(), "a second is not late");
        late.started(at(59), at(61));
        late.started(at(0), at(500));
        late.started(at(121), at(500));
        assert_eq!(late.counts(), [(0, 2), (2, 1)].into());
        late.started(at(1), at(60 * 71));
        assert_eq!(late.counts(), [(0, 2), (2, 1)].into(), "too long ago for anybody");
        late.started(at(60 * 70), at(60 * 71));
        assert_eq!(late.counts(), [(2, 1), (70, 1)].into());
        let figures = |late| Figures { late, ..Figures::default() };
        let since = figures([(2, 5), (70, 1)].into()).since(&figures([(0, 2), (2, 1)].into()));
        assert_eq!(since.late, [(2, 4), (70, 1)].into());
        let text = serde_json::to_string(&since).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&text).unwrap(), since);
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
