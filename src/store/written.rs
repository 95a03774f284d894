//! What the databases keep as JSON of a node's reports.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;
use super::row::unreadable;

/// As text.
///
/// # Errors
/// It cannot be written: a fault of this program.
pub fn to_text(what: &impl Serialize) -> Result<String> {
    serde_json::to_string(what).map_err(|cause| unreadable("report", cause))
}

/// From text; `None` for what a newer program has written in another way.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).inspect_err(|cause| log::debug!("a report is left out: {cause}")).ok()
}
