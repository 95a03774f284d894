//! MasterResolver: finds out who is master, renews this node's reign, and lets the master recover the dead.
//!
//! In: its own tick. Out: `MasterChanged` to the Dispatcher, take-overs, renewals, recoveries. Owns: the flag
//! `(epoch, trusted_until)`. Never: claims.

use std::time::Duration;

use actix::prelude::*;

use super::parts::{Parts, blocking};
use super::set::Set;
use super::status::Resigned;
use super::vital::{Vital, vital_signs};
use crate::domain::liveness::Liveness;
use crate::domain::mastership::Mastership;
use crate::domain::time::Mono;
use crate::domain::{Epoch, GenerationId};
use crate::metrics::ActorName;
use crate::store::{Fence, Generation, Result, Standing, TakeOver};

/// Who is master.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct MasterChanged {
    /// The resolver's flag.
    pub flag: Mastership,
}

/// Taken off a lease before it is trusted: clocks that run apart, and the way of a claim to the database.
const MARGIN: Duration = Duration::from_millis(500);

/// See the module.
pub struct MasterResolver {
    parts: Parts,
    set: Set,
    vital: Vital,
    dispatcher: Recipient<MasterChanged>,
    flag: Mastership,
    renewed: Mono,
    liveness: Option<Liveness>,
    /// Until the next pass; `None` while one is under way.
    timer: Option<SpawnHandle>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// What a pass has found.
struct Found {
    flag: Mastership,
    liveness: Liveness,
}

impl MasterResolver {
    /// For this set.
    pub fn new(parts: Parts, set: Set, dispatcher: Recipient<MasterChanged>) -> Self {
        Self {
            vital: Vital::new(ActorName::MasterResolver, &parts, &set),
            parts,
            set,
            dispatcher,
            flag: Mastership::Follower,
            renewed: Mono::default(),
            liveness: Some(Liveness::default()),
            timer: None,
        }
    }

    fn pass(&mut self) -> impl ActorFuture<Self, Output = ()> + use<> {
        let begun = self.vital.begin();
        let now = self.parts.metrics.clock().mono();
        let resolve = Resolve {
            me: self.set.generation,
            flag: self.flag,
            renew: now.since(self.renewed) >= self.parts.config.renew,
            parts: self.parts.clone(),
        };
        let liveness = self.liveness.take().unwrap_or_default();
        blocking(move || resolve.run(liveness)).into_actor(self).map(move |result, actor, ctx: &mut Context<Self>| {
            drop(begun);
            actor.take_in(result, now);
            actor.timer = Some(ctx.notify_later(Tick, actor.parts.config.resolve));
        })
    }

    /// `sent`: before anything was asked; a renewal counts from then.
    fn take_in(&mut self, result: Result<Found>, sent: Mono) {
        let now = self.parts.metrics.clock().mono();
        match result {
            Ok(found) => {
                self.liveness = Some(found.liveness);
                if found.flag != self.flag {
                    self.renewed = sent;
                    self.change(found.flag);
                }
            }
            // Unclear: the reign lasts as long as it is trusted, and nobody is judged by what was seen before.
            Err(cause) => {
                self.vital.failed("who is master is unclear", &cause);
                if self.flag.epoch_at(now).is_none() {
                    self.change(Mastership::Follower);
                }
            }
        }
    }

    fn change(&mut self, flag: Mastership) {
        self.flag = flag;
        if self.dispatcher.try_send(MasterChanged { flag }).is_err() {
            // It will be told again: the flag is sent with every renewal.
            log::debug!("the dispatcher could not be told who is master");
        }
    }
}

/// One look at mastership, on a blocking thread.
struct Resolve {
    me: GenerationId,
    flag: Mastership,
    renew: bool,
    parts: Parts,
}

impl Resolve {
    fn run(&self, mut liveness: Liveness) -> Result<Found> {
        let sent = self.now();
        let epoch = match self.flag.epoch_at(sent) {
            Some(epoch) if !self.renew => Some((epoch, self.flag)),
            Some(epoch) => self.renewed(epoch, sent)?,
            None => self.elected(sent)?,
        };
        let Some((epoch, flag)) = epoch else {
            liveness.start_anew();
            return Ok(Found { flag: Mastership::Follower, liveness });
        };
        let fence = Fence { epoch, generation: self.me };
        if self.flag == Mastership::Follower {
            liveness.start_anew();
        }
        if let Err(cause) = self.recover(fence, &mut liveness) {
            // The reign stands; what was seen so far does not count, since the database did not answer.
            log::warn!("recovery waits for the task database: {cause}");
            liveness.start_anew();
        }
        Ok(Found { flag, liveness })
    }

    fn renewed(&self, epoch: Epoch, sent: Mono) -> Result<Option<(Epoch, Mastership)>> {
        if self.parts.store.renew(Fence { epoch, generation: self.me }, self.parts.config.lease)? {
            return Ok(Some((epoch, Mastership::granted(epoch, sent, self.parts.config.lease, MARGIN))));
        }
        log::warn!("generation {} was deposed from epoch {epoch}", self.me);
        Ok(None)
    }

    fn elected(&self, sent: Mono) -> Result<Option<(Epoch, Mastership)>> {
        match self.parts.store.take_over(self.me, self.parts.config.lease)? {
            TakeOver::Won(epoch) => {
                log::info!("generation {} is master in epoch {epoch}", self.me);
                Ok(Some((epoch, Mastership::granted(epoch, sent, self.parts.config.lease, MARGIN))))
            }
            TakeOver::Lost => Ok(None),
        }
    }

    /// Recovers those whose counter stands still, and those known to be gone.
    fn recover(&self, fence: Fence, liveness: &mut Liveness) -> Result<()> {
        let generations: Vec<Generation> =
            self.parts.store.generations()?.into_iter().filter(|known| known.standing != Standing::Dead).collect();
        let counters: Vec<_> = generations.iter().map(|known| (known.id, known.counter)).collect();
        let now = self.now();
        liveness.observe(&counters, now);
        let silent = liveness.dead(now, self.parts.config.dead_after);
        for known in generations.iter().filter(|known| known.id != self.me) {
            if known.gone || silent.contains(&known.id) {
                self.recover_one(fence, known)?;
            }
        }
        Ok(())
    }

    fn recover_one(&self, fence: Fence, dead: &Generation) -> Result<()> {
        let Some(recovered) = self.parts.store.recover(fence, dead.id)? else { return Ok(()) };
        log::info!(
            "recovered generation {} of node {}: {} tasks scheduled again, {} unknown",
            dead.id,
            dead.node,
            recovered.scheduled.len(),
            recovered.unknown.len()
        );
        for id in &recovered.unknown {
            log::warn!("task {id} is unknown: its executor died in mid-call; settle it with resolve");
        }
        self.parts.status.hint(recovered.scheduled);
        Ok(())
    }

    fn now(&self) -> Mono {
        self.parts.metrics.clock().mono()
    }
}

impl Actor for MasterResolver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Tick);
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
