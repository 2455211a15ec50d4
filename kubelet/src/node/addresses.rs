//! The node's own addresses: those it was given, while they are its own, else the one it speaks from.
//!
//! An interface may go and come back under another name, and with another address. Addresses are asked
//! for, not interfaces.

use std::net::{IpAddr, UdpSocket};
use std::sync::{PoisonError, RwLock};

/// The addresses of a node, the primary one first.
#[derive(Debug)]
pub struct Addresses {
    given: Vec<IpAddr>,
    /// Hosts and ports of API servers.
    servers: Vec<String>,
    present: RwLock<Vec<IpAddr>>,
}

impl Addresses {
    /// Those `given`, or what leads to `servers`.
    pub fn new(given: Vec<IpAddr>, servers: Vec<String>) -> Addresses {
        let addresses = Addresses {
            // Before the network is there, what was given is believed.
            present: RwLock::new(given.clone()),
            given,
            servers,
        };
        addresses.refresh();
        addresses
    }

    /// The addresses as last seen.
    pub fn all(&self) -> Vec<IpAddr> {
        let present = self.present.read();
        present.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks again; says whether something has changed. May ask the DNS.
    pub fn refresh(&self) -> bool {
        let towards = || self.servers.iter().find_map(|server| towards(server));
        let before = self.all();
        let now = choose(&self.given, &before, is_own, towards);
        if now == before {
            return false;
        }
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = now;
        true
    }
}

/// What the node's addresses are: with none to be found, those that it had.
fn choose(
    given: &[IpAddr],
    before: &[IpAddr],
    is_own: impl Fn(IpAddr) -> bool,
    towards: impl Fn() -> Option<IpAddr>,
) -> Vec<IpAddr> {
    let own: Vec<IpAddr> = given.iter().copied().filter(|ip| is_own(*ip)).collect();
    if !own.is_empty() {
        return own;
    }
    match towards() {
        Some(found) => vec![found],
        None => before.to_vec(),
    }
}

/// Whether some interface has the address: only then can a socket.
fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The address from which this machine would speak to `server`. Nothing is sent.
fn towards(server: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(server).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_unspecified()).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_addresses_count_while_the_node_has_them() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (given, other, old) = (ip("172.30.0.11"), ip("172.30.0.5"), ip("172.30.0.9"));
        for (what, given, own, towards, expected) in [
            (
                "given and there",
                vec![given, old],
                vec![given, other],
                Some(other),
                given,
            ),
            (
                "given and gone",
                vec![given],
                vec![other],
                Some(other),
                other,
            ),
            ("none given", vec![], vec![other], Some(other), other),
            ("no network", vec![given], vec![], None, old),
        ] {
            let chosen = choose(&given, &[old], |ip| own.contains(&ip), || towards);
            assert_eq!(chosen, [expected], "{what}");
        }
    }

    #[test]
    fn an_address_is_the_nodes_own_when_an_interface_has_it() {
        assert!(is_own("127.0.0.1".parse().expect("an address")));
        assert!(!is_own("192.0.2.1".parse().expect("an address")));
    }
}
