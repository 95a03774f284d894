//! `task-scheduler health`: the health check of a container, in which there is no shell and no curl.

use clap::Args;

use super::answer::field;
use super::client::{Client, Path};
use super::exit::{Failure, USAGE};
use super::output::print;

/// Whatever the reason: container engines know healthy (0) and unhealthy (1).
const UNHEALTHY: u8 = 1;

/// Its arguments.
#[derive(Debug, Args)]
pub struct Health {
    #[command(flatten)]
    client: Client,
}

impl Health {
    /// Says that the node is ready.
    ///
    /// # Errors
    /// It does not take submissions, or does not answer.
    pub fn run(self) -> Result<(), Failure> {
        self.ask().map_err(|failure| match failure.code {
            USAGE => failure,
            _ => Failure { code: UNHEALTHY, ..failure },
        })
    }

    fn ask(&self) -> Result<(), Failure> {
        let answer = self.client.get(Path::of(&["readyz"]))?;
        let status = field(&answer.json()?, "status");
        if self.client.prints_json() { answer.print_raw() } else { print(&status) }
    }
}
