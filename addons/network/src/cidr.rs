//! IPv4 networks in the form `10.244.1.0/24`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    base: u32,
    prefix: u8,
}

/// A text that is no IPv4 network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 network such as 10.244.0.0/24")]
pub struct NotACidr(String);

impl Cidr {
    /// The network of this prefix that the address lies in; prefixes over 32 count as 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let all = Self {
            base: 0,
            prefix: prefix.min(32),
        };
        Self {
            base: u32::from(address) & !all.host_mask(),
            ..all
        }
    }

    /// The bits that all addresses of the network share, as an address.
    pub fn mask(self) -> Ipv4Addr {
        (!self.host_mask()).into()
    }

    /// The network's first address.
    pub fn base(self) -> Ipv4Addr {
        self.base.into()
    }

    /// The length of the prefix in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The first address after the network's own: the node's, and its pods' gateway.
    pub fn gateway(self) -> Ipv4Addr {
        self.base.saturating_add(1).into()
    }

    /// The addresses that pods may have: neither the network's own, nor the gateway, nor broadcast.
    pub fn pods(self) -> impl Iterator<Item = Ipv4Addr> + Clone {
        let end = self.base | self.host_mask();
        (self.base.saturating_add(2)..end).map(Ipv4Addr::from)
    }

    /// Whether the address lies in this network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & !self.host_mask() == self.base
    }

    fn host_mask(self) -> u32 {
        u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0)
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
            Some(Self::new(address.parse().ok()?, prefix))
        });
        parsed.ok_or_else(|| NotACidr(text.to_owned()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base(), self.prefix)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_knows_its_gateway_and_its_pods() {
        for (text, shown, gateway, first, last, count) in [
            (
                "10.244.1.0/24",
                "10.244.1.0/24",
                "10.244.1.1",
                "10.244.1.2",
                "10.244.1.254",
                253,
            ),
            (
                "10.244.1.77/24",
                "10.244.1.0/24",
                "10.244.1.1",
                "10.244.1.2",
                "10.244.1.254",
                253,
            ),
            (
                "10.0.0.8/29",
                "10.0.0.8/29",
                "10.0.0.9",
                "10.0.0.10",
                "10.0.0.14",
                5,
            ),
        ] {
            let cidr: Cidr = text.parse().unwrap();
            assert_eq!(cidr.to_string(), shown);
            assert_eq!(cidr.gateway().to_string(), gateway);
            let pods: Vec<_> = cidr.pods().collect();
            assert_eq!(pods.first().unwrap().to_string(), first);
            assert_eq!(pods.last().unwrap().to_string(), last);
            assert_eq!(pods.len(), count);
            assert!(cidr.contains(pods[0]) && !cidr.contains("11.0.0.1".parse().unwrap()));
        }
    }

    #[test]
    fn the_whole_internet_and_one_address_are_networks() {
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("9.9.9.9".parse().unwrap())
        );
        assert_eq!("10.0.0.1/32".parse::<Cidr>().unwrap().pods().count(), 0);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "fd00::/64",
            "10.0.0/8",
            "10.0.0.0/x",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
