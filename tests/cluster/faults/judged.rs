//! The judge itself: made-up evidence, right in everything but one thing, and what must be said about that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::harness::Call;
use crate::harness::cluster::Cluster;
use crate::harness::judge::{Bars, Evidence, Fault};
use crate::harness::load::Accepted;
use crate::harness::look::{Held, Look};

const BAR: Duration = Duration::from_millis(100);
const BARS: Bars = Bars { starts: BAR, stored: BAR, held: BAR.saturating_mul(10), new: BAR };

fn at(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn call(n: u128, ms: u64) -> Call {
    let headers = vec![("x-task-id".to_owned(), id(n).to_string())];
    Call { path: "/".to_owned(), method: "POST".to_owned(), headers, body: Vec::new(), at: at(ms) }
}

/// Twenty tasks, one due every 50 ms and called at once; half of them at most once (the even ones); a fault after half of
/// the time, at which the node held 12 to 15, 12 and 13 with a start record.
fn right() -> Evidence {
    let task = |n: u128| {
        let due = at(50 * n as u64);
        (id(n), Accepted { earliest: due, due, sent: at(0), answered: at(1), at_most_once: n.is_multiple_of(2) })
    };
    let held = Held { claimed: (12..16).map(id).collect(), started: (12..14).map(id).collect() };
    let (end, generation, given) = (None, Some(id(1_000)), [id(16)].into());
    Evidence {
        faults: vec![Fault { at: at(500), follows: false, end, generation, held, given, returns: false, bars: BARS }],
        ledger: (0..20).map(task).collect(),
        calls: (0..20).map(|n| call(n, 50 * n as u64)).collect(),
        end: at(950),
        states: (0..20).map(|n| (id(n), (2, None))).collect(),
        stored: (0..20).map(|n| (id(n), at(1))).collect(),
        unknown: [].into(),
        overtaken: 0,
    }
}

fn said(spoil: impl FnOnce(&mut Evidence)) -> String {
    let mut evidence = right();
    spoil(&mut evidence);
    let judged = catch_unwind(AssertUnwindSafe(|| evidence.judge("made up")));
    let Err(panic) = judged else { return String::new() };
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
}

fn unknown(evidence: &mut Evidence, n: u128) {
    evidence.states.insert(id(n), (4, None));
    evidence.unknown.insert(id(n));
}

#[test]
fn what_is_right_and_what_a_fault_may_leave_behind_is_accepted() {
    assert_eq!(said(|_| {}), "");
    assert_eq!(said(|all| all.calls.push(call(13, 800))), "", "started and at least once: doubled");
    assert_eq!(said(|all| unknown(all, 12)), "", "started and at most once: unknown");
    assert_eq!(said(|all| all.calls[14].at = at(1_400)), "", "claimed for the node: as late as its bar");
    assert_eq!(said(|all| all.calls[16].at = at(1_400)), "", "given to it later: too");
    let never_sent = |all: &mut Evidence| {
        unknown(all, 12);
        all.calls.remove(12);
    };
    assert_eq!(said(never_sent), "");
}

#[test]
fn what_no_fault_excuses_is_refused() {
    assert!(said(|all| all.calls.truncate(19)).contains(&id(19).to_string()), "lost");
    assert!(
        said(|all| all.states.retain(|known, _| *known != id(3))).contains(&id(3).to_string()),
        "lost by the database"
    );
    assert!(said(|all| all.calls[3].at = at(149)).contains("earliest"), "early");
    assert!(said(|all| all.calls.push(call(12, 800))).contains(&id(12).to_string()), "at most once, doubled");
    assert!(said(|all| all.calls.push(call(15, 800))).contains("doubled without a start record"));
    assert!(said(|all| all.calls.push(call(5, 800))).contains("doubled without a start record"));
    assert!(said(|all| unknown(all, 14)).contains("unknown without a start record"));
    assert!(said(|all| unknown(all, 13)).contains("fired again"), "unknown though at least once");
    let all_unknown = |all: &mut Evidence| {
        (0..20).for_each(|n| unknown(all, n));
        all.calls.clear();
    };
    assert!(said(all_unknown).contains("unknown without a start record"));
    assert!(said(|all| all.overtaken = 1).contains("ended epoch"));
    assert!(said(|all| all.calls[11].at = at(651)).contains("Stored"), "late");
    assert!(said(|all| all.calls[14].at = at(1_701)).contains("Held"), "late even for the node's own");
    let new = |all: &mut Evidence| {
        all.ledger.get_mut(&id(18)).unwrap().answered = at(501);
        all.calls[18].at = at(1_001);
    };
    assert!(said(new).contains("New"), "late");
    let on_the_topic = |all: &mut Evidence| {
        all.stored.insert(id(18), at(501));
        all.calls[18].at = at(1_001);
    };
    assert!(said(on_the_topic).contains("New"), "answered before, but not stored");
    let silence = |all: &mut Evidence| {
        // Both are claims of the node and may be late, but nothing else is called meanwhile.
        all.calls[14].at = at(1_400);
        all.calls[15].at = at(1_400);
    };
    assert!(said(silence).contains("no start for"));
}

#[test]
fn a_new_submission_given_to_the_dead_node_has_until_its_claims_must_be_called_and_no_longer() {
    // The fault is at 500, its claims have until 1,500, a new submission 100 ms.
    let given = |all: &mut Evidence, called: u64| {
        all.ledger.get_mut(&id(16)).unwrap().answered = at(501);
        all.calls[16].at = at(called);
    };
    assert_eq!(said(|all| given(all, 1_500)), "");
    assert!(said(|all| given(all, 1_501)).contains("Given"), "as late as its bar allows after its own instant");
    let late = |all: &mut Evidence, called: u64| {
        // It is due when the claims of the node are called long since.
        all.ledger.get_mut(&id(16)).unwrap().due = at(2_000);
        given(all, called);
    };
    assert_eq!(said(|all| late(all, 2_100)), "");
    assert!(said(|all| late(all, 2_101)).contains("Given"));
}

/// A second fault 100 ms after the first, without quiet between them or with.
fn second(all: &mut Evidence, follows: bool) {
    let first = &all.faults[0];
    let (held, given) = (first.held.clone(), first.given.clone());
    all.faults.push(Fault { follows, held, given, ..Fault::of_nobody(at(600), BARS) });
}

#[test]
fn faults_without_quiet_between_them_are_judged_as_one() {
    let late = |follows| {
        said(move |all| {
            second(all, follows);
            // 90 ms after the second fault, 140 after its own instant.
            all.calls[11].at = at(690);
        })
    };
    assert_eq!(late(false), "");
    assert!(late(true).contains("Stored"), "{}", late(true));
    let silence = |follows| {
        said(move |all| {
            second(all, follows);
            // Nothing from 550 to 690, and the next at once: up to 90 ms on either side of the second fault.
            all.calls[12].at = at(690);
            all.calls[13].at = at(690);
        })
    };
    assert_eq!(silence(false), "");
    assert!(silence(true).contains("no start for"), "{}", silence(true));
}

#[test]
fn each_fault_answers_for_its_own_unknown() {
    // So many of each of two faults, never sent.
    let never_sent = |of_each: [u128; 2]| {
        said(move |all| {
            second(all, false);
            let task = all.ledger[&id(0)];
            for (fault, tasks) in of_each.into_iter().enumerate() {
                for id in (0..tasks).map(|n| id(1_000 * (fault as u128 + 2) + n)) {
                    all.ledger.insert(id, task);
                    all.states.insert(id, (4, None));
                    all.unknown.insert(id);
                    all.faults[fault].held.started.insert(id);
                }
            }
        })
    };
    assert_eq!(never_sent([200, 200]), "");
    assert!(never_sent([0, 300]).contains("of fault 2 were never sent"), "{}", never_sent([0, 300]));
}

#[test]
fn a_claim_that_is_committed_after_a_take_over_is_noted() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (mut deposed, mut look) = (Look::at(&cluster.url), Look::at(&cluster.url));
    look.trace();
    let claim = |epoch: i64| {
        format!(
            "INSERT INTO assignment (generation, epoch, ids, claim_nos) VALUES ('{}', {epoch}, '{{}}', '{{}}')",
            id(1)
        )
    };
    deposed.run(&claim(1));
    assert_eq!(look.overtaken(), 0);
    // As it would be without a lock on the fence: begun in time, committed too late.
    deposed.run(&format!("BEGIN; {}", claim(1)));
    look.run("UPDATE master_fence SET epoch = 2");
    deposed.run("COMMIT");
    assert_eq!(look.overtaken(), 1);
}
