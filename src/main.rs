//! The program: everything is in the library, the command line too.

use std::process::ExitCode;

fn main() -> ExitCode {
    task_scheduler::cli::run()
}
