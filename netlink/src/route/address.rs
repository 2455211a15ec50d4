//! IPv4 addresses of links.

use std::net::Ipv4Addr;

use crate::message::{Attributes, Received};
use crate::route::{Connection, REPLACE};
use crate::socket::Error;

/// `struct ifaddrmsg`.
const HEADER: usize = 8;
const IFA_FLAGS: u16 = 8;
const NO_PREFIX_ROUTE: u32 = 0x200;

/// An IPv4 address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address.
    pub address: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix: u8,
}

impl Connection {
    /// All IPv4 addresses.
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        let rows = self
            .socket
            .dump("addresses", libc::RTM_GETADDR, |message| {
                message.raw(&header(0, 0));
            })?;
        Ok(rows.iter().filter_map(parse).collect())
    }

    /// Adds an address, or keeps it; without `on_link`, its network gets no route of its own.
    pub fn add_address(&mut self, address: Address, on_link: bool) -> Result<(), Error> {
        let bytes = address.address.octets();
        self.socket
            .request("a new address", libc::RTM_NEWADDR, REPLACE, |message| {
                message
                    .raw(&header(address.prefix, address.link))
                    .attribute(libc::IFA_LOCAL, &bytes)
                    .attribute(libc::IFA_ADDRESS, &bytes);
                if on_link && address.prefix < 31 {
                    let broadcast = u32::from(address.address) | (u32::MAX >> address.prefix);
                    message.be32(libc::IFA_BROADCAST, broadcast);
                } else {
                    message.u32(IFA_FLAGS, NO_PREFIX_ROUTE);
                }
            })?;
        Ok(())
    }

    /// Removes an address; one that is not there is fine.
    pub fn delete_address(&mut self, address: Address) -> Result<(), Error> {
        let answer =
            self.socket
                .request("an address's deletion", libc::RTM_DELADDR, 0, |message| {
                    message
                        .raw(&header(address.prefix, address.link))
                        .attribute(libc::IFA_LOCAL, &address.address.octets());
                });
        match answer {
            Err(error) if !error.is_absent() => Err(error),
            _ => Ok(()),
        }
    }
}

fn header(prefix: u8, link: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0] = libc::AF_INET as u8;
    bytes[1] = prefix;
    bytes[4..8].copy_from_slice(&link.to_ne_bytes());
    bytes
}

fn parse(message: &Received) -> Option<Address> {
    if message.kind != libc::RTM_NEWADDR {
        return None;
    }
    let header = message.payload.get(..HEADER)?;
    if header[0] != libc::AF_INET as u8 {
        return None;
    }
    let attributes = Attributes::after(&message.payload, HEADER);
    Some(Address {
        link: u32::from_ne_bytes(header[4..8].try_into().ok()?),
        address: attributes
            .ipv4(libc::IFA_LOCAL)
            .or_else(|| attributes.ipv4(libc::IFA_ADDRESS))?,
        prefix: header[1],
    })
}
