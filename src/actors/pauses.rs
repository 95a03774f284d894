//! What the master knows of the pauses: whether something must be parked, and what is let go again, at which pace.
//!
//! What it does not know does no harm: the database refuses a claim that goes by other pauses than those that stand there now.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::parts::Parts;
use crate::domain::pace::Pace;
use crate::domain::{Due, Mono, Pause, Pauses, TaskId, Timestamp};
use crate::store::{Fence, LetGo, Result, Ruled, Step};

/// While there are pauses, they are read again after this time: nothing else tells of a resume.
const LOOK: Duration = Duration::from_secs(1);
/// Where there are none, the first claim that is refused tells of a new one.
const LOOK_IDLY: Duration = Duration::from_secs(5);
/// Most tasks of one step of a catch-up; the database may take fewer.
const LET_GO_MAX: usize = 500;

/// See the module.
#[derive(Debug, Default)]
pub struct KnownPauses {
    /// As they were read last.
    known: Pauses,
    /// When that was; `None`: they are to be read again before anything else is done.
    looked: Option<Mono>,
    /// In the order in which they have their turns.
    resumed: VecDeque<Resumed>,
    /// Found to be held by no pause, and put back for want of credit.
    free: HashSet<TaskId>,
}

/// A pause whose tasks are let go.
#[derive(Debug)]
struct Resumed {
    pause: Pause,
    /// As the last step has told; `None`: from the oldest on.
    after: Option<(Timestamp, TaskId)>,
    /// The last of all that were let go.
    reached: Option<(Timestamp, TaskId)>,
    pace: Pace,
}

impl KnownPauses {
    /// They were changed since.
    pub fn forget(&mut self) {
        self.looked = None;
    }

    /// They are to be read again before anything else is done.
    pub fn is_unknown(&self) -> bool {
        self.looked.is_none()
    }

    /// How often they had been changed when they were read.
    pub fn count(&self) -> i64 {
        self.known.count
    }

    /// Something in memory may be paused.
    pub fn may_hold(&self) -> bool {
        self.known.all.iter().any(|pause| pause.is_in_force() || pause.per_second.is_some())
    }

    /// Reads them, if it is time.
    pub fn look(&mut self, parts: &Parts) -> Result<()> {
        let now = parts.metrics.clock().mono();
        let again = if self.known.all.is_empty() { LOOK_IDLY } else { LOOK };
        if self.looked.is_some_and(|looked| now.since(looked) < again) {
            return Ok(());
        }
        let pauses = parts.store.pauses()?;
        self.looked = Some(now);
        if self.known != pauses {
            self.take_in(pauses, now);
            let in_force = self.known.all.iter().filter(|pause| pause.is_in_force()).count();
            parts.metrics.pauses.set(i64::try_from(in_force).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// A catch-up that goes on as it was keeps its pace and its turn.
    fn take_in(&mut self, pauses: Pauses, now: Mono) {
        self.free.clear();
        self.resumed.retain(|old| pauses.all.contains(&old.pause));
        for pause in pauses.all.iter().filter(|pause| !self.known.all.contains(pause)) {
            if pause.is_in_force() {
                log::info!("pause {} is in force: {} are not claimed", pause.id, pause.about());
            } else {
                log::info!("pause {} is resumed: {} that wait for its end are let go", pause.id, pause.about());
                self.resumed.push_back(Resumed {
                    pace: Pace::new(pause.per_second, now),
                    after: None,
                    reached: None,
                    pause: pause.clone(),
                });
            }
        }
        self.known = pauses;
    }

    /// Parks those of a batch that are paused; the ids of all that are.
    pub fn park(&self, parts: &Parts, fence: Fence, batch: &[Due]) -> Result<Ruled<Vec<TaskId>>> {
        let reached = |pause| self.resumed.iter().find(|one| one.pause.id == pause).and_then(|one| one.reached);
        let holds = self.known.holds(&reached);
        // Whose labels need not be read: what comes due beside a catch-up takes no way more than without one.
        let may_be_held = |due: &&Due| !self.free.contains(&due.id) && holds.iter().any(|hold| hold.holds(due));
        let doubtful: Vec<Due> = batch.iter().filter(may_be_held).copied().collect();
        if doubtful.is_empty() {
            return Ok(Ruled::Done(Vec::new()));
        }
        parts.store.park(fence, self.known.count, &holds, &doubtful)
    }

    /// These are not paused and are put back: they need not be asked for again.
    pub fn put_back(&mut self, batch: &[Due]) {
        self.free = batch.iter().map(|due| due.id).collect();
    }

    /// What is to be let go now.
    pub fn turn(&mut self, now: Mono) -> Option<Step> {
        let batch = |one: &Resumed| one.pace.batch(now, LET_GO_MAX);
        let at = self.resumed.iter().position(|one| batch(one) > 0)?;
        let resumed = self.resumed.remove(at)?;
        let step =
            Step { pause: resumed.pause.id, after: resumed.after, reached: resumed.reached, limit: batch(&resumed) };
        self.resumed.push_back(resumed);
        Some(step)
    }

    /// A step may have been done and may not: what it may have left is looked for too.
    pub fn lost_track(&mut self) {
        self.resumed.iter_mut().for_each(|one| one.after = None);
        self.forget();
    }

    /// These of a pause's were let go, and perhaps they were the last.
    pub fn let_go(&mut self, pause: i64, gone: &LetGo, now: Mono) {
        if gone.is_over {
            log::info!("pause {pause} is gone: nothing waits for its end any more");
            self.resumed.retain(|one| one.pause.id != pause);
            self.known.all.retain(|one| one.id != pause);
        } else if let Some(resumed) = self.resumed.iter_mut().find(|one| one.pause.id == pause) {
            match gone.tasks.len() {
                0 => resumed.pace.idle(now),
                tasks => resumed.pace.took(tasks, now),
            }
            resumed.after = gone.next;
            resumed.reached = resumed.reached.max(gone.tasks.iter().map(Due::key).max());
        }
    }

    /// How long until something is let go again; `None`: nothing waits to be.
    pub fn wait(&self, now: Mono) -> Option<Duration> {
        self.resumed.iter().map(|one| one.pace.wait(now)).min()
    }
}
