//! Rows under a heading, as wide as the terminal at most.
//!
//! Into a file or a pipe a table is as wide as it is. On a terminal the widest columns are cut first, but never ids, states and times:
//! where those do not fit together, the last columns are left out.

use console::{measure_text_width, truncate_str};

use super::exit::one_line;
use super::terminal;

/// Widest cell, in columns.
const CELL_WIDTH_MAX: usize = 80;
/// No cell is cut to less, in columns.
const CELL_WIDTH_MIN: usize = 8;
/// Between two columns.
const GAP: usize = 2;
/// What is worthless when it is cut.
const WHOLE: [&str; 9] =
    ["ID", "STATE", "RUN AT", "PAUSED AT", "RESUMED AT", "BURIED AT", "REPLAYED AT", "ELECTED AT", "ENDED AT"];

/// A table that may come in several pages.
#[derive(Debug)]
pub struct Table {
    heading: Vec<&'static str>,
    widths: Vec<usize>,
    limit: Option<usize>,
    begun: bool,
}

impl Table {
    /// For stdout.
    pub fn new(heading: &[&'static str]) -> Self {
        Self::within(heading, terminal::width())
    }

    fn within(heading: &[&'static str], limit: Option<usize>) -> Self {
        let widths = heading.iter().map(|name| name.len()).collect();
        Self { heading: heading.to_vec(), widths, limit, begun: false }
    }

    /// The next rows, the first ones under the heading. Later pages keep the columns of the first unless they need more room.
    pub fn page(&mut self, rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
        for row in &rows {
            for (width, text) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(text));
            }
        }
        if let (Some(limit), false) = (self.limit, self.begun) {
            self.fit(limit);
        }
        let mut text = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            let names: Vec<String> = self.heading.iter().map(ToString::to_string).collect();
            text = format!("{}\n", terminal::heading(&self.line(&names, |_, cell| cell)));
        }
        for row in &rows {
            let coloured = |name: &str, cell: String| if name == "STATE" { terminal::state(&cell) } else { cell };
            text.push_str(&self.line(row, coloured));
            text.push('\n');
        }
        text
    }

    fn fit(&mut self, limit: usize) {
        while self.widths.len() > 1 && self.total() > limit {
            let named = self.heading.iter().zip(&mut self.widths);
            let widest = named
                .filter(|(name, width)| !WHOLE.contains(name) && **width > CELL_WIDTH_MIN.max(name.len()))
                .max_by_key(|(_, width)| **width);
            if let Some((_, width)) = widest {
                *width -= 1;
            } else {
                self.widths.pop();
            }
        }
    }

    fn total(&self) -> usize {
        self.widths.iter().sum::<usize>() + GAP * (self.widths.len().saturating_sub(1))
    }

    fn line(&self, row: &[String], look: impl Fn(&str, String) -> String) -> String {
        let cut = |width: usize, text: &str| match self.limit {
            Some(_) => truncate_str(text, width, "…").into_owned(),
            None => text.to_owned(),
        };
        let last = self.widths.len().saturating_sub(1);
        let cells = row.iter().zip(&self.heading).zip(&self.widths).enumerate().map(|(at, ((text, name), width))| {
            let text = cut(*width, text);
            // Nothing stands behind the last one.
            let filling = if at == last { 0 } else { width.saturating_sub(measure_text_width(&text)) };
            look(name, format!("{text}{}", " ".repeat(filling)))
        });
        cells.collect::<Vec<_>>().join("  ")
    }
}

/// A table of one page.
pub fn table(heading: &[&'static str], rows: &[Vec<String>]) -> String {
    Table::new(heading).page(rows)
}

/// A time of the API without its fraction of a second: for a table, not for a program.
pub fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) if time.ends_with('Z') => format!("{second}Z"),
        _ => time.to_owned(),
    }
}

/// One cell: on one line, not too long, and never empty, so that columns can be cut by white space.
fn cell(text: &str) -> String {
    let line = one_line(text);
    if line.is_empty() { "-".to_owned() } else { truncate_str(&line, CELL_WIDTH_MAX, "…").into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_are_aligned_and_no_cell_is_empty() {
        let text =
            Table::within(&["ID", "STATE", "X"], None).page(&[row(&["1234", "", "z"]), row(&["5", "x\ny", "ü"])]);
        let plain = console::strip_ansi_codes(&text).into_owned();
        assert_eq!(plain, "ID    STATE  X\n1234  -      z\n5     x y    ü\n");
    }

    #[test]
    fn long_cells_are_cut() {
        let text = Table::within(&["A"], None).page(&[row(&[&"x".repeat(500)])]);
        assert!(text.lines().all(|line| measure_text_width(line) <= CELL_WIDTH_MAX));
    }

    #[test]
    fn a_terminal_is_never_too_narrow_for_a_row_and_ids_stay_whole() {
        let id = "0199c0de-0000-7000-8000-000000000001";
        let heading = ["ID", "STATE", "RUN AT", "ATTEMPT", "TARGET", "LAST ERROR"];
        let long = "http://hooks.example.org/".repeat(5);
        let cells = row(&[id, "scheduled", "2026-12-24T17:00:00Z", "1", &long, &long]);
        for columns in [200, 120, 100, 80, 60] {
            let text = Table::within(&heading, Some(columns)).page(std::slice::from_ref(&cells));
            assert!(text.lines().all(|line| measure_text_width(line) <= columns), "{columns}:\n{text}");
            assert!(text.contains(id), "{columns}:\n{text}");
            assert_eq!(text.contains("LAST ERROR"), columns >= 100, "{columns}:\n{text}");
        }
    }

    #[test]
    fn a_second_page_has_no_heading_and_the_same_columns() {
        let mut table = Table::within(&["ID", "B"], None);
        table.page(&[row(&["12345", "x"])]);
        assert_eq!(console::strip_ansi_codes(&table.page(&[row(&["1", "y"])])), "1      y\n");
    }

    #[test]
    fn times_are_told_to_the_second() {
        assert_eq!(to_the_second("2026-12-24T17:00:00.123456Z"), "2026-12-24T17:00:00Z");
        assert_eq!(to_the_second("t"), "t");
    }
}
