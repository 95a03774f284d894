//! The lines of a file or of stdin, each with its number, however large the whole is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};

use crate::cli::exit::{Failure, quoted};
use crate::domain::limits::SUBMISSION_BYTES_MAX;

/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line that says something.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1, empty ones too.
    pub number: u64,
    /// Without white space around it; `None` if it is longer than a submission may be.
    pub text: Option<Vec<u8>>,
}

/// Reads line by line.
pub struct Lines {
    input: Box<dyn BufRead>,
    name: String,
    /// Of the whole, if it is known.
    pub bytes: Option<u64>,
    /// Read so far.
    pub read: u64,
    number: u64,
}

impl Lines {
    /// Opens a file, or stdin if it is called `-`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(file: &str) -> Result<Self, Failure> {
        if file == "-" {
            return Ok(Self::of(Box::new(BufReader::new(std::io::stdin())), "stdin", None));
        }
        let failed = |cause| Failure::usage(format!("the file {} cannot be read: {cause}", quoted(file)));
        let opened = File::open(file).map_err(failed)?;
        let bytes = opened.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        Ok(Self::of(Box::new(BufReader::new(opened)), file, bytes))
    }

    fn of(input: Box<dyn BufRead>, name: &str, bytes: Option<u64>) -> Self {
        Self { input, name: name.to_owned(), bytes, read: 0, number: 0 }
    }

    /// The next line that is not empty.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let failed = |cause| Failure::usage(format!("{} cannot be read on: {cause}", quoted(&self.name)));
            let mut bytes = Vec::new();
            // As long as a line may be, and its end.
            let limit = u64::try_from(SUBMISSION_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
            let taken = (&mut self.input).take(limit).read_until(b'\n', &mut bytes).map_err(failed)?;
            if taken == 0 {
                return Ok(None);
            }
            let mut rest = 0;
            if !bytes.ends_with(b"\n") {
                rest = skip_line(&mut self.input).map_err(failed)?;
            }
            self.number += 1;
            self.read = self.read.saturating_add(u64::try_from(taken).unwrap_or(0)).saturating_add(rest);
            let start = if self.number == 1 { bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes) } else { &bytes };
            let text = start.trim_ascii();
            if rest > 0 || text.len() > SUBMISSION_BYTES_MAX {
                return Ok(Some(Line { number: self.number, text: None }));
            }
            if !text.is_empty() {
                return Ok(Some(Line { number: self.number, text: Some(text.to_vec()) }));
            }
        }
    }
}

/// Reads on to the end of the line, keeping nothing; the bytes that were left of it.
fn skip_line(input: &mut dyn BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        input.consume(taken);
        skipped += u64::try_from(taken).unwrap_or(0);
        if end.is_some() || taken == 0 {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> (Vec<(u64, Option<String>)>, u64) {
        let mut lines = Lines::of(Box::new(std::io::Cursor::new(text.to_vec())), "test", None);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.number, line.text.map(|text| String::from_utf8(text).unwrap())));
        }
        (found, lines.read)
    }

    #[test]
    fn empty_lines_are_counted_and_left_out() {
        let text = b"\xef\xbb\xbf{\"a\": 1}\r\n\n  {}  \nlast";
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(all(text), (vec![(1, said("{\"a\": 1}")), (3, said("{}")), (4, said("last"))], 25));
        assert_eq!(all(b""), (Vec::new(), 0));
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let text =
            [&vec![b'x'; SUBMISSION_BYTES_MAX], b"\n".as_slice(), &vec![b'y'; SUBMISSION_BYTES_MAX + 1], b"\n{}"]
                .concat();
        let (found, read) = all(&text);
        assert_eq!(found[0].1.as_ref().unwrap().len(), SUBMISSION_BYTES_MAX);
        assert_eq!(found[1..], [(2, None), (3, Some("{}".to_owned()))]);
        assert_eq!(usize::try_from(read).unwrap(), text.len());
    }

    #[test]
    fn a_missing_file_is_named() {
        assert!(Lines::open("/nowhere/x").err().unwrap().message.contains("/nowhere/x"));
    }
}
