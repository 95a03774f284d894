//! From flags, environment and file to a node's settings: who wins, what is refused, what is only warned about.

use std::ffi::OsString;
use std::path::PathBuf;

use super::cross_checks;
use super::exit::{Failure, quoted};
use super::host_name::host_name;
use super::origin::{Origin, Origins};
use super::setting::{PREFIX, Setting};
use super::setting_list::SETTINGS;
use super::settings_args::SettingsArgs;
use super::settings_file::SettingsFile;
use crate::config::NodeConfig;

/// Variables of the program that are no settings of a node.
const OTHER_VARIABLES: [&str; 2] = ["TASK_SCHEDULER_CONFIG", "TASK_SCHEDULER_SERVER"];
/// The tests' own variables begin so.
const TEST_PREFIX: &str = "TASK_SCHEDULER_TEST_";

/// A node's settings, as far as they could be made out.
#[derive(Debug)]
pub struct Settings {
    /// The values; where one was refused, the default.
    pub config: NodeConfig,
    /// Where each comes from, in the order of [`SETTINGS`].
    pub origins: Origins,
    /// What forbids a start, one line each.
    pub errors: Vec<String>,
    /// What does not, one line each.
    pub warnings: Vec<String>,
}

impl Settings {
    /// From this process's environment and these flags.
    pub fn of_process(args: &SettingsArgs) -> Self {
        Self::resolve(args, &std::env::vars_os().collect::<Vec<_>>())
    }

    /// From these flags, this environment, and the file that one of them names.
    pub fn resolve(args: &SettingsArgs, environment: &[(OsString, OsString)]) -> Self {
        let mut settings = Self {
            config: NodeConfig::named(host_name(environment)),
            origins: Origins::default(),
            errors: Vec::new(),
            warnings: unknown_variables(environment),
        };
        let named = args.config.clone().or_else(|| variable(environment, OTHER_VARIABLES[0]).map(PathBuf::from));
        let file = match named.map(|path| SettingsFile::read(&path)).transpose() {
            Ok(file) => file,
            Err(refused) => {
                settings.errors.push(refused);
                None
            }
        };
        settings.errors.extend(file.iter().flat_map(SettingsFile::unknown_keys));
        for setting in &SETTINGS {
            let (origin, values) = found(setting, args, environment, file.as_ref());
            settings.take(setting, origin, &values);
        }
        let found = cross_checks::apply(&mut settings.config, &settings.origins);
        settings.errors.extend(found.errors);
        settings.warnings.extend(found.warnings);
        settings
    }

    /// The settings, if nothing forbids a start.
    ///
    /// # Errors
    /// The first error, and how many more there are.
    pub fn accepted(self) -> Result<NodeConfig, Failure> {
        match self.errors.split_first() {
            None => Ok(self.config),
            Some((first, [])) => Err(Failure::usage(first)),
            Some((first, more)) => {
                Err(Failure::usage(format!("{first} (and {} more: see `task-scheduler check-config`)", more.len())))
            }
        }
    }

    fn take(&mut self, setting: &'static Setting, origin: Origin, values: &Result<Vec<String>, String>) {
        let taken = match (&origin, values) {
            (Origin::Default, _) => Ok(()),
            (_, Ok(values)) => {
                setting.put(&mut self.config, values).map_err(|refused| (quoted(&refused.value), refused.allowed))
            }
            (_, Err(written)) => Err((written.clone(), setting.allowed())),
        };
        if let Err((value, allowed)) = taken {
            self.errors.push(format!("{} is {value} from {}; allowed: {allowed}", setting.key(), origin.place()));
        }
        self.origins.0.push((setting, origin));
    }
}

/// The one that counts. `Err`: what is written there is not even of the right type.
fn found(
    setting: &Setting,
    args: &SettingsArgs,
    environment: &[(OsString, OsString)],
    file: Option<&SettingsFile>,
) -> (Origin, Result<Vec<String>, String>) {
    if let Some(values) = args.flags.get(setting.flag) {
        return (Origin::Flag(setting.flag.to_owned()), Ok(values.clone()));
    }
    let name = setting.variable();
    if let Some(value) = variable(environment, &name) {
        let value = value.into_string().map(|text| vec![text]).map_err(|raw| quoted(&raw.to_string_lossy()));
        return (Origin::Environment(name), value);
    }
    match file.and_then(|file| file.values(setting).map(|values| (file, values))) {
        Some((file, values)) => (Origin::File(file.path.clone()), values),
        None => (Origin::Default, Ok(Vec::new())),
    }
}

fn variable(environment: &[(OsString, OsString)], name: &str) -> Option<OsString> {
    environment.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
}

/// A misspelt variable would otherwise go unnoticed; but it may belong to another program, so it is no error.
fn unknown_variables(environment: &[(OsString, OsString)]) -> Vec<String> {
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).chain(OTHER_VARIABLES.map(str::to_owned)).collect();
    environment
        .iter()
        .map(|(name, _)| name.to_string_lossy())
        .filter(|name| name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX))
        .filter(|name| !known.iter().any(|known| known == name))
        .map(|name| format!("the environment variable {name} is no setting of this program and is ignored"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn flags(given: &[(&'static str, &str)]) -> SettingsArgs {
        SettingsArgs {
            config: None,
            flags: given.iter().map(|(flag, text)| (*flag, vec![(*text).to_owned()])).collect(),
        }
    }

    fn environment(given: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        given.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = file("slots = 3\nclaim_buffer = 30\ndrain_ms = 300");
        let mut args = flags(&[("slots", "1")]);
        args.config = Some(file.path().to_owned());
        let settings = Settings::resolve(
            &args,
            &environment(&[("TASK_SCHEDULER_SLOTS", "2"), ("TASK_SCHEDULER_CLAIM_BUFFER", "20")]),
        );
        assert_eq!(settings.errors, Vec::<String>::new());
        let kinds = ["slots", "claim-buffer", "drain-ms", "renew-ms"].map(|flag| settings.origins.of(flag).kind());
        assert_eq!(kinds, ["flag", "environment", "file", "default"]);
        let config = settings.accepted().unwrap();
        assert_eq!((config.actors.slots, config.actors.claim_buffer, config.drain.as_millis()), (1, 20, 300));
    }

    #[test]
    fn the_environment_may_name_the_file() {
        let file = file("slots = 3");
        let named = environment(&[("TASK_SCHEDULER_CONFIG", file.path().to_str().unwrap())]);
        assert_eq!(Settings::resolve(&SettingsArgs::default(), &named).config.actors.slots, 3);
    }

    #[test]
    fn a_wrong_value_is_refused_with_name_value_place_and_what_is_allowed() {
        let refused = |settings: Settings| settings.accepted().unwrap_err().to_string();
        assert_eq!(
            refused(Settings::resolve(&flags(&[("slots", "0")]), &[])),
            "slots is \"0\" from the flag --slots; allowed: an integer from 1 to 10000"
        );
        let by_environment =
            refused(Settings::resolve(&SettingsArgs::default(), &environment(&[("TASK_SCHEDULER_LISTEN", "8080")])));
        assert!(
            by_environment.contains("\"8080\" from the environment variable TASK_SCHEDULER_LISTEN"),
            "{by_environment}"
        );
        let file = file("slots = \"4\"");
        let args = SettingsArgs { config: Some(file.path().to_owned()), ..SettingsArgs::default() };
        let by_file = refused(Settings::resolve(&args, &[]));
        assert!(by_file.contains("slots is \"4\" from the settings file"), "{by_file}");
    }

    #[test]
    fn several_errors_are_still_one_line() {
        let refused = Settings::resolve(&flags(&[("slots", "0"), ("renew-ms", "x")]), &[]).accepted().unwrap_err();
        assert!(refused.to_string().contains("and 1 more"), "{refused}");
        assert_eq!(refused.code, super::super::exit::USAGE);
    }

    #[test]
    fn an_unknown_key_is_an_error_an_unknown_variable_a_warning() {
        let file = file("slotz = 3");
        let args = SettingsArgs { config: Some(file.path().to_owned()), ..SettingsArgs::default() };
        let given = environment(&[("TASK_SCHEDULER_SLOTZ", "1"), ("TASK_SCHEDULER_TEST_X", "1"), ("PATH", "/bin")]);
        let settings = Settings::resolve(&args, &given);
        assert_eq!((settings.errors.len(), settings.warnings.len()), (1, 1));
        assert!(settings.warnings[0].contains("TASK_SCHEDULER_SLOTZ"));
    }

    #[test]
    fn a_missing_file_is_refused() {
        let args = SettingsArgs { config: Some(PathBuf::from("/nowhere/node.toml")), ..SettingsArgs::default() };
        let refused = Settings::resolve(&args, &[]).accepted().unwrap_err().to_string();
        assert!(refused.contains("/nowhere/node.toml") && refused.contains("--config"), "{refused}");
    }
}
