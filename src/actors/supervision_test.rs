//! Each actor is killed by panic, by stop and by stall under load: the set comes back, nothing accepted is lost,
//! nothing is fired twice, nothing becomes `unknown`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, mpsc};

use super::supervisor::{Shutdown, Supervisor};
use super::timer::Timer;
use super::{NodeIdentity, Parts, Status};
use crate::clock::{Clock, DatabaseClock};
use crate::config::{ActorsConfig, QueueConfig};
use crate::domain::document::{Document, Received};
use crate::domain::{ClaimedTask, Outcome, State, TaskId};
use crate::metrics::{ActorName, Metrics};
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::{PublishError, Published, Submission};
use crate::store::sqlite::SqliteStore;
use crate::targets::Target;

/// How an actor is broken.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub enum Break {
    Panic,
    Stop,
    Stall,
}

/// Which one, for the Supervisor.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct BreakActor {
    pub actor: ActorName,
    pub how: Break,
}

/// What every actor does with [`Break`].
pub fn break_down(how: Break, ctx: &mut impl ActorContext) {
    match how {
        Break::Panic => panic!("broken by a test"),
        Break::Stop => ctx.stop(),
        // For ever, as far as a test is concerned: the thread is abandoned.
        Break::Stall => loop {
            std::thread::park();
        },
    }
}

/// Counts the calls of each task; each takes a little while.
#[derive(Default)]
pub struct Counting {
    calls: Mutex<HashMap<TaskId, u32>>,
    called: Notify,
}

impl Target for Counting {
    fn call<'a>(&'a self, task: &'a ClaimedTask) -> BoxFuture<'a, Outcome> {
        async move {
            *self.calls.lock().unwrap().entry(task.claim.id).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.called.notify_one();
            Outcome::Succeeded
        }
        .boxed()
    }
}

struct Rig {
    parts: Parts,
    target: Arc<Counting>,
    supervisor: Addr<Supervisor>,
    fatal: mpsc::UnboundedReceiver<String>,
    calls_runtime: Option<tokio::runtime::Runtime>,
    _folder: tempfile::TempDir,
}

/// Of a node with a database in `folder`.
pub fn parts(
    folder: &Path,
    clock: &Clock,
    config: ActorsConfig,
    target: Arc<dyn Target>,
    calls_runtime: &tokio::runtime::Handle,
) -> Parts {
    Parts {
        store: Arc::new(SqliteStore::open(folder, clock.clone()).unwrap()),
        queue: Arc::new(EmbeddedQueue::new(&QueueConfig::default())),
        target,
        database_clock: Arc::new(DatabaseClock::new(clock.clone(), crate::domain::clock_map::ClockMap::default())),
        metrics: Arc::new(Metrics::new(clock.clone()).unwrap()),
        kafka: None,
        looks: Arc::default(),
        status: Arc::new(Status::default()),
        config,
        node: NodeIdentity { name: "test".to_owned(), address: "127.0.0.1:0".to_owned() },
        calls_runtime: calls_runtime.clone(),
    }
}

impl Rig {
    fn start(config: ActorsConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::new();
        let target = Arc::new(Counting::default());
        let calls_runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let parts = parts(folder.path(), &clock, config, target.clone(), calls_runtime.handle());
        let (fatal, ended) = mpsc::unbounded_channel();
        let supervisor = Supervisor::new(parts.clone(), Timer::start(clock).unwrap(), fatal).start();
        Self { parts, target, supervisor, fatal: ended, calls_runtime: Some(calls_runtime), _folder: folder }
    }

    /// Submits tasks until each is acknowledged, as a caller does: again with the same id after an unclear answer.
    async fn submit(&self, tasks: usize, delay_ms: usize) -> Vec<TaskId> {
        let mut ids = Vec::new();
        for n in 0..tasks {
            let json = format!(r#"{{"delay_ms": {}, "target": {{"type": "log"}}}}"#, n % delay_ms.max(1));
            let at = self.parts.database_clock.now();
            let task = Document::parse(json.as_bytes())
                .unwrap()
                .check(Received { idempotency_key: None, record_key: None, at })
                .unwrap();
            ids.push(task.id);
            let submission =
                Submission { document: json.into(), received_at: at, task, named: false, trace_parent: None };
            loop {
                match self.parts.queue.publish(vec![submission.clone()]).await {
                    Ok(Published::Committed(_)) => break,
                    Ok(Published::Queued | Published::Each(_)) => panic!("an embedded queue commits"),
                    Err(PublishError::Unacknowledged(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
        ids
    }

    async fn until_working(&self) {
        let mut generation = self.parts.status.follow();
        generation.wait_for(Option::is_some).await.unwrap();
    }

    /// Waits until every one of `ids` has succeeded.
    async fn until_succeeded(&self, ids: &[TaskId]) {
        let succeeded = async {
            while ids.iter().any(|id| self.parts.store.find(*id).unwrap().unwrap().state != State::Succeeded) {
                let _called = tokio::time::timeout(Duration::from_millis(50), self.target.called.notified()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), succeeded).await.expect("all tasks succeed");
    }

    /// Breaks an actor; how long the set was down from the detection on.
    async fn break_one(&self, actor: ActorName, how: Break) -> Duration {
        let mut generation = self.parts.status.follow();
        let before = *generation.borrow_and_update();
        self.supervisor.send(BreakActor { actor, how }).await.unwrap();
        let clock = self.parts.metrics.clock();
        let detected = async { generation.wait_for(|now| *now != before).await.map(|_| clock.mono()) };
        let detected = tokio::time::timeout(Duration::from_secs(10), detected).await.expect("detected").unwrap();
        generation.wait_for(|now| now.is_some() && *now != before).await.unwrap();
        clock.mono().since(detected)
    }

    async fn stop(mut self) {
        self.parts.queue.close();
        self.supervisor.send(Shutdown { deadline: Duration::from_secs(5) }).await.unwrap();
        self.calls_runtime.take().unwrap().shutdown_background();
    }
}

fn kill_in_every_way(actor: ActorName) {
    let config = ActorsConfig { stall_after: Duration::from_millis(700), ..ActorsConfig::default() };
    System::new().block_on(async move {
        let rig = Rig::start(config);
        rig.until_working().await;
        let mut ids = rig.submit(20, 10).await;
        for how in [Break::Panic, Break::Stop, Break::Stall] {
            ids.extend(rig.submit(150, 600).await);
            let down = rig.break_one(actor, how).await;
            assert!(down <= Duration::from_secs(1), "{actor:?} by {how:?}: back after {down:?}");
            ids.extend(rig.submit(50, 10).await);
        }
        rig.until_succeeded(&ids).await;
        let calls = rig.target.calls.lock().unwrap().clone();
        for id in &ids {
            assert_eq!(calls.get(id), Some(&1), "task {id} was called not once");
        }
        let counts: HashMap<State, u64> = rig.parts.store.counts().unwrap().into_iter().collect();
        assert_eq!(counts[&State::Unknown], 0);
        assert_eq!(counts[&State::Succeeded], u64::try_from(ids.len()).unwrap());
        rig.stop().await;
    });
}

#[test]
fn the_ingest_killed_in_every_way() {
    kill_in_every_way(ActorName::KafkaIngest);
}

#[test]
fn the_heartbeat_killed_in_every_way() {
    kill_in_every_way(ActorName::Heartbeat);
}

#[test]
fn the_resolver_killed_in_every_way() {
    kill_in_every_way(ActorName::MasterResolver);
}

#[test]
fn the_dispatcher_killed_in_every_way() {
    kill_in_every_way(ActorName::Dispatcher);
}

#[test]
fn the_executor_killed_in_every_way() {
    kill_in_every_way(ActorName::Executor);
}

#[test]
fn a_reign_whose_dispatcher_is_stuck_is_not_prolonged() {
    // The Supervisor would notice much later.
    let config = ActorsConfig {
        stall_after: Duration::from_mins(1),
        lease: Duration::from_secs(1),
        renew: Duration::from_millis(200),
        ..ActorsConfig::default()
    };
    System::new().block_on(async move {
        let mut rig = Rig::start(config);
        rig.until_working().await;
        let reigns = |wanted: bool| {
            let metrics = Arc::clone(&rig.parts.metrics);
            let shown = if wanted { "task_scheduler_master 1" } else { "task_scheduler_master 0" };
            let seen = async move {
                while !metrics.text().unwrap().lines().any(|line| line == shown) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), seen)
        };
        reigns(true).await.expect("it is master");
        rig.supervisor.send(BreakActor { actor: ActorName::Dispatcher, how: Break::Stall }).await.unwrap();
        reigns(false).await.expect("it is master no more");
        let epoch = rig.parts.store.epoch().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(rig.parts.store.epoch().unwrap(), epoch, "nor does it take the lease again");
        rig.calls_runtime.take().unwrap().shutdown_background();
    });
}

#[test]
fn a_set_that_keeps_dying_ends_the_process_with_a_message() {
    let config = ActorsConfig { restarts_max: 2, ..ActorsConfig::default() };
    System::new().block_on(async move {
        let mut rig = Rig::start(config);
        rig.until_working().await;
        for _ in 0..2 {
            rig.break_one(ActorName::Dispatcher, Break::Panic).await;
        }
        rig.supervisor.send(BreakActor { actor: ActorName::Heartbeat, how: Break::Stop }).await.unwrap();
        let message = tokio::time::timeout(Duration::from_secs(5), rig.fatal.recv()).await.unwrap().unwrap();
        assert!(message.contains("heartbeat") && message.contains("2 restarts"), "{message}");
        rig.calls_runtime.take().unwrap().shutdown_background();
    });
}
