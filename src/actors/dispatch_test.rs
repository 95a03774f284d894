//! Passes of a master over a database of its own.

use std::sync::Arc;

use super::Parts;
use super::dispatch::Dispatch;
use super::supervision_test::{Counting, parts};
use crate::clock::Clock;
use crate::config::ActorsConfig;
use crate::domain::document::{Document, Received};
use crate::domain::{GenerationId, TaskId};
use crate::store::{Fence, NewGeneration, TakeOver};

struct Master {
    parts: Parts,
    dispatch: Dispatch,
    fence: Fence,
    _folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Master {
    /// Of a node with so many slots.
    fn new(slots: u32) -> Self {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), tokio::runtime::Runtime::new().unwrap());
        let config = ActorsConfig::default();
        let lease = config.lease;
        let parts = parts(folder.path(), &Clock::new(), config, Arc::new(Counting::default()), runtime.handle());
        let generation = GenerationId(uuid::Uuid::now_v7());
        let [node, address, version] = ["test", "127.0.0.1:0", "0"].map(str::to_owned);
        parts.store.register(&NewGeneration { id: generation, node, address, version, slots }).unwrap();
        let TakeOver::Won(epoch) = parts.store.take_over(generation, lease).unwrap() else { panic!("the only one") };
        let fence = Fence { epoch, generation };
        Self { dispatch: Dispatch::new(parts.clone()), parts, fence, _folder: folder, _runtime: runtime }
    }

    /// Due since the epoch began.
    fn ingest(&self, json: &str) -> TaskId {
        let at = self.parts.store.now().unwrap();
        let received = Received { idempotency_key: None, record_key: None, at };
        let task = Document::parse(json.as_bytes()).unwrap().check(received).unwrap();
        let id = task.id;
        self.parts.store.ingest(&[task]).unwrap();
        id
    }
}

const DUE: &str = r#"{"run_at": "2020-01-01T00:00:00Z", "target": {"type": "log"}}"#;

#[test]
fn what_is_ripe_waits_for_credit_whether_something_is_paused_or_not() {
    for paused in [false, true] {
        let mut master = Master::new(0);
        master.ingest(DUE);
        if paused {
            master.parts.store.pause(Some(&("tenant".to_owned(), "acme".to_owned())), None).unwrap();
        }
        for pass in 0..2 {
            let passed = master.dispatch.pass(master.fence).unwrap();
            assert!(passed.starved && passed.assigned.is_empty(), "{passed:?} is pass {pass}, paused: {paused}");
        }
    }
}

#[test]
fn what_is_overdue_is_called_off_by_a_master_that_learns_of_a_pause_by_being_refused() {
    let mut master = Master::new(1);
    master.dispatch.pass(master.fence).unwrap();
    let id = master.ingest(&DUE.replace("\"target\"", "\"misfire\": {\"expire_after_ms\": 0}, \"target\""));
    master.dispatch.wake(crate::domain::Timestamp::from_micros(0));
    // It has read the pauses just now, and does so again only when it is told that it must.
    master.parts.store.pause(Some(&("tenant".to_owned(), "acme".to_owned())), None).unwrap();
    let refused = master.dispatch.pass(master.fence).unwrap();
    assert!(refused.next.is_zero() && !refused.deposed, "{refused:?}");
    assert_eq!(master.parts.store.find(id).unwrap().unwrap().state, crate::domain::State::Scheduled);
    master.dispatch.pass(master.fence).unwrap();
    assert_eq!(master.parts.store.find(id).unwrap().unwrap().state, crate::domain::State::Expired);
}

#[test]
fn a_master_that_is_refused_to_call_off_is_none_any_more() {
    let mut master = Master::new(1);
    master.ingest(&DUE.replace("\"target\"", "\"misfire\": {\"expire_after_ms\": 0}, \"target\""));
    let fence = Fence { epoch: crate::domain::Epoch(master.fence.epoch.0 - 1), ..master.fence };
    assert!(master.dispatch.pass(fence).unwrap().deposed);
}
