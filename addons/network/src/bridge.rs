//! The bridge of a node's pods.
//!
//! Pods reach each other through the node's own address, never directly over the bridge (see `cni::plugin`), so that
//! service translation sees both directions of a connection whether or not `br_netfilter` is loaded.

use ferrule_netlink::Error;
use ferrule_netlink::route::{Address, Connection, Link, Mac};

use crate::cidr::Cidr;

/// Returns the bridge, made, addressed and up; addresses of other pod networks are taken off it.
pub fn ensure(
    connection: &mut Connection,
    name: &str,
    network: Cidr,
    mtu: u32,
) -> Result<Link, Error> {
    let link = match connection.link(name)? {
        Some(link) => link,
        None => make(connection, name, network, mtu)?,
    };
    if !link.up {
        connection.set_up(link.index)?;
    }
    let wanted = Address {
        link: link.index,
        address: network.gateway(),
        prefix: network.prefix(),
    };
    let present: Vec<_> = connection
        .addresses()?
        .into_iter()
        .filter(|address| address.link == link.index)
        .collect();
    if !present.contains(&wanted) {
        connection.add_address(wanted, true)?;
    }
    // Single addresses on the bridge are somebody else's, such as the cluster's DNS server.
    let of_a_network = |address: &Address| *address != wanted && address.prefix < 32;
    for stale in present.into_iter().filter(of_a_network) {
        connection.delete_address(stale)?;
    }
    Ok(link)
}

fn make(connection: &mut Connection, name: &str, network: Cidr, mtu: u32) -> Result<Link, Error> {
    match connection.add_bridge(name, Mac::of(network.gateway()), mtu) {
        Err(error) if !error.is_exists() => return Err(error),
        _ => {}
    }
    // Packets between pods leave by the interface they came from; telling the sender so would be wrong.
    let _ = std::fs::write(
        format!("/proc/sys/net/ipv4/conf/{name}/send_redirects"),
        "0",
    );
    connection.link(name)?.ok_or(Error::Refused {
        request: "a new bridge",
        errno: nix::errno::Errno::ENODEV,
    })
}
