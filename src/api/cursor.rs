//! The cursor of a list: where it goes on. Opaque to callers: they get it and give it back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::domain::{TaskId, Timestamp};

/// The first byte: another form gets another number, so that an old cursor is refused and not misread.
const VERSION: u8 = 1;

/// After the task with this `created_at` and id.
pub fn write((created_at, id): (Timestamp, TaskId)) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&created_at.micros().to_be_bytes());
    bytes.extend_from_slice(id.0.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `None`: no cursor of this program.
pub fn read(text: &str) -> Option<(Timestamp, TaskId)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (micros, id) = rest.split_first_chunk::<8>()?;
    let id = Uuid::from_slice(id).ok()?;
    (*version == VERSION).then_some((Timestamp::from_micros(i64::from_be_bytes(*micros)), TaskId(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_went() {
        let place = (Timestamp::from_micros(-5), TaskId(Uuid::from_u128(7)));
        assert_eq!(read(&write(place)), Some(place));
    }

    #[test]
    fn anything_else_is_none() {
        let good = write((Timestamp::from_micros(1), TaskId(Uuid::nil())));
        let other_version = URL_SAFE_NO_PAD.encode([2; 25]);
        for text in ["", "x", "====", &good[1..], &format!("{good}AA"), &other_version] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
