//! A look into a cluster's database: what stood there at a fault, and what the test's own triggers have noted.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text};
use uuid::Uuid;

/// Within this time the server has been given the processor for what was sent to it before a fault.
const RECEIVED: Duration = Duration::from_millis(300);
/// What is open for longer waits for a word of a process that has none any more, and will be rolled back.
const OPEN: Duration = Duration::from_secs(1);

/// Notes each claim when it is committed, with the epoch of the fence at that moment, and each task that becomes unknown.
const TRACES: &str = "
    CREATE TABLE test_claim (at BIGINT NOT NULL, epoch BIGINT NOT NULL, fence BIGINT NOT NULL, generation UUID NOT NULL,
        ids UUID[] NOT NULL);
    CREATE FUNCTION test_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO test_claim SELECT now_us(), NEW.epoch, f.epoch, NEW.generation, NEW.ids FROM master_fence f;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER test_claim AFTER INSERT ON assignment DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION test_claim();
    CREATE TABLE test_unknown (id UUID NOT NULL);
    CREATE FUNCTION test_unknown() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO test_unknown VALUES (NEW.id);
        RETURN NULL;
    END $$;
    CREATE TRIGGER test_unknown AFTER INSERT ON task_history
        FOR EACH ROW WHEN (NEW.state = 4) EXECUTE FUNCTION test_unknown()";

const HELD: &str = "
    WITH started AS (SELECT s.generation, u.id, u.claim_no FROM start_record s, unnest(s.ids, s.claim_nos) AS u(id, claim_no))
    SELECT t.id::text AS id, t.owner::text AS owner, s.id IS NOT NULL AS yes FROM task t
    LEFT JOIN started s ON s.generation = t.owner AND s.id = t.id AND s.claim_no = t.claim_no WHERE t.state = 1";

/// What a generation had claimed and not settled.
#[derive(Debug, Default, Clone)]
pub struct Held {
    pub claimed: HashSet<Uuid>,
    /// Those of them with a start record.
    pub started: HashSet<Uuid>,
}

impl Held {
    /// And this too.
    pub fn add(&mut self, more: Self) {
        self.claimed.extend(more.claimed);
        self.started.extend(more.started);
    }

    /// Without a start record.
    pub fn unstarted(&self) -> HashSet<Uuid> {
        self.claimed.difference(&self.started).copied().collect()
    }
}

/// A connection of the test's own.
pub struct Look {
    connection: PgConnection,
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<Text>)]
    owner: Option<String>,
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct StateRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<Text>)]
    owner: Option<String>,
    #[diesel(sql_type = SmallInt)]
    state: i16,
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct InstantRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    at: i64,
}

fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

impl Look {
    /// At this cluster.
    pub fn at(url: &str) -> Self {
        Self { connection: PgConnection::establish(url).unwrap() }
    }

    /// From now on every claim and every unknown task is noted.
    pub fn trace(&mut self) {
        self.run(TRACES);
    }

    /// Runs statements.
    pub fn run(&mut self, sql: &str) {
        self.connection.batch_execute(sql).unwrap();
    }

    fn rows(&mut self, sql: &str) -> Vec<IdRow> {
        diesel::sql_query(sql).load(&mut self.connection).unwrap()
    }

    /// The ids that this gives.
    pub fn ids(&mut self, sql: &str) -> HashSet<Uuid> {
        let rows = self.rows(&format!("SELECT q.id::text AS id, NULL AS owner, true AS yes FROM ({sql}) q"));
        rows.iter().map(|row| uuid(&row.id)).collect()
    }

    /// The number that this gives; 0 if it gives none.
    pub fn number(&mut self, sql: &str) -> i64 {
        let sql = format!("SELECT coalesce(({sql})::bigint, 0) AS number");
        diesel::sql_query(sql).get_result::<NumberRow>(&mut self.connection).unwrap().number
    }

    /// What this says.
    pub fn holds(&mut self, condition: &str) -> bool {
        self.number(&format!("SELECT ({condition})::int")) == 1
    }

    /// The living generation of a node.
    pub fn generation(&mut self, node: usize) -> Option<Uuid> {
        let sql = format!("SELECT id FROM generation WHERE node = 'node-{node}' AND state = 0 ORDER BY 1 DESC LIMIT 1");
        self.ids(&sql).into_iter().next()
    }

    /// It was declared dead, or has ended.
    pub fn is_dead(&mut self, generation: Uuid) -> bool {
        self.holds(&format!("EXISTS (SELECT FROM generation WHERE id = '{generation}' AND state = 2)"))
    }

    /// The generation whose lease is valid.
    pub fn master(&mut self) -> Option<Uuid> {
        let sql = "SELECT generation AS id FROM master_lease WHERE generation IS NOT NULL AND expires_at > now_us()";
        self.ids(sql).into_iter().next()
    }

    /// What a generation holds now.
    pub fn held(&mut self, generation: Uuid) -> Held {
        let rows = self.rows(&format!("{HELD} AND t.owner = '{generation}'"));
        let started = rows.iter().filter(|row| row.yes).map(|row| uuid(&row.id)).collect();
        Held { claimed: rows.iter().map(|row| uuid(&row.id)).collect(), started }
    }

    /// What it holds just after something was done to its node: now, and once the server is through with what was sent to
    /// it before. Every start record and every claim is written under the generation's fence, so nothing is under way while
    /// that can be locked; it is never waited for, which would hold others up.
    pub fn held_at_a_fault(&mut self, generation: Uuid) -> Held {
        let (mut held, began) = (self.held(generation), Instant::now());
        let free = format!("SELECT id FROM generation WHERE id = '{generation}' FOR UPDATE SKIP LOCKED");
        loop {
            let is_free = diesel::sql_query(&free).execute(&mut self.connection).unwrap() == 1;
            if is_free && began.elapsed() >= RECEIVED || began.elapsed() >= OPEN {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        held.add(self.held(generation));
        held
    }

    /// When it was declared dead, by the database's clock.
    pub fn died_at(&mut self, generation: Uuid) -> SystemTime {
        let us = self.number(&format!("SELECT ended_at FROM generation WHERE id = '{generation}' AND state = 2"));
        SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(us).unwrap())
    }

    /// Every claim that was made for a generation, settled or not.
    pub fn claimed_for(&mut self, generation: Uuid) -> HashSet<Uuid> {
        self.ids(&format!("SELECT unnest(ids) AS id FROM test_claim WHERE generation = '{generation}'"))
    }

    /// Claims that were committed when the fence had gone on to another epoch, and claims of an epoch whose next had begun.
    pub fn overtaken(&mut self) -> i64 {
        self.number(
            "SELECT (SELECT count(*) FROM test_claim WHERE epoch <> fence) + (SELECT count(*) FROM test_claim c \
             JOIN master_term t ON t.epoch = c.epoch + 1 WHERE c.epoch = c.fence AND c.at > t.elected_at)",
        )
    }

    /// When each task came in, by the database's clock.
    pub fn stored(&mut self) -> HashMap<Uuid, SystemTime> {
        let sql = "SELECT id::text AS id, created_at AS at FROM task UNION ALL \
            SELECT id::text, created_at FROM task_history";
        let rows: Vec<InstantRow> = diesel::sql_query(sql).load(&mut self.connection).unwrap();
        let at = |micros: i64| SystemTime::UNIX_EPOCH + Duration::from_micros(micros as u64);
        rows.iter().map(|row| (uuid(&row.id), at(row.at))).collect()
    }

    /// The states of all tasks, as numbers, and who had them last.
    pub fn states(&mut self) -> HashMap<Uuid, (i16, Option<Uuid>)> {
        let sql = "SELECT id::text AS id, owner::text AS owner, state FROM task UNION ALL \
            SELECT id::text, owner::text, state FROM task_history";
        let rows: Vec<StateRow> = diesel::sql_query(sql).load(&mut self.connection).unwrap();
        rows.iter().map(|row| (uuid(&row.id), (row.state, row.owner.as_deref().map(uuid)))).collect()
    }
}
