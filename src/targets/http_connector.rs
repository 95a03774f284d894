//! How a connection to an HTTP target is made: a guarded name, TCP, TLS, all within one time limit.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_tls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::address_guard::AddressGuard;
use super::name_lookup::{BoxError, NameLookup};

/// No connection was made, so nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// The name, TCP or TLS failed.
    #[error("no connection")]
    Failed(#[source] BoxError),
    /// It took too long.
    #[error("no connection within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

/// Makes connections to targets.
#[derive(Debug, Clone)]
pub struct Connector {
    inner: HttpsConnector<HttpConnector<NameLookup>>,
    within: Duration,
}

impl Connector {
    /// To addresses that `guard` permits, each connection within this time.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(guard: AddressGuard, within: Duration) -> Result<Self, native_tls::Error> {
        let mut tcp = HttpConnector::new_with_resolver(NameLookup::new(guard));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among a host's addresses, so that one that swallows packets leaves time for the next.
        tcp.set_connect_timeout(Some(within));
        // Offers no ALPN, so it is always HTTP/1.1.
        let tls = native_tls::TlsConnector::new()?;
        Ok(Self { inner: HttpsConnector::from((tcp, tls.into())), within })
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectFailure;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(ConnectFailure::Failed)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, within) = (self.inner.call(uri), self.within);
        async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(connected) => connected.map_err(ConnectFailure::Failed),
                Err(_) => Err(ConnectFailure::TimedOut(within)),
            }
        }
        .boxed()
    }
}
