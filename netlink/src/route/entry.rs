//! IPv4 routes of the main table.

use std::net::Ipv4Addr;

use nix::errno::Errno;

use crate::message::{Attributes, Received};
use crate::route::{Connection, REPLACE};
use crate::socket::Error;

/// `struct rtmsg`.
const HEADER: usize = 12;

/// `RTNH_F_ONLINK`
const ON_LINK: u32 = 4;

/// What happens to a packet that follows a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It is sent on.
    Unicast,
    /// It is dropped in silence.
    Blackhole,
    /// Another kind, by the kernel's number.
    Other(u8),
}

/// How far away the destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Anywhere.
    Universe,
    /// On the link.
    Link,
}

/// A route of the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The destination's network.
    pub destination: Ipv4Addr,
    /// The length of its prefix; 0 is the default route.
    pub prefix: u8,
    /// What it does.
    pub kind: Kind,
    /// The next hop.
    pub gateway: Option<Ipv4Addr>,
    /// The index of the link it leaves by.
    pub link: Option<u32>,
    /// The address that local packets get as source.
    pub source: Option<Ipv4Addr>,
    /// Lower is preferred.
    pub metric: u32,
    /// Who made it (`RTPROT_…`).
    pub protocol: u8,
    /// How far away the destination is.
    pub scope: Scope,
    /// Whether the next hop is on the link although no address says so.
    pub on_link: bool,
}

impl Connection {
    /// All IPv4 routes of the main table.
    pub fn routes(&mut self) -> Result<Vec<Route>, Error> {
        let rows = self.socket.dump("routes", libc::RTM_GETROUTE, |message| {
            let mut header = [0; HEADER];
            header[0] = libc::AF_INET as u8;
            message.raw(&header);
        })?;
        Ok(rows.iter().filter_map(parse).collect())
    }

    /// Adds a route, in place of one to the same network with the same metric.
    pub fn replace_route(&mut self, route: &Route) -> Result<(), Error> {
        self.change("a route", libc::RTM_NEWROUTE, REPLACE, route)
    }

    /// Removes a route; one that is not there is fine.
    pub fn delete_route(&mut self, route: &Route) -> Result<(), Error> {
        match self.change("a route's deletion", libc::RTM_DELROUTE, 0, route) {
            Err(error) if error.errno() != Some(Errno::ESRCH) => Err(error),
            _ => Ok(()),
        }
    }

    fn change(
        &mut self,
        name: &'static str,
        kind: u16,
        flags: u16,
        route: &Route,
    ) -> Result<(), Error> {
        self.socket.request(name, kind, flags, |message| {
            message.raw(&header(route));
            if route.prefix > 0 {
                message.attribute(libc::RTA_DST, &route.destination.octets());
            }
            if let Some(gateway) = route.gateway {
                message.attribute(libc::RTA_GATEWAY, &gateway.octets());
            }
            if let Some(link) = route.link {
                message.u32(libc::RTA_OIF, link);
            }
            if let Some(source) = route.source {
                message.attribute(libc::RTA_PREFSRC, &source.octets());
            }
            if route.metric > 0 {
                message.u32(libc::RTA_PRIORITY, route.metric);
            }
        })?;
        Ok(())
    }
}

fn header(route: &Route) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0] = libc::AF_INET as u8;
    bytes[1] = route.prefix;
    bytes[4] = libc::RT_TABLE_MAIN;
    bytes[5] = route.protocol;
    bytes[6] = match route.scope {
        Scope::Universe => libc::RT_SCOPE_UNIVERSE,
        Scope::Link => libc::RT_SCOPE_LINK,
    };
    bytes[7] = match route.kind {
        Kind::Unicast => libc::RTN_UNICAST,
        Kind::Blackhole => libc::RTN_BLACKHOLE,
        Kind::Other(kind) => kind,
    };
    if route.on_link {
        bytes[8..12].copy_from_slice(&ON_LINK.to_ne_bytes());
    }
    bytes
}

fn parse(message: &Received) -> Option<Route> {
    if message.kind != libc::RTM_NEWROUTE {
        return None;
    }
    let header = message.payload.get(..HEADER)?;
    let attributes = Attributes::after(&message.payload, HEADER);
    let table = attributes
        .u32(libc::RTA_TABLE)
        .unwrap_or_else(|| u32::from(header[4]));
    if header[0] != libc::AF_INET as u8 || table != u32::from(libc::RT_TABLE_MAIN) {
        return None;
    }
    Some(Route {
        destination: attributes
            .ipv4(libc::RTA_DST)
            .unwrap_or(Ipv4Addr::UNSPECIFIED),
        prefix: header[1],
        kind: match header[7] {
            libc::RTN_UNICAST => Kind::Unicast,
            libc::RTN_BLACKHOLE => Kind::Blackhole,
            other => Kind::Other(other),
        },
        gateway: attributes.ipv4(libc::RTA_GATEWAY),
        link: attributes.u32(libc::RTA_OIF),
        source: attributes.ipv4(libc::RTA_PREFSRC),
        metric: attributes.u32(libc::RTA_PRIORITY).unwrap_or_default(),
        protocol: header[5],
        scope: if header[6] == libc::RT_SCOPE_LINK {
            Scope::Link
        } else {
            Scope::Universe
        },
        on_link: u32::from_ne_bytes(header[8..12].try_into().ok()?) & ON_LINK != 0,
    })
}
