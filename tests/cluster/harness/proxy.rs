//! A TCP proxy of the test's: what goes through it can be cut, as a network does it: nothing arrives, nothing is refused.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Between two addresses. Its threads end with the process.
pub struct Proxy {
    address: SocketAddr,
    gate: Arc<Gate>,
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
        let (address, gate) = (listener.local_addr().unwrap(), Arc::new(Gate::default()));
        let (shared, target) = (Arc::clone(&gate), Arc::new(OnceLock::<SocketAddr>::new()));
        let aimed = Arc::clone(&target);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(aimed.get().unwrap()) else { continue };
                for (from, to, way) in [(&near, &far, Way::There), (&far, &near, Way::Back)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let gate = Arc::clone(&shared);
                    std::thread::spawn(move || carry(from, to, way, &gate));
                }
            }
        });
        Self { address, gate, target }
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
        self.gate.passing[0].store(0, Ordering::SeqCst);
        self.gate.passing[1].store(0, Ordering::SeqCst);
    }

    /// From now on only the first so many bytes of each answer go through, until it is mended: what is larger gets stuck,
    /// as on a network that loses large packets.
    pub fn choke(&self, bytes: usize) {
        self.gate.passing[1].store(bytes, Ordering::SeqCst);
    }

    /// Bytes go through again.
    pub fn mend(&self) {
        self.gate.passing[0].store(usize::MAX, Ordering::SeqCst);
        self.gate.passing[1].store(usize::MAX, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy)]
enum Way {
    There = 0,
    Back = 1,
}

/// How many bytes of each piece go through, there and back.
struct Gate {
    passing: [AtomicUsize; 2],
}

impl Default for Gate {
    fn default() -> Self {
        Self { passing: [const { AtomicUsize::new(usize::MAX) }; 2] }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, way: Way, gate: &Gate) {
    let mut bytes = vec![0; 64 * 1024];
    let passing = || gate.passing[way as usize].load(Ordering::SeqCst);
    while let Ok(n) = from.read(&mut bytes) {
        let first = n.min(passing());
        if to.write_all(&bytes[..first]).is_err() {
            break;
        }
        // Nobody hears of the other side's end through a cut either.
        while passing() < n.max(1) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if n == 0 || to.write_all(&bytes[first..n]).is_err() {
            break;
        }
    }
    let _gone = to.shutdown(std::net::Shutdown::Both);
}
