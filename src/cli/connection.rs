//! The way to a node: one agent for the whole command, which keeps its connection, and what to say when nobody answers.

use std::sync::OnceLock;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::exit::{AWAY, Failure};

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time for a whole call, unless a call says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// No proxy and no redirect: a node is called directly, or not at all.
pub fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .user_agent(concat!("task-scheduler/", env!("CARGO_PKG_VERSION")))
            .tls_config(
                TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build(),
            )
            .build()
            .new_agent()
    })
}

/// No answer, or none of a node's.
pub fn away(server: &str, cause: &ureq::Error) -> Failure {
    let advice = "start one with `task-scheduler node`, or name another with --server";
    let message = match cause {
        ureq::Error::Timeout(_) => format!("the server {server} does not answer in time ({cause}); try again"),
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
            format!("the server {server} cannot be reached ({cause}); {advice}")
        }
        other => format!("the server {server} did not answer as a node does ({other}); {advice}"),
    };
    Failure::new(AWAY, message)
}
