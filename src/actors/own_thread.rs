//! A thread of its own for questions to the store: nothing else ever keeps them waiting, and what they take of the heap is
//! there for the next one.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::store::{Result, StoreError};

type Question = Box<dyn FnOnce() + Send>;

/// See the module. It ends when this is dropped and its last question is answered.
pub struct OwnThread {
    name: &'static str,
    questions: Sender<Question>,
    thread: Option<JoinHandle<()>>,
}

impl OwnThread {
    /// Starts it under this name. Where the system has no thread to give, it has ended already.
    pub fn start(name: &'static str) -> Self {
        let (questions, asked): (_, Receiver<Question>) = channel();
        let thread = Builder::new().name(name.to_owned()).spawn(move || asked.into_iter().for_each(|ask| ask()));
        let thread = thread.inspect_err(|cause| log::error!("there is no thread for the {name}: {cause}")).ok();
        Self { name, questions, thread }
    }

    /// Runs a store's call on it.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (answer, answered) = oneshot::channel();
        // Whoever asked may be gone.
        let ask = move || drop(answer.send(question()));
        let name = self.name;
        let ended = move || StoreError::Unavailable(format!("the thread of the {name} has ended"));
        let asked = self.questions.send(Box::new(ask)).map_err(|_| ended());
        async move {
            asked?;
            answered.await.map_err(|_| ended())?
        }
        .boxed()
    }

    /// It answers no more: a question has panicked, or it was never there.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn answers_come_back_and_a_panic_ends_it() {
        let lease = OwnThread::start("lease");
        assert_eq!(lease.ask(|| Ok(std::thread::current().name().map(str::to_owned))).await.unwrap().unwrap(), "lease");
        assert!(!lease.has_ended());
        assert!(lease.ask(|| -> Result<()> { panic!("broken by a test") }).await.unwrap_err().is_passing());
        while !lease.has_ended() {
            std::thread::yield_now();
        }
        assert!(lease.ask(|| Ok(())).await.is_err());
    }
}
