//! A TCP proxy of the test's: what goes through it can be cut, as a network does it: nothing arrives, nothing is refused.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Between two addresses. Its threads end with the process.
pub struct Proxy {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    target: Arc<OnceLock<SocketAddr>>,
}

impl Proxy {
    /// To this address.
    pub fn to(target: SocketAddr) -> Self {
        let proxy = Self::unaimed();
        proxy.aim(target);
        proxy
    }

    /// To where it is aimed at before anybody connects.
    pub fn unaimed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, cut) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let (is_cut, target) = (Arc::clone(&cut), Arc::new(OnceLock::<SocketAddr>::new()));
        let aimed = Arc::clone(&target);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(aimed.get().unwrap()) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let is_cut = Arc::clone(&is_cut);
                    std::thread::spawn(move || carry(from, to, &is_cut));
                }
            }
        });
        Self { address, cut, target }
    }

    /// Says where it goes, once.
    pub fn aim(&self, target: SocketAddr) {
        self.target.set(target).unwrap();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing goes through, until it is mended.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// New bytes go through again.
    pub fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n) = from.read(&mut bytes) {
        while is_cut.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if n == 0 || to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _gone = to.shutdown(std::net::Shutdown::Both);
}
