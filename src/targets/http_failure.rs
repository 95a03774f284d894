//! Why a request brought no answer, and what that says about its having been sent.
//!
//! Two facts of hyper carry the decision:
//!
//! 1. `hyper_util`'s client records the connection in a request's [`CaptureConnection`] *before* it hands the request to
//!    that connection. Nothing recorded: nothing was sent.
//! 2. The request then waits in a channel for the connection's task. A failure that finds it still there gives it back
//!    whole, as `Canceled`; from the moment it is taken out to be written, every failure is another kind
//!    (`proto/h1/dispatch.rs`, `Client::poll_msg` and `Client::recv_msg`; `client/dispatch.rs`, `Envelope::drop`).
//!    `Canceled`: not one byte was sent.
//!
//! [`CaptureConnection`]: hyper_util::client::legacy::connect::CaptureConnection

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use hyper_util::client::legacy;

use super::address_guard::AddressRefused;
use super::http_connector::ConnectFailure;
use crate::domain::Outcome;

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The guard does not permit the address. Never sent, and no repetition helps.
    Refused(String),
    /// No connection could be made. Never sent.
    NotConnected(String),
    /// Its connection closed before the request was begun. Never sent, and it may go again at once.
    NotBegun(String),
    /// It was given to a connection, or may have been: nobody can know.
    Lost(String),
}

impl NoAnswer {
    /// After an error; `assigned` if the request's connection had been recorded.
    pub fn after(error: &legacy::Error, assigned: bool) -> Self {
        // The client's own words say less than their cause.
        let text = with_causes(error.source().unwrap_or(error));
        if assigned {
            // Only the direct cause counts: what lies deeper says why a connection failed, not where the request was.
            let begun = !error.source().and_then(|cause| cause.downcast_ref()).is_some_and(hyper::Error::is_canceled);
            return if begun { Self::Lost(text) } else { Self::NotBegun(text) };
        }
        if causes(error).any(<dyn Error>::is::<AddressRefused>) {
            Self::Refused(text)
        } else if causes(error).any(<dyn Error>::is::<ConnectFailure>) {
            Self::NotConnected(text)
        } else {
            // Connected, but closed by the other side before it could be assigned.
            Self::NotBegun(text)
        }
    }

    /// After the task's time ran out and the request was dropped.
    pub fn timed_out(within: Duration, assigned: bool) -> Self {
        let ms = within.as_millis();
        if assigned {
            Self::Lost(format!("no answer within {ms} ms"))
        } else {
            Self::NotConnected(format!("no connection within the task's {ms} ms"))
        }
    }

    /// As an outcome.
    pub fn outcome(self) -> Outcome {
        let never_sent =
            |retryable, error| Outcome::Failed { retryable, retry_after: None, error: format!("never sent: {error}") };
        match self {
            Self::Refused(error) => never_sent(false, error),
            Self::NotConnected(error) | Self::NotBegun(error) => never_sent(true, error),
            Self::Lost(error) => Outcome::Ambiguous { error: format!("sent, but not answered: {error}") },
        }
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| (*error).source())
}

/// The error and its causes in one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for part in causes(error).map(ToString::to_string) {
        // Some errors quote their cause already.
        if text.ends_with(&part) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_assigned_is_a_definite_time_out() {
        let within = Duration::from_millis(5);
        assert!(matches!(NoAnswer::timed_out(within, true).outcome(), Outcome::Ambiguous { .. }));
        let Outcome::Failed { retryable: true, error, .. } = NoAnswer::timed_out(within, false).outcome() else {
            panic!("not a definite failure");
        };
        assert_eq!(error, "never sent: no connection within the task's 5 ms");
    }

    #[test]
    fn causes_are_joined_once() {
        let inner = std::io::Error::other("refused");
        let outer = ConnectFailure::Failed(Box::new(ConnectFailure::Failed(Box::new(inner))));
        assert_eq!(with_causes(&outer), "no connection: refused");
    }
}
