//! One judge for all faults: what the receiver got, against what was accepted and what stood in the database at each fault.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::Call;
use super::load::{Accepted, Ledger, RATE};
use super::look::Held;

const SLOTS: usize = 256;
/// A start record stands this long before its instant.
const START_LEAD_MS: usize = 20;
const SUCCEEDED: i16 = 2;
const UNKNOWN: i16 = 4;

/// How long nothing may be started after a fault, and how late a task may be. `Duration::MAX`: as it comes.
#[derive(Debug, Clone, Copy)]
pub struct Bars {
    /// Between two starts, whatever tasks.
    pub starts: Duration,
    /// Stored before the fault, and never claimed for the node of the fault.
    pub stored: Duration,
    /// Claimed for that node, before the fault or after.
    pub held: Duration,
    /// Submitted after the fault, from when they are due; those that are claimed for that node nevertheless have at least
    /// until `held` after the fault, as all its claims.
    pub new: Duration,
}

/// Something was done to a node, or to all of them.
#[derive(Debug)]
pub struct Fault {
    pub at: SystemTime,
    /// Nobody waited for all to be quiet between the fault before and this one: what they take together counts.
    pub follows: bool,
    /// No start is expected from then on, if it is not the next fault's instant or the end of the load.
    pub end: Option<SystemTime>,
    /// Whose; none if nobody is to be declared dead.
    pub generation: Option<Uuid>,
    /// What that had claimed then.
    pub held: Held,
    /// And what it was given later.
    pub given: HashSet<Uuid>,
    /// The process goes on later, and may make its calls then.
    pub returns: bool,
    pub bars: Bars,
}

impl Fault {
    /// Done to all, or to nobody: nobody is to be declared dead, and nothing is excused.
    pub fn of_nobody(at: SystemTime, bars: Bars) -> Self {
        let (held, given) = (Held::default(), HashSet::new());
        Self { at, follows: false, end: None, generation: None, held, given, returns: false, bars }
    }
}

/// All that a row of faults has left.
#[derive(Debug)]
pub struct Evidence {
    pub faults: Vec<Fault>,
    pub ledger: Ledger,
    pub calls: Vec<Call>,
    /// When the load ended.
    pub end: SystemTime,
    /// State and last owner of every task.
    pub states: HashMap<Uuid, (i16, Option<Uuid>)>,
    /// When each came into the database: over a topic that is after its answer, and perhaps after a fault of its reader.
    pub stored: HashMap<Uuid, SystemTime>,
    /// Every task that ever became unknown.
    pub unknown: HashSet<Uuid>,
    /// Claims of an epoch that were committed when the fence had gone on.
    pub overtaken: i64,
}

#[derive(Debug, Clone, Copy)]
enum Class {
    Stored,
    Held,
    Given,
    New,
}

/// Lateness by class, and what was later than its bar.
#[derive(Default)]
struct Late {
    longest: [Duration; 4],
    tasks: [usize; 4],
    beyond: Vec<String>,
    /// Unknown, and then called by the node of the fault itself when it went on.
    by_itself: usize,
}

impl Late {
    fn shown(&self) -> String {
        let of =
            |class: Class| format!("{class:?} {:.1?} of {}", self.longest[class as usize], self.tasks[class as usize]);
        [Class::Stored, Class::Held, Class::Given, Class::New].map(of).join(", ")
    }
}

impl Evidence {
    /// How often a task was received.
    pub fn times(&self) -> HashMap<Uuid, usize> {
        let mut times = HashMap::new();
        for call in &self.calls {
            *times.entry(id(call)).or_default() += 1;
        }
        times
    }

    /// How much too early, and by what task.
    fn early(&self) -> Vec<(Duration, Accepted)> {
        let task = |call: &Call| Some((self.ledger.get(&id(call))?.to_owned(), call.at));
        let calls = self.calls.iter().filter_map(task).filter(|(task, at)| *at < task.earliest);
        calls.map(|(task, at)| (task.earliest.duration_since(at).unwrap(), task)).collect()
    }

    fn first_calls(&self) -> HashMap<Uuid, SystemTime> {
        let mut first: HashMap<Uuid, SystemTime> = HashMap::new();
        for call in &self.calls {
            first.entry(id(call)).and_modify(|at| *at = (*at).min(call.at)).or_insert(call.at);
        }
        first
    }

    fn with_start_record(&self) -> HashSet<Uuid> {
        self.faults.iter().flat_map(|fault| fault.held.started.iter().copied()).collect()
    }

    /// Prints the figures, and judges them.
    pub fn judge(&self, row: &str) {
        let (times, late, started) = (self.times(), self.late(), self.with_start_record());
        let count = |id: &Uuid| times.get(id).copied().unwrap_or(0);
        let state = |id: &Uuid| self.states.get(id).map(|(state, _)| *state);
        let of = |is: &dyn Fn(&Uuid, &Accepted) -> bool| -> Vec<Uuid> {
            self.ledger.iter().filter(|(id, task)| is(id, task)).map(|(id, _)| *id).collect()
        };
        let lost = of(&|id, _| {
            !(count(id) > 0 && matches!(state(id), Some(SUCCEEDED | UNKNOWN)) || state(id) == Some(UNKNOWN))
        });
        let early = self.early();
        let doubled_once = of(&|id, task| task.at_most_once && count(id) > 1);
        let doubled_least = of(&|id, task| !task.at_most_once && count(id) > 1);
        let unknown = of(&|id, _| state(id) == Some(UNKNOWN));
        let never_sent = unknown.iter().filter(|id| count(id) == 0).count();
        let held: usize = self.faults.iter().map(|fault| fault.held.claimed.len()).sum();
        let gap = self.gap();
        println!(
            "{row}: {} faults, {} tasks, {} calls; lost {}, early {}, at_most_once doubled {}, at_least_once doubled {}; \
             held at a fault {held} ({} with a start record), ever unknown {}, unknown at the end {} ({never_sent} never sent), \
             called late by the node itself {}; longest time without a start {:.1?}; longest lateness: {}; \
             claims under an ended epoch {}",
            self.faults.len(),
            self.ledger.len(),
            self.calls.len(),
            lost.len(),
            early.len(),
            doubled_once.len(),
            doubled_least.len(),
            started.len(),
            self.unknown.len(),
            unknown.len(),
            late.by_itself,
            gap.0,
            late.shown(),
            self.overtaken,
        );
        assert!(lost.is_empty(), "{lost:?}");
        assert!(early.is_empty(), "{:?}", &early[..early.len().min(5)]);
        assert!(doubled_once.is_empty(), "{doubled_once:?}");
        assert!(doubled_least.iter().all(|id| started.contains(id)), "doubled without a start record at a fault");
        assert!(self.unknown.iter().all(|id| started.contains(id)), "unknown without a start record at a fault");
        let wrong = self.unknown.iter().filter(|id| !self.ledger.get(id).is_some_and(|task| task.at_most_once));
        assert_eq!(wrong.count(), 0, "at_least_once is fired again");
        let most = RATE * START_LEAD_MS / 1_000 + SLOTS;
        for (n, fault) in self.faults.iter().enumerate() {
            let of_it = unknown.iter().filter(|id| count(id) == 0 && fault.held.started.contains(id)).count();
            assert!(of_it <= most, "{of_it} unknown of fault {} were never sent", n + 1);
        }
        assert_eq!(self.overtaken, 0, "claims under an ended epoch");
        assert!(gap.1.is_empty(), "{:?}", gap.1);
        assert!(
            late.beyond.is_empty(),
            "{} late, as {:?}",
            late.beyond.len(),
            &late.beyond[..late.beyond.len().min(5)]
        );
    }

    /// Faults that follow each other without quiet between them, and where that began.
    fn chains(&self) -> impl DoubleEndedIterator<Item = &[Fault]> {
        self.faults.chunk_by(|_, next| next.follows)
    }

    /// The longest time without any start from the first fault of a chain to the next chain or to the end of the load, and
    /// those beyond their bars.
    fn gap(&self) -> (Duration, Vec<String>) {
        let mut calls: Vec<SystemTime> = self.calls.iter().map(|call| call.at).collect();
        calls.sort();
        let (mut longest, mut beyond) = (Duration::ZERO, Vec::new());
        let ends = self.chains().skip(1).map(|next| next[0].at).chain([self.end]);
        for (n, (chain, end)) in self.chains().zip(ends).enumerate() {
            let fault = &chain[0];
            let end = chain[chain.len() - 1].end.unwrap_or(end);
            let mut at = vec![fault.at];
            at.extend(calls.iter().filter(|at| (fault.at..end).contains(*at)));
            at.push(end);
            let gap = at.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap()).max().unwrap();
            longest = longest.max(gap);
            if gap > fault.bars.starts {
                beyond.push(format!("no start for {gap:?} after fault {} with quiet before it", n + 1));
            }
        }
        (longest, beyond)
    }

    fn late(&self) -> Late {
        let mut late = Late::default();
        for (id, called) in self.first_calls() {
            let Some(task) = self.ledger.get(&id) else { continue };
            let Some(chain) = self.chains().rev().find(|chain| chain[0].at <= called) else { continue };
            let begun = chain.iter().rev().find(|fault| fault.at <= called).expect("the first one at least");
            let (since, bars) = (chain[0].at, begun.bars);
            let by = called.duration_since(task.due.max(since)).unwrap_or_default();
            let (class, bar) = if chain.iter().any(|fault| fault.held.claimed.contains(&id)) {
                (Class::Held, bars.held)
            } else if chain.iter().any(|fault| fault.given.contains(&id)) {
                // A new submission that was given to a node which nobody knows to be dead yet: it waits for the same
                // recovery as the others of that node, but no longer than any new one once that is to have come.
                let after = task.due.duration_since(since).unwrap_or_default();
                let new = bars.new.max(bars.held.saturating_sub(after));
                (Class::Given, if task.answered < since { bars.held } else { new })
            } else if task.answered < since && self.stored.get(&id).is_none_or(|stored| *stored < since) {
                (Class::Stored, bars.stored)
            } else {
                (Class::New, bars.new)
            };
            // Nobody else may call it: it was unknown, and came when its node went on.
            let returned = |fault: &Fault| fault.returns && fault.held.started.contains(&id);
            if by > bar && chain.iter().any(returned) && self.unknown.contains(&id) {
                late.by_itself += 1;
                continue;
            }
            let longest = &mut late.longest[class as usize];
            *longest = by.max(*longest);
            late.tasks[class as usize] += 1;
            if by > bar {
                late.beyond.push(format!("{id} {class:?} {by:?} of {bar:?} {task:?} after {since:?}"));
            }
        }
        late
    }
}

fn id(call: &Call) -> Uuid {
    call.header("x-task-id").unwrap().parse().unwrap()
}
