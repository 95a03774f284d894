//! A thread for what is done again and again as long as somebody looks.
//!
//! Memory that such work takes and gives back is there for it the next time. On the changing threads of the pool for blocking
//! calls it would leave gaps in the part of the heap that the allocator keeps for each of them (glibc's arenas), and the node
//! would hold more from minute to minute.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;

/// The thread stays for so long without work.
const KEPT: Duration = Duration::from_secs(10);

/// A runtime of which nothing but one blocking thread is used; absent only while it is dropped.
pub struct OneThread(Option<Runtime>);

impl OneThread {
    /// It is begun with the first work.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(name: &str) -> std::io::Result<Self> {
        let mut runtime = Builder::new_current_thread();
        runtime.max_blocking_threads(1).thread_keep_alive(KEPT).thread_name(name);
        runtime.build().map(|runtime| Self(Some(runtime)))
    }

    /// Runs the work after what was given before.
    ///
    /// # Errors
    /// It has panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let Some(runtime) = &self.0 else { return std::future::pending().await };
        runtime.spawn_blocking(work).await
    }
}

impl Drop for OneThread {
    /// Waits for nothing: it may be dropped where nothing may block.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn all_work_is_on_one_thread_and_in_turn() {
        let thread = OneThread::new("looks").unwrap();
        let work = || (std::thread::current().id(), std::thread::current().name().map(str::to_owned));
        let (first, second) = futures_util::future::join(thread.run(work), thread.run(work)).await;
        let first = first.unwrap();
        assert_eq!(first.1.as_deref(), Some("looks"));
        assert_eq!(first, second.unwrap());
        assert!(thread.run(|| panic!("of a look")).await.unwrap_err().is_panic());
        assert_eq!(thread.run(work).await.unwrap(), first, "it goes on");
    }
}
