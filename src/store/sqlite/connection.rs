//! Connections to the database file: one writer, a few readers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::result::Error as DieselError;
use diesel::sqlite::SqliteConnection;

use super::checkpoint::Checkpoints;
use crate::store::{Result, StoreError};

/// A pooled connection.
pub type Pooled = PooledConnection<ConnectionManager<SqliteConnection>>;

/// Longest wait for a connection. Below any lease: who waits longer is better told to try again.
const WAIT: Duration = Duration::from_secs(2);

/// `busy_timeout` first, since the other pragmas may have to wait for a lock. FULL: a commit is on the disk when it is
/// answered. The log begins anew after 4,000 pages (16 MB); most of them are in the file by then, see [`super::checkpoint`].
const PRAGMAS: &str = "PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;";

/// The pools.
#[derive(Debug, Clone)]
pub struct Connections {
    writer: Pool<ConnectionManager<SqliteConnection>>,
    readers: Pool<ConnectionManager<SqliteConnection>>,
    /// For what people ask for: a list may read for long, and must not keep the actors from reading.
    visitors: Pool<ConnectionManager<SqliteConnection>>,
    checkpoints: Arc<Checkpoints>,
}

#[derive(Debug)]
struct Pragmas;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for Pragmas {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> std::result::Result<(), diesel::r2d2::Error> {
        connection.batch_execute(PRAGMAS).map_err(diesel::r2d2::Error::QueryError)
    }
}

impl Connections {
    /// Opens the file, making it if it is missing.
    pub fn open(file: &Path) -> Result<Self> {
        let pool = |size: u32| {
            Pool::builder()
                .max_size(size)
                .min_idle(Some(1))
                .idle_timeout(None)
                .max_lifetime(None)
                .test_on_check_out(false)
                .connection_timeout(WAIT)
                .connection_customizer(Box::new(Pragmas))
                .build(ConnectionManager::new(file.to_string_lossy()))
                .map_err(|cause| {
                    StoreError::Unusable(format!("the task database {} cannot be opened: {cause}", file.display()))
                })
        };
        let (writer, readers, visitors) = (pool(1)?, pool(4)?, pool(2)?);
        Ok(Self { writer, readers, visitors, checkpoints: Arc::new(Checkpoints::begin(file, PRAGMAS)?) })
    }

    /// Runs `work` in a transaction that may write. IMMEDIATE: a deferred one that writes later fails at once when
    /// another has written in between, in spite of every busy time-out.
    pub fn write<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        let mut connection = taken(&self.writer)?;
        // On a full disk SQLite rolls back by itself, and the rollback that follows fails with words of its own: what
        // the work has said is what counts.
        let mut said = None;
        let done = connection.immediate_transaction(|c| {
            work(c).map_err(|cause| {
                said = Some(cause);
                StoreError::Statement(DieselError::RollbackTransaction)
            })
        });
        self.checkpoints.written();
        done.map_err(|cause| classified(said.unwrap_or(cause)))
    }

    /// Runs `work` on one snapshot.
    pub fn read<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        reading(&self.readers, work)
    }

    /// The same for people.
    pub fn visit<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T>) -> Result<T> {
        reading(&self.visitors, work)
    }
}

fn reading<T>(
    pool: &Pool<ConnectionManager<SqliteConnection>>,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T>,
) -> Result<T> {
    use diesel::Connection as _;
    let mut connection = taken(pool)?;
    SqliteConnection::transaction(&mut connection, work).map_err(classified)
}

fn taken(pool: &Pool<ConnectionManager<SqliteConnection>>) -> Result<Pooled> {
    pool.get().map_err(|cause| StoreError::Unavailable(cause.to_string()))
}

/// SQLite's own words decide whether it may go through later.
fn classified(error: StoreError) -> StoreError {
    let StoreError::Statement(cause) = &error else { return error };
    let words = cause.to_string();
    if words.contains("disk is full") {
        StoreError::Full(words)
    } else if words.contains("locked")
        || words.contains("disk I/O error")
        || matches!(cause, DieselError::BrokenTransactionManager)
    {
        StoreError::Unavailable(words)
    } else {
        error
    }
}
