//! What becomes of a process's sessions on a shared server: life locks, locks of others, settings of the database.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use task_scheduler::domain::GenerationId;
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::{Beat, Store as _};

use crate::services::postgres::server;
use crate::shared::{LONG, living, reign, until};

const BEAT: Beat = Beat { free_slots: 4, clock_offset_us: 0, reads_topic: false };

fn connection(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap()
}

fn holds(c: &mut PgConnection, condition: &str) -> bool {
    diesel::select(diesel::dsl::sql::<Bool>(condition)).get_result(c).unwrap()
}

/// As the store names it: the last bytes of the generation.
fn life_lock(generation: GenerationId) -> String {
    let [.., a, b, c, d] = *generation.0.as_bytes();
    format!("(hashtext(current_schema()), {})", i32::from_be_bytes([a, b, c, d]))
}

/// The same in the view of locks.
fn is_life_lock(generation: GenerationId) -> String {
    let [.., a, b, c, d] = *generation.0.as_bytes();
    let objid = u32::from_be_bytes([a, b, c, d]);
    format!(
        "locktype = 'advisory' AND objsubid = 2 AND objid = {objid} AND \
         classid::bigint = (hashtext(current_schema())::bigint & 4294967295)"
    )
}

#[test]
fn a_life_lock_that_an_orphaned_session_holds_is_taken_when_that_ends() {
    let Some(server) = server() else { return };
    let url = server.schema();
    let (one, other) = (PostgresStore::new(&url, 4), PostgresStore::new(&url, 4));
    one.prepare().unwrap();
    let (first, second) = (living(&one), living(&other));
    let fence = reign(&one, first, LONG).unwrap();
    // Its session is lost, and what is left of it holds the lock: nobody has told the server that it was cut off.
    let mut orphan = connection(&url);
    let lock = life_lock(first);
    orphan
        .batch_execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {}", is_life_lock(first)))
        .unwrap();
    until("the lock is free", || holds(&mut orphan, &format!("pg_try_advisory_lock{lock}")).then_some(()));
    until("it has a session again", || one.renew(fence, LONG).ok().filter(|renewed| *renewed));
    assert_eq!(reign(&other, second, LONG), None, "the orphan holds its lock");
    orphan.batch_execute(&format!("SELECT pg_advisory_unlock{lock}")).unwrap();
    // Whoever looks between the two finds the lock free: so it asks at every occasion.
    assert!(one.renew(fence, LONG).unwrap());
    assert!(!holds(&mut orphan, &format!("pg_try_advisory_xact_lock{lock}")), "its own again");
    assert_eq!(reign(&other, second, LONG), None);
    drop(one);
    until("the server notices that the process is gone", || reign(&other, second, LONG));
}

#[test]
fn whoever_stands_still_while_it_migrates_keeps_only_those_waiting_who_lack_a_step() {
    let Some(server) = server() else { return };
    let (migrated, empty) = (server.schema(), server.schema());
    PostgresStore::new(&migrated, 1).prepare().unwrap();
    let mut holders = [connection(&migrated), connection(&empty)];
    for holder in &mut holders {
        let lock = "SELECT pg_advisory_lock(hashtext('task-scheduler migrations'), hashtext(current_schema()))";
        holder.batch_execute(lock).unwrap();
    }
    PostgresStore::new(&migrated, 1).prepare().unwrap();
    let began = Instant::now();
    let waits = PostgresStore::new(&empty, 1).prepare().unwrap_err();
    assert!(waits.is_passing(), "{waits}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(holders);
    until("the lock is free", || PostgresStore::new(&empty, 1).prepare().ok());
}

#[test]
fn a_database_whose_transactions_are_stricter_by_default_is_used_as_any_other() {
    let Some(server) = server() else { return };
    let url = server.schema();
    let mark = if url.contains('?') { "&" } else { "?" };
    let strict = format!("{url}{mark}application_name=strict");
    connection(&url)
        .batch_execute(
            "CREATE ROLE strict SUPERUSER LOGIN; ALTER ROLE strict SET default_transaction_isolation = 'serializable'",
        )
        .unwrap();
    let store = PostgresStore::new(&strict.replacen("//postgres@", "//strict@", 1), 4);
    store.prepare().unwrap();
    let generation = living(&store);
    let mut holder = connection(&url);
    holder.batch_execute("BEGIN; UPDATE heartbeat SET counter = counter + 1").unwrap();
    let pid: i64 =
        diesel::select(diesel::dsl::sql::<BigInt>("pg_backend_pid()::bigint")).get_result(&mut holder).unwrap();
    std::thread::scope(|scope| {
        let beat = scope.spawn(|| store.beat(generation, BEAT));
        let mut look = connection(&url);
        let waits = format!("EXISTS (SELECT FROM pg_stat_activity WHERE {pid} = ANY(pg_blocking_pids(pid)))");
        until("it waits for the row", || holds(&mut look, &waits).then_some(()));
        holder.batch_execute("COMMIT").unwrap();
        assert!(beat.join().unwrap().unwrap(), "what was changed meanwhile is seen");
    });
}
