//! A statement of the hot path: its text is written by hand and never changes, so that it is prepared once per
//! connection and found again by its type. (The query builder's own updates and upserts are found by their text, which it
//! builds anew for every row: a third of a claim's time.)

use std::marker::PhantomData;

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{QueryResult, RunQueryDsl};

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

/// The text of one statement, under a type of its own.
pub trait Words: 'static {
    /// SQL; each `?` takes the next value.
    const SQL: &'static str;
    /// What a row of its answer is made of; `()` if it has none.
    type Row: 'static;
}

/// One value of a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Int(i64),
    MaybeInt(Option<i64>),
    Blob(&'a [u8]),
    Text(&'a str),
    MaybeText(Option<&'a str>),
}

/// A statement with its values.
#[derive(Debug)]
pub struct Statement<'a, W> {
    values: &'a [Value<'a>],
    words: PhantomData<W>,
}

/// `W` with these values.
pub fn statement<'a, W: Words>(values: &'a [Value<'a>]) -> Statement<'a, W> {
    Statement { values, words: PhantomData }
}

impl<W: Words> QueryFragment<Sqlite> for Statement<'_, W> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for (n, part) in W::SQL.split('?').enumerate() {
            if n > 0 {
                match values.next() {
                    Some(Value::Int(value)) => out.push_bind_param::<BigInt, _>(value)?,
                    Some(Value::MaybeInt(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                    Some(Value::Blob(value)) => out.push_bind_param::<Binary, _>(value)?,
                    Some(Value::Text(value)) => out.push_bind_param::<Text, _>(value)?,
                    Some(Value::MaybeText(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                    None => return Err(diesel::result::Error::QueryBuilderError("a value is missing".into())),
                }
            }
            out.push_sql(part);
        }
        Ok(())
    }
}

impl<W: Words> QueryId for Statement<'_, W> {
    type QueryId = Statement<'static, W>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<W: Words> Query for Statement<'_, W> {
    type SqlType = W::Row;
}

impl<W: Words> RunQueryDsl<SqliteConnection> for Statement<'_, W> {}

/// How `SQLite` goes about a statement, on a new database: its steps, one a line. There are no statistics (`ANALYZE` is
/// never run), so that it is the same on a full one.
#[cfg(test)]
pub fn plan<W: Words>() -> String {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;

    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-23-000001_tables/up.sql")).unwrap();
    let steps = diesel::sql_query(format!("EXPLAIN QUERY PLAN {}", W::SQL)).load::<Step>(&mut connection).unwrap();
    steps.into_iter().map(|step| step.detail + "\n").collect()
}
