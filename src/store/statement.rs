//! A statement of the hot path: its text is written by hand and never changes, so that it is prepared once per
//! connection and found again by its type. (The query builder's own updates and upserts are found by their text, which it
//! builds anew for every row: a third of a claim's time.)

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::{QueryResult, RunQueryDsl};

/// The text of one statement, under a type of its own.
pub trait Words: 'static {
    /// SQL; each `?` takes the next value.
    const SQL: &'static str;
    /// What a row of its answer is made of; `()` if it has none.
    type Row: 'static;
}

/// A value that a statement takes.
pub trait Bind<DB: Backend> {
    /// Binds it to the next place.
    ///
    /// # Errors
    /// It cannot be written as its type.
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>;
}

/// A statement with its values.
#[derive(Debug)]
pub struct Statement<'a, W, V> {
    values: &'a [V],
    words: PhantomData<W>,
}

/// `W` with these values.
pub fn statement<W: Words, V>(values: &[V]) -> Statement<'_, W, V> {
    Statement { values, words: PhantomData }
}

impl<W: Words, V: Bind<DB>, DB: Backend> QueryFragment<DB> for Statement<'_, W, V> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        walk(W::SQL, self.values, out)
    }
}

/// Its words are its name.
#[derive(Debug)]
pub struct Named<W>(PhantomData<W>);

impl<W: Words, V> QueryId for Statement<'_, W, V> {
    type QueryId = Named<W>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<W: Words, V> Query for Statement<'_, W, V> {
    type SqlType = W::Row;
}

impl<W: Words, V, C> RunQueryDsl<C> for Statement<'_, W, V> {}

/// A statement whose text depends on what is asked for: prepared once per text. `R` is what its rows are made of.
#[derive(Debug)]
pub struct Composed<V, R> {
    sql: String,
    values: Vec<V>,
    row: PhantomData<R>,
}

impl<V, R> Composed<V, R> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { sql: String::new(), values: Vec::new(), row: PhantomData }
    }

    /// How the database goes about it.
    #[cfg(test)]
    pub fn explained<S>(self) -> Composed<V, S> {
        Composed { sql: format!("EXPLAIN QUERY PLAN {}", self.sql), values: self.values, row: PhantomData }
    }

    /// Goes on with `sql`; each `?` takes one of `values`.
    pub fn and(&mut self, sql: &str, values: impl IntoIterator<Item = V>) {
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

impl<V: Bind<DB>, R, DB: Backend> QueryFragment<DB> for Composed<V, R> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        walk(&self.sql, &self.values, out)
    }
}

impl<V, R> QueryId for Composed<V, R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<V, R> Query for Composed<V, R> {
    type SqlType = R;
}

impl<V, R, C> RunQueryDsl<C> for Composed<V, R> {}

fn walk<'b, V: Bind<DB>, DB: Backend>(sql: &str, values: &'b [V], mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
    let mut values = values.iter();
    for (n, part) in sql.split('?').enumerate() {
        if n > 0 {
            let missing = || diesel::result::Error::QueryBuilderError("a value is missing".into());
            values.next().ok_or_else(missing)?.bind(&mut out)?;
        }
        out.push_sql(part);
    }
    Ok(())
}
