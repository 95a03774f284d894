//! The thread on which everything is looked up and rendered that open pages ask for again and again.
//!
//! On the changing threads of a pool such work leaves gaps in the part of the heap of each (glibc's arenas), and the node holds
//! more from minute to minute.

use std::sync::{Mutex, PoisonError};

use crate::actors::OwnThread;
use crate::store::Result;

/// It is started with the first work.
#[derive(Default)]
pub struct LookThread(Mutex<Option<OwnThread>>);

impl LookThread {
    /// Does the work after what was asked for before. A new thread takes the place of one whose work has panicked.
    ///
    /// # Errors
    /// Those of the work; it has panicked; the system has no thread to give.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let answer = {
            let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let _ended = thread.take_if(|thread| thread.has_ended());
            thread.get_or_insert_with(|| OwnThread::start("looks")).ask(work)
        };
        answer.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_panic_ends_no_more_than_its_work() {
        let thread = LookThread::default();
        let name = || Ok(std::thread::current().name().map(str::to_owned));
        assert_eq!(thread.run(name).await.unwrap().as_deref(), Some("looks"));
        assert!(thread.run(|| -> Result<()> { panic!("broken by a test") }).await.is_err());
        while thread.run(name).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
