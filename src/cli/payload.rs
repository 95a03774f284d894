//! A payload, or a whole document, from the command line, a file, or stdin.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::exit::{Failure, quoted};
use crate::domain::limits::BATCH_BYTES_MAX;

/// Reads a file, or stdin if it is called `-`.
///
/// # Errors
/// It cannot be read, or is larger than any request may be.
pub fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let failed = |cause: std::io::Error| Failure::usage(format!("the file {} cannot be read: {cause}", quoted(file)));
    let limit = u64::try_from(BATCH_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    if file == "-" {
        std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(file).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(Failure::usage(format!("the file {} is larger than {limit} bytes", quoted(file))));
    }
    Ok(bytes)
}

/// JSON, kept to the byte.
///
/// # Errors
/// It is no JSON; the message says how to send it all the same.
pub fn as_json(text: &[u8]) -> Result<Box<RawValue>, Failure> {
    serde_json::from_slice(text).map_err(|cause| {
        let shown = quoted(&String::from_utf8_lossy(text));
        Failure::usage(format!(
            "the payload {shown} is no JSON ({cause}); write a text as '\"text\"', and send other bytes with --raw"
        ))
    })
}

/// Any bytes, as the API takes them.
///
/// # Errors
/// None that is known.
pub fn as_bytes(bytes: &[u8]) -> Result<Box<RawValue>, Failure> {
    to_raw_value(&json!({ "base64": BASE64_STANDARD.encode(bytes) })).map_err(|cause| Failure::usage(cause.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_kept_to_the_byte() {
        assert_eq!(as_json(br#"{"b": 1.00}"#).unwrap().get(), r#"{"b": 1.00}"#);
    }

    #[test]
    fn what_is_no_json_is_refused_with_advice() {
        let failure = as_json(b"hello").unwrap_err();
        assert!(failure.message.contains("--raw"), "{failure}");
    }

    #[test]
    fn other_bytes_travel_as_base64() {
        assert_eq!(as_bytes(&[0, 255]).unwrap().get(), r#"{"base64":"AP8="}"#);
    }

    #[test]
    fn a_missing_file_is_named() {
        assert!(read("/nowhere/x").unwrap_err().message.contains("/nowhere/x"));
    }
}
