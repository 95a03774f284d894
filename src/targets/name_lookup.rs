//! From a host's name to its addresses: by the system's resolver, and only to addresses that may be called.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::address_guard::AddressGuard;

/// Any error of a resolver or a connector: what hyper's traits ask for.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Most lookups at once. The system's resolver blocks a thread, for longer than anybody waits if a name server does not
/// answer; without a bound it would take every thread there is, those that write outcomes included.
pub const LOOKUPS_MAX: usize = 256;

type Lookup = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// Looks names up and lets only permitted addresses through.
#[derive(Debug, Clone)]
pub struct NameLookup {
    guard: AddressGuard,
    room: Arc<Semaphore>,
    lookup: Lookup,
}

impl NameLookup {
    /// Under this guard.
    pub fn new(guard: AddressGuard) -> Self {
        Self::by(by_the_system, LOOKUPS_MAX, guard)
    }

    fn by(lookup: Lookup, at_once: usize, guard: AddressGuard) -> Self {
        Self { guard, room: Arc::new(Semaphore::new(at_once)), lookup }
    }
}

fn by_the_system(name: &str) -> io::Result<Vec<SocketAddr>> {
    // The connector puts the port in.
    Ok((name, 0).to_socket_addrs()?.collect())
}

impl Service<Name> for NameLookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { guard, room, lookup } = self.clone();
        async move {
            let place = room.acquire_owned().await?;
            let asked = name.clone();
            let looking = tokio::task::spawn_blocking(move || {
                // Kept until the system answers, also when nobody waits for it any more.
                let _place = place;
                lookup(asked.as_str())
            });
            Ok(guard.check(name.as_str(), looking.await??)?.into_iter())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use super::super::address_guard::AddressRefused;
    use super::*;

    static ANSWERS: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// Like a name server that does not answer before it is told to.
    #[expect(clippy::unnecessary_wraps, reason = "the shape of a lookup")]
    fn silent(_: &str) -> io::Result<Vec<SocketAddr>> {
        let answers = ANSWERS.1.wait_while(ANSWERS.0.lock().unwrap(), |answers| !*answers).unwrap();
        drop(answers);
        Ok(vec!["127.0.0.1:0".parse().unwrap()])
    }

    #[tokio::test]
    async fn a_lookup_that_nobody_waits_for_still_takes_its_place() {
        let mut lookup = NameLookup::by(silent, 1, AddressGuard::new(false, &[]));
        let name: Name = "silent.example".parse().unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(20), lookup.call(name.clone())).await;
        assert!(given_up.is_err());
        assert_eq!(lookup.room.available_permits(), 0, "its thread is still taken");
        *ANSWERS.0.lock().unwrap() = true;
        ANSWERS.1.notify_all();
        let addresses: Vec<SocketAddr> = lookup.call(name).await.unwrap().collect();
        assert_eq!(addresses, ["127.0.0.1:0".parse().unwrap()]);
        assert_eq!(lookup.room.available_permits(), 1);
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_checked() {
        let name = || "localhost".parse::<Name>().unwrap();
        let refused = NameLookup::new(AddressGuard::new(true, &[])).call(name()).await.unwrap_err();
        assert!(refused.to_string().contains("host localhost"), "{refused}");
        assert!(refused.is::<AddressRefused>());
        let addresses = NameLookup::new(AddressGuard::new(false, &[])).call(name()).await.unwrap();
        assert!(addresses.count() > 0);
    }
}
