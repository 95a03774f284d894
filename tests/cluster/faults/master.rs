//! The master stands still for 10 s and goes on, wherever that meets it: it is deposed, and claims nothing any more.

use std::time::{Duration, SystemTime};

use super::{DEAD_AFTER, Field, LEASE, Layout, MORE, Shape, pause, shapes, times, until};
use crate::harness::judge::Bars;
use crate::harness::look::Look;

const PAUSE: Duration = Duration::from_secs(10);
const OTHERS: Duration = LEASE.saturating_add(MORE);
const BARS: Bars = Bars { starts: OTHERS, stored: OTHERS, held: OTHERS.saturating_add(DEAD_AFTER), new: OTHERS };
/// Tasks of one instant: the answer of their claim is far larger than what is let through of it.
const BURST: usize = 400;
const LET_THROUGH: usize = 700;

/// Where the master is when it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Any,
    InsideItsClaim,
    ReceivingTheAnswer,
}

fn stop(row: &str, moment: Moment) {
    // One of them in both shapes even in the short form.
    let both = [Shape::Plain, Shape::Topic];
    for shape in if moment == Moment::Any { &both } else { shapes() } {
        let proxied = moment == Moment::ReceivingTheAnswer;
        let Some(mut field) = Field::start(&Layout { proxied, ..Layout::of(*shape) }) else { return };
        let mut deposed = Vec::new();
        for _ in 0..times(5) {
            field.swing();
            let master = field.master();
            let generation = field.fault(master, true, BARS, |field| match moment {
                Moment::Any => field.signal(master, "STOP"),
                Moment::InsideItsClaim => stop_in_claim(field, master, false),
                Moment::ReceivingTheAnswer => stop_in_claim(field, master, true),
            });
            deposed.push(field.until_deposed(generation));
            // In the short form only until it is taken for dead.
            field.until_dead(generation);
            std::thread::sleep(pause(PAUSE).saturating_sub(field.since_fault()));
            if proxied {
                field.proxies[master].mend();
            }
            field.signal(master, "CONT");
        }
        println!("{row} ({shape:?}): another master after {deposed:.2?}");
        assert!(deposed.iter().all(|took| *took <= OTHERS), "{deposed:?}");
        field.end().judge(&format!("{row} ({shape:?})"));
    }
}

/// Holds a task back that the master is about to claim, stops it while its claim waits for that, and lets go: the claim
/// is done as far as the database is concerned, and its transaction is open. Or a part of its answer has come. Since when.
fn stop_in_claim(field: &mut Field, master: usize, receiving: bool) -> SystemTime {
    let mut holder = Look::at(&field.cluster.url);
    let own = holder.number("SELECT pg_backend_pid()");
    if receiving {
        let due = SystemTime::now() + Duration::from_millis(1_500);
        let burst = field.load.add(master, &field.receiver.url("/"), BURST, due);
        until("all of them are stored", || {
            let of_burst = burst.iter().map(ToString::to_string).collect::<Vec<_>>().join("','");
            field.look.holds(&format!("(SELECT count(*) FROM task WHERE id IN ('{of_burst}')) = {BURST}"))
        });
        holder.run(&format!("BEGIN; SELECT FROM task WHERE id = '{}' FOR UPDATE", burst[0]));
    } else {
        holder.run(
            "BEGIN; SELECT FROM task WHERE state = 0 AND due_at > now_us() + 200000 ORDER BY due_at LIMIT 1 FOR UPDATE",
        );
    }
    let mut claim = 0;
    until("a claim waits for it", || {
        claim = field.look.number(&format!(
            "SELECT pid FROM pg_stat_activity WHERE {own} = ANY(pg_blocking_pids(pid)) AND query LIKE 'UPDATE task t SET state = 1%'"
        ));
        claim > 0
    });
    let at = SystemTime::now();
    if receiving {
        field.proxies[master].choke(LET_THROUGH);
    } else {
        field.signal(master, "STOP");
    }
    holder.run("ROLLBACK");
    until("its transaction is open", || {
        field.look.holds(&format!(
            "EXISTS (SELECT FROM pg_stat_activity WHERE pid = {claim} AND state = 'idle in transaction' AND query LIKE 'UPDATE task t SET state = 1%')"
        ))
    });
    if receiving {
        field.signal(master, "STOP");
    }
    at
}

#[test]
fn a_stopped_master_is_deposed_and_claims_nothing_when_it_goes_on() {
    stop("stopped master", Moment::Any);
}

#[test]
fn a_master_stopped_inside_its_claim_is_deposed_and_claims_nothing() {
    stop("master stopped inside its claim", Moment::InsideItsClaim);
}

#[test]
fn a_master_stopped_while_it_receives_the_answer_of_its_claim_is_deposed_and_claims_nothing() {
    stop("master stopped receiving its claim's answer", Moment::ReceivingTheAnswer);
}
