//! Brings a database up to this program's schema, one node at a time.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::SCHEMA;
use super::connection::Connections;
use crate::store::{Result, StoreError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Applies every step that the database lacks. The names of the applied steps.
///
/// # Errors
/// The server is away, refuses a step, or the database was made by a newer program.
pub fn migrate(url: &str) -> Result<Vec<String>> {
    apply(&Connections::new(url, 1))
}

/// The same over these connections. The lock is the connection's: whoever dies in the midst lets go of it, and whoever
/// stands still in the midst keeps only those waiting who lack a step too; they are told so, and ask again.
pub(super) fn apply(connections: &Connections) -> Result<Vec<String>> {
    connections.run(|c| {
        refuse_newer(c)?;
        if is_current(c)? {
            return Ok(Vec::new());
        }
        c.batch_execute(
            "SELECT pg_advisory_lock(hashtext('task-scheduler migrations'), hashtext(current_schema())); \
             SET statement_timeout = 0; SET lock_timeout = 0",
        )?;
        let applied = refuse_newer(c).and_then(|()| {
            let applied = c
                .run_pending_migrations(MIGRATIONS)
                .map_err(|cause| StoreError::Unusable(format!("the database's schema cannot be changed: {cause}")))?;
            Ok(applied.iter().map(ToString::to_string).collect())
        });
        c.batch_execute(
            "SELECT pg_advisory_unlock(hashtext('task-scheduler migrations'), hashtext(current_schema())); \
             SET statement_timeout = '10s'; SET lock_timeout = '2s'",
        )?;
        applied
    })
}

/// Nothing is to be done: then no lock is needed.
fn is_current(c: &mut PgConnection) -> Result<bool> {
    let begun = diesel::select(diesel::dsl::sql::<Bool>("to_regclass('__diesel_schema_migrations') IS NOT NULL"));
    if !begun.get_result::<bool>(c)? {
        return Ok(false);
    }
    let pending = c.has_pending_migration(MIGRATIONS);
    pending
        .map(|pending| !pending)
        .map_err(|cause| StoreError::Unusable(format!("the database's schema cannot be looked at: {cause}")))
}

fn refuse_newer(c: &mut PgConnection) -> Result<()> {
    let known = diesel::select(diesel::dsl::sql::<Bool>("to_regclass('schema_version') IS NOT NULL"));
    if !known.get_result::<bool>(c)? {
        return Ok(());
    }
    let needed: Option<i32> =
        diesel::select(diesel::dsl::sql::<Nullable<Integer>>("(SELECT max(min_program) FROM schema_version)"))
            .get_result(c)?;
    match needed.filter(|needed| *needed > SCHEMA) {
        None => Ok(()),
        Some(needed) => Err(StoreError::Unusable(format!(
            "the database was made by a newer program (it needs schema {needed}, this one knows {SCHEMA}); \
             start the newer program, or choose another database with --database-url"
        ))),
    }
}
