//! What `SQLite`'s statements take, and how many rows go by one.

use diesel::QueryResult;
use diesel::query_builder::AstPass;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::Sqlite;

use crate::store::statement::Bind;
#[cfg(test)]
use crate::store::statement::Words;

/// So many rows of a batch go by one statement: a statement for each costs about as much as what it does.
pub const TOGETHER: usize = 16;

/// The text for one row, as often as rows go together.
macro_rules! together {
    ($one:literal) => {
        concat!(
            $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ",
            $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one, ", ", $one
        )
    };
}
pub(super) use together;

/// One value of a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Int(i64),
    MaybeInt(Option<i64>),
    Blob(&'a [u8]),
    MaybeBlob(Option<&'a [u8]>),
    Text(&'a str),
    MaybeText(Option<&'a str>),
}

impl Bind<Sqlite> for Value<'_> {
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        match self {
            Self::Int(value) => out.push_bind_param::<BigInt, _>(value),
            Self::MaybeInt(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Self::Blob(value) => out.push_bind_param::<Binary, _>(value),
            Self::MaybeBlob(value) => out.push_bind_param::<Nullable<Binary>, _>(value),
            Self::Text(value) => out.push_bind_param::<Text, _>(value),
            Self::MaybeText(value) => out.push_bind_param::<Nullable<Text>, _>(value),
        }
    }
}

/// How `SQLite` goes about a statement, on a new database: its steps, one a line. There are no statistics (`ANALYZE` is
/// never run), so that it is the same on a full one.
#[cfg(test)]
pub fn plan<W: Words>() -> String {
    use diesel::Connection as _;
    use diesel::RunQueryDsl as _;
    use diesel::connection::SimpleConnection as _;
    use diesel::sqlite::SqliteConnection;

    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-23-000001_tables/up.sql")).unwrap();
    connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-25-000001_topic/up.sql")).unwrap();
    connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-28-000001_tags/up.sql")).unwrap();
    connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-29-000001_pause/up.sql")).unwrap();
    connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-30-000001_retention/up.sql")).unwrap();
    connection.batch_execute(include_str!("../../../migrations/sqlite/2026-12-02-000001_accepted/up.sql")).unwrap();
    let steps = diesel::sql_query(format!("EXPLAIN QUERY PLAN {}", W::SQL)).load::<Step>(&mut connection).unwrap();
    steps.into_iter().map(|step| step.detail + "\n").collect()
}
