//! `task-scheduler migrate`.

use clap::Args;
use serde_json::json;

use super::exit::{AWAY, Failure, INNER, USAGE};
use super::output::print;
use super::settings::Settings;
use super::settings_args::DataDirArgs;
use crate::store::StoreError;
use crate::store::{postgres, sqlite};

/// Its arguments.
#[derive(Debug, Args)]
pub struct Migrate {
    #[command(flatten)]
    settings: DataDirArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Migrate {
    /// Applies what is lacking, and prints the names of the steps.
    pub fn run(self) -> Result<(), Failure> {
        let config = Settings::of_process(&self.settings.0).accepted()?;
        let (applied, place) = match &config.database_url {
            Some(url) => (postgres::migrate(url.secret()), url.to_string()),
            None => (sqlite::migrate(&config.data_dir), config.data_dir.display().to_string()),
        };
        let applied = applied.map_err(|error| Failure::new(code(&error), error.to_string()))?;
        if self.json {
            return print(&json!({ "applied": applied }).to_string());
        }
        let mut lines: Vec<String> = applied.iter().map(|name| format!("applied {name}")).collect();
        if lines.is_empty() {
            lines.push(format!("nothing to do: {place} is up to date"));
        }
        print(&lines.join("\n"))
    }
}

fn code(error: &StoreError) -> u8 {
    match error {
        StoreError::Unusable(_) => USAGE,
        passing if passing.is_passing() => AWAY,
        _ => INNER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whether_to_try_again() {
        assert_eq!(code(&StoreError::Unusable(String::new())), USAGE);
        assert_eq!(code(&StoreError::Full(String::new())), AWAY);
        assert_eq!(code(&StoreError::Unavailable(String::new())), AWAY);
        assert_eq!(code(&StoreError::Unreadable(String::new())), INNER);
    }
}
