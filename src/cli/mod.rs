//! The command line: a node, and clients of a node's REST API.
//!
//! ```text
//! flags ─┐
//! environment ─┼─▶ settings ─▶ cross_checks ─▶ NodeConfig ─▶ node::run
//! file ─┘
//! submit, get, list, cancel, resolve, cluster, health ─▶ client ─▶ a node's REST API
//! ```
//!
//! Whatever goes wrong is one line on stderr and an exit code of [`exit`].

mod answer;
mod check_config;
mod client;
mod cluster;
mod cross_checks;
mod duration;
pub mod exit;
mod health;
mod host_name;
mod migrate;
mod node;
mod offsets;
mod origin;
mod output;
mod payload;
mod setting;
mod setting_list;
#[cfg(test)]
mod setting_list_test;
mod settings;
mod settings_args;
mod settings_file;
mod submit;
mod tasks;

use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};

use check_config::CheckConfig;
use cluster::Cluster;
use exit::{EXPLAINED, Failure};
use health::Health;
use migrate::Migrate;
use offsets::Offsets;
use settings_args::SettingsArgs;
use submit::Submit;
use tasks::{Cancel, Get, List, Resolve};

/// Runs every scheduled task at its time, once.
#[derive(Debug, Parser)]
#[command(name = "task-scheduler", bin_name = "task-scheduler", version, after_help = EXPLAINED, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node: accept tasks, keep them, and fire them at their time
    #[command(after_help = "Flags win over the environment, the environment over the file of --config; in the file a \
        setting is its flag with underscores: claim_lead_ms = 50. The log goes to stderr; RUST_LOG sets how much.")]
    Node(SettingsArgs),
    /// Submit a task
    Submit(Box<Submit>),
    /// Show one task
    Get(Get),
    /// List tasks, the newest first
    List(List),
    /// Cancel a task that was not dispatched yet
    Cancel(Cancel),
    /// Settle a task whose outcome is unknown
    Resolve(Resolve),
    /// Show the nodes and who is master
    Cluster(Cluster),
    /// Ask whether a node takes submissions, for the health check of a container
    #[command(after_help = "Exit codes: 0 it does · 1 it does not, or does not answer · 2 wrong usage")]
    Health(Health),
    /// Show how far the submission topic is ingested, or have it read from elsewhere
    Offsets(Offsets),
    /// Bring the database up to this program's schema without starting a node
    Migrate(Migrate),
    /// Show a node's settings and where each comes from; start nothing
    CheckConfig(CheckConfig),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Node(args) => node::run(&args),
            Self::Submit(submit) => submit.run(),
            Self::Get(get) => get.run(),
            Self::List(list) => list.run(),
            Self::Cancel(cancel) => cancel.run(),
            Self::Resolve(resolve) => resolve.run(),
            Self::Cluster(cluster) => cluster.run(),
            Self::Health(health) => health.run(),
            Self::Offsets(offsets) => offsets.run(),
            Self::Migrate(migrate) => migrate.run(),
            Self::CheckConfig(check) => check.run(),
        }
    }
}

/// Runs the program with this process's arguments.
pub fn run() -> ExitCode {
    let ended = match CommandLine::try_parse() {
        Ok(line) => line.command.run(),
        Err(error) => refused(&error),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                output::say(&failure.to_string());
            }
            ExitCode::from(failure.code)
        }
    }
}

/// `--help` and `--version` are answered in full; wrong usage in one line.
fn refused(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => output::print(&error.render().to_string()),
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn line(args: &[&str]) -> String {
        let error = CommandLine::try_parse_from([&["task-scheduler"], args].concat()).expect_err("wrong usage");
        let failure = refused(&error).expect_err("wrong usage");
        assert_eq!(failure.code, exit::USAGE);
        failure.message
    }

    #[test]
    fn the_commands_fit_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_one_line_that_says_what_to_do() {
        let unknown = line(&["node", "--slot", "4"]);
        assert!(unknown.contains("'--slot'") && unknown.contains("'--slots'"), "{unknown}");
        assert!(unknown.ends_with("see `task-scheduler node --help`"), "{unknown}");
        assert!(!unknown.contains('\n'));
        let missing = line(&["get"]);
        assert!(missing.contains("<ID>") && !missing.contains('\n'), "{missing}");
        assert!(line(&["nod"]).contains("'nod'"));
    }

    #[test]
    fn every_command_explains_itself() {
        for command in CommandLine::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some() || arg.get_id() == "help", "{} {}", command.get_name(), arg.get_id());
            }
        }
    }

    #[test]
    fn the_exit_codes_are_in_the_help() {
        let help = CommandLine::command().render_help().to_string();
        for code in [exit::REFUSED, exit::USAGE, exit::INNER, exit::AWAY] {
            assert!(help.contains(&format!(" {code} ")), "{help}");
        }
    }
}
