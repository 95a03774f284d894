//! Printing: text on stdout, and what to do when nobody reads.

use std::io::{self, ErrorKind, Write as _};

use super::exit::{Failure, INNER, one_line};
use super::terminal;

/// Prints a text on stdout, with a line end.
///
/// # Errors
/// It cannot be written. A reader that has gone (`… | head`) is no error: it has what it wanted.
pub fn print(text: &str) -> Result<(), Failure> {
    print_on(text).map(|_| ())
}

/// The same; whether anybody reads on.
///
/// # Errors
/// It cannot be written.
pub fn print_on(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    match write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(cause) => Err(Failure::new(INNER, format!("the output cannot be written: {cause}"))),
    }
}

/// Says one line on stderr. If even that cannot be written, there is nobody to tell.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "task-scheduler: {}", one_line(line));
}

/// Puts a text on stderr as it is.
pub fn say_as_it_is(text: &[u8]) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.trim_ascii_end()).and_then(|()| stderr.write_all(b"\n"));
}

/// Names and values, the values in one column.
pub fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let shown = |name: &str, value: &str| match name {
        "state" => terminal::state(&one_line(value)),
        _ => one_line(value),
    };
    let lines = rows.iter().map(|(name, value)| format!("{name:width$}  {}", shown(name, value)));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_aligned() {
        assert_eq!(pairs(&[("id", "1".to_owned()), ("state", "failed".to_owned())]), "id     1\nstate  failed\n");
    }
}
