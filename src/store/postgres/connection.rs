//! Connections to PostgreSQL: a pool, and what a broken one looks like.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::r2d2::{Error as PoolError, ManageConnection, Pool, PooledConnection, R2D2Connection as _};
use diesel::result::{DatabaseErrorKind as Kind, Error as DieselError};

use crate::store::{Result, StoreError};

/// Longest wait for a connection. Below any lease: who waits longer is better told to try again.
const WAIT: Duration = Duration::from_secs(2);

/// No statement, no lock and no transaction that its owner has forgotten holds anybody up for longer than a lease. The
/// server's `tcp_user_timeout` is the one that frees a fence whose owner was stopped while it received an answer; its
/// keepalives end sessions whose node is cut off or has lost its power, which would else hold their places and their life
/// lock for two hours. The rules of ingest, starting and recovery are those of READ COMMITTED: a later statement must see
/// what was committed meanwhile, whatever this database takes by default.
/// Every statement goes by a key or an index, whatever the values: so a prepared one keeps one plan. But a plan that was
/// made while a table was empty would read all of it for ever (measured: 170 ms instead of 2 for a batch), so ways that
/// read whole tables are not offered, nor those that collect everything before they give the first row.
const SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '2s'; \
    SET idle_in_transaction_session_timeout = '2s'; SET tcp_user_timeout = 3000; \
    SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3; \
    SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_generic_plan; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET jit = off; SET application_name = 'task-scheduler'; SET client_min_messages = warning;";

/// What libpq is told besides the URL: how long a connection may take to be made, and when a silent one is given up.
const PARAMETERS: [(&str, &str); 4] =
    [("connect_timeout", "2"), ("tcp_user_timeout", "3000"), ("keepalives_idle", "2"), ("keepalives_interval", "1")];

/// One connection.
pub struct Link {
    connection: PgConnection,
    broken: bool,
}

impl Link {
    /// Makes one.
    ///
    /// # Errors
    /// The server does not answer, or not as it should.
    pub fn open(url: &str) -> std::result::Result<Self, PoolError> {
        let mut connection = PgConnection::establish(url).map_err(PoolError::ConnectionError)?;
        connection.batch_execute(SETTINGS).map_err(PoolError::QueryError)?;
        Ok(Self { connection, broken: false })
    }

    /// Runs `work`, one statement or several that need no transaction.
    pub fn run<T>(&mut self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let done = work(&mut self.connection);
        self.classified(done)
    }

    /// Runs `work` in a transaction.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let done = self.connection.transaction(work);
        self.classified(done)
    }

    /// What others have notified since the last look.
    pub fn notifications(&mut self) -> Result<Vec<String>> {
        let heard = self.connection.notifications_iter().map(|one| Ok(one?.payload)).collect();
        self.classified(heard)
    }

    /// It cannot be used again.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether it may go through later, and whether this connection still stands.
    fn classified<T>(&mut self, done: Result<T>) -> Result<T> {
        let Err(StoreError::Statement(cause)) = done else { return done };
        let words = cause.to_string();
        let statement_only = match &cause {
            DieselError::DatabaseError(Kind::ClosedConnection | Kind::UnableToSendCommand, _)
            | DieselError::BrokenTransactionManager
            | DieselError::RollbackErrorOnCommit { .. }
            | DieselError::AlreadyInTransaction
            | DieselError::NotInTransaction => false,
            DieselError::DatabaseError(Kind::Unknown | Kind::ReadOnlyTransaction, _) => {
                self.connection.batch_execute("SELECT 1").is_ok()
            }
            _ => true,
        };
        self.broken |= !statement_only;
        let passing = ["canceling statement", "deadlock detected", "the database system is", "terminating connection"];
        Err(if words.contains("No space left on device") {
            StoreError::Full(words)
        } else if !statement_only
            || matches!(cause, DieselError::DatabaseError(Kind::SerializationFailure | Kind::ReadOnlyTransaction, _))
            || passing.iter().any(|part| words.contains(part))
        {
            StoreError::Unavailable(words)
        } else {
            StoreError::Statement(cause)
        })
    }
}

/// Makes connections for the pool.
#[derive(Debug)]
struct Maker {
    url: String,
}

impl ManageConnection for Maker {
    type Connection = Link;
    type Error = PoolError;

    fn connect(&self) -> std::result::Result<Link, PoolError> {
        Link::open(&self.url)
    }

    fn is_valid(&self, link: &mut Link) -> std::result::Result<(), PoolError> {
        link.connection.batch_execute("SELECT 1").map_err(PoolError::QueryError)
    }

    /// A panic in the midst of a transaction leaves it open: what is "committed" within it later, is not.
    fn has_broken(&self, link: &mut Link) -> bool {
        link.broken || link.connection.is_broken()
    }
}

/// All connections of one node.
pub struct Connections {
    url: String,
    pool: Pool<Maker>,
    /// For what people ask for: a list may read for long, and must not keep the actors from their work.
    visitors: Pool<Maker>,
    /// Of its own, so that a renewal never waits for the pool.
    lease: Mutex<Option<Link>>,
}

impl Connections {
    /// At most `size` of them for the actors and half as many for people, made as they are needed: a server that is away
    /// makes a node unready, not dead.
    pub fn new(url: &str, size: u32) -> Self {
        let url = with_parameters(url);
        let pool = |size: u32| {
            Pool::builder()
                .max_size(size)
                .min_idle(Some(0))
                .idle_timeout(None)
                .max_lifetime(None)
                .test_on_check_out(false)
                .connection_timeout(WAIT)
                .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
                .build_unchecked(Maker { url: url.clone() })
        };
        Self { pool: pool(size), visitors: pool(size.div_ceil(2)), lease: Mutex::new(None), url }
    }

    /// Of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs `work` in a transaction.
    pub fn write<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        taken(&self.pool)?.transaction(work)
    }

    /// Runs `work`: a single statement, or reads that need not be of one snapshot.
    pub fn run<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        taken(&self.pool)?.run(work)
    }

    /// The same for people.
    pub fn visit<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        taken(&self.visitors)?.run(work)
    }

    /// Runs `work` in a transaction, for people: they may have to wait for each other, and no actor for them.
    pub fn change<T>(&self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        taken(&self.visitors)?.transaction(work)
    }

    /// Runs `work` on the lease's own connection; `opened` is done to a new one first.
    pub fn on_lease<T>(
        &self,
        opened: impl FnOnce(&mut PgConnection) -> Result<()>,
        work: impl FnOnce(&mut Link) -> Result<T>,
    ) -> Result<T> {
        let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        let mut link = if let Some(link) = lease.take() {
            link
        } else {
            let mut link = Link::open(&self.url).map_err(|cause| StoreError::Unavailable(cause.to_string()))?;
            link.run(opened)?;
            link
        };
        let done = work(&mut link);
        if !link.is_broken() {
            *lease = Some(link);
        }
        done
    }
}

fn taken(pool: &Pool<Maker>) -> Result<PooledConnection<Maker>> {
    pool.get().map_err(|cause| StoreError::Unavailable(cause.to_string()))
}

/// The URL with every parameter that it does not set itself.
fn with_parameters(url: &str) -> String {
    let mut whole = url.to_owned();
    for (name, value) in PARAMETERS {
        if !whole.contains(&format!("{name}=")) {
            let mark = if whole.contains('?') { "&" } else { "?" };
            whole += &[mark, name, "=", value].concat();
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_added_unless_they_are_set() {
        let whole = with_parameters("postgres://u@h/d?connect_timeout=9");
        assert!(whole.starts_with("postgres://u@h/d?connect_timeout=9&tcp_user_timeout=3000&"), "{whole}");
        assert!(with_parameters("postgres://u@h/d").starts_with("postgres://u@h/d?connect_timeout=2&"));
    }

    #[test]
    fn a_server_that_is_away_is_unavailable() {
        let connections = Connections::new("postgres://nobody@127.0.0.1:1/none", 1);
        let refused = connections.run(|_| Ok(())).unwrap_err();
        assert!(refused.is_passing(), "{refused}");
    }
}
