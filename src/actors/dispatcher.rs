//! Dispatcher: the master's hand. It claims what is due and names an executor.
//!
//! In: `MasterChanged`, hints of scheduled tasks, word of credit, its own tick. Out: claims, `Assigned` to the Executor.
//! Owns: the look-ahead. Never: calls a target, or believes a hint more than a row.

use std::time::Duration;

use actix::prelude::*;

use super::dispatch::{Dispatch, Passed};
use super::master_resolver::MasterChanged;
use super::parts::{Parts, blocking};
use super::set::Set;
use super::status::{Assigned, Credited, Scheduled, Woken};
use super::vital::{Vital, vital_signs};
use crate::domain::mastership::Mastership;
use crate::domain::{Due, Epoch, Timestamp};
use crate::metrics::ActorName;
use crate::store::{Fence, Result, StoreError};

/// A follower looks this often whether it still is one; `MasterChanged` wakes it at once.
const FOLLOW: Duration = Duration::from_secs(1);
/// After a failed pass.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub struct Dispatcher {
    parts: Parts,
    set: Set,
    vital: Vital,
    executor: Recipient<Assigned>,
    flag: Mastership,
    /// Out for the time of a pass, which owns it on its blocking thread.
    dispatch: Option<Box<Dispatch>>,
    /// Hints that came in meanwhile.
    hints: Vec<Due>,
    /// Others have scheduled tasks, the first of them due then.
    woken: Option<Timestamp>,
    /// Something came in during the pass that wants another at once.
    again: bool,
    /// The last pass left something that waits for credit, as far as is known.
    starved: bool,
    /// Credit came during the pass.
    credited: bool,
    timer: Option<SpawnHandle>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

impl Dispatcher {
    /// For this set.
    pub fn new(parts: Parts, set: Set, executor: Recipient<Assigned>) -> Self {
        Self {
            vital: Vital::new(ActorName::Dispatcher, &parts, &set),
            dispatch: Some(Box::new(Dispatch::new(parts.clone()))),
            parts,
            set,
            executor,
            flag: Mastership::Follower,
            hints: Vec::new(),
            woken: None,
            again: false,
            starved: true,
            credited: false,
            timer: None,
        }
    }

    /// A pass now, or at once after the one under way.
    fn wake(&mut self, ctx: &mut Context<Self>) {
        match self.dispatch.take() {
            None => self.again = true,
            Some(dispatch) => self.pass(dispatch, ctx),
        }
    }

    fn pass(&mut self, mut dispatch: Box<Dispatch>, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        (self.again, self.credited) = (false, false);
        let (hints, woken) = (std::mem::take(&mut self.hints), self.woken.take());
        let Some(epoch) = self.flag.epoch_at(self.parts.metrics.clock().mono()) else {
            dispatch.clear();
            self.dispatch = Some(dispatch);
            self.rest(FOLLOW, ctx);
            return;
        };
        let begun = self.vital.begin();
        let fence = Fence { epoch, generation: self.set.generation };
        let passed = blocking(move || {
            dispatch.hint(&hints);
            if let Some(first) = woken {
                dispatch.wake(first);
            }
            let passed = dispatch.pass(fence);
            Ok((dispatch, passed))
        });
        ctx.spawn(passed.into_actor(self).map(move |result, actor, ctx| {
            drop(begun);
            actor.passed(epoch, result, ctx);
        }));
    }

    fn passed(&mut self, epoch: Epoch, result: Result<(Box<Dispatch>, Result<Passed>)>, ctx: &mut Context<Self>) {
        match result {
            Ok((dispatch, passed)) => {
                self.dispatch = Some(dispatch);
                self.starved = passed.as_ref().map_or(true, |passed| passed.starved);
                self.parts.metrics.passes().end(passed.is_ok(), self.parts.metrics.clock().mono());
                let next = match passed {
                    Ok(passed) => self.announce(epoch, &passed),
                    Err(cause) => self.failed(&cause),
                };
                let at_once = self.again || (self.credited && self.starved);
                self.rest(if at_once { Duration::ZERO } else { next }, ctx);
            }
            // The pass has panicked and its look-ahead is gone: the Supervisor starts a new set.
            Err(cause) => {
                self.vital.failed("a pass broke down", &cause);
                ctx.stop();
            }
        }
    }

    fn announce(&mut self, epoch: Epoch, passed: &Passed) -> Duration {
        if passed.deposed {
            log::warn!("generation {} was refused a claim: epoch {epoch} has ended", self.set.generation);
            // Unless it reigns again already, under another epoch.
            if self.flag.is_of(epoch) {
                self.flag = Mastership::Follower;
            }
        }
        if passed.assigned.contains(&self.set.generation) && self.executor.try_send(Assigned).is_err() {
            log::debug!("the executor could not be told of its claims; it looks for them by itself");
        }
        passed.next
    }

    fn failed(&self, cause: &StoreError) -> Duration {
        self.vital.failed("a pass failed and is tried again", cause);
        PAUSE
    }

    fn rest(&mut self, next: Duration, ctx: &mut Context<Self>) {
        self.timer = if next.is_zero() {
            ctx.notify(Tick);
            None
        } else {
            Some(ctx.notify_later(Tick, next))
        };
    }
}

impl Actor for Dispatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_024);
        ctx.notify(Tick);
    }
}

impl Handler<Tick> for Dispatcher {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        self.wake(ctx);
    }
}

impl Handler<Scheduled> for Dispatcher {
    type Result = ();

    fn handle(&mut self, hint: Scheduled, ctx: &mut Self::Context) {
        self.hints.extend(hint.tasks);
        self.wake(ctx);
    }
}

impl Handler<Woken> for Dispatcher {
    type Result = ();

    fn handle(&mut self, woken: Woken, ctx: &mut Self::Context) {
        self.woken = Some(self.woken.map_or(woken.first, |first| first.min(woken.first)));
        self.wake(ctx);
    }
}

impl Handler<Credited> for Dispatcher {
    type Result = ();

    /// Where nothing waits for credit, a pass would only claim one by one what is soon claimed together.
    fn handle(&mut self, _: Credited, ctx: &mut Self::Context) {
        if self.dispatch.is_none() {
            self.credited = true;
        } else if self.starved {
            self.wake(ctx);
        }
    }
}

impl Handler<MasterChanged> for Dispatcher {
    type Result = ();

    fn handle(&mut self, changed: MasterChanged, ctx: &mut Self::Context) {
        self.flag = changed.flag;
        self.wake(ctx);
    }
}

vital_signs!(Dispatcher);
