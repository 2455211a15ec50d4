//! Pod networks: each node gets a part of the cluster's, and no part is given twice.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: u32,
    bits: u8,
}

/// Why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IPv4 network such as 10.244.0.0/16")]
pub struct InvalidNetwork;

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Network, InvalidNetwork> {
        let (address, bits) = text.split_once('/').ok_or(InvalidNetwork)?;
        let address: Ipv4Addr = address.parse().map_err(|_| InvalidNetwork)?;
        let bits: u8 = bits.parse().map_err(|_| InvalidNetwork)?;
        if bits > 32 {
            return Err(InvalidNetwork);
        }
        Ok(Network {
            address: u32::from(address) & mask(bits),
            bits,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.address), self.bits)
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

impl Network {
    fn overlaps(self, other: Network) -> bool {
        let shorter = mask(self.bits.min(other.bits));
        self.address & shorter == other.address & shorter
    }
}

/// The cluster's network and how it is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// The cluster's network.
    pub cluster: Network,
    /// The length of a node's mask.
    pub node_bits: u8,
}

impl Division {
    /// Checks that nodes' networks fit into the cluster's.
    pub fn new(cluster: Network, node_bits: u8) -> Option<Division> {
        (cluster.bits <= node_bits && node_bits <= 30 && node_bits - cluster.bits <= 16)
            .then_some(Division { cluster, node_bits })
    }

    /// The first network that overlaps none of `taken`; `None` when all are taken.
    pub fn first_free(&self, taken: &BTreeSet<Network>) -> Option<Network> {
        let step = 1_u64 << (32 - self.node_bits);
        let first = u64::from(self.cluster.address);
        let end = first + (1_u64 << (32 - self.cluster.bits));
        let mut at = first;
        while at < end {
            let network = Network {
                address: u32::try_from(at).ok()?,
                bits: self.node_bits,
            };
            let before = taken
                .range(
                    ..=Network {
                        address: network.address,
                        bits: 32,
                    },
                )
                .next_back();
            let within = taken.range(network..).next();
            if ![before, within]
                .into_iter()
                .flatten()
                .any(|other| other.overlaps(network))
            {
                return Some(network);
            }
            at += step;
        }
        None
    }
}
