//! A statement of the hot path: its text is written by hand and never changes, so that it is prepared once per
//! connection and found again by its type. (The query builder's own updates and upserts are found by their text, which it
//! builds anew for every row: a third of a claim's time.)

use std::marker::PhantomData;

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{QueryResult, RunQueryDsl};

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
