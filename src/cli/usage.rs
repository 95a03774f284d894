//! What clap says on many lines, in one.

use clap::error::{ContextKind, ErrorKind};

use super::exit::Failure;
use super::output::print;

/// `--help` and `--version` are answered in full; wrong usage in one line.
///
/// # Errors
/// It was wrong usage.
pub fn refused(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => print(&error.render().to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nobody asked for the help: it goes where errors go. That it cannot be written helps nobody either.
            let _ = error.print();
            Err(Failure::usage(""))
        }
        _ => Err(Failure::usage(usage_line(error))),
    }
}

/// What clap says on several lines, on one: what is wrong, what was meant perhaps, where to read on.
fn usage_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")) {
        let line = line.strip_prefix("error: ").or_else(|| line.strip_prefix("tip: ")).unwrap_or(line);
        match parts.last_mut() {
            _ if line.is_empty() => {}
            // A list that follows its heading.
            Some(last) if last.ends_with(':') => *last = format!("{last} {line}"),
            _ => parts.push(line.to_owned()),
        }
    }
    parts.retain(|part| !part.starts_with("For more information"));
    let command = match error.get(ContextKind::Usage).map(ToString::to_string) {
        Some(usage) => usage.split_whitespace().skip_while(|word| *word != "task-scheduler").nth(1).map(str::to_owned),
        None => None,
    };
    let command = command.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or_default();
    let space = if command.is_empty() { "" } else { " " };
    format!("{}; see `task-scheduler{space}{command} --help`", parts.join("; "))
}
