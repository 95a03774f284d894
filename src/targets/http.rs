//! The target `http`: one request, and the truth about what became of it.
//!
//! No redirect is followed, no proxy of the environment used, nothing decompressed, and no request that may have been
//! read is sent again: hyper's own resending is off, and what goes again here was provably never begun
//! ([`super::http_failure`]).

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::Target;
use super::address_guard::AddressGuard;
use super::http_answer::AnswerRules;
use super::http_connector::Connector;
use super::http_failure::NoAnswer;
use super::http_request::request_of;
use crate::config::HttpConfig;
use crate::domain::{ClaimedTask, Outcome, Target as Kind};

/// Most kept connections per host: as many as the default of calls at once.
const IDLE_PER_HOST: usize = 256;
/// Most headers of an answer. All of them together have hyper's bound of some 400 KB.
const ANSWER_HEADERS_MAX: usize = 256;
/// Most times that a request is given to a connection in one attempt: each one before the last closed before it was
/// begun. A server that closes so often is as good as down; the retry policy has the patience for that.
const GIVEN_MAX: u32 = 4;

/// HTTP targets cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// Neither http nor https: one client serves both.
    #[error("cannot set up TLS for HTTP targets; are the system's CA certificates readable?")]
    Tls(#[from] native_tls::Error),
}

/// Calls HTTP targets. `C` makes its connections.
pub struct HttpCaller<C = Connector> {
    client: Client<C, Full<Bytes>>,
    guard: AddressGuard,
    rules: AnswerRules,
}

impl HttpCaller {
    /// With these settings.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(config: &HttpConfig) -> Result<Self, HttpSetupError> {
        let guard = AddressGuard::new(config.guard, &config.allow);
        Ok(Self::over(Connector::new(guard, config.connect_timeout)?, config))
    }
}

impl<C> HttpCaller<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    /// Over connections of this connector.
    pub(super) fn over(connector: C, config: &HttpConfig) -> Self {
        let client = Client::builder(TokioExecutor::new())
            // It would send again what this file decides about.
            .retry_canceled_requests(false)
            // A server that closes a kept connection just when it is written to makes an `unknown`: the shorter it was
            // idle, the less likely. The timer also closes the idle ones that nobody asks for any more.
            .pool_idle_timeout(config.reuse_within)
            .pool_timer(TokioTimer::new())
            // 0: no pool at all, so that a connection is not handed on at once either.
            .pool_max_idle_per_host(if config.reuse_within.is_zero() { 0 } else { IDLE_PER_HOST })
            // The status line decides, whatever stands beneath it.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_max_headers(ANSWER_HEADERS_MAX)
            .build(connector);
        let guard = AddressGuard::new(config.guard, &config.allow);
        Self { client, guard, rules: AnswerRules::new(config.ambiguous_statuses.clone()) }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, within: Duration) -> Outcome {
        // Never awaited: a timer's deadline is the way to "that much from now" without reading a clock.
        let deadline = tokio::time::sleep(within).deadline();
        let mut given = 1;
        loop {
            match self.send(request.clone(), within, deadline).await {
                Ok(answer) => return self.rules.judge(answer, deadline).await,
                Err(NoAnswer::NotBegun(_)) if given < GIVEN_MAX => given += 1,
                Err(no_answer) => return no_answer.outcome(),
            }
        }
    }

    /// Gives the request to at most one connection.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        within: Duration,
        deadline: Instant,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let connection = capture_connection(&mut request);
        let answered = timeout_at(deadline, self.client.request(request)).await;
        // After the time-out the request is dropped, so what is not assigned by now never will be.
        let assigned = connection.connection_metadata().is_some();
        match answered {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(NoAnswer::after(&error, assigned)),
            Err(_) => Err(NoAnswer::timed_out(within, assigned)),
        }
    }
}

impl<C> Target for HttpCaller<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    fn call<'a>(&'a self, task: &'a ClaimedTask) -> BoxFuture<'a, Outcome> {
        async move {
            let unfit = |error: String| Outcome::Failed { retryable: false, retry_after: None, error };
            let Kind::Http(target) = &task.spec.target else {
                return unfit(format!("a target of type {} is not called by HTTP", task.spec.target.kind()));
            };
            match request_of(task, target, &self.guard) {
                Ok(request) => self.exchange(request, task.timeout()).await,
                Err(error) => unfit(format!("never sent: {error}")),
            }
        }
        .boxed()
    }
}
