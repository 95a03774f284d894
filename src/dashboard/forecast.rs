//! What is due in the next hour, and what of the last one still waits: counted in the background while somebody looks, minute
//! by minute and with rests, so that nobody who claims or submits notices.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::kept_thread::KeptThread;
use super::look::Look;
use crate::actors::Ended;
use crate::api::ApiState;
use crate::domain::Timestamp;
use crate::domain::figures::{begin_of, minute_of};
use crate::domain::time::Mono;
use crate::store::{Result as StoreResult, Store, StoreError};

/// Minutes each way.
pub const MINUTES: i64 = 60;
/// Most tasks that are counted in one minute.
pub const COUNTED_MAX: u64 = 100_000;
/// How old a count may become before it is made anew.
const FRESH: Duration = Duration::from_secs(30);
/// After each minute's count the database is left alone for so many times as long as that took.
const REST: u32 = 4;

/// A count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecasted {
    /// The beginning of the minute in which it was made: the first of `coming`.
    pub minute: Timestamp,
    /// What is due in each minute from then on, no further than [`COUNTED_MAX`].
    pub coming: Vec<u64>,
    /// What was due in each of the minutes before, the oldest first, and is scheduled still.
    pub waiting: Vec<u64>,
    /// What of the last hour had been started late when it was begun, by the minute in which it was due (as in
    /// [`Figures::late`](crate::domain::figures::Figures::late)): what has come since waits no more.
    pub late: BTreeMap<i64, u64>,
}

impl Forecasted {
    /// What waits of this minute, as `minute_of` counts them.
    pub fn waiting_in(&self, minute: i64) -> u64 {
        let first = minute_of(self.minute).saturating_sub(MINUTES);
        let place = minute.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.waiting.get(place)).copied().unwrap_or(0)
    }
}

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum NotCounted {
    Ended(#[from] Ended),
    Store(#[from] StoreError),
}

/// A count is under way as long as this lives.
struct Counting(Arc<Mutex<State>>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_counting = false;
    }
}

/// One that has not been renewed for this time, and for as long again as it took, tells nothing of now: nobody has looked for
/// a while.
const STALE: Duration = Duration::from_secs(15);
/// A count's share of the time is at most one of so many: one that takes long is made seldom.
const SHARE: u32 = 5;

/// The last count, and whether another is under way.
#[derive(Default)]
struct State {
    last: Option<(Mono, Forecasted)>,
    /// How long the last one tells of now.
    stale: Option<Mono>,
    /// Not before; a count that has failed is not repeated at once.
    next: Option<Mono>,
    is_counting: bool,
}

/// See the module.
#[derive(Clone)]
pub struct Forecast {
    api: ApiState,
    state: Arc<Mutex<State>>,
    /// Not that of the looks: a count may take long.
    thread: Arc<KeptThread>,
}

impl Forecast {
    /// Nothing is counted yet.
    pub fn new(api: ApiState) -> Self {
        Self { api, state: Arc::default(), thread: Arc::new(KeptThread::new("counts")) }
    }

    /// The last count and its age; a new one is begun if it is old. `None`: there is none yet, or none that tells of now.
    pub fn get(&self, look: &Look) -> Option<(Forecasted, Duration)> {
        let now = self.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.next.is_none_or(|next| now >= next) && !state.is_counting {
            state.is_counting = true;
            actix_web::rt::spawn(self.clone().make(look.late()));
        }
        let (at, last) = state.last.as_ref().filter(|_| state.stale.is_some_and(|stale| now < stale))?;
        Some((last.clone(), now.since(*at)))
    }

    fn now(&self) -> Mono {
        self.api.metrics.clock().mono()
    }

    async fn make(self, late: BTreeMap<i64, u64>) {
        let counting = Counting(Arc::clone(&self.state));
        let began = self.now();
        let made = self.counted(late).await;
        drop(counting);
        let now = self.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let took = now.since(began);
        let next = now.plus(FRESH.max(took.saturating_mul(SHARE)));
        state.next = Some(next);
        match made {
            Ok(made) => {
                state.last = Some((now, made));
                state.stale = Some(next.plus(took.saturating_mul(2)).plus(STALE));
            }
            Err(cause) => log::warn!("what is due in the next hour could not be counted: {cause}"),
        }
    }

    async fn counted(&self, late: BTreeMap<i64, u64>) -> Result<Forecasted, NotCounted> {
        let at = self.ask(<dyn Store>::now).await?;
        let minute = minute_of(at);
        let (mut waiting, mut coming) = (Vec::new(), Vec::new());
        for n in -MINUTES..MINUTES {
            let from = begin_of(minute.saturating_add(n));
            let began = self.now();
            let due = self.due_in(from).await?;
            let side = if n < 0 { &mut waiting } else { &mut coming };
            side.push(due);
            tokio::time::sleep(self.now().since(began) * REST).await;
        }
        Ok(Forecasted { minute: begin_of(minute), coming, waiting, late })
    }

    async fn due_in(&self, from: Timestamp) -> Result<u64, NotCounted> {
        self.ask(move |store| store.due_between(from, from.plus(Duration::from_mins(1)), COUNTED_MAX)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Store) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, NotCounted> {
        let store = Arc::clone(&self.api.store);
        Ok(self.thread.run(move || question(store.as_ref())).await??)
    }
}
