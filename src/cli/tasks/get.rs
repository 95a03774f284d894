//! `task-scheduler get`.

use clap::Args;

use super::shown::whole;
use crate::cli::client::{Client, Path};
use crate::cli::exit::Failure;
use crate::cli::output::print;

/// For the help.
const EXAMPLES: &str = "\
Examples:
  task-scheduler get 0199c0de-0000-7000-8000-000000000001
  task-scheduler get 0199c0de-0000-7000-8000-000000000001 --json";

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    #[command(flatten)]
    client: Client,
    /// The task's id
    id: String,
}

impl Get {
    /// Prints one task.
    pub fn run(self) -> Result<(), Failure> {
        let answer = self.client.get(Path::of(&["v1", "tasks", &self.id]))?;
        if self.client.prints_json() { answer.print_raw() } else { print(&whole(&answer.json()?)) }
    }
}
