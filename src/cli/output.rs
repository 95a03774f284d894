//! Printing: text on stdout, tables, and what to do when nobody reads.

use std::io::{self, ErrorKind, Write as _};

use super::exit::{Failure, INNER, one_line};

/// Most characters of one cell of a table.
const CELL_CHARS_MAX: usize = 80;

/// Prints a text on stdout, with a line end.
///
/// # Errors
/// It cannot be written. A reader that has gone (`… | head`) is no error: it has what it wanted.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    match write!(stdout, "{text}{end}").and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(INNER, format!("the output cannot be written: {cause}")))
        }
        _ => Ok(()),
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

/// Rows under a heading, each column as wide as its widest cell.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(&heading).chain(rows).map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let mut widths = vec![0_usize; heading.len()];
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    rows.iter().map(|row| padded(row, &widths)).collect()
}

/// Names and values, the values in one column.
pub fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, value)| format!("{name:width$}  {}", one_line(value)));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn padded(row: &[String], widths: &[usize]) -> String {
    let line: Vec<String> = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}")).collect();
    format!("{}\n", line.join("  ").trim_end())
}

/// One cell: on one line, not too long, and never empty, so that columns can be cut by white space.
fn cell(text: &str) -> String {
    let line = one_line(text);
    if line.is_empty() {
        return "-".to_owned();
    }
    if line.chars().count() <= CELL_CHARS_MAX {
        return line;
    }
    line.chars().take(CELL_CHARS_MAX - 1).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_cell_is_empty() {
        let text =
            table(&["ID", "STATE"], &[vec!["1234".to_owned(), String::new()], vec!["5".to_owned(), "x\ny".to_owned()]]);
        assert_eq!(text, "ID    STATE\n1234  -\n5     x y\n");
    }

    #[test]
    fn long_cells_are_cut() {
        let text = table(&["A"], &[vec!["x".repeat(500)]]);
        assert!(text.lines().all(|line| line.chars().count() <= CELL_CHARS_MAX));
    }

    #[test]
    fn pairs_are_aligned() {
        assert_eq!(pairs(&[("id", "1".to_owned()), ("state", "failed".to_owned())]), "id     1\nstate  failed\n");
    }
}
