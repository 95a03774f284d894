//! `task-scheduler check-config`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::exit::{Failure, USAGE};
use super::output::{print, say};
use super::settings::Settings;
use super::settings_args::SettingsArgs;
use super::table::table;

/// Its arguments: those of a node.
#[derive(Debug, Args)]
pub struct CheckConfig {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print JSON, errors and warnings too
    #[arg(long)]
    json: bool,
}

impl CheckConfig {
    /// Prints every setting with its value and where it comes from, then what is wrong.
    pub fn run(self) -> Result<(), Failure> {
        let settings = Settings::of_process(&self.settings);
        if self.json {
            print(&format!("{:#}", as_json(&settings)))?;
        } else {
            print(&as_table(&settings))?;
            for warning in &settings.warnings {
                say(&format!("warning: {warning}"));
            }
            for error in &settings.errors {
                say(&format!("error: {error}"));
            }
        }
        // What is wrong has been said already, all of it.
        if settings.errors.is_empty() { Ok(()) } else { Err(Failure::new(USAGE, "")) }
    }
}

fn as_table(settings: &Settings) -> String {
    let mut rows: Vec<Vec<String>> = settings
        .origins
        .0
        .iter()
        .map(|(setting, origin)| {
            vec![setting.key(), setting.shown(&settings.config), setting.unit().to_owned(), origin.place()]
        })
        .collect();
    rows.push(vec![
        "(address guard)".to_owned(),
        guard(settings).to_owned(),
        String::new(),
        "follows from listen".to_owned(),
    ]);
    table(&["SETTING", "VALUE", "UNIT", "FROM"], &rows)
}

fn guard(settings: &Settings) -> &'static str {
    if settings.config.http.guard { "on" } else { "off" }
}

fn as_json(settings: &Settings) -> Value {
    let values: Map<String, Value> = settings
        .origins
        .0
        .iter()
        .map(|(setting, origin)| {
            let value = json!({
                "value": setting.get(&settings.config),
                "unit": setting.unit(),
                "origin": origin.kind(),
                "from": origin.place(),
            });
            (setting.key(), value)
        })
        .collect();
    json!({
        "settings": values,
        "address_guard": settings.config.http.guard,
        "errors": settings.errors,
        "warnings": settings.warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_shown_with_value_and_origin() {
        let flags = [("slots", vec!["4".to_owned()])].into_iter().collect();
        let settings = Settings::resolve(&SettingsArgs { config: None, flags }, &[]);
        let json = as_json(&settings);
        assert_eq!(json["settings"]["slots"]["value"], 4);
        assert_eq!(json["settings"]["slots"]["origin"], "flag");
        assert_eq!(json["settings"]["drain_ms"]["unit"], "ms");
        assert_eq!(json["address_guard"], false);
        let text = as_table(&settings);
        assert!(text.lines().any(|line| line.starts_with("slots ") && line.ends_with("the flag --slots")), "{text}");
        assert_eq!(text.lines().count(), 2 + settings.origins.0.len());
    }
}
