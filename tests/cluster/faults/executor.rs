//! An executor stands still, before and after its start records, and goes on when it was taken for dead.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{DEAD_AFTER, Field, Layout, MORE, NEW, NODES, Shape, shapes, times, until};
use crate::harness::Receiver;
use crate::harness::judge::{Bars, Evidence};

const BARS: Bars = Bars { starts: MORE, stored: MORE, held: DEAD_AFTER.saturating_add(MORE), new: NEW };
/// Calls that the receiver holds for a while.
const SLOW: usize = 60;
/// Longer than a slow call takes, from the fault on.
const PAUSE: Duration = Duration::from_secs(6);

fn stop(shape: Shape) {
    // Claimed a quarter of a second ahead, started in the last 20 ms: some always wait in between.
    let Some(mut field) = Field::start(&Layout { flags: &["--claim-lead-ms", "250"], ..Layout::of(shape) }) else {
        return;
    };
    let mut stopped = Vec::new();
    for _ in 0..times(3) {
        field.swing();
        let executor = (field.master() + 1) % NODES;
        let slow = field.load.add(executor, &field.receiver.url("/slow"), SLOW, SystemTime::now());
        let generation = field.look.generation(executor).unwrap();
        until("it is in mid-call", || {
            let held = field.look.held(generation);
            slow.iter().filter(|id| held.started.contains(id)).count() >= SLOW / 10
                && are_called(&field.receiver, &slow)
        });
        field.fault(executor, true, BARS, |field| field.signal(executor, "STOP"));
        assert!(!field.held().unstarted().is_empty(), "some were claimed and not started");
        let dead = field.until_dead(generation);
        std::thread::sleep(PAUSE.saturating_sub(field.since_fault()));
        let waiting = field.look.number("SELECT count(*) FROM task_history WHERE state = 4");
        field.signal(executor, "CONT");
        until("its own outcomes settle them", || {
            !field.look.holds("EXISTS (SELECT FROM task_history WHERE state = 4)")
        });
        println!("stopped executor ({shape:?}): dead after {dead:.2?}; {waiting} unknown until its outcomes came");
        assert!(waiting > 0);
        stopped.push((generation, slow));
    }
    let evidence = field.end();
    for (n, (generation, slow)) in stopped.iter().enumerate() {
        before_its_start_record(&evidence, n, *generation);
        after_its_start_record(&evidence, n, slow);
    }
    evidence.judge(&format!("stopped executor ({shape:?})"));
}

fn are_called(receiver: &Receiver, tasks: &[Uuid]) -> bool {
    let calls = receiver.calls();
    let called: HashSet<&str> = calls.iter().filter_map(|call| call.header("x-task-id")).collect();
    tasks.iter().all(|id| called.contains(id.to_string().as_str()))
}

fn before_its_start_record(evidence: &Evidence, fault: usize, stopped: Uuid) {
    let (times, unstarted) = (evidence.times(), evidence.faults[fault].held.unstarted());
    println!("{} were claimed and not started: each called once, elsewhere", unstarted.len());
    assert!(unstarted.iter().all(|id| times.get(id) == Some(&1)), "once");
    assert!(unstarted.iter().all(|id| evidence.states[id].1 != Some(stopped)), "elsewhere");
}

fn after_its_start_record(evidence: &Evidence, fault: usize, slow: &[Uuid]) {
    let (times, held) = (evidence.times(), &evidence.faults[fault].held);
    let started = slow.iter().filter(|id| held.started.contains(id));
    let (once, least): (Vec<&Uuid>, Vec<&Uuid>) = started.partition(|id| evidence.ledger[*id].at_most_once);
    println!("{} and {} were in mid-call: unknown until their outcome came, and called again", once.len(), least.len());
    assert!(!once.is_empty() && !least.is_empty());
    assert!(once.iter().all(|id| evidence.unknown.contains(id) && times[*id] == 1), "unknown, once");
    assert!(least.iter().all(|id| times[*id] == 2), "twice");
}

#[test]
fn a_stopped_executor_is_replaced_and_its_late_outcomes_count() {
    for shape in shapes() {
        stop(*shape);
    }
}
