//! The cluster's DNS address, on the loopback interface of the node.
//!
//! Pods send to it by their default route; since it is an address of the node, the packets end
//! here and never leave the node.

use std::net::Ipv4Addr;

use anyhow::Context;
use ferrule_netlink::route::{Address, Connection};

/// Adds the address, or keeps it.
pub fn ensure(address: Ipv4Addr) -> anyhow::Result<()> {
    let mut kernel = Connection::open().context("open a netlink socket")?;
    let loopback = kernel
        .link("lo")
        .context("look for lo")?
        .context("there is no interface lo")?;
    let wanted = Address {
        link: loopback.index,
        address,
        prefix: 32,
    };
    kernel
        .add_address(wanted, false)
        .with_context(|| format!("add {address} to lo"))
}
