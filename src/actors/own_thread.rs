//! A thread for one kind of work, done in turn: nothing of another kind keeps it waiting, and what it takes of the heap is there
//! for the next time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::store::{Result, StoreError};

type Work = Box<dyn FnOnce() + Send>;

/// It does nothing more: a work has panicked, or the system had no thread to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the thread of the {0} has ended")]
pub struct Ended(&'static str);

/// See the module. It ends when this is dropped and its last work is done.
pub struct OwnThread {
    name: &'static str,
    work: Sender<Work>,
    thread: Option<JoinHandle<()>>,
}

impl OwnThread {
    /// Starts it under this name. Where the system has no thread to give, it has ended already.
    pub fn start(name: &'static str) -> Self {
        let (work, arriving): (_, Receiver<Work>) = channel();
        let thread = Builder::new().name(name.to_owned()).spawn(move || arriving.into_iter().for_each(|work| work()));
        let thread = thread.inspect_err(|cause| log::error!("there is no thread for the {name}: {cause}")).ok();
        Self { name, work, thread }
    }

    /// Does this on it, after what was given before.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, std::result::Result<T, Ended>> {
        let (done, result) = oneshot::channel();
        // Whoever waited may be gone.
        let work = move || drop(done.send(work()));
        let ended = Ended(self.name);
        let sent = self.work.send(Box::new(work)).map_err(|_| ended);
        async move {
            sent?;
            result.await.map_err(|_| ended)
        }
        .boxed()
    }

    /// The same for a store's call.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let answer = self.run(question);
        async { answer.await.unwrap_or_else(|ended| Err(StoreError::Unavailable(ended.to_string()))) }.boxed()
    }

    /// Whether it is [`Ended`].
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
