//! One question at a time: who comes while one is under way gets the answer to the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Those who wait for an answer. An answer is given only to those who came before its question was asked: what they have
/// seen before is in it.
#[derive(Debug)]
pub struct InTurn<T>(Mutex<Turn<T>>);

#[derive(Debug)]
struct Turn<T> {
    waiting: Vec<oneshot::Sender<T>>,
    asking: bool,
}

impl<T> Default for InTurn<T> {
    fn default() -> Self {
        Self(Mutex::new(Turn { waiting: Vec::new(), asking: false }))
    }
}

impl<T: Clone + Send + 'static> InTurn<T> {
    /// Waits for the answer to a question that is asked from now on. `question` blocks; it runs on a blocking thread, once
    /// for all who wait. An error: it has panicked.
    pub fn ask(self: &Arc<Self>, question: impl Fn() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (tell, told) = oneshot::channel();
        let mut turn = self.turn();
        turn.waiting.push(tell);
        if !std::mem::replace(&mut turn.asking, true) {
            let this = Arc::clone(self);
            // Nobody waits for its end: whoever asked is told.
            let _answering = tokio::task::spawn_blocking(move || this.answer(&question));
        }
        drop(turn);
        told
    }

    fn answer(&self, question: &impl Fn() -> T) {
        while let Some(waiting) = self.next() {
            // The others of this turn see that they were dropped.
            let Ok(answer) = catch_unwind(AssertUnwindSafe(question)) else { continue };
            for one in waiting {
                // Who has given up waiting needs no answer.
                let _gone = one.send(answer.clone());
            }
        }
    }

    fn next(&self) -> Option<Vec<oneshot::Sender<T>>> {
        let mut turn = self.turn();
        let waiting = std::mem::take(&mut turn.waiting);
        turn.asking = !waiting.is_empty();
        turn.asking.then_some(waiting)
    }

    fn turn(&self) -> MutexGuard<'_, Turn<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_comes_while_one_is_asked_shares_the_next_answer() {
        let in_turn = Arc::new(InTurn::default());
        let (asked, questions) = mpsc::channel();
        let (let_go, released) = mpsc::channel::<()>();
        let (count, released) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(released)));
        let question = || {
            let (asked, released, count) = (asked.clone(), Arc::clone(&released), Arc::clone(&count));
            move || {
                let number = count.fetch_add(1, Ordering::SeqCst);
                asked.send(number).unwrap();
                released.lock().unwrap().recv().unwrap();
                number
            }
        };
        let first = in_turn.ask(question());
        assert_eq!(questions.recv(), Ok(0));
        let others = [in_turn.ask(question()), in_turn.ask(question())];
        let_go.send(()).unwrap();
        let_go.send(()).unwrap();
        assert_eq!(first.await, Ok(0));
        for other in others {
            assert_eq!(other.await, Ok(1), "not the answer to a question from before");
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_question_that_panics_stops_nobody() {
        let in_turn = Arc::new(InTurn::<u8>::default());
        assert!(in_turn.ask(|| panic!("as ordered")).await.is_err());
        // Whether the first turn has ended by now or not.
        let answer = loop {
            if let Ok(answer) = in_turn.ask(|| 7).await {
                break answer;
            }
        };
        assert_eq!(answer, 7);
    }
}
