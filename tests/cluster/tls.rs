//! The C parts are in the program itself, with TLS: nothing of them is looked for on the machine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use diesel::Connection as _;
use diesel::pg::PgConnection;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::harness::node::PROGRAM;

/// First byte of a TLS handshake record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
/// PostgreSQL's request for TLS: a length of 8 and this number.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A server that hangs up after the first byte of whatever follows its greeting.
fn first_byte(postgres: bool) -> (SocketAddr, mpsc::Receiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, bytes) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        if postgres {
            let mut request = [0; 8];
            stream.read_exact(&mut request).unwrap();
            assert_eq!(request, SSL_REQUEST);
            stream.write_all(b"S").unwrap();
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.send(byte[0]).unwrap();
    });
    (address, bytes)
}

#[test]
fn libpq_opens_a_tls_context() {
    let (address, bytes) = first_byte(true);
    let url = format!("postgres://someone@127.0.0.1:{}/some?sslmode=require&connect_timeout=5", address.port());
    assert!(PgConnection::establish(&url).is_err(), "nobody speaks PostgreSQL there");
    assert_eq!(bytes.recv_timeout(Duration::from_secs(10)), Ok(HANDSHAKE));
}

#[test]
fn librdkafka_opens_a_tls_context() {
    let (address, bytes) = first_byte(false);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address.to_string())
        .set("security.protocol", "ssl")
        .create()
        .expect("librdkafka is built with TLS");
    let asked = producer.client().fetch_metadata(None, Duration::from_secs(3));
    assert!(asked.is_err(), "nobody speaks Kafka there");
    assert_eq!(bytes.recv_timeout(Duration::from_secs(10)), Ok(HANDSHAKE));
}

#[test]
fn the_program_needs_only_the_c_library() {
    let output = Command::new("ldd").arg(PROGRAM).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let own = ["linux-vdso", "libgcc_s", "libc.", "libm.", "libpthread", "libdl", "librt", "libresolv", "ld-linux"];
    for line in text.lines() {
        let name = line.trim().rsplit_once('/').map_or(line.trim(), |_| line.trim());
        assert!(own.iter().any(|part| name.contains(part)), "{name} is not the C library's own");
    }
    assert!(text.contains("libc."), "{text}");
}
