//! Epochs, the fence and the reigns so far.

use std::time::Duration;

use task_scheduler::domain::{Epoch, State};
use task_scheduler::store::{Claimed, Fence, Order, Settled, TakeOver};

use crate::fixtures::{Fixture, one, succeeded, task};

const LEASE: Duration = Duration::from_secs(3);

pub fn before_the_first_reign_there_is_no_epoch(fixture: &Fixture) {
    let generation = fixture.generation(1);
    assert_eq!(fixture.store().epoch().unwrap(), None);
    assert_eq!(fixture.store().terms(10).unwrap(), []);
    let nobody = Fence { epoch: Epoch(0), generation };
    assert!(!fixture.store().renew(nobody, LEASE).unwrap());
    assert_eq!(fixture.store().claim(nobody, &[]).unwrap(), Claimed::Fenced);
    assert_eq!(fixture.store().recover(nobody, generation).unwrap(), None);
}

pub fn epochs_rise_by_one(fixture: &Fixture) {
    let (first, second) = (fixture.generation(1), fixture.generation(2));
    for (turn, generation) in (1..).zip([first, second, second, first]) {
        assert_eq!(fixture.reign(generation).epoch, Epoch(turn));
        assert_eq!(fixture.store().epoch().unwrap(), Some(Epoch(turn)));
    }
}

pub fn every_reign_is_told_the_newest_first(fixture: &Fixture) {
    let before = fixture.store().now().unwrap();
    let first = fixture.master();
    fixture.store().resign(first, "drained").unwrap();
    let second = fixture.reign(fixture.generation(2));
    let third = fixture.reign(first.generation);
    let terms = fixture.store().terms(10).unwrap();
    let told: Vec<_> = terms.iter().map(|term| (term.epoch, term.generation, term.node.as_str())).collect();
    assert_eq!(
        told,
        [
            (third.epoch, third.generation, "node-1"),
            (second.epoch, second.generation, "node-2"),
            (first.epoch, first.generation, "node-1")
        ]
    );
    assert_eq!((terms[0].ended_at, terms[0].end_reason.as_deref()), (None, None), "it lasts");
    assert!(terms[1].ended_at.is_some() && terms[1].end_reason.is_some(), "taken over");
    assert_eq!(terms[2].end_reason.as_deref(), Some("drained"));
    assert!(terms.iter().all(|term| before <= term.elected_at));
    assert!(terms.iter().all(|term| term.ended_at.is_none_or(|ended| term.elected_at <= ended)));
    assert_eq!(fixture.store().terms(2).unwrap(), terms[..2]);
}

pub fn only_the_current_reign_is_renewed(fixture: &Fixture) {
    let old = fixture.master();
    assert!(fixture.store().renew(old, LEASE).unwrap());
    assert!(fixture.store().renew(old, Duration::ZERO).unwrap());
    let new = fixture.reign(fixture.generation(2));
    assert!(!fixture.store().renew(old, LEASE).unwrap(), "deposed");
    assert!(fixture.store().renew(new, LEASE).unwrap());
    let forged = Fence { epoch: new.epoch, generation: old.generation };
    assert!(!fixture.store().renew(forged, LEASE).unwrap(), "another's epoch");
    assert_eq!(fixture.store().epoch().unwrap(), Some(new.epoch));
}

pub fn resigning_ends_the_reign_at_once(fixture: &Fixture) {
    let fence = fixture.master();
    let due = one(fixture.ingest(&[task(1)]));
    assert!(fixture.store().renew(fence, LEASE).unwrap());
    fixture.store().resign(fence, "a clean stop").unwrap();
    assert!(!fixture.store().renew(fence, LEASE).unwrap());
    let order = Order { due, generation: fence.generation };
    assert_eq!(fixture.store().claim(fence, &[order]).unwrap(), Claimed::Fenced);
    assert_eq!(fixture.counts(), [(State::Scheduled, 1)]);
    fixture.store().resign(fence, "once more").unwrap();
    assert_eq!(one(fixture.store().terms(10).unwrap()).end_reason.as_deref(), Some("a clean stop"));
    assert_eq!(fixture.reign(fixture.generation(2)).epoch, Epoch(fence.epoch.0 + 1), "without a wait for the lease");
}

pub fn a_deposed_master_ends_no_other_reign(fixture: &Fixture) {
    let old = fixture.master();
    let new = fixture.reign(fixture.generation(2));
    fixture.store().resign(old, "too late").unwrap();
    assert!(fixture.store().renew(new, LEASE).unwrap());
    let terms = fixture.store().terms(10).unwrap();
    assert_eq!(terms[0].ended_at, None);
    assert_ne!(terms[1].end_reason.as_deref(), Some("too late"), "it had ended before");
}

pub fn a_take_over_leaves_claims_alone(fixture: &Fixture) {
    let old = fixture.master();
    let waiting = fixture.claimed(old, task(1));
    let running = fixture.started(old, task(2));
    fixture.reign(fixture.generation(2));
    assert_eq!(fixture.counts(), [(State::Dispatched, 2)]);
    assert!(fixture.store().start(old.generation, &[waiting]).unwrap().is_some(), "it is alive, though no master");
    assert_eq!(fixture.settle(old.generation, &succeeded(waiting)), Settled::Applied(None));
    assert_eq!(fixture.settle(old.generation, &succeeded(running)), Settled::Applied(None));
    assert_eq!(fixture.counts(), [(State::Succeeded, 2)]);
}

pub fn what_is_not_alive_takes_nothing_over(fixture: &Fixture) {
    let given_up = fixture.generation(2);
    fixture.store().drain(given_up).unwrap();
    let fence = fixture.master();
    assert_eq!(fixture.store().take_over(given_up, LEASE).unwrap(), TakeOver::Lost);
    fixture.store().recover(fence, given_up).unwrap().unwrap();
    assert_eq!(fixture.store().take_over(given_up, LEASE).unwrap(), TakeOver::Lost);
    assert!(fixture.store().renew(fence, LEASE).unwrap(), "nobody was deposed");
}
