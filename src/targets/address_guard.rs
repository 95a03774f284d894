//! Which addresses an HTTP target may have, so that a submitter cannot make a node call what only the node can reach:
//! its own loopback, its private network, a cloud's metadata service.
//!
//! The decision is pure. It is taken for every address that a name resolves to, and only checked addresses are
//! connected to: a name that resolves differently a moment later changes nothing. A host that is an address itself never
//! reaches a resolver, so it is checked apart, by [`AddressGuard::check_host`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use url::Host;

/// An address that the guard does not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "host {host} has the address {address}, which is not public and so not called; the setting --http-allow {address} \
     permits it"
)]
pub struct AddressRefused {
    /// The host of the task's URL.
    pub host: String,
    /// The address that it is, or resolves to.
    pub address: IpAddr,
}

impl AddressRefused {
    /// In the form in which `--http-allow` takes it.
    fn new(host: &str, address: IpAddr) -> Self {
        Self { host: host.to_owned(), address: address.to_canonical() }
    }
}

/// Decides which addresses may be called.
#[derive(Debug, Clone)]
pub struct AddressGuard {
    on: bool,
    allow: Arc<[IpNet]>,
}

impl AddressGuard {
    /// If `on`, only public addresses and those in `allow` may be called; else all.
    pub fn new(on: bool, allow: &[IpNet]) -> Self {
        Self { on, allow: allow.into() }
    }

    /// This address may be called.
    pub fn permits(&self, address: IpAddr) -> bool {
        // `::ffff:10.0.0.1` reaches the same host as `10.0.0.1`: one rule for both.
        let address = address.to_canonical();
        !self.on || is_public(address) || self.allow.iter().any(|net| net.contains(&address))
    }

    /// Passes the addresses of a host on if every one of them may be called. One that may not refuses all: a name that
    /// points to both kinds is no honest target.
    ///
    /// # Errors
    /// The first address that may not be called.
    pub fn check(&self, host: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, AddressRefused> {
        match addresses.iter().map(SocketAddr::ip).find(|address| !self.permits(*address)) {
            None => Ok(addresses),
            Some(address) => Err(AddressRefused::new(host, address)),
        }
    }

    /// Checks a host that is an address itself, which no resolver will see.
    ///
    /// # Errors
    /// It may not be called.
    pub fn check_host(&self, host: &Host<&str>) -> Result<(), AddressRefused> {
        let address = match host {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => IpAddr::V6(*address),
        };
        if self.permits(address) {
            return Ok(());
        }
        Err(AddressRefused::new(&host.to_string(), address))
    }
}

/// An address of the public internet: anybody may call it, so calling it from here gains nothing.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// By IANA's registry of special addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // "This network", private, loopback; multicast, reserved, broadcast.
        [0 | 10 | 127 | 224..=255, ..]
            // CGNAT.
            | [100, 64..=127, ..]
            // Link-local, where the clouds have their metadata services.
            | [169, 254, ..]
            // Private.
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Protocol assignments and documentation; 6to4 relays; benchmarks; documentation twice more.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Looks public, but is Azure's own service for the machine that calls it.
            | [168, 63, 129, 16]
    )
}

/// Only global unicast (`2000::/3`) can be public: that leaves out loopback, unspecified, link-local, site-local, ULA,
/// multicast, IPv4-compatible ones and NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`). Of the rest, forms that carry an IPv4
/// address through a tunnel are denied whatever they carry: no target is published under one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    matches!(segments, [0x2000..=0x3fff, ..])
        && !matches!(
            segments,
            // Protocol assignments (Teredo, ORCHID, benchmarks) and documentation; 6to4; documentation.
            [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..]
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn what_only_the_node_reaches_is_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip(text)), "{text}");
        }
    }

    #[test]
    fn the_neighbours_of_special_ranges_are_public() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.1",
            "168.63.129.17",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(ip(text)), "{text}");
        }
    }

    #[test]
    fn off_permits_everything_and_allowed_networks_are_permitted_in_every_form() {
        assert!(AddressGuard::new(false, &[]).permits(ip("127.0.0.1")));
        let guard = AddressGuard::new(true, &["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (text, permitted) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("fd12::1", true), ("10.2.0.1", false), ("1.1.1.1", true)]
        {
            assert_eq!(guard.permits(ip(text)), permitted, "{text}");
        }
    }

    #[test]
    fn one_refused_address_refuses_the_name() {
        let guard = AddressGuard::new(true, &[]);
        let public = SocketAddr::new(ip("1.1.1.1"), 0);
        let private = SocketAddr::new(ip("192.168.0.9"), 0);
        assert_eq!(guard.check("h", vec![public]), Ok(vec![public]));
        let refused = guard.check("h.example", vec![public, private]).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("host h.example has the address 192.168.0.9,"), "{text}");
        assert!(text.contains("--http-allow 192.168.0.9 "), "{text}");
    }

    #[test]
    fn a_host_that_is_an_address_is_checked_however_it_is_written() {
        let guard = AddressGuard::new(true, &[]);
        for host in [
            "127.0.0.1",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0177.0.0.1",
            "2130706433",
            "127.1",
            "1\u{ff12}7.0.0.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
        ] {
            let url = url::Url::parse(&format!("http://{host}/")).expect(host);
            assert!(guard.check_host(&url.host().unwrap()).is_err(), "{host}");
        }
        assert_eq!(guard.check_host(&Host::Domain("localhost")), Ok(()), "names are the resolver's");
    }
}
