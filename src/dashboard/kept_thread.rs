//! A thread that is kept for what pages ask for again and again.
//!
//! On the changing threads of a pool such work leaves gaps in the part of the heap of each (glibc's arenas), and the node holds
//! more from minute to minute.

use std::sync::{Mutex, PoisonError};

use crate::actors::{Ended, OwnThread};

/// It is started with the first work.
pub struct KeptThread {
    name: &'static str,
    thread: Mutex<Option<OwnThread>>,
}

impl KeptThread {
    /// Of this name.
    pub fn new(name: &'static str) -> Self {
        Self { name, thread: Mutex::default() }
    }

    /// Does the work after what was asked for before. A new thread takes the place of one that has ended.
    ///
    /// # Errors
    /// The work has panicked, or one before it; the system has no thread to give.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Ended> {
        let done = {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            let _ended = thread.take_if(|thread| thread.has_ended());
            thread.get_or_insert_with(|| OwnThread::start(self.name)).run(work)
        };
        done.await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[actix_web::test]
    async fn another_goes_on_after_a_panic() {
        let thread = KeptThread::new("looks");
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(thread.run(name).await.unwrap().as_deref(), Some("looks"));
        assert!(thread.run(|| panic!("broken by a test")).await.is_err());
        let goes_on = async {
            while thread.run(name).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), goes_on).await.unwrap();
    }
}
