//! MasterResolver: finds out who is master, renews this node's reign, lets the master recover the dead and remove what has
//! been finished long enough.
//!
//! In: its own ticks. Out: `MasterChanged` to the Dispatcher, take-overs, renewals, recoveries, removals. Owns: the flag
//! `(epoch, trusted_until)`. Never: claims.
//!
//! The lease has a thread of its own: however long a recovery takes, a renewal does not wait for it.

use std::time::Duration;

use actix::prelude::*;

use super::own_thread::OwnThread;
use super::parts::{Parts, blocking};
use super::recovery::Recovery;
use super::retention::{Batch, Retention};
use super::set::Set;
use super::status::Resigned;
use super::vital::{Vital, vital_signs};
use crate::domain::liveness::Liveness;
use crate::domain::mastership::Mastership;
use crate::domain::retention::LOOK_EVERY;
use crate::domain::time::{Mono, millis_of};
use crate::domain::{Epoch, GenerationId};
use crate::metrics::ActorName;
use crate::store::{Fence, Result, TakeOver};

/// Who is master.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct MasterChanged {
    /// The resolver's flag.
    pub flag: Mastership,
}

const MARGIN: Duration = crate::config::LEASE_MARGIN;
/// A Dispatcher that has shown no sign of life for this long (it is asked for one every second) is stuck: a reign without
/// claims is not prolonged.
const DISPATCHER_SILENT: Duration = Duration::from_millis(2_500);

/// Time between looks whether this node is to remove what is finished: it asks itself only.
const FOLLOWER_LOOKS: Duration = Duration::from_secs(1);

/// See the module.
pub struct MasterResolver {
    parts: Parts,
    set: Set,
    vital: Vital,
    dispatcher: Recipient<MasterChanged>,
    /// What asks for the lease and for its renewal: nothing else ever keeps it waiting.
    lease: OwnThread,
    flag: Mastership,
    renewed: Mono,
    /// Until the next pass; `None` while one is under way.
    timer: Option<SpawnHandle>,
    /// What was seen of the others; `None` while a recovery is under way.
    liveness: Option<Liveness>,
    /// What was seen so far does not count: this reign is new, or the database did not answer.
    anew: bool,
    recovery: Option<SpawnHandle>,
    /// Where its sweep stands; `None` while a batch is under way.
    retention: Option<Retention>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// A look at who is dead is due.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// What is finished long enough is to be removed.
#[derive(Message)]
#[rtype(result = "()")]
struct Sweep;

impl MasterResolver {
    /// For this set.
    pub fn new(parts: Parts, set: Set, dispatcher: Recipient<MasterChanged>) -> Self {
        Self {
            vital: Vital::new(ActorName::MasterResolver, &parts, &set),
            parts,
            set,
            dispatcher,
            lease: OwnThread::start("lease"),
            flag: Mastership::Follower,
            renewed: Mono::default(),
            timer: None,
            liveness: Some(Liveness::default()),
            anew: false,
            recovery: None,
            retention: Some(Retention::default()),
        }
    }

    fn pass(&mut self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let begun = self.vital.begin();
        let now = self.now();
        let resolve = Resolve {
            me: self.set.generation,
            flag: self.flag,
            renew: now.since(self.renewed) >= self.parts.config.renew,
            stuck: self.dispatcher_is_stuck(now),
            in_vain: self.parts.metrics.passes().are_in_vain(now),
            parts: self.parts.clone(),
        };
        self.lease.ask(move || resolve.run()).into_actor(self).map(move |result, actor, ctx: &mut Context<Self>| {
            drop(begun);
            actor.take_in(result, now, ctx);
            actor.timer = Some(ctx.notify_later(Tick, actor.parts.config.resolve));
        })
    }

    fn dispatcher_is_stuck(&self, now: Mono) -> bool {
        let silent_ms = self.parts.metrics.actor(ActorName::Dispatcher).silence_ms(now);
        let stuck = silent_ms > millis_of(DISPATCHER_SILENT);
        if stuck && self.flag != Mastership::Follower {
            log::warn!("the dispatcher has been silent for {silent_ms} ms: its reign is not prolonged");
        }
        stuck
    }

    /// `sent`: before anything was asked; a renewal counts from then.
    fn take_in(&mut self, result: Result<Mastership>, sent: Mono, ctx: &mut Context<Self>) {
        match result {
            Ok(flag) if flag != self.flag => {
                self.renewed = sent;
                self.change(flag, ctx);
            }
            Ok(_) => {}
            // Unclear: the reign lasts as long as it is trusted, and nobody is judged by what was seen before.
            Err(cause) => {
                self.vital.failed("who is master is unclear", &cause);
                self.anew = true;
                if self.flag.epoch_at(self.now()).is_none() {
                    self.change(Mastership::Follower, ctx);
                }
                if self.lease.has_ended() {
                    ctx.stop();
                }
            }
        }
    }

    fn change(&mut self, flag: Mastership, ctx: &mut Context<Self>) {
        let begins = matches!(flag, Mastership::Master { epoch, .. } if !self.flag.is_of(epoch));
        self.flag = flag;
        self.parts.metrics.reigns(flag);
        if self.dispatcher.try_send(MasterChanged { flag }).is_err() {
            // It will be told again: the flag is sent with every renewal.
            log::debug!("the dispatcher could not be told who is master");
        }
        if begins {
            self.anew = true;
            self.parts.metrics.passes().begin(self.now());
            // Unless a look is under way.
            if let Some(timer) = self.recovery.take() {
                ctx.cancel_future(timer);
                ctx.notify(Look);
            }
        }
    }

    /// Lets the dead be recovered, as long as this node is master.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let Some(epoch) = self.flag.epoch_at(self.now()) else { return self.look_later(ctx) };
        let mut liveness = self.liveness.take().unwrap_or_default();
        if std::mem::take(&mut self.anew) {
            liveness.start_anew();
        }
        let recovery = Recovery { parts: self.parts.clone(), fence: Fence { epoch, generation: self.set.generation } };
        let begun = self.vital.begin();
        let done = blocking(move || Ok(recovery.run(liveness))).into_actor(self).map(|seen, actor, ctx| {
            drop(begun);
            actor.liveness = seen.ok();
            actor.look_later(ctx);
        });
        ctx.spawn(done);
    }

    fn look_later(&mut self, ctx: &mut Context<Self>) {
        self.recovery = Some(ctx.notify_later(Look, self.parts.config.resolve));
    }

    /// Removes the next batch, as long as this node is master.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let mut retention = self.retention.take().unwrap_or_default();
        if self.flag.epoch_at(self.now()).is_none() {
            retention.end(self.parts.config.retention);
            self.retention = Some(retention);
            ctx.notify_later(Sweep, FOLLOWER_LOOKS);
            return;
        }
        let batch = Batch { parts: self.parts.clone(), retention };
        let done = blocking(move || Ok(batch.run())).into_actor(self).map(|swept, actor, ctx| {
            let (retention, rest) = swept.unwrap_or_else(|_| (Retention::default(), LOOK_EVERY));
            actor.retention = Some(retention);
            ctx.notify_later(Sweep, rest);
        });
        ctx.spawn(done);
    }

    fn now(&self) -> Mono {
        self.parts.metrics.clock().mono()
    }
}

/// One look at mastership, on the thread of the lease.
struct Resolve {
    me: GenerationId,
    flag: Mastership,
    renew: bool,
    /// This node could not claim anything.
    stuck: bool,
    /// If it is master: its reign is of no use.
    in_vain: bool,
    parts: Parts,
}

impl Resolve {
    fn run(&self) -> Result<Mastership> {
        let sent = self.parts.metrics.clock().mono();
        match self.flag.epoch_at(sent) {
            Some(epoch) if self.in_vain => self.resigned(epoch),
            Some(_) if self.stuck || !self.renew => Ok(self.flag),
            Some(epoch) => self.renewed(epoch, sent),
            None if self.stuck => Ok(Mastership::Follower),
            None => self.elected(sent),
        }
    }

    fn renewed(&self, epoch: Epoch, sent: Mono) -> Result<Mastership> {
        if self.parts.store.renew(Fence { epoch, generation: self.me }, self.parts.config.lease)? {
            return Ok(Mastership::granted(epoch, sent, self.parts.config.lease, MARGIN));
        }
        log::warn!("generation {} was deposed from epoch {epoch}", self.me);
        Ok(Mastership::Follower)
    }

    fn resigned(&self, epoch: Epoch) -> Result<Mastership> {
        log::warn!("generation {} resigns from epoch {epoch}: none of its passes goes through", self.me);
        let fence = Fence { epoch, generation: self.me };
        self.parts.store.resign(fence, "its passes did not go through")?;
        Ok(Mastership::Follower)
    }

    fn elected(&self, sent: Mono) -> Result<Mastership> {
        match self.parts.store.take_over(self.me, self.parts.config.lease)? {
            TakeOver::Won(epoch) => {
                log::info!("generation {} is master in epoch {epoch}", self.me);
                Ok(Mastership::granted(epoch, sent, self.parts.config.lease, MARGIN))
            }
            TakeOver::Lost => Ok(Mastership::Follower),
        }
    }
}

impl Actor for MasterResolver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Tick);
        self.look_later(ctx);
        if !self.parts.config.retention.is_zero() {
            ctx.notify_later(Sweep, FOLLOWER_LOOKS);
        }
    }
}

impl Handler<Tick> for MasterResolver {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        self.timer = None;
        let pass = self.pass();
        ctx.spawn(pass);
    }
}

impl Handler<Look> for MasterResolver {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.recovery = None;
        self.look(ctx);
    }
}

impl Handler<Sweep> for MasterResolver {
    type Result = ();

    fn handle(&mut self, _: Sweep, ctx: &mut Self::Context) {
        self.sweep(ctx);
    }
}

impl Handler<Resigned> for MasterResolver {
    type Result = ();

    fn handle(&mut self, _: Resigned, ctx: &mut Self::Context) {
        // Unless a pass is under way, which sees it.
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
            ctx.notify(Tick);
        }
    }
}

vital_signs!(MasterResolver);
