//! IPv4 networks in the form `10.96.0.0/16`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    /// Its first address.
    pub base: Ipv4Addr,
    /// The bits that all its addresses share.
    pub mask: Ipv4Addr,
}

impl Cidr {
    /// The network of one address.
    pub fn single(address: Ipv4Addr) -> Self {
        Self {
            base: address,
            mask: Ipv4Addr::BROADCAST,
        }
    }

    /// Its last address.
    pub fn last(self) -> Ipv4Addr {
        self.base | !self.mask
    }

    /// Whether an address is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address & self.mask == self.base
    }
}

/// A text that is no IPv4 network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 network such as 10.96.0.0/16")]
pub struct NotACidr(String);

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let address: Ipv4Addr = address.parse().ok()?;
            let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
            let mask = !u32::MAX.checked_shr(prefix).unwrap_or(0);
            Some(Self {
                base: (u32::from(address) & mask).into(),
                mask: mask.into(),
            })
        });
        parsed.ok_or_else(|| NotACidr(text.to_owned()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{}",
            self.base,
            u32::from(self.mask).count_ones()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_shown() {
        for (text, shown) in [
            ("10.96.0.0/16", Some("10.96.0.0/16")),
            ("10.96.7.7/12", Some("10.96.0.0/12")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.0.0.1/32", Some("10.0.0.1/32")),
            ("10.0.0.1/33", None),
            ("10.0.0.1", None),
            ("fd00::/64", None),
        ] {
            let cidr = text.parse::<Cidr>().ok().map(|cidr| cidr.to_string());
            assert_eq!(cidr.as_deref(), shown);
        }
    }
}
