//! Which tasks match a filter: [`look`](crate::store::look) in `SQLite`'s words, all on one snapshot.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};
use diesel::sqlite::SqliteConnection;

use super::packed::unpack;
use super::schema::assignment;
use super::value::Value;
use crate::domain::TaskId;
use crate::store::key::Key;
use crate::store::look::{self, HELD_MAX, Held, Looker};
use crate::store::statement::Composed;
use crate::store::{Filter, Matching, Result};

/// The tasks that match, the newest first.
pub fn matching(c: &mut SqliteConnection, filter: &Filter) -> Result<Matching> {
    look::matching(&mut Sqlite(c), filter)
}

struct Sqlite<'c>(&'c mut SqliteConnection);

impl<'a> Held<'a> for Value<'a> {
    fn int(value: i64) -> Self {
        Self::Int(value)
    }

    fn text(value: &'a str) -> Self {
        Self::Text(value)
    }

    fn key(id: &'a TaskId) -> Self {
        Self::Blob(id.0.as_bytes())
    }
}

impl Looker for Sqlite<'_> {
    type Value<'a> = Value<'a>;
    type Row = (BigInt, Binary);
    const IN_TIME: Option<&'static str> = None;
    const HAS_LABEL: [&'static str; 2] =
        ["EXISTS (SELECT 1 FROM json_each(LABELS) l WHERE l.key = ?", " AND l.value = ?)"];
    const TOGETHER: usize = 64;

    fn ask(&mut self, words: Composed<Value<'_>, Self::Row>) -> Result<Vec<(i64, Key)>> {
        Ok(words.load(self.0)?)
    }

    /// A recovered generation has left no assignments.
    fn held(&mut self) -> Result<Option<Vec<TaskId>>> {
        // The sizes stand before the blobs, which are not read for them.
        let claims = sql::<Nullable<BigInt>>("sum(length(ids)) / 16");
        if assignment::table.select(claims).first::<Option<i64>>(self.0)?.unwrap_or(0) > HELD_MAX {
            return Ok(None);
        }
        let rows: Vec<(Vec<u8>, Vec<u8>)> =
            assignment::table.select((assignment::ids, assignment::claim_nos)).load(self.0)?;
        let mut held = Vec::new();
        for (ids, claim_nos) in rows {
            held.extend(unpack(&ids, &claim_nos)?.into_iter().map(|claim| claim.id));
        }
        Ok(Some(held))
    }

    fn among<'a>(words: &mut Composed<Value<'a>, Self::Row>, ids: &'a [TaskId]) {
        words.and("t.id IN (?", ids.first().map(Value::key));
        // As many marks each time, so that it is prepared once: the last is named again.
        let rest = (1..Self::TOGETHER).filter_map(|n| ids.get(n).or(ids.last()));
        for id in rest {
            words.and(", ?", [Value::key(id)]);
        }
        words.and(")", []);
    }
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel::sql_types::{Integer, Text};

    use super::*;
    use crate::domain::State;

    /// Answers with places that reach to the end of time, so that all that a look may ask is asked.
    struct Plans(SqliteConnection, Vec<String>);

    impl Looker for Plans {
        type Value<'a> = Value<'a>;
        type Row = (BigInt, Binary);
        const IN_TIME: Option<&'static str> = Sqlite::IN_TIME;
        const HAS_LABEL: [&'static str; 2] = Sqlite::HAS_LABEL;
        const TOGETHER: usize = Sqlite::TOGETHER;

        fn ask(&mut self, words: Composed<Value<'_>, Self::Row>) -> Result<Vec<(i64, Key)>> {
            type Step = (Integer, Integer, Integer, Text);
            let steps: Vec<(i32, i32, i32, String)> = words.explained::<Step>().load(&mut self.0)?;
            self.1.extend(steps.into_iter().map(|(.., detail)| detail));
            Ok(vec![(0, Key(uuid::Uuid::nil()))])
        }

        fn held(&mut self) -> Result<Option<Vec<TaskId>>> {
            Ok(Some(vec![TaskId(uuid::Uuid::nil())]))
        }

        fn among<'a>(words: &mut Composed<Value<'a>, Self::Row>, ids: &'a [TaskId]) {
            Sqlite::among(words, ids);
        }
    }

    /// There are no statistics (`ANALYZE` is never run), so plans are the same on a full database.
    #[test]
    fn every_look_goes_by_an_index() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-23-000001_tables/up.sql")).unwrap();
        connection.batch_execute(include_str!("../../../migrations/sqlite/2026-11-28-000001_tags/up.sql")).unwrap();
        let mut plans = Plans(connection, Vec::new());
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for state in State::ALL.map(Some).into_iter().chain([None]) {
            for labels in [vec![], vec![label("a", "b")], vec![label("a", "b"), label("c", "d=e")]] {
                for target in [None, Some("log".to_owned())] {
                    look::matching(
                        &mut plans,
                        &Filter { state, labels: labels.clone(), target, limit: 9, ..Filter::default() },
                    )
                    .unwrap();
                }
            }
        }
        let tables = [" t ", " s ", " o "];
        let steps: Vec<&String> =
            plans.1.iter().filter(|step| tables.iter().any(|table| step.contains(table))).collect();
        assert!(steps.len() > 100, "{steps:#?}");
        for step in steps {
            // Both ends of a walk along a table are places: a bound of one column alone would let it begin far away.
            let is_bounded = step.contains('=') || step.matches("(created_at,id)").count() == 2;
            assert!(step.starts_with("SEARCH ") && is_bounded, "{step}");
        }
        // Only the few that both tables give for one page are sorted.
        let sorts = plans.1.iter().filter(|step| step.contains("TEMP B-TREE FOR ORDER BY")).count();
        assert_eq!(sorts, 2, "{:#?}", plans.1);
    }
}
