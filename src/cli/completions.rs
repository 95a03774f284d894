//! `task-scheduler completions`: what a shell needs to complete its command line.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::exit::Failure;
use super::output::print;

/// For the help.
const EXAMPLES: &str = "\
Examples:
  task-scheduler completions bash > ~/.local/share/bash-completion/completions/task-scheduler
  task-scheduler completions zsh > ~/.zfunc/_task-scheduler
  task-scheduler completions fish > ~/.config/fish/completions/task-scheduler.fish";

/// Its arguments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Completions {
    /// For this shell
    shell: Shell,
}

impl Completions {
    /// Prints the script for `command`, the whole command line.
    pub fn run(self, mut command: Command) -> Result<(), Failure> {
        print(&script(self.shell, &mut command))
    }
}

fn script(shell: Shell, command: &mut Command) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    generate(shell, command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_gets_its_script() {
        for shell in Shell::value_variants() {
            let mut command = Command::new("task-scheduler").subcommand(Command::new("submit"));
            assert!(script(*shell, &mut command).contains("submit"), "{shell}");
        }
    }
}
