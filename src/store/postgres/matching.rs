//! Which tasks match a filter: [`look`](crate::store::look) in PostgreSQL's words.
//!
//! A look may be two statements: how far it goes, and then what matches up to there, which sees all that stands there by
//! then. What is taken in or moves in between is seen or not, but nothing is passed over.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Uuid};

use super::columns::in_time;
use super::value::Value;
use crate::domain::TaskId;
use crate::store::key::Key;
use crate::store::look::{self, HELD_MAX, Held, Looker};
use crate::store::statement::{Composed, Words, statement};
use crate::store::{Filter, Matching, Result};

/// The tasks that match, the newest first.
pub fn matching(c: &mut PgConnection, filter: &Filter) -> Result<Matching> {
    look::matching(&mut Postgres(c), filter)
}

struct Postgres<'c>(&'c mut PgConnection);

impl<'a> Held<'a> for Value<'a> {
    fn int(value: i64) -> Self {
        Self::Int(value)
    }

    fn text(value: &'a str) -> Self {
        Self::Text(value)
    }

    fn key(id: &'a TaskId) -> Self {
        Self::Key((*id).into())
    }
}

/// Of those that are not recovered, each by its generation: no planner can turn it into a walk through all of them.
macro_rules! assignments {
    ($what:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM generation g CROSS JOIN LATERAL \
             (SELECT ids FROM assignment WHERE generation = g.id OFFSET 0) AS a WHERE g.state IN (0, 1)"
        )
    };
}

/// About how many claims stand in assignments: their sizes are known without reading them.
struct Claims;

impl Words for Claims {
    const SQL: &'static str = assignments!("coalesce(sum(pg_column_size(a.ids)), 0)::BIGINT / 16");
    type Row = BigInt;
}

struct Assigned;

impl Words for Assigned {
    const SQL: &'static str = assignments!("a.ids");
    type Row = Array<Uuid>;
}

impl Looker for Postgres<'_> {
    type Value<'a> = Value<'a>;
    type Row = (BigInt, Uuid);
    const IN_TIME: Option<&'static str> = Some(in_time!("created_at"));
    const HAS_LABEL: [&'static str; 2] = ["(LABELS)::JSONB ->> ?", " = ?"];
    const TOGETHER: usize = 1_000;

    fn ask(&mut self, words: Composed<Value<'_>, Self::Row>) -> Result<Vec<(i64, Key)>> {
        Ok(words.load(self.0)?)
    }

    fn held(&mut self) -> Result<Option<Vec<TaskId>>> {
        let claims: i64 = statement::<Claims, Value<'_>>(&[]).get_result(self.0)?;
        if claims > HELD_MAX {
            return Ok(None);
        }
        let rows: Vec<Vec<Key>> = statement::<Assigned, Value<'_>>(&[]).load(self.0)?;
        Ok(Some(rows.into_iter().flatten().map(Key::task).collect()))
    }

    fn among<'a>(words: &mut Composed<Value<'a>, Self::Row>, ids: &'a [TaskId]) {
        words.and("t.id = ANY(?)", [Value::Keys(ids.iter().copied().map(Key::from).collect())]);
    }
}
