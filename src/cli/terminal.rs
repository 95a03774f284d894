//! What stands at the other end of stdout and stderr: a terminal with a width and colours, or a file, or a pipe.
//!
//! Colours are for terminals only; `NO_COLOR` and `TERM=dumb` turn them off, `CLICOLOR_FORCE` on.

use std::io::IsTerminal as _;

use console::{Style, Term};

/// The columns of the terminal on stdout; `None` if it is none.
pub fn width() -> Option<usize> {
    let size = std::io::stdout().is_terminal().then(|| Term::stdout().size_checked()).flatten();
    size.map(|(_, columns)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Somebody can be asked, and can answer.
pub fn can_be_asked() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Stderr is a terminal on which a line can be written over.
pub fn can_be_redrawn() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stderr().is_terminal() && !dumb
}

/// A heading.
pub fn heading(text: &str) -> String {
    Style::new().bold().apply_to(text).to_string()
}

/// A state's word, padded or not, in the colour of how well it stands.
pub fn state(text: &str) -> String {
    let style = match text.trim() {
        "succeeded" | "alive" => Style::new().green(),
        "failed" | "dead" => Style::new().red(),
        "unknown" | "paused" => Style::new().yellow(),
        "dispatched" | "draining" => Style::new().cyan(),
        "cancelled" | "expired" => Style::new().dim(),
        _ => Style::new(),
    };
    style.apply_to(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_nothing_is_coloured() {
        // A test's stdout may be a terminal: forced off, as NO_COLOR does.
        console::set_colors_enabled(false);
        assert_eq!((heading("ID"), state("failed  ")), ("ID".to_owned(), "failed  ".to_owned()));
    }
}
