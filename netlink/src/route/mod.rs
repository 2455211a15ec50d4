//! Links, addresses, neighbors and routes (rtnetlink), IPv4.

mod address;
mod entry;
mod link;
mod neighbor;

use std::os::fd::BorrowedFd;

use crate::socket::{Error, Protocol, Socket};

pub use address::Address;
pub use entry::{Kind, Route, Scope};
pub use link::{Link, Mac, Veth, Vxlan};
pub use neighbor::{Neighbor, Table};

/// Multicast groups of link, IPv4 address and IPv4 route changes.
pub const CHANGES: u32 = 0x1 | 0x10 | 0x40;

/// A connection to the kernel's links, addresses and routes of one network namespace.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
}

impl Connection {
    /// Connects in the calling thread's network namespace.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open(Protocol::Route)?,
        })
    }

    /// Connects in another network namespace.
    pub fn open_in(namespace: BorrowedFd<'_>) -> Result<Self, Error> {
        Ok(Self {
            socket: Socket::open_in(Protocol::Route, namespace)?,
        })
    }
}

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
