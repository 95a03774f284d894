//! The ids of lines that name none, so that an upload that is repeated makes each task once.
//!
//! An id is made (`UUIDv5`) from the upload's name, from what the line says, and from how many lines before it say the
//! same. So the same line twice is two tasks, in every repeat the same two; and a repeat of a file of which other
//! lines were mended, added or taken away in between makes no second task of those that stayed, as it would if the
//! line's number counted. It takes some 40 bytes of memory per line.

use std::collections::HashMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

/// The namespace of all uploads. Fixed for ever: another value would turn every repeated upload into new tasks.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b4c_80d3_61fa_5c0e_9d35_7e41_c0de_0002);

/// What is looked at of a line: whether it has an id, and whether its time is counted from now.
#[derive(Deserialize)]
struct Named {
    #[serde(default, deserialize_with = "given")]
    id: Option<Value>,
    #[serde(default)]
    delay_ms: Option<IgnoredAny>,
}

/// `null` is given, too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Makes the ids of one upload.
#[derive(Debug)]
pub struct LineIds {
    namespace: Uuid,
    seen: HashMap<Uuid, u64>,
    /// An id was made for a line whose time is counted from now: who sends it once more may well mean a new task.
    pub any_from_now: bool,
}

impl LineIds {
    /// Of the upload of this name.
    pub fn new(upload: &str) -> Self {
        Self { namespace: Uuid::new_v5(&NAMESPACE, upload.as_bytes()), seen: HashMap::new(), any_from_now: false }
    }

    /// The document with an id: its own, or the one that is made here.
    ///
    /// # Errors
    /// It is no JSON object, or has an id that cannot be one: what is wrong with it.
    pub fn named(&mut self, document: Vec<u8>) -> Result<Vec<u8>, String> {
        let Some(fields) = document.strip_prefix(b"{") else {
            return Err("no JSON object; allowed: one whole task per line, in braces".to_owned());
        };
        let named: Named = serde_json::from_slice(&document).map_err(|cause| format!("no JSON object: {cause}"))?;
        match named.id {
            Some(Value::Null) => Err("/id is null; allowed: a UUID, or no id at all to have one made".to_owned()),
            Some(_) => Ok(document),
            None => {
                self.any_from_now |= named.delay_ms.is_some();
                let id = self.next(&document);
                let comma = if fields.trim_ascii_start().starts_with(b"}") { "" } else { "," };
                Ok([format!("{{\"id\":\"{id}\"{comma}").as_bytes(), fields].concat())
            }
        }
    }

    fn next(&mut self, document: &[u8]) -> Uuid {
        let alike = self.seen.entry(Uuid::new_v5(&self.namespace, document)).or_insert(0);
        *alike += 1;
        Uuid::new_v5(&self.namespace, &[alike.to_string().as_bytes(), b"\n", document].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(upload: &str, lines: &[&str]) -> Vec<String> {
        let mut ids = LineIds::new(upload);
        lines.iter().map(|line| String::from_utf8(ids.named(line.as_bytes().to_vec()).unwrap()).unwrap()).collect()
    }

    #[test]
    fn a_repeat_gives_the_same_ids_and_a_line_twice_two() {
        let lines = ["{\"a\":1}", "{\"a\":1}", "{\"a\":2}"];
        let first = named("", &lines);
        assert_eq!(first, named("", &lines));
        assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        assert!(named("tuesday", &lines).iter().all(|line| !first.contains(line)));
    }

    #[test]
    fn what_stayed_keeps_its_id_when_other_lines_change() {
        let first = named("", &["{\"a\":1}", "{\"bad\":1}", "{\"a\":2}"]);
        let mended = named("", &["{\"new\":1}", "{\"a\":1}", "{\"a\":2}"]);
        assert_eq!((&first[0], &first[2]), (&mended[1], &mended[2]));
    }

    #[test]
    fn the_namespace_never_changes() {
        assert_eq!(named("", &["{}"]), ["{\"id\":\"f894d1e2-d6a7-56d4-bb7e-64c61eb05df7\"}"]);
    }

    #[test]
    fn an_id_of_its_own_stays() {
        let line = "{ \"target\": {\"type\": \"log\"}, \"id\": \"x\"}";
        assert_eq!(named("", &[line]), [line]);
        // One within something else is none.
        assert_ne!(named("", &["{\"payload\": {\"id\": 1}}"]), ["{\"payload\": {\"id\": 1}}"]);
    }

    #[test]
    fn lines_counted_from_now_are_noticed_if_their_ids_are_made() {
        for (line, is) in [
            ("{\"delay_ms\": 1}", true),
            ("{\"run_at\": \"2026-12-24T18:00:00Z\"}", false),
            ("{\"delay_ms\": 1, \"id\": \"x\"}", false),
            ("{\"payload\": {\"delay_ms\": 1}}", false),
        ] {
            let mut ids = LineIds::new("");
            ids.named(line.as_bytes().to_vec()).unwrap();
            assert_eq!(ids.any_from_now, is, "{line}");
        }
    }

    #[test]
    fn what_can_be_no_task_is_told() {
        for line in ["[1]", "hello", "{", "{} {}", "{\"id\": null}", "{\"id\": \"a\", \"id\": \"b\"}"] {
            assert!(LineIds::new("").named(line.as_bytes().to_vec()).is_err(), "{line}");
        }
    }
}
