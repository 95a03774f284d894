//! The command line: a node, and clients of a node's REST API.
//!
//! ```text
//! flags ─┐
//! environment ─┼─▶ settings ─▶ cross_checks ─▶ NodeConfig ─▶ node::run
//! file ─┘
//! submit, list, watch, cancel, stats, pause, health … ─▶ client ─▶ a node's REST API
//! ```
//!
//! Whatever goes wrong is one line on stderr and an exit code of [`exit`].

mod answer;
mod check_config;
mod client;
mod cluster;
mod completions;
mod connection;
mod cross_checks;
mod dead_letters;
mod duration;
pub mod exit;
#[cfg(test)]
mod fake_node;
mod health;
mod host_name;
mod human_time;
mod line_stream;
mod migrate;
mod node;
mod offsets;
mod origin;
mod output;
mod patience;
mod pauses;
mod payload;
mod progress;
mod setting;
mod setting_list;
#[cfg(test)]
mod setting_list_test;
mod settings;
mod settings_args;
mod settings_file;
mod stats;
mod submit;
mod table;
mod tasks;
mod terminal;
mod upload;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use check_config::CheckConfig;
use cluster::Cluster;
use completions::Completions;
use dead_letters::DeadLetters;
use exit::{EXPLAINED, Failure};
use health::Health;
use migrate::Migrate;
use offsets::Offsets;
use pauses::{Pause, Pauses, Resume};
use settings_args::SettingsArgs;
use stats::Stats;
use submit::Submit;
use tasks::change::{self, Change, Reschedule, Resolve};
use tasks::get::Get;
use tasks::list::List;
use tasks::watch::Watch;

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
        setting is its flag with underscores: claim_lead_ms = 50. The log goes to stderr; RUST_LOG sets how much.\n\n\
        Examples:\n  task-scheduler node\n  task-scheduler node --database-url postgres://scheduler@db/tasks --kafka-brokers kafka:9092")]
    Node(SettingsArgs),
    /// Submit a task, or many from a file
    Submit(Box<Submit>),
    /// Show one task
    Get(Get),
    /// List tasks, the newest first
    List(List),
    /// Follow a task to its end
    Watch(Watch),
    /// Cancel tasks that were not dispatched yet
    #[command(after_help = change::CANCEL_EXAMPLES)]
    Cancel(Change),
    /// Fire scheduled tasks now
    #[command(after_help = change::RUN_EXAMPLES)]
    Run(Change),
    /// Schedule failed tasks again, now
    #[command(after_help = change::RETRY_EXAMPLES)]
    Retry(Change),
    /// Settle tasks whose outcome is unknown
    Resolve(Resolve),
    /// Move scheduled tasks to another time
    Reschedule(Reschedule),
    /// Hold back the dispatch of everything, or of a label
    Pause(Pause),
    /// Go on with what is paused
    Resume(Resume),
    /// Show what is paused
    Pauses(Pauses),
    /// Show the nodes and who is master
    Cluster(Cluster),
    /// Show counts, rates and lateness
    Stats(Stats),
    /// List, show or replay records that could not be read
    DeadLetters(DeadLetters),
    /// Print the completions for a shell
    Completions(Completions),
    /// Ask whether a node takes submissions, for the health check of a container
    #[command(after_help = "Exit codes: 0 it does · 1 it does not, or does not answer · 2 wrong usage\n\n\
        Examples:\n  task-scheduler health\n  task-scheduler health --server http://127.0.0.1:8081")]
    Health(Health),
    #[command(after_help = "Examples:\n  task-scheduler offsets show --kafka-brokers kafka:9092\n  \
        task-scheduler offsets set --to beginning --partition 3 --kafka-brokers kafka:9092")]
    /// Show how far the submission topic is ingested, or have it read from elsewhere
    Offsets(Offsets),
    #[command(after_help = "Examples:\n  task-scheduler migrate\n  \
        task-scheduler migrate --database-url postgres://scheduler@db/tasks")]
    /// Bring the database up to this program's schema without starting a node
    Migrate(Migrate),
    #[command(after_help = "Examples:\n  task-scheduler check-config\n  \
        task-scheduler check-config --config node.toml --json")]
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
            Self::Watch(watch) => watch.run(),
            Self::Cancel(change) => change.cancel(),
            Self::Run(change) => change.fire(),
            Self::Retry(change) => change.retry(),
            Self::Resolve(resolve) => resolve.run(),
            Self::Reschedule(reschedule) => reschedule.run(),
            Self::Pause(pause) => pause.run(),
            Self::Resume(resume) => resume.run(),
            Self::Pauses(pauses) => pauses.run(),
            Self::Cluster(cluster) => cluster.run(),
            Self::Stats(stats) => stats.run(),
            Self::DeadLetters(letters) => letters.run(),
            Self::Completions(completions) => completions.run(CommandLine::command()),
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
        Err(error) => usage::refused(&error),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match &failure.json {
                Some(refusal) => output::say_as_it_is(refusal),
                None if failure.message.is_empty() => {}
                None => output::say(&failure.to_string()),
            }
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> String {
        let error = CommandLine::try_parse_from([&["task-scheduler"], args].concat()).expect_err("wrong usage");
        let failure = usage::refused(&error).expect_err("wrong usage");
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

    /// The words of a line as a shell cuts it, up to where its output goes elsewhere.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), false, false);
        for sign in line.chars() {
            match sign {
                '\'' => (quote, begun) = (!quote, true),
                ' ' if !quote => {
                    if std::mem::take(&mut begun) {
                        words.push(std::mem::take(&mut word));
                    }
                }
                sign => {
                    begun = true;
                    word.push(sign);
                }
            }
        }
        assert!(!quote, "a quote is open in {line}");
        words.extend(begun.then_some(word));
        words.into_iter().take_while(|word| !["|", ">", "&&"].contains(&word.as_str())).collect()
    }

    #[test]
    fn every_example_is_a_command_line() {
        for command in CommandLine::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples =
                help.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
            let mut count = 0;
            for example in examples.filter_map(|line| line.find("task-scheduler ").map(|at| &line[at..])) {
                if let Err(error) = CommandLine::try_parse_from(words(example)) {
                    panic!("{example}: {error}");
                }
                assert!(example.contains(&format!("task-scheduler {}", command.get_name())), "{example}");
                count += 1;
            }
            assert!((2..=4).contains(&count), "{} has {count} examples", command.get_name());
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
