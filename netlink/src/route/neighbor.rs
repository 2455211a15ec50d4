//! Who is where on a link: hardware addresses of IPv4 neighbors, and the nodes behind hardware addresses of a tunnel.

use std::net::Ipv4Addr;

use crate::message::{Attributes, Received};
use crate::route::{Connection, Mac, REPLACE};
use crate::socket::Error;

/// `struct ndmsg`.
const HEADER: usize = 12;
const PERMANENT: u16 = 0x80;
const SELF: u8 = 0x02;
const ADDRESS: u16 = 1;
const HARDWARE_ADDRESS: u16 = 2;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The neighbor of this address has the hardware address.
    Neighbors,
    /// Frames to the hardware address go through the tunnel to this address.
    Forwarding,
}

/// A permanent entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Neighbor {
    /// What it is about.
    pub table: Table,
    /// The link's index.
    pub link: u32,
    /// The address.
    pub address: Ipv4Addr,
    /// The hardware address.
    pub mac: Mac,
}

impl Connection {
    /// The permanent entries of a link.
    pub fn neighbors(&mut self, link: u32) -> Result<Vec<Neighbor>, Error> {
        let mut found = Vec::new();
        for table in [Table::Neighbors, Table::Forwarding] {
            let rows = self
                .socket
                .dump("neighbors", libc::RTM_GETNEIGH, |message| {
                    message.raw(&header(table, link));
                })?;
            let entries = rows.iter().filter_map(|row| parse(table, row));
            found.extend(entries.filter(|entry| entry.link == link));
        }
        Ok(found)
    }

    /// Adds an entry, in place of one for the same neighbor, or the same hardware address of a tunnel.
    pub fn replace_neighbor(&mut self, neighbor: &Neighbor) -> Result<(), Error> {
        self.change_neighbor("a neighbor", libc::RTM_NEWNEIGH, REPLACE, neighbor)
    }

    /// Removes an entry; one that is not there is fine.
    pub fn delete_neighbor(&mut self, neighbor: &Neighbor) -> Result<(), Error> {
        match self.change_neighbor("a neighbor's deletion", libc::RTM_DELNEIGH, 0, neighbor) {
            Err(error) if !error.is_absent() => Err(error),
            _ => Ok(()),
        }
    }

    fn change_neighbor(
        &mut self,
        name: &'static str,
        kind: u16,
        flags: u16,
        neighbor: &Neighbor,
    ) -> Result<(), Error> {
        self.socket.request(name, kind, flags, |message| {
            message
                .raw(&header(neighbor.table, neighbor.link))
                .attribute(ADDRESS, &neighbor.address.octets())
                .attribute(HARDWARE_ADDRESS, &neighbor.mac.0);
        })?;
        Ok(())
    }
}

fn header(table: Table, link: u32) -> [u8; HEADER] {
    let (family, flags) = match table {
        Table::Neighbors => (libc::AF_INET, 0),
        Table::Forwarding => (libc::AF_BRIDGE, SELF),
    };
    let mut bytes = [0; HEADER];
    bytes[0] = family as u8;
    bytes[4..8].copy_from_slice(&link.to_ne_bytes());
    bytes[8..10].copy_from_slice(&PERMANENT.to_ne_bytes());
    bytes[10] = flags;
    bytes
}

fn parse(table: Table, message: &Received) -> Option<Neighbor> {
    let header = message.payload.get(..HEADER)?;
    let state = u16::from_ne_bytes(header[8..10].try_into().ok()?);
    if message.kind != libc::RTM_NEWNEIGH || state & PERMANENT == 0 {
        return None;
    }
    let attributes = Attributes::after(&message.payload, HEADER);
    Some(Neighbor {
        table,
        link: u32::from_ne_bytes(header[4..8].try_into().ok()?),
        address: attributes.ipv4(ADDRESS)?,
        mac: Mac(attributes.get(HARDWARE_ADDRESS)?.try_into().ok()?),
    })
}
