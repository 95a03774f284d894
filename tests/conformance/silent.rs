//! A process that does not read what it has asked for: the server lets go of it, and of all it holds.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use task_scheduler::domain::payload::Payload;
use task_scheduler::store::postgres::PostgresStore;
use task_scheduler::store::{Claimed, Order, Store};

use crate::fixtures::{BASE, task};
use crate::proxy::Proxy;
use crate::services::postgres::server;
use crate::shared::{LONG, living, reign, until};

/// Far more than fits into the buffers of two connections.
const TASKS: u64 = 20;
const EACH: usize = 1_000_000;
/// So many bytes of each piece of an answer come through: of small answers all.
const LET_THROUGH: usize = 16 * 1024;
/// By then the server has given it up. Far below its `statement_timeout`, which does not help while it sends.
const GIVEN_UP: Duration = Duration::from_secs(5);
/// A database of its own, by which its connections are known: their other settings are those of every process.
const DATABASE: &str = "a_silent_reader";

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// Its connections that meet this condition.
fn backends(look: &mut PgConnection, condition: &str) -> Vec<i32> {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{DATABASE}' AND application_name = 'task-scheduler' AND {condition}"
    );
    diesel::sql_query(sql).load::<Backend>(look).unwrap().iter().map(|backend| backend.pid).collect()
}

/// What no timeout of a statement or a transaction ends: the server waits for room to send, in the midst of a statement.
#[test]
fn a_process_that_stops_reading_an_answer_is_given_up_within_seconds() {
    let Some(server) = server() else { return };
    let mut look = PgConnection::establish(&server.url_of("postgres")).unwrap();
    look.batch_execute(&format!("CREATE DATABASE {DATABASE}")).unwrap();
    let (url, proxy) = (server.url_of(DATABASE), Proxy::to(server.address()));
    let store = PostgresStore::new(&url, 1);
    store.prepare().unwrap();
    let generation = living(&store);
    let fence = reign(&store, generation, LONG).unwrap();
    let large = |n| {
        let mut task = task(n);
        task.spec.payload = Payload::Bytes(vec![7; EACH]);
        task
    };
    for n in 0..TASKS {
        store.ingest(&[large(n)]).unwrap();
    }
    let dues = store.scheduled(None, BASE.plus(LONG * 60), 99).unwrap();
    let orders: Vec<Order> = dues.iter().map(|due| Order { due: *due, generation }).collect();
    assert!(matches!(store.claim(fence, &orders).unwrap(), Claimed::Done { .. }));

    let by_proxy = url.replacen(&server.address().to_string(), &proxy.address().to_string(), 1);
    let silent = PostgresStore::new(&by_proxy, 1);
    silent.now().unwrap();
    proxy.choke(LET_THROUGH);
    let reader = std::thread::spawn(move || silent.assigned(generation, 0, 99).map(|assignments| assignments.len()));
    let stuck = until("the server waits for room to send", || {
        backends(&mut look, "wait_event = 'ClientWrite'").first().copied()
    });
    let began = Instant::now();
    until("the server gives it up", || backends(&mut look, &format!("pid = {stuck}")).is_empty().then_some(()));
    let took = began.elapsed();
    println!("a process that stopped reading {TASKS} payloads of {EACH} bytes was given up after {took:.1?}");
    assert!(took <= GIVEN_UP, "{took:?}");
    proxy.mend();
    assert!(reader.join().unwrap().is_err(), "a part of an answer is none");
    assert_eq!(store.assigned(generation, 0, 99).unwrap()[0].tasks.len(), dues.len());
}
