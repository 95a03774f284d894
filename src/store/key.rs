//! An id as both databases keep it: 16 bytes in one, a `uuid` in the other.

use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::Binary;
use diesel::sqlite::{Sqlite, SqliteValue};
use diesel::{deserialize, serialize};
use uuid::Uuid;

use crate::domain::{GenerationId, TaskId};

/// The id of a task or of a generation, as a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FromSqlRow, AsExpression)]
#[diesel(sql_type = Binary)]
#[diesel(sql_type = diesel::sql_types::Uuid)]
pub struct Key(pub Uuid);

impl Key {
    /// As a task's.
    pub fn task(self) -> TaskId {
        TaskId(self.0)
    }

    /// As a generation's.
    pub fn generation(self) -> GenerationId {
        GenerationId(self.0)
    }
}

impl From<TaskId> for Key {
    fn from(id: TaskId) -> Self {
        Self(id.0)
    }
}

impl From<GenerationId> for Key {
    fn from(id: GenerationId) -> Self {
        Self(id.0)
    }
}

impl FromSql<Binary, Sqlite> for Key {
    fn from_sql(mut bytes: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(bytes.read_blob())?))
    }
}

impl ToSql<Binary, Sqlite> for Key {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        <[u8] as ToSql<Binary, Sqlite>>::to_sql(self.0.as_bytes(), out)
    }
}

impl FromSql<diesel::sql_types::Uuid, Pg> for Key {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(bytes.as_bytes())?))
    }
}

impl ToSql<diesel::sql_types::Uuid, Pg> for Key {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        std::io::Write::write_all(out, self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}
