//! The thread that asks for the lease and for its renewal: nothing else ever keeps it waiting.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::store::{Result, StoreError};

type Question = Box<dyn FnOnce() + Send>;

/// See the module. It ends when this is dropped and its last question is answered.
pub struct LeaseThread {
    questions: Sender<Question>,
    thread: Option<JoinHandle<()>>,
}

impl LeaseThread {
    /// Starts it. Where the system has no thread to give, it has ended already.
    pub fn start() -> Self {
        let (questions, asked): (_, Receiver<Question>) = channel();
        let thread = Builder::new().name("lease".to_owned()).spawn(move || asked.into_iter().for_each(|ask| ask()));
        let thread = thread.inspect_err(|cause| log::error!("there is no thread for the lease: {cause}")).ok();
        Self { questions, thread }
    }

    /// Runs a store's call on it.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (answer, answered) = oneshot::channel();
        // Whoever asked may be gone.
        let ask = move || drop(answer.send(question()));
        let ended = || StoreError::Unavailable("the thread of the lease has ended".to_owned());
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
        let lease = LeaseThread::start();
        assert_eq!(lease.ask(|| Ok(std::thread::current().name().map(str::to_owned))).await.unwrap().unwrap(), "lease");
        assert!(!lease.has_ended());
        assert!(lease.ask(|| -> Result<()> { panic!("broken by a test") }).await.unwrap_err().is_passing());
        while !lease.has_ended() {
            std::thread::yield_now();
        }
        assert!(lease.ask(|| Ok(())).await.is_err());
    }
}
