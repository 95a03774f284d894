//! One look at the whole cluster, as the pages show it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::domain::figures::{Figures, Minute};
use crate::domain::{GenerationId, Pause, State, Timestamp};
use crate::store::{Generation, Reported, Result, Standing, Store, Term};

/// How far back the minutes go: an hour before the minute of a count that may be some minutes old.
const MINUTES: Duration = Duration::from_mins(63);
/// Two looks that are further apart than this tell no rate of now.
const APART: Duration = Duration::from_secs(10);
/// What a node has reported longer ago than this is not what it does now.
const OLD: Duration = Duration::from_secs(15);
/// Rates are over this time at least, in milliseconds: what a node does in its first moments is none.
const OVER_MS: u64 = 5_000;
/// Reigns that are shown.
const TERMS: usize = 50;
/// A node's clock may be off by so much without a word, in microseconds: nothing goes by it, but people read its log.
const OFFSET_US: i64 = 1_000_000;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// When it was taken, by the database's clock.
    pub at: Timestamp,
    /// Tasks by state.
    pub counts: Vec<(State, u64)>,
    /// Dead letters that wait for somebody.
    pub dead_letters: u64,
    /// The last report of each node.
    pub reports: Vec<Reported>,
    /// What was counted in each minute of the last hour, by node; the current minute is in the reports.
    pub minutes: Vec<Minute>,
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

/// A node that has gone longer ago is not missed any more.
const LATELY: Duration = Duration::from_mins(10);

/// Something that somebody should see to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub text: String,
    /// Where it is shown.
    pub to: &'static str,
    /// Something is wrong; otherwise it is only worth knowing.
    pub is_bad: bool,
}

fn failed_text(failed: u64) -> String {
    if failed == 1 {
        "1 task has failed.".to_owned()
    } else {
        format!("{} tasks have failed.", super::words::count(failed))
    }
}

impl Look {
    /// Asks the database.
    ///
    /// # Errors
    /// Those of the store.
    pub fn take(store: &dyn Store) -> Result<Self> {
        let at = store.now()?;
        let pauses = store.pauses()?.all;
        let ids: Vec<i64> = pauses.iter().map(|pause| pause.id).collect();
        let waiting = if ids.is_empty() { Vec::new() } else { store.waiting(&ids)? };
        Ok(Self {
            at,
            counts: store.counts()?,
            dead_letters: store.dead_letters()?,
            reports: store.reports()?,
            minutes: store.minutes(at.minus(MINUTES))?,
            terms: store.terms(TERMS)?,
            generations: store.generations()?,
            pauses: pauses.into_iter().zip(waiting).collect(),
            rates: HashMap::new(),
            errors: HashMap::new(),
        })
    }

    /// How the actors' counters have risen since an earlier look; where no report has come since, as it was known then.
    pub fn compare(&mut self, earlier: &Self) {
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

    /// So much of this a second over the last minute, on all nodes: each counts over its own time.
    pub fn per_second(&self, of: impl Fn(&Figures) -> u64) -> f64 {
        let each = self.current_reports().map(|one| {
            let seconds = Duration::from_millis(one.snapshot.over_ms.max(OVER_MS)).as_secs_f64();
            f64::from(u32::try_from(of(&one.snapshot.recent)).unwrap_or(u32::MAX)) / seconds
        });
        each.sum()
    }

    /// Every minute of the last hour that anything was counted in, all nodes added up, in their order.
    pub fn by_minute(&self) -> Vec<Minute> {
        let mut sums: std::collections::BTreeMap<Timestamp, Minute> = std::collections::BTreeMap::new();
        // One that ended between the two questions is there already.
        let ended: HashSet<i64> = self.minutes.iter().map(|one| one.begun_us).collect();
        let current = self.reports.iter().map(|one| &one.current).filter(|one| !ended.contains(&one.begun_us));
        for one in self.minutes.iter().chain(current) {
            let minute = one.minute();
            let sum = sums.entry(minute);
            let sum = sum.or_insert_with(|| Minute { begun_us: minute.micros(), figures: Figures::default() });
            sum.figures.add(&one.figures);
        }
        sums.into_values().collect()
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

    /// Those that take part.
    pub fn living(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().filter(|one| one.standing != Standing::Dead)
    }

    /// Nodes that have gone lately and not come back.
    fn lost_nodes(&self) -> impl Iterator<Item = &Generation> {
        let is_back = |node: &str| self.living().any(|one| one.node == node);
        self.generations
            .iter()
            .filter(move |one| one.standing == Standing::Dead && one.heartbeat_age < LATELY && !is_back(&one.node))
    }

    /// What somebody should see to, the worst first.
    pub fn alarms(&self) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let mut alarm = |is_bad, to, text: String| alarms.push(Alarm { text, to, is_bad });
        if self.master().is_none() {
            alarm(true, "/cluster", "There is no master: nothing is claimed until another is found.".to_owned());
        }
        let some = |tasks: u64, word: &str| {
            let shown = super::words::count(tasks);
            if tasks == 1 { format!("{shown} task is {word}") } else { format!("{shown} tasks are {word}") }
        };
        let unknown = self.count(State::Unknown);
        if unknown > 0 {
            let text = some(unknown, "unknown: nobody can know whether the target was reached. Settle each.");
            alarm(true, "/tasks?state=unknown", text);
        }
        let failed = self.count(State::Failed);
        if failed > 0 {
            alarm(false, "/tasks?state=failed", failed_text(failed));
        }
        for one in self.lost_nodes() {
            let (node, age) = (super::words::clipped(&one.node, 40), super::words::ago(one.heartbeat_age));
            alarm(false, "/cluster", format!("Node {node} is gone: its last sign of life was {age}."));
        }
        if self.dead_letters > 0 {
            let letters = super::words::count(self.dead_letters);
            let text = if self.dead_letters == 1 {
                "1 dead letter: a record that could not be read.".to_owned()
            } else {
                format!("{letters} dead letters: records that could not be read.")
            };
            alarm(true, "/dead-letters", text);
        }
        let stopped: u64 = self.reports.iter().map(|one| one.snapshot.queue_stopped).sum();
        if stopped > 0 {
            let text =
                format!("{stopped} partitions of the submission topic are not read until somebody says from where.");
            alarm(true, "/cluster", text);
        }
        for one in self.living().filter(|one| one.clock_offset_us.saturating_abs() > OFFSET_US) {
            let node = super::words::clipped(&one.node, 40);
            alarm(true, "/cluster", format!("The clock of node {node} is off by more than a second."));
        }
        for (pause, _) in self.pauses.iter().filter(|(pause, _)| pause.is_in_force()) {
            let about = super::words::clipped(&pause.about(), 80);
            alarm(false, "/cluster", format!("Paused: {about}."));
        }
        for (pause, _) in self.pauses.iter().filter(|(pause, _)| !pause.is_in_force()) {
            let about = super::words::clipped(&pause.about(), 80);
            alarm(false, "/cluster", format!("Being resumed: {about}."));
        }
        alarms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::figures::{ActorFigures, Snapshot};

    fn counted(begun_us: i64, starts: u64) -> Minute {
        Minute { begun_us, figures: Figures { starts, ..Figures::default() } }
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
        let minutes = vec![counted(1_000_000, 2), counted(2_000_000, 3), counted(60_000_000, 4)];
        let look = Look { minutes, reports: vec![report(0, Duration::ZERO)], ..Look::default() };
        let starts: Vec<_> = look.by_minute().iter().map(|one| (one.begun_us, one.figures.starts)).collect();
        assert_eq!(starts, [(0, 5), (60_000_000, 5)]);
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
    fn the_worst_is_told_first_and_a_calm_cluster_tells_nothing() {
        let counts = vec![(State::Unknown, 1), (State::Failed, 2_000), (State::Succeeded, 9)];
        let look = Look { counts, dead_letters: 3, ..Look::default() };
        let alarms = look.alarms();
        assert!(alarms[0].text.starts_with("There is no master"), "{alarms:?}");
        assert!(alarms[1].text.starts_with("1 task is unknown"), "{alarms:?}");
        assert!(alarms[2].text.starts_with("2\u{202f}000 tasks have failed"), "{alarms:?}");
        assert_eq!((alarms.len(), alarms[3].to), (4, "/dead-letters"));
    }
}
