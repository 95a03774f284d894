//! Supervisor: builds the set, watches it, and starts a new one when an actor ends or stalls.
//!
//! In: `Died` from drop guards, `Shutdown`, its own tick. Out: sets, pings, the end of the process. Owns: the current
//! set. Never: touches a task.
//!
//! `actix::Supervisor` does not restart after a panic, so this is our own: one actor down, all down. The set is one
//! generation; a part of it restarted alone would be two lives under one name.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::{join, join_all};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::calls::Calls;
use super::dispatcher::Dispatcher;
use super::executor::Executor;
use super::heartbeat::{Heartbeat, sample};
use super::kafka_ingest::KafkaIngest;
use super::master_resolver::MasterResolver;
use super::parts::{Parts, blocking};
use super::set::{Died, Set};
use super::status::Ears;
use super::timer::Timer;
use super::vital::{Pass, Ping};
use crate::domain::GenerationId;
use crate::domain::mastership::Mastership;
use crate::domain::time::Mono;
use crate::metrics::ActorName;
use crate::store::{Fence, NewGeneration, Store};

/// Drain and end. Answered when everything is settled, or when the deadline has passed.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    /// How long calls in flight may take.
    pub deadline: Duration,
}

/// Time between pings.
const WATCH: Duration = Duration::from_secs(1);
/// The first restart comes after this; each further one within the window after twice as long.
const BACKOFF: Duration = Duration::from_millis(25);
/// The longest backoff: a set is back within a second.
const BACKOFF_MAX: Duration = Duration::from_millis(800);
/// Between tries to start a set while the database does not answer.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a stop waits for the submissions that were taken already.
const INGEST_DEADLINE: Duration = Duration::from_secs(5);
/// How long the rest of a stop waits for a resignation.
const RESIGN_DEADLINE: Duration = Duration::from_secs(1);

/// See the module.
pub struct Supervisor {
    parts: Parts,
    timer: Timer,
    running: Option<Running>,
    /// Sets that were replaced and whose calls are still under way.
    retiring: Vec<JoinHandle<()>>,
    restarts: VecDeque<Mono>,
    stopping: bool,
    /// Told why, when the process must end.
    fatal: UnboundedSender<String>,
}

struct Running {
    set: Set,
    arbiters: Vec<Arbiter>,
    pings: Vec<(ActorName, Recipient<Ping>)>,
    #[cfg(test)]
    breaks: Vec<(ActorName, Recipient<super::supervision_test::Break>)>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Begin;

#[derive(Message)]
#[rtype(result = "()")]
struct Watch;

impl Supervisor {
    /// With nothing running yet.
    pub fn new(parts: Parts, timer: Timer, fatal: UnboundedSender<String>) -> Self {
        Self { parts, timer, running: None, retiring: Vec::new(), restarts: VecDeque::new(), stopping: false, fatal }
    }

    /// Makes a new generation known and looks at the clock; then its actors start.
    fn begin(&self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let parts = self.parts.clone();
        let generation = GenerationId(Uuid::now_v7());
        blocking(move || {
            parts.store.prepare()?;
            parts.store.register(&NewGeneration {
                id: generation,
                node: parts.node.name.clone(),
                address: parts.node.address.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                slots: parts.config.slots,
            })?;
            // A generation that does not begin leaves nothing behind.
            sample(&*parts.store, &parts.database_clock).inspect_err(|_| drop(parts.store.farewell(generation)))
        })
        .into_actor(self)
        .map(move |result, actor: &mut Self, ctx| match result {
            Ok(_) if actor.stopping => {}
            Ok(_) => actor.build(generation, ctx),
            Err(cause) => {
                log::warn!("the actors wait for the task database: {cause}");
                ctx.notify_later(Begin, PAUSE);
            }
        })
    }

    fn build(&mut self, generation: GenerationId, ctx: &mut Context<Self>) {
        let parts = &self.parts;
        let calls = Calls::start(parts.clone(), generation, self.timer.clone());
        let set = Set { generation, calls, supervisor: ctx.address().recipient() };
        let mut running = Running {
            set: set.clone(),
            arbiters: Vec::new(),
            pings: Vec::new(),
            #[cfg(test)]
            breaks: Vec::new(),
        };
        let (p, s) = (parts.clone(), set.clone());
        let executor = running.add(ActorName::Executor, move || Executor::new(p, s));
        let (p, s, to) = (parts.clone(), set.clone(), executor.clone().recipient());
        let dispatcher = running.add(ActorName::Dispatcher, move || Dispatcher::new(p, s, to));
        let (p, s, to) = (parts.clone(), set.clone(), dispatcher.clone().recipient());
        let resolver = running.add(ActorName::MasterResolver, move || MasterResolver::new(p, s, to));
        let ears = Ears {
            scheduled: dispatcher.clone().recipient(),
            credited: dispatcher.clone().recipient(),
            woken: dispatcher.recipient(),
            assigned: executor.recipient(),
            resigned: resolver.recipient(),
        };
        parts.status.alive(generation, ears);
        let (p, s) = (parts.clone(), set.clone());
        running.add(ActorName::Heartbeat, move || Heartbeat::new(p, s));
        let p = parts.clone();
        let ingest = running.add(ActorName::KafkaIngest, move || KafkaIngest::new(p, &set));
        parts.status.reads(ingest.recipient());
        log::info!("generation {generation} works");
        self.running = Some(running);
    }

    /// An actor of the current set has ended or stalled: all of them go, a new set comes.
    fn fail(&mut self, generation: GenerationId, actor: ActorName, how: &str, ctx: &mut Context<Self>) {
        let Some(running) = self.running.take_if(|running| running.set.generation == generation) else { return };
        log::error!("{} of generation {generation} {how}: the actors are restarted", actor.word());
        self.parts.status.down();
        self.parts.metrics.reigns(Mastership::Follower);
        running.arbiters.iter().for_each(|arbiter| {
            arbiter.stop();
        });
        self.parts.metrics.actors().iter().for_each(|reported| {
            if reported.name != ActorName::Supervisor {
                reported.restarts.inc();
            }
        });
        let store = Arc::clone(&self.parts.store);
        let calls = Arc::clone(&running.set.calls);
        let why = format!("{} {how}", actor.word());
        self.retiring.retain(|set| !set.is_finished());
        self.retiring.push(self.parts.calls_runtime.spawn(async move {
            resign(store, generation, why).await;
            calls.retire().await;
        }));
        match self.backoff() {
            Some(backoff) => {
                ctx.notify_later(Begin, backoff);
            }
            None => self.give_up(actor, how),
        }
    }

    /// How long to wait before the next set; `None` after too many of them.
    fn backoff(&mut self) -> Option<Duration> {
        let now = self.parts.metrics.clock().mono();
        let window = self.parts.config.restart_window;
        self.restarts.retain(|at| now.since(*at) < window);
        if self.restarts.len() >= self.parts.config.restarts_max {
            return None;
        }
        let doublings = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX).min(16);
        self.restarts.push_back(now);
        Some(BACKOFF.saturating_mul(2_u32.saturating_pow(doublings)).min(BACKOFF_MAX))
    }

    fn give_up(&self, actor: ActorName, how: &str) {
        let config = &self.parts.config;
        let message = format!(
            "{} {how}, after {} restarts within {} s: the node ends, and what it held is recovered when it is started again",
            actor.word(),
            config.restarts_max,
            config.restart_window.as_secs()
        );
        if self.fatal.send(message).is_err() {
            log::error!("nobody waits for the end of the node");
        }
    }

    fn watch(&self, ctx: &mut Context<Self>) {
        let _pass = Pass::begin(ActorName::Supervisor, &self.parts.metrics);
        let Some(running) = &self.running else { return };
        let generation = running.set.generation;
        for (actor, recipient) in &running.pings {
            let actor = *actor;
            let answered = recipient.send(Ping).timeout(self.parts.config.stall_after);
            ctx.spawn(answered.into_actor(self).map(move |answer, this, ctx| match answer {
                Ok(()) => {}
                Err(MailboxError::Timeout) => this.fail(generation, actor, "has stalled", ctx),
                Err(MailboxError::Closed) => this.fail(generation, actor, "has ended", ctx),
            }));
        }
    }

    /// The steps of a stop, in their order; see the architecture document.
    fn shut_down(&mut self, deadline: Duration) -> impl Future<Output = ()> + use<> {
        self.stopping = true;
        let (running, retiring) = (self.running.take(), std::mem::take(&mut self.retiring));
        let parts = self.parts.clone();
        async move {
            let earlier = join_all(retiring);
            let Some(running) = running else {
                let _in_time = tokio::time::timeout(deadline, earlier).await;
                return;
            };
            if tokio::time::timeout(INGEST_DEADLINE, parts.status.wait_ingested()).await.is_err() {
                log::warn!("some submissions could not be stored in time; their callers were not told that they were");
            }
            running.arbiters.iter().for_each(|arbiter| {
                arbiter.stop();
            });
            parts.metrics.reigns(Mastership::Follower);
            resign(Arc::clone(&parts.store), running.set.generation, "stopped".to_owned()).await;
            if tokio::time::timeout(deadline, join(running.set.calls.retire(), earlier)).await.is_err() {
                log::warn!(
                    "calls in flight were left when the deadline passed; their delivery decides at the next start"
                );
            }
            parts.status.down();
        }
    }
}

/// Waits for it for a while only: until the calls in flight retire, nobody gives their generation's sign of life.
async fn resign(store: Arc<dyn Store>, generation: GenerationId, why: String) {
    let resigned = blocking(move || match store.epoch()? {
        Some(epoch) => store.resign(Fence { epoch, generation }, &why),
        None => Ok(()),
    });
    match tokio::time::timeout(RESIGN_DEADLINE, resigned).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => log::warn!("generation {generation} could not resign: {cause}"),
        Err(_) => log::warn!("generation {generation} has not resigned in time: its lease ends by itself"),
    }
}

impl Running {
    /// Starts an actor on a thread of its own: a handler that blocks stalls no other.
    fn add<A>(&mut self, name: ActorName, make: impl FnOnce() -> A + Send + 'static) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + super::vital::Watched,
    {
        let arbiter = Arbiter::new();
        let address = A::start_in_arbiter(&arbiter.handle(), move |_| make());
        self.pings.push((name, address.clone().recipient()));
        #[cfg(test)]
        self.breaks.push((name, address.clone().recipient()));
        self.arbiters.push(arbiter);
        address
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Begin);
        ctx.notify_later(Watch, WATCH);
    }
}

impl Handler<Begin> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Begin, ctx: &mut Self::Context) {
        ctx.spawn(self.begin());
    }
}

impl Handler<Watch> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Watch, ctx: &mut Self::Context) {
        self.watch(ctx);
        ctx.notify_later(Watch, WATCH);
    }
}

impl Handler<Died> for Supervisor {
    type Result = ();

    fn handle(&mut self, died: Died, ctx: &mut Self::Context) {
        self.fail(died.generation, died.actor, "has ended", ctx);
    }
}

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, shutdown: Shutdown, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.shut_down(shutdown.deadline))
    }
}

#[cfg(test)]
impl Handler<super::supervision_test::BreakActor> for Supervisor {
    type Result = ();

    fn handle(&mut self, message: super::supervision_test::BreakActor, _: &mut Self::Context) {
        let running = self.running.as_ref().expect("a running set");
        let (_, actor) = running.breaks.iter().find(|(name, _)| *name == message.actor).expect("an actor of the set");
        actor.try_send(message.how).expect("a living actor");
    }
}
