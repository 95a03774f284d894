//! What PostgreSQL's statements take: single values and, for sets, arrays of them.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Uuid};

use crate::store::key::Key;
use crate::store::statement::Bind;

/// One value of a statement.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Key(Key),
    Int(i64),
    Integer(i32),
    Small(i16),
    Bool(bool),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    MaybeInt(Option<i64>),
    MaybeSmall(Option<i16>),
    MaybeBlob(Option<&'a [u8]>),
    Keys(Vec<Key>),
    Ints(Vec<i64>),
    MaybeInts(Vec<Option<i64>>),
    Integers(Vec<i32>),
    Smalls(Vec<i16>),
    Texts(Vec<&'a str>),
    MaybeTexts(Vec<Option<&'a str>>),
    Blobs(Vec<&'a [u8]>),
}

impl Bind<Pg> for Value<'_> {
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Self::Key(value) => out.push_bind_param::<Uuid, _>(value),
            Self::Int(value) => out.push_bind_param::<BigInt, _>(value),
            Self::Integer(value) => out.push_bind_param::<Integer, _>(value),
            Self::Small(value) => out.push_bind_param::<SmallInt, _>(value),
            Self::Bool(value) => out.push_bind_param::<Bool, _>(value),
            Self::Text(value) => out.push_bind_param::<Text, _>(value),
            Self::MaybeText(value) => out.push_bind_param::<Nullable<Text>, _>(value),
            Self::MaybeInt(value) => out.push_bind_param::<Nullable<BigInt>, _>(value),
            Self::MaybeSmall(value) => out.push_bind_param::<Nullable<SmallInt>, _>(value),
            Self::MaybeBlob(value) => out.push_bind_param::<Nullable<Binary>, _>(value),
            Self::Keys(values) => out.push_bind_param::<Array<Uuid>, _>(values),
            Self::Ints(values) => out.push_bind_param::<Array<BigInt>, _>(values),
            Self::MaybeInts(values) => out.push_bind_param::<Array<Nullable<BigInt>>, _>(values),
            Self::Integers(values) => out.push_bind_param::<Array<Integer>, _>(values),
            Self::Smalls(values) => out.push_bind_param::<Array<SmallInt>, _>(values),
            Self::Texts(values) => out.push_bind_param::<Array<Text>, _>(values),
            Self::MaybeTexts(values) => out.push_bind_param::<Array<Nullable<Text>>, _>(values),
            Self::Blobs(values) => out.push_bind_param::<Array<Binary>, _>(values),
        }
    }
}
