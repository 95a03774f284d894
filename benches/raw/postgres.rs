//! The same loop on PostgreSQL: sets by arrays, one connection, one commit each for claim, start record and move to history.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sql_types::{Array, BigInt, Binary, Text, Uuid as SqlUuid};
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query};
use uuid::Uuid;

use super::{BATCH, PAYLOAD, RETRY};

/// A schema of the program's shape.
pub struct RawPostgres {
    connection: PgConnection,
    /// Whose counts it writes.
    writer: Uuid,
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    due_at: i64,
}

impl RawPostgres {
    /// On a schema that the program has made.
    pub fn on(url: &str) -> Self {
        let mut connection = PgConnection::establish(url).unwrap();
        // As the program does it: a plan made on an empty table must not read all of a full one.
        connection
            .batch_execute(
                "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
                 SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off",
            )
            .unwrap();
        Self { connection, writer: Uuid::now_v7() }
    }

    /// Inserts `tasks` scheduled ones with target `log`, due `due_in` microseconds from now; how long it took.
    pub fn insert(&mut self, tasks: usize, due_in: i64) -> Duration {
        let began = Instant::now();
        for first in (0..tasks).step_by(BATCH) {
            self.insert_batch(BATCH.min(tasks - first), due_in);
        }
        began.elapsed()
    }

    /// Inserts so many in one transaction.
    pub fn insert_batch(&mut self, tasks: usize, due_in: i64) {
        let ids: Vec<Uuid> = (0..tasks).map(|_| Uuid::now_v7()).collect();
        let texts = |text: &'static str| vec![text; ids.len()];
        self.connection
            .transaction(|c| {
                sql_query(
                    "INSERT INTO task (id, state, due_at, run_at, priority, claim_no, attempt, created_at, delivery, \
                     retry, timeout_ms, target, labels, payload_kind, payload, fingerprint) \
                     SELECT id, 0, now_us() + $7, now_us() + $7, 0, 0, 0, now_us(), 0, retry, 30000, target, labels, 1, \
                     payload, print FROM unnest($1, $2, $3, $4, $5, $6) AS n(id, retry, target, labels, payload, print) \
                     ON CONFLICT DO NOTHING",
                )
                .bind::<Array<SqlUuid>, _>(&ids)
                .bind::<Array<Text>, _>(texts(RETRY))
                .bind::<Array<Text>, _>(texts(r#"{"type":"log"}"#))
                .bind::<Array<Text>, _>(texts("{}"))
                .bind::<Array<Binary>, _>(vec![PAYLOAD.as_bytes(); ids.len()])
                .bind::<Array<Binary>, _>(vec![[7_u8; 32].as_slice(); ids.len()])
                .bind::<BigInt, _>(due_in)
                .execute(c)?;
                sql_query(
                    "INSERT INTO task_count (writer, stream, state, tasks) VALUES ($1, 0, 0, $2) \
                     ON CONFLICT (writer, stream, state) DO UPDATE SET tasks = task_count.tasks + excluded.tasks",
                )
                .bind::<SqlUuid, _>(self.writer)
                .bind::<BigInt, _>(i64::try_from(ids.len()).unwrap())
                .execute(c)
            })
            .unwrap();
    }

    /// Inserts one row after another, due in an hour, each with a commit of its own and nothing else; how many until then.
    pub fn insert_singly(&mut self, until: Instant) -> usize {
        self.connection
            .batch_execute(&format!(
                "PREPARE one (uuid) AS INSERT INTO task (id, state, due_at, run_at, priority, claim_no, attempt, created_at, \
                 delivery, retry, timeout_ms, target, labels, payload_kind, payload, fingerprint) \
                 SELECT $1, 0, at, at, 0, 0, 0, now_us(), 0, '{RETRY}', 30000, '{{\"type\":\"log\"}}', '{{}}', 1, \
                 '{PAYLOAD}'::TEXT::BYTEA, sha256('') FROM (SELECT now_us() + 3600000000) AS due (at) ON CONFLICT DO NOTHING",
            ))
            .unwrap();
        let mut inserted = 0;
        while Instant::now() < until {
            self.connection.batch_execute(&format!("EXECUTE one ('{}')", Uuid::now_v7())).unwrap();
            inserted += 1;
        }
        inserted
    }

    /// Claims, starts and moves everything that is due to history; how many, and how long it took.
    pub fn drain(&mut self) -> (usize, Duration) {
        let (owner, began, mut drained) = (Uuid::now_v7(), Instant::now(), 0);
        // From where it has read on: what was moved away before leaves dead entries behind.
        let mut after = (i64::MIN, Uuid::nil());
        loop {
            let due: Vec<Id> = sql_query(
                "SELECT id, due_at FROM task WHERE due_at > -1000000000000000000 AND (due_at, id) > ($2, $3) \
                 AND due_at <= $1 AND state = 0 ORDER BY due_at, id LIMIT 1000",
            )
            .bind::<BigInt, _>(super::now_us())
            .bind::<BigInt, _>(after.0)
            .bind::<SqlUuid, _>(after.1)
            .load(&mut self.connection)
            .unwrap();
            let Some(last) = due.last() else { return (drained, began.elapsed()) };
            after = (last.due_at, last.id);
            let ids: Vec<Uuid> = due.into_iter().map(|row| row.id).collect();
            drained += ids.len();
            let by_ids = |connection: &mut PgConnection, statements: &[&str]| {
                connection
                    .transaction(|c| {
                        for statement in statements {
                            sql_query(*statement)
                                .bind::<Array<SqlUuid>, _>(&ids)
                                .bind::<SqlUuid, _>(owner)
                                .execute(c)?;
                        }
                        diesel::QueryResult::Ok(())
                    })
                    .unwrap();
            };
            let claim_nos = "(SELECT array_agg(1::BIGINT) FROM unnest($1))";
            by_ids(
                &mut self.connection,
                &[
                    "UPDATE task SET state = 1, claim_no = claim_no + 1, owner = $2, epoch = 1, dispatched_at = now_us() \
                     WHERE id = ANY($1) AND state = 0",
                    &format!(
                        "INSERT INTO assignment (generation, epoch, ids, claim_nos) VALUES ($2, 1, $1, {claim_nos})"
                    ),
                ],
            );
            by_ids(
                &mut self.connection,
                &[&format!(
                    "INSERT INTO start_record (generation, started_at, ids, claim_nos) VALUES ($2, now_us(), $1, {claim_nos})"
                )],
            );
            by_ids(
                &mut self.connection,
                &[
                    "WITH gone AS (DELETE FROM task WHERE id = ANY($1) AND claim_no = 1 AND owner = $2 AND state = 1 RETURNING *) \
                     INSERT INTO task_history SELECT id, 2, due_at, run_at, priority, misfire_ms, claim_no, attempt + 1, owner, \
                     epoch, created_at, dispatched_at, now_us(), last_error, delivery, retry, timeout_ms, target, labels, \
                     payload_kind, fingerprint, now_us(), payload FROM gone",
                    "DELETE FROM assignment WHERE generation = $2 AND $1 IS NOT NULL",
                    "DELETE FROM start_record WHERE generation = $2 AND $1 IS NOT NULL",
                ],
            );
        }
    }
}
