//! What is known of the brokers and the topic: written by the thread that reads, read by everybody else.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::asking::Layout;
use crate::clock::Clock;
use crate::domain::time::Mono;
use crate::store::StoppedPartition;

/// So long an answer of the brokers counts. The thread that reads asks once a second: if it has died or is stuck, this node
/// is out of reach too, and others read its partitions.
const FRESH: Duration = Duration::from_secs(3);
/// So long a node leaves the topic to others after it could not read a partition that others perhaps can.
const AWAY: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Reach {
    clock: Clock,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    answered: Option<Mono>,
    layout: Option<Layout>,
    missing: Option<Missing>,
    away_until: Option<Mono>,
    lost: BTreeMap<i32, StoppedPartition>,
    stopped: usize,
}

#[derive(Debug, Clone)]
struct Missing {
    topic_id: String,
    since: Mono,
    may_be_made: bool,
}

impl Reach {
    /// Nothing is known yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, seen: Mutex::default() }
    }

    /// This process's clock.
    pub fn now(&self) -> Mono {
        self.clock.mono()
    }

    /// The brokers have answered a question about the topic, not long ago.
    pub fn is_fresh(&self) -> bool {
        let now = self.now();
        self.seen().answered.is_some_and(|at| now.since(at) < FRESH)
    }

    /// The thread that reads lives, and the brokers answer it.
    pub fn refresh(&self) {
        let now = self.now();
        self.seen().answered = Some(now);
    }

    /// The brokers do not answer.
    pub fn lose(&self) {
        self.seen().answered = None;
    }

    /// The topic as it was last seen; `None` before brokers have answered.
    pub fn layout(&self) -> Option<Layout> {
        self.seen().layout.clone()
    }

    /// The topic was seen. True: for the first time.
    pub fn see(&self, layout: Layout) -> bool {
        let mut seen = self.seen();
        seen.missing = None;
        seen.layout.replace(layout).is_none()
    }

    /// There is no such topic.
    pub fn miss(&self, topic_id: String) {
        let now = self.now();
        let mut seen = self.seen();
        if seen.missing.as_ref().is_none_or(|missing| missing.topic_id != topic_id) {
            seen.missing = Some(Missing { topic_id, since: now, may_be_made: false });
        }
    }

    /// The id of the topic that does not exist, and for how long it has been missed.
    pub fn missing(&self) -> Option<(String, Duration)> {
        let now = self.now();
        self.seen().missing.as_ref().map(|missing| (missing.topic_id.clone(), now.since(missing.since)))
    }

    /// Nothing was ever ingested from it: it may be made.
    pub fn let_make(&self, topic_id: &str) {
        if let Some(missing) = self.seen().missing.as_mut().filter(|missing| missing.topic_id == topic_id) {
            missing.may_be_made = true;
        }
    }

    /// It is missing, and it may be made.
    pub fn may_make(&self) -> bool {
        self.seen().missing.as_ref().is_some_and(|missing| missing.may_be_made)
    }

    /// A partition cannot be read here: others are to try for a while.
    pub fn step_aside(&self) {
        let until = self.now().plus(AWAY);
        self.seen().away_until = Some(until);
    }

    /// Others are to read what this node reads.
    pub fn is_aside(&self) -> bool {
        let now = self.now();
        self.seen().away_until.is_some_and(|until| now < until)
    }

    /// The brokers do not have the next record of this partition.
    pub fn find_lost(&self, lost: StoppedPartition) {
        self.seen().lost.insert(lost.partition, lost);
    }

    /// What was found lost and is not noted in the database yet.
    pub fn lost(&self) -> Vec<StoppedPartition> {
        self.seen().lost.values().cloned().collect()
    }

    /// It is noted, or was not true any more.
    pub fn noted(&self, lost: &StoppedPartition) {
        let mut seen = self.seen();
        if seen.lost.get(&lost.partition) == Some(lost) {
            seen.lost.remove(&lost.partition);
        }
    }

    /// So many partitions would be this node's to read, and are stopped.
    pub fn set_stopped(&self, stopped: usize) {
        self.seen().stopped = stopped;
    }

    /// See [`Reach::set_stopped`].
    pub fn stopped(&self) -> usize {
        self.seen().stopped
    }

    /// Submissions can be taken. Otherwise why not.
    ///
    /// # Errors
    /// The reason, as a phrase.
    pub fn ready(&self) -> Result<(), &'static str> {
        let fresh = self.is_fresh();
        let seen = self.seen();
        if seen.missing.is_some() {
            return Err("the submission topic does not exist");
        }
        if seen.layout.is_none() {
            return Err("the submission topic was not seen yet");
        }
        if fresh { Ok(()) } else { Err("the brokers of the submission topic do not answer") }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout { topic_id: "c/t".to_owned(), partitions: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_does_not_count_for_ever() {
        let reach = Reach::new(Clock::new());
        assert!(!reach.is_fresh() && reach.ready().is_err());
        assert!(reach.see(layout()) && !reach.see(layout()));
        reach.refresh();
        assert_eq!((reach.is_fresh(), reach.ready()), (true, Ok(())));
        tokio::time::advance(FRESH).await;
        assert!(!reach.is_fresh() && reach.ready().is_err(), "a thread that is stuck refreshes nothing");
        reach.refresh();
        reach.lose();
        assert!(!reach.is_fresh());
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_topic_may_be_made_once_that_is_said_of_it() {
        let reach = Reach::new(Clock::new());
        reach.refresh();
        reach.let_make("c/t");
        reach.miss("c/t".to_owned());
        assert!(!reach.may_make() && reach.ready().is_err());
        tokio::time::advance(Duration::from_secs(2)).await;
        reach.miss("c/t".to_owned());
        assert_eq!(reach.missing(), Some(("c/t".to_owned(), Duration::from_secs(2))));
        reach.let_make("c/t");
        assert!(reach.may_make());
        reach.miss("another/t".to_owned());
        assert!(!reach.may_make(), "of the brokers' new cluster nothing is known");
        reach.see(layout());
        assert_eq!((reach.missing(), reach.may_make(), reach.ready()), (None, false, Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn who_steps_aside_comes_back() {
        let reach = Reach::new(Clock::new());
        reach.step_aside();
        assert!(reach.is_aside());
        tokio::time::advance(AWAY).await;
        assert!(!reach.is_aside());
    }

    #[test]
    fn what_is_lost_is_kept_until_it_is_noted() {
        let lost =
            |next| StoppedPartition { topic_id: "c/t".to_owned(), partition: 3, next, reason: "gone".to_owned() };
        let reach = Reach::new(Clock::new());
        reach.find_lost(lost(5));
        reach.find_lost(lost(7));
        reach.noted(&lost(5));
        assert_eq!(reach.lost(), [lost(7)]);
        reach.noted(&lost(7));
        assert_eq!(reach.lost(), []);
    }
}
