//! Brings a database file up to this program's schema.

use std::path::Path;

use diesel::OptionalExtension as _;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::connection::Connections;
use super::lock_file::LockFile;
use super::schema::schema_version;
use super::{DATABASE_FILE, SCHEMA};
use crate::store::{Result, StoreError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Oldest SQLite that this store was written for: `RETURNING`, row values in indexes, and a look at the write-ahead log.
const SQLITE_MIN: (u32, u32) = (3, 51);

/// Applies every step that the file in `folder` lacks, without starting anything else. The names of the applied steps.
///
/// # Errors
/// Another process holds the folder, it cannot be written, or the database was made by a newer program.
pub fn migrate(folder: &Path) -> Result<Vec<String>> {
    let _lock = LockFile::take(folder)?;
    apply(&Connections::open(&folder.join(DATABASE_FILE))?)
}

/// The same on an open database.
pub(super) fn apply(connections: &Connections) -> Result<Vec<String>> {
    connections.read(|connection| {
        check_library(connection)?;
        refuse_newer(connection)
    })?;
    connections.write(|connection| {
        let applied = connection
            .run_pending_migrations(MIGRATIONS)
            .map_err(|cause| StoreError::Unusable(format!("the database's schema cannot be changed: {cause}")))?;
        Ok(applied.iter().map(ToString::to_string).collect())
    })
}

fn check_library(connection: &mut SqliteConnection) -> Result<()> {
    #[derive(QueryableByName)]
    struct Version {
        #[diesel(sql_type = diesel::sql_types::Text)]
        version: String,
    }
    let found: Version = diesel::sql_query("SELECT sqlite_version() AS version").get_result(connection)?;
    let mut parts = found.version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if number >= SQLITE_MIN {
        return Ok(());
    }
    Err(StoreError::Unusable(format!("SQLite {} is too old; build with the bundled one", found.version)))
}

fn refuse_newer(connection: &mut SqliteConnection) -> Result<()> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        tables: i64,
    }
    let tables: Found = diesel::sql_query("SELECT count(*) AS tables FROM sqlite_master WHERE name = 'schema_version'")
        .get_result(connection)?;
    if tables.tables == 0 {
        return Ok(());
    }
    let needed: Option<i32> = schema_version::table
        .select(schema_version::min_program)
        .order(schema_version::version.desc())
        .first(connection)
        .optional()?;
    match needed.filter(|needed| *needed > SCHEMA) {
        None => Ok(()),
        Some(needed) => Err(StoreError::Unusable(format!(
            "the database was made by a newer program (it needs schema {needed}, this one knows {SCHEMA}); \
             start the newer program, or choose another folder with --data-dir"
        ))),
    }
}
