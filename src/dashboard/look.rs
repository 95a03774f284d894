//! One look at the whole cluster, as the pages show it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::all_nodes;
use crate::domain::figures::{Figures, Minute, late_of};
use crate::domain::{GenerationId, Pause, State, Timestamp};
use crate::store::{Generation, Reported, Result, Standing, Store, Term};

/// How far back the minutes go: an hour before the minute of a count that may be some minutes old.
const MINUTES: Duration = Duration::from_mins(63);
/// Minutes that have ended do not change: between two readings of all, only those of this time are read. (A minute is written
/// when it has ended, and the last one of a node that died when that is recovered.)
const LATEST: Duration = Duration::from_mins(3);
/// Time between readings of all.
const WHOLE: Duration = Duration::from_mins(1);
/// Two looks that are further apart than this tell no rate of now.
const APART: Duration = Duration::from_secs(10);
/// What a node has reported longer ago than this is not what it does now.
const OLD: Duration = Duration::from_secs(15);
/// A task that has waited longer than this was not only on its way.
const OVERDUE: Duration = Duration::from_secs(2);
/// A node that has gone longer ago is not missed any more.
const LATELY: Duration = Duration::from_mins(10);
/// Reigns that are shown.
const TERMS: usize = 50;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// When it was taken, by the database's clock.
    pub at: Timestamp,
    /// Tasks by state.
    pub counts: Vec<(State, u64)>,
    /// When the oldest task that is still scheduled was due; `None` if none is due.
    pub oldest_due: Option<Timestamp>,
    /// Dead letters that wait for somebody.
    pub dead_letters: u64,
    /// The last report of each node.
    pub reports: Vec<Reported>,
    /// What was counted in each minute of the last hour, by node; the current minute is in the reports.
    pub minutes: Vec<Arc<Minute>>,
    /// When all of them were read last.
    pub whole_at: Timestamp,
    /// The newest first.
    pub terms: Vec<Term>,
    /// Nodes' lives: those that live, and a few that are over.
    pub generations: Vec<Generation>,
    /// Pauses, each with how many tasks wait for its end.
    pub pauses: Vec<(Pause, u64)>,
    /// Messages a second by node and actor, as far as two reports tell.
    pub rates: HashMap<(GenerationId, String), f64>,
    /// How many errors each had between its last two reports, if any.
    pub errors: HashMap<(GenerationId, String), u64>,
}

impl Look {
    /// Asks the database; what cannot have changed since an `earlier` look is taken from there, and rates tell what has.
    ///
    /// # Errors
    /// Those of the store.
    pub fn take(store: &dyn Store, earlier: Option<&Self>) -> Result<Self> {
        let at = store.now()?;
        let known = earlier.filter(|earlier| at.since(earlier.whole_at) < WHOLE && earlier.whole_at <= at);
        let pauses = store.pauses()?.all;
        let ids: Vec<i64> = pauses.iter().map(|pause| pause.id).collect();
        let waiting = if ids.is_empty() { Vec::new() } else { store.waiting(&ids)? };
        let mut look = Self {
            at,
            counts: store.counts()?,
            oldest_due: store.oldest_due()?,
            dead_letters: store.dead_letters()?,
            reports: store.reports()?,
            minutes: minutes(store, at, known)?,
            whole_at: known.map_or(at, |known| known.whole_at),
            terms: store.terms(TERMS)?,
            generations: store.generations()?,
            pauses: pauses.into_iter().zip(waiting).collect(),
            rates: HashMap::new(),
            errors: HashMap::new(),
        };
        if let Some(earlier) = earlier {
            look.compare(earlier);
        }
        Ok(look)
    }

    /// How the actors' counters have risen since an earlier look; where no report has come since, as it was known then.
    fn compare(&mut self, earlier: &Self) {
        if self.at.since(earlier.at) > APART {
            return;
        }
        for one in self.reports.iter().filter(|one| one.age < OLD) {
            let Some(before) = earlier.reports.iter().find(|before| before.generation == one.generation) else {
                continue;
            };
            let apart = self.at.minus(one.age).since(earlier.at.minus(before.age)).as_secs_f64();
            for actor in &one.snapshot.actors {
                let key = (one.generation, actor.name.clone());
                let then = before.snapshot.actors.iter().find(|then| then.name == actor.name);
                let (rate, errors) = match then {
                    Some(then) if apart > 0.5 => {
                        let moved = actor.messages.saturating_sub(then.messages);
                        let rate = f64::from(u32::try_from(moved).unwrap_or(u32::MAX)) / apart;
                        (Some(rate), Some(actor.errors.saturating_sub(then.errors)))
                    }
                    _ => (earlier.rates.get(&key).copied(), earlier.errors.get(&key).copied()),
                };
                self.rates.extend(rate.map(|rate| (key.clone(), rate)));
                self.errors.extend(errors.filter(|errors| *errors > 0).map(|errors| (key, errors)));
            }
        }
    }

    /// How many tasks stand there.
    pub fn count(&self, state: State) -> u64 {
        self.counts.iter().filter(|(of, _)| *of == state).map(|(_, tasks)| tasks).sum()
    }

    /// Of those that report.
    fn current_reports(&self) -> impl Iterator<Item = &Reported> {
        self.reports.iter().filter(|one| one.age < OLD)
    }

    /// What came in the last minute, on all nodes.
    pub fn recent(&self) -> Figures {
        let mut sum = Figures::default();
        self.current_reports().for_each(|one| sum.add(&one.snapshot.recent));
        sum
    }

    /// So much of this a second over the last minute, on all nodes.
    pub fn per_second(&self, of: impl Fn(&Figures) -> u64) -> f64 {
        all_nodes::per_second(self.current_reports().map(|one| &one.snapshot), of)
    }

    /// Every minute of the last hour that anything was counted in, all nodes added up, in their order.
    pub fn by_minute(&self) -> Vec<Minute> {
        let mut sums: BTreeMap<Timestamp, Minute> = BTreeMap::new();
        // One that ended between the two questions is there already.
        let ended: HashSet<i64> = self.minutes.iter().map(|one| one.begun_us).collect();
        let current = self.reports.iter().map(|one| &one.current).filter(|one| !ended.contains(&one.begun_us));
        for one in self.minutes.iter().map(Arc::as_ref).chain(current) {
            let minute = one.minute();
            let sum = sums.entry(minute);
            let sum = sum.or_insert_with(|| Minute { begun_us: minute.micros(), figures: Figures::default() });
            sum.figures.add(&one.figures);
        }
        sums.into_values().collect()
    }

    /// Late starts by the minute in which they were due.
    pub fn late(&self) -> BTreeMap<i64, u64> {
        late_of(self.by_minute().iter().map(|one| &one.figures))
    }

    /// How long tasks that are due wait already, if they are not only on their way.
    pub fn backlog(&self) -> Option<(Timestamp, Duration)> {
        let due_at = self.oldest_due?;
        let waits = self.at.since(due_at);
        (waits > OVERDUE).then_some((due_at, waits))
    }

    /// The reign that lasts.
    pub fn term(&self) -> Option<&Term> {
        self.terms.first().filter(|term| term.ended_at.is_none() && self.lives(term.generation))
    }

    fn lives(&self, generation: GenerationId) -> bool {
        self.generations.iter().any(|one| one.id == generation && one.standing != Standing::Dead)
    }

    /// Whose reign it is.
    pub fn master(&self) -> Option<&Generation> {
        let term = self.term()?;
        self.generations.iter().find(|one| one.id == term.generation)
    }

    /// Nodes that have gone lately and not come back.
    pub fn lost(&self) -> impl Iterator<Item = &Generation> {
        let is_back = |node: &str| self.living().any(|one| one.node == node);
        let gone = |one: &&Generation| one.standing == Standing::Dead && one.heartbeat_age < LATELY;
        self.generations.iter().filter(gone).filter(move |one| !is_back(&one.node))
    }

    /// Those that take part.
    pub fn living(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().filter(|one| one.standing != Standing::Dead)
    }
}

/// Those of the last hour, the older ones as they are `known`.
fn minutes(store: &dyn Store, at: Timestamp, known: Option<&Look>) -> Result<Vec<Arc<Minute>>> {
    let oldest = at.minus(MINUTES);
    let Some(known) = known else {
        return Ok(store.minutes(oldest)?.into_iter().map(Arc::new).collect());
    };
    let since = at.minus(LATEST);
    let is_kept = |one: &&Arc<Minute>| (oldest.micros() + 1..=since.micros()).contains(&one.begun_us);
    let mut minutes: Vec<Arc<Minute>> = known.minutes.iter().filter(is_kept).map(Arc::clone).collect();
    minutes.extend(store.minutes(since)?.into_iter().map(Arc::new));
    Ok(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake;
    use crate::domain::figures::{ActorFigures, Snapshot};
    use crate::queue::Published;
    use crate::store::{NewGeneration, Report};

    fn counted(begun_us: i64, starts: u64) -> Minute {
        Minute { begun_us, figures: Figures { starts, late: [(0, starts)].into(), ..Figures::default() } }
    }

    fn report(messages: u64, age: Duration) -> Reported {
        let actor = ActorFigures { name: "executor".to_owned(), messages, ..ActorFigures::default() };
        let snapshot = Snapshot {
            over_ms: 2_000,
            recent: Figures { starts: 10, ..Figures::default() },
            actors: vec![actor],
            ..Snapshot::default()
        };
        Reported { generation: GenerationId(uuid::Uuid::nil()), age, snapshot, current: counted(61_000_000, 1) }
    }

    #[test]
    fn minutes_of_all_nodes_are_added_up() {
        let minutes = [counted(1_000_000, 2), counted(2_000_000, 3), counted(60_000_000, 4)];
        let look =
            Look { minutes: minutes.map(Arc::new).into(), reports: vec![report(0, Duration::ZERO)], ..Look::default() };
        let starts: Vec<_> = look.by_minute().iter().map(|one| (one.begun_us, one.figures.starts)).collect();
        assert_eq!(starts, [(0, 5), (60_000_000, 5)]);
        assert_eq!(look.late(), [(0, 10)].into(), "all of them were due in one minute");
        assert!((look.per_second(|figures| figures.starts) - 2.0).abs() < 1e-9, "over five seconds at least");
    }

    #[test]
    fn an_actors_rate_is_what_its_counter_rose_between_two_reports() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let look = |seconds, messages, age| Look {
            at: at(seconds),
            reports: vec![report(messages, Duration::from_secs(age))],
            ..Look::default()
        };
        let key = (GenerationId(uuid::Uuid::nil()), "executor".to_owned());
        let first = look(10, 100, 0);
        let mut same = look(12, 100, 2);
        same.compare(&first);
        assert_eq!(same.rates.get(&key), None, "no report has come since");
        let mut next = look(14, 300, 0);
        next.compare(&same);
        assert_eq!(next.rates.get(&key), Some(&50.0));
        let mut later = look(15, 300, 1);
        later.compare(&next);
        assert_eq!(later.rates.get(&key), Some(&50.0), "as it was known");
    }

    #[test]
    fn minutes_that_have_ended_are_read_once_a_minute() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let store = api.store.as_ref();
        let generation = GenerationId(uuid::Uuid::from_u128(7));
        let (node, address) = ("node".to_owned(), "127.0.0.1:8080".to_owned());
        let new = NewGeneration { id: generation, node, address, version: "0.0.0".to_owned(), slots: 4 };
        store.register(&new).unwrap();
        let ends = |minutes_ago: u64, starts| {
            let begun = store.now().unwrap().minus(Duration::from_mins(minutes_ago));
            let ended = Some(counted(begun.micros(), starts));
            let report = Report { snapshot: Snapshot::default(), current: counted(begun.micros() + 1, 0), ended };
            store.report(generation, &report).unwrap();
        };
        let starts = |look: &Look| look.minutes.iter().map(|one| one.figures.starts).collect::<Vec<_>>();
        ends(80, 1);
        ends(40, 2);
        let first = Look::take(store, None).unwrap();
        assert_eq!(starts(&first), [2], "no older than an hour");
        ends(30, 3);
        ends(1, 4);
        let next = Look::take(store, Some(&first)).unwrap();
        assert_eq!(starts(&next), [2, 4], "as it was known, and what is new");
        let again = Look::take(store, Some(&next)).unwrap();
        assert_eq!(starts(&again), [2, 4], "and none twice");
        let old = Look { whole_at: next.at.minus(WHOLE), ..next };
        assert_eq!(starts(&Look::take(store, Some(&old)).unwrap()), [2, 3, 4], "all anew");
    }
}
