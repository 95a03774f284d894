//! `task-scheduler node`.

use env_logger::{Builder, Env};

use super::exit::Failure;
use super::settings::Settings;
use super::settings_args::SettingsArgs;

/// What is logged unless `RUST_LOG` says otherwise. A client's malformed request is no error of the node's, and how the
/// HTTP server starts and stops its threads is no news.
const FILTER: &str = "info,actix_http=off,actix_server=warn";

/// Runs a node until it is told to stop.
///
/// # Errors
/// A setting is refused, or the node cannot start or go on.
pub fn run(args: &SettingsArgs) -> Result<(), Failure> {
    let settings = Settings::of_process(args);
    let warnings = settings.warnings.clone();
    let config = settings.accepted()?;
    // A second logger is refused, which only a caller that has set its own can cause: then that one is used.
    let _ = Builder::from_env(Env::default().default_filter_or(FILTER)).format_timestamp_micros().try_init();
    for warning in warnings {
        log::warn!("{warning}");
    }
    crate::node::run(config).map_err(|error| Failure::new(error.exit_code(), error.to_string()))
}
