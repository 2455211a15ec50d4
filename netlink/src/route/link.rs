//! Links: bridges, veth pairs, tunnels, and their state.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::message::{Attributes, Buffer, Received};
use crate::route::{CREATE, Connection};
use crate::socket::Error;

/// `struct ifinfomsg`.
const HEADER: usize = 16;
const VETH_INFO_PEER: u16 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const VXLAN_ID: u16 = 1;
const VXLAN_LOCAL: u16 = 4;
const VXLAN_LEARNING: u16 = 7;
const VXLAN_PORT: u16 = 15;
const UP: u32 = libc::IFF_UP as u32;

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The locally administered address that belongs to an IPv4 address: a pod that gets an address again is
    /// found by its neighbours at once.
    pub fn of(address: std::net::Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x0a, 0x58, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// A text that is no hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a hardware address such as 0a:58:0a:f4:01:00")]
pub struct NotAMac(String);

impl std::str::FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let byte = |part: &str| match part.len() {
            2 => u8::from_str_radix(part, 16).ok(),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| NotAMac(text.to_owned()))
    }
}

/// What makes a VXLAN tunnel, which has no peers of its own accord: they are set as neighbors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vxlan {
    /// The network's number.
    pub id: u32,
    /// The address that packets leave from.
    pub local: std::net::Ipv4Addr,
    /// The UDP port.
    pub port: u16,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// Its hardware address, if it has one of six bytes.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The bridge it is a port of.
    pub master: Option<u32>,
    /// What made it (`veth`, `bridge`, …); empty for hardware.
    pub kind: String,
    /// What makes it a VXLAN tunnel, if it is one with a local address.
    pub vxlan: Option<Vxlan>,
}

/// A pair of connected interfaces, one of them in another namespace.
#[derive(Debug, Clone)]
pub struct Veth<'a> {
    /// The name of the end that stays.
    pub name: &'a str,
    /// The bridge the end that stays becomes a port of.
    pub master: u32,
    /// The MTU of both ends in bytes.
    pub mtu: u32,
    /// The name of the other end.
    pub peer_name: &'a str,
    /// The hardware address of the other end.
    pub peer_mac: Mac,
    /// The namespace of the other end.
    pub peer_namespace: BorrowedFd<'a>,
}

impl Connection {
    /// All links.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        let rows = self.socket.dump("links", libc::RTM_GETLINK, |message| {
            message.raw(&header(0, 0, 0));
        })?;
        Ok(rows.iter().filter_map(parse).collect())
    }

    /// The link of this name.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let answer = self
            .socket
            .request("a link", libc::RTM_GETLINK, 0, |message| {
                message
                    .raw(&header(0, 0, 0))
                    .string(libc::IFLA_IFNAME, name);
            });
        match answer {
            Ok(rows) => Ok(rows.iter().find_map(parse)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a bridge, up, with a fixed hardware address (else it would change with its ports).
    pub fn add_bridge(&mut self, name: &str, mac: Mac, mtu: u32) -> Result<(), Error> {
        self.socket
            .request("a new bridge", libc::RTM_NEWLINK, CREATE, |message| {
                message
                    .raw(&header(0, UP, UP))
                    .string(libc::IFLA_IFNAME, name)
                    .u32(libc::IFLA_MTU, mtu)
                    .attribute(libc::IFLA_ADDRESS, &mac.0)
                    .nested(libc::IFLA_LINKINFO, |info| {
                        info.string(libc::IFLA_INFO_KIND, "bridge");
                    });
            })?;
        Ok(())
    }

    /// Makes a veth pair in one step: this end up and a port of its bridge, the other in its namespace.
    pub fn add_veth(&mut self, veth: &Veth<'_>) -> Result<(), Error> {
        self.socket
            .request("a new veth pair", libc::RTM_NEWLINK, CREATE, |message| {
                message
                    .raw(&header(0, UP, UP))
                    .string(libc::IFLA_IFNAME, veth.name)
                    .u32(libc::IFLA_MTU, veth.mtu)
                    .u32(libc::IFLA_MASTER, veth.master)
                    .nested(libc::IFLA_LINKINFO, |info| {
                        info.string(libc::IFLA_INFO_KIND, "veth").nested(
                            libc::IFLA_INFO_DATA,
                            |data| {
                                data.nested(VETH_INFO_PEER, |peer| peer_of(peer, veth));
                            },
                        );
                    });
            })?;
        Ok(())
    }

    /// Makes a VXLAN tunnel, up. It is bound to no interface: it lives on when the node's one goes and comes back.
    pub fn add_vxlan(
        &mut self,
        name: &str,
        vxlan: &Vxlan,
        mac: Mac,
        mtu: u32,
    ) -> Result<(), Error> {
        self.socket
            .request("a new tunnel", libc::RTM_NEWLINK, CREATE, |message| {
                message
                    .raw(&header(0, UP, UP))
                    .string(libc::IFLA_IFNAME, name)
                    .u32(libc::IFLA_MTU, mtu)
                    .attribute(libc::IFLA_ADDRESS, &mac.0)
                    .nested(libc::IFLA_LINKINFO, |info| {
                        info.string(libc::IFLA_INFO_KIND, "vxlan").nested(
                            libc::IFLA_INFO_DATA,
                            |data| {
                                data.u32(VXLAN_ID, vxlan.id)
                                    .attribute(VXLAN_LOCAL, &vxlan.local.octets())
                                    .attribute(VXLAN_LEARNING, &[0])
                                    .attribute(VXLAN_PORT, &vxlan.port.to_be_bytes());
                            },
                        );
                    });
            })?;
        Ok(())
    }

    /// Makes a link a port of a bridge.
    pub fn set_master(&mut self, index: u32, bridge: u32) -> Result<(), Error> {
        self.socket
            .request("a bridge port", libc::RTM_NEWLINK, 0, |message| {
                message
                    .raw(&header(index, 0, 0))
                    .u32(libc::IFLA_MASTER, bridge);
            })?;
        Ok(())
    }

    /// Lets a bridge port send frames back to where they came from.
    pub fn set_hairpin(&mut self, index: u32) -> Result<(), Error> {
        self.socket
            .request("hairpin mode", libc::RTM_NEWLINK, 0, |message| {
                message
                    .raw(&header(index, 0, 0))
                    .nested(libc::IFLA_LINKINFO, |info| {
                        info.string(IFLA_INFO_SLAVE_KIND, "bridge").nested(
                            IFLA_INFO_SLAVE_DATA,
                            |data| {
                                data.attribute(IFLA_BRPORT_MODE, &[1]);
                            },
                        );
                    });
            })?;
        Ok(())
    }

    /// Brings a link up.
    pub fn set_up(&mut self, index: u32) -> Result<(), Error> {
        self.socket
            .request("a link to be up", libc::RTM_NEWLINK, 0, |message| {
                message.raw(&header(index, UP, UP));
            })?;
        Ok(())
    }

    /// Sets a link's MTU and, when given, its hardware address.
    pub fn set_link(&mut self, index: u32, mtu: u32, mac: Option<Mac>) -> Result<(), Error> {
        self.socket
            .request("a link's settings", libc::RTM_NEWLINK, 0, |message| {
                message.raw(&header(index, 0, 0)).u32(libc::IFLA_MTU, mtu);
                if let Some(mac) = mac {
                    message.attribute(libc::IFLA_ADDRESS, &mac.0);
                }
            })?;
        Ok(())
    }

    /// Deletes a link; true if it was there.
    pub fn delete_link(&mut self, name: &str) -> Result<bool, Error> {
        let answer = self
            .socket
            .request("a link's deletion", libc::RTM_DELLINK, 0, |message| {
                message
                    .raw(&header(0, 0, 0))
                    .string(libc::IFLA_IFNAME, name);
            });
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn peer_of(peer: &mut Buffer, veth: &Veth<'_>) {
    peer.raw(&header(0, 0, 0))
        .string(libc::IFLA_IFNAME, veth.peer_name)
        .u32(libc::IFLA_MTU, veth.mtu)
        .attribute(libc::IFLA_ADDRESS, &veth.peer_mac.0)
        .u32(
            libc::IFLA_NET_NS_FD,
            veth.peer_namespace.as_raw_fd().unsigned_abs(),
        );
}

fn header(index: u32, flags: u32, change: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

fn parse(message: &Received) -> Option<Link> {
    if message.kind != libc::RTM_NEWLINK {
        return None;
    }
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(
            message.payload.get(at..at + 4)?.try_into().ok()?,
        ))
    };
    let attributes = Attributes::after(&message.payload, HEADER);
    let info = attributes.get(libc::IFLA_LINKINFO).map(Attributes::nested);
    Some(Link {
        index: word(4)?,
        name: attributes.string(libc::IFLA_IFNAME)?,
        up: word(8)? & UP != 0,
        mac: attributes
            .get(libc::IFLA_ADDRESS)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Mac),
        mtu: attributes.u32(libc::IFLA_MTU).unwrap_or_default(),
        master: attributes.u32(libc::IFLA_MASTER),
        kind: info
            .and_then(|info| info.string(libc::IFLA_INFO_KIND))
            .unwrap_or_default(),
        vxlan: info
            .filter(|info| info.string(libc::IFLA_INFO_KIND).as_deref() == Some("vxlan"))
            .and_then(|info| vxlan(Attributes::nested(info.get(libc::IFLA_INFO_DATA)?))),
    })
}

fn vxlan(data: Attributes<'_>) -> Option<Vxlan> {
    Some(Vxlan {
        id: data.u32(VXLAN_ID)?,
        local: data.ipv4(VXLAN_LOCAL)?,
        port: data.be16(VXLAN_PORT)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_as_they_are_shown() {
        let mac = Mac::of([10, 244, 1, 0].into());
        assert_eq!(mac.to_string(), "0a:58:0a:f4:01:00");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for text in [
            "",
            "0a:58",
            "0a:58:0a:f4:01:0",
            "0a:58:0a:f4:01:00:00",
            "0a:58:0a:f4:01:zz",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
