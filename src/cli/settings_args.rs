//! The flags of `node` and `check-config`, made from the list of settings: so `--help` cannot say anything else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::setting::{Field, PREFIX, Setting};
use super::setting_list::SETTINGS;
use crate::config::NodeConfig;

/// The settings given as flags, by the flag's name, as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsArgs {
    /// The settings file, if a flag names one.
    pub config: Option<PathBuf>,
    /// The texts given for each flag.
    pub flags: BTreeMap<&'static str, Vec<String>>,
}

/// The same for a command that needs only the data folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataDirArgs(pub SettingsArgs);

/// The same for a command that needs the submission topic and the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicArgs(pub SettingsArgs);

impl Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        with_settings(command, |_| true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self { config: matches.get_one::<PathBuf>("config").cloned(), flags: BTreeMap::new() };
        for setting in &SETTINGS {
            // A command may know only some of them.
            if let Ok(Some(texts)) = matches.try_get_many::<String>(setting.flag) {
                given.flags.insert(setting.flag, texts.cloned().collect());
            }
        }
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for DataDirArgs {
    fn augment_args(command: Command) -> Command {
        with_settings(command, |setting| matches!(setting.flag, "data-dir" | "database-url"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DataDirArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        SettingsArgs::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Args for TopicArgs {
    fn augment_args(command: Command) -> Command {
        let wanted = ["data-dir", "database-url", "kafka-brokers", "submission-topic", "kafka-property"];
        with_settings(command, move |setting| wanted.contains(&setting.flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TopicArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        SettingsArgs::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

fn with_settings(command: Command, wanted: impl Fn(&Setting) -> bool) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(PathBufValueParser::new())
        .help(format!("A TOML file with settings [default: none] [env: {PREFIX}CONFIG]"));
    let default = NodeConfig::named("");
    let flags = SETTINGS.iter().filter(|setting| wanted(setting)).map(|setting| flag(setting, &default));
    command.arg(file).args(flags)
}

fn flag(setting: &'static Setting, default: &NodeConfig) -> Arg {
    let unit = setting.unit();
    let space = if unit.is_empty() { "" } else { " " };
    let value = setting.default_words.map_or_else(|| setting.shown(default), str::to_owned);
    let more = if matches!(setting.field, Field::List { .. }) { " (repeat it, or separate by commas)" } else { "" };
    let help = format!(
        "{}{more}\n[default: {value}{space}{unit}] [allowed: {}] [env: {}]",
        setting.about,
        setting.allowed(),
        setting.variable()
    );
    let arg = Arg::new(setting.flag)
        .long(setting.flag)
        .value_name(setting.placeholder)
        .help_heading(setting.heading)
        .allow_hyphen_values(matches!(setting.field, Field::Number { .. }))
        .help(help);
    match setting.field {
        Field::Switch { .. } => {
            arg.action(ArgAction::Set).num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Field::List { .. } => arg.action(ArgAction::Append),
        _ => arg.action(ArgAction::Set),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> SettingsArgs {
        let command = SettingsArgs::augment_args(Command::new("node"));
        let matches = command.try_get_matches_from([&["node"], args].concat()).unwrap();
        SettingsArgs::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn only_what_was_given_is_kept() {
        assert_eq!(parsed(&[]), SettingsArgs::default());
        let given = parsed(&["--slots", "-1", "--allow-unauthenticated", "--http-allow", "a,b", "--http-allow=c"]);
        assert_eq!(given.flags["slots"], ["-1"]);
        assert_eq!(given.flags["allow-unauthenticated"], ["true"]);
        assert_eq!(given.flags["http-allow"], ["a,b", "c"]);
        assert_eq!(given.flags.len(), 3);
    }

    #[test]
    fn help_shows_every_setting_with_its_default_and_its_variable() {
        let mut command = SettingsArgs::augment_args(Command::new("node"));
        let whole = command.render_help().to_string();
        for setting in &SETTINGS {
            assert!(whole.contains(&format!("--{}", setting.flag)), "--{} is missing in\n{whole}", setting.flag);
            let arg = command.get_arguments().find(|arg| arg.get_id() == setting.flag).unwrap();
            let help = arg.get_help().unwrap().to_string();
            assert!(help.contains("[default: ") && !help.contains("[default: ]"), "{help}");
            assert!(help.contains(&setting.variable()), "{help}");
            assert!(setting.unit().is_empty() || help.contains(&format!(" {}]", setting.unit())), "{help}");
            assert!(whole.contains(help.lines().next().unwrap()), "{whole}");
        }
    }
}
