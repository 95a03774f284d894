//! What a PostgreSQL was asked to do: statements, commits, WAL.

use std::ops::Sub;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::pg::PgConnection;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query};

use crate::harness::node::until;
use crate::services::postgres::{Server, own_server};

/// The beginning and the end of a transaction are no statements of their own here.
const STATEMENTS: &str = "FROM public.pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid \
    WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = 'postgres') AND s.query !~* '^ *(begin|commit|rollback)'";

/// What was counted so far.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub struct Counted {
    /// Statements, without beginnings and ends of transactions.
    #[diesel(sql_type = BigInt)]
    pub statements: i64,
    /// Transactions that ended well, also those that only read.
    #[diesel(sql_type = BigInt)]
    pub commits: i64,
    /// Bytes of the write-ahead log.
    #[diesel(sql_type = BigInt)]
    pub wal_bytes: i64,
}

impl Sub for Counted {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            statements: self.statements - before.statements,
            commits: self.commits - before.commits,
            wal_bytes: self.wal_bytes - before.wal_bytes,
        }
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Process {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// One kind of statement.
#[derive(Debug, QueryableByName)]
pub struct Kind {
    /// Its words.
    #[diesel(sql_type = Text)]
    pub words: String,
    /// How often it was asked.
    #[diesel(sql_type = BigInt)]
    pub calls: i64,
    /// How long all of them took, in microseconds.
    #[diesel(sql_type = BigInt)]
    pub us: i64,
}

/// A server that counts, and a connection to it that is not counted: it is to another database.
pub struct Meter {
    /// The server.
    pub server: Server,
    connection: PgConnection,
}

impl Meter {
    /// A server of its own with these settings; `None` where it has no `pg_stat_statements`.
    pub fn start(on: &Server, settings: &[&str]) -> Option<Self> {
        let offered = "SELECT count(*) AS number FROM pg_available_extensions WHERE name = 'pg_stat_statements'";
        if number(&mut connection(on), offered) == 0 {
            println!("      no pg_stat_statements (Debian: it comes with postgresql): its figures cannot be measured");
            return None;
        }
        // No checkpoint within a run: the first change of a page after one writes all of it to the log.
        let counting = ["shared_preload_libraries=pg_stat_statements", "checkpoint_timeout=1h"];
        let server = own_server(&[settings, &counting].concat())?;
        let mut connection = connection(&server);
        connection.batch_execute("CREATE EXTENSION pg_stat_statements SCHEMA public").unwrap();
        Some(Self { server, connection })
    }

    /// What all sessions have done. They must have ended: what a living one has committed may be told late.
    pub fn counted(&mut self) -> Counted {
        let others = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = 'postgres' \
            AND backend_type = 'client backend'";
        until("no session is left", Duration::from_secs(20), || number(&mut self.connection, others) == 0);
        let counted = format!(
            "SELECT (SELECT coalesce(sum(s.calls), 0)::BIGINT {STATEMENTS}) AS statements, \
             (SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres') AS commits, \
             pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::BIGINT AS wal_bytes"
        );
        sql_query(counted).get_result(&mut self.connection).unwrap()
    }

    /// Statements of one user so far.
    pub fn statements_of(&mut self, user: &str) -> i64 {
        number(
            &mut self.connection,
            &format!("SELECT coalesce(sum(s.calls), 0)::BIGINT AS number {STATEMENTS} AND rolname = '{user}'"),
        )
    }

    /// Processes of a user's sessions.
    pub fn sessions_of(&mut self, user: &str) -> Vec<u32> {
        let words = format!("SELECT pid FROM pg_stat_activity WHERE usename = '{user}' ORDER BY pid");
        let sessions: Vec<Process> = sql_query(words).load(&mut self.connection).unwrap();
        sessions.into_iter().map(|session| u32::try_from(session.pid).unwrap()).collect()
    }

    /// Makes a user of its own, so that what it does can be told from others'; the URL with it.
    pub fn user(&mut self, name: &str, url: &str) -> String {
        self.connection.batch_execute(&format!("CREATE ROLE {name} SUPERUSER LOGIN")).unwrap();
        url.replacen("//postgres@", &format!("//{name}@"), 1)
    }

    /// The same, of statements only what comes from now on.
    pub fn counted_anew(&mut self) -> Counted {
        self.counted();
        self.connection.batch_execute("SELECT public.pg_stat_statements_reset()").unwrap();
        self.counted()
    }

    /// The kinds of statements that took most time, most first.
    pub fn most(&mut self, kinds: usize) -> Vec<Kind> {
        let words = format!(
            "SELECT regexp_replace(s.query, '\\s+', ' ', 'g') AS words, s.calls, (s.total_exec_time * 1000)::BIGINT AS us \
             {STATEMENTS} ORDER BY us DESC LIMIT {kinds}"
        );
        sql_query(words).load(&mut self.connection).unwrap()
    }
}

/// To a database that nobody else uses.
fn connection(server: &Server) -> PgConnection {
    PgConnection::establish(&server.url_of("template1")).unwrap()
}

fn number(connection: &mut PgConnection, words: &str) -> i64 {
    sql_query(words).get_result::<Number>(connection).unwrap().number
}
