//! The tunnel of a node: its interface, and what it knows of the other ends.
//!
//! ```text
//! ferrule.1  10.244.1.0/32, MTU of the node's interface - 50, a hardware address made of the pod network's
//!   neighbor 10.244.2.0 is at 0a:58:0a:f4:02:00               (the gateway of the route to node2's pods)
//!   frames to 0a:58:0a:f4:02:00 go to 172.30.0.12             (where node2 says that it is)
//! ```
//!
//! The interface is bound to the node's address and to no interface, and so lives on when the node's interface goes and
//! comes back under another name. A node without the flag keeps it until no other node has an end: those may still send.

use std::net::Ipv4Addr;

use ferrule_netlink::route::{Address, Link, Mac, Neighbor, Table, Vxlan};

use crate::agent::nodes::{NodeNetwork, TunnelEnd};
use crate::agent::plan::{Backend, Settings, Uplink};
use crate::cidr::Cidr;

/// The interface's name.
pub const INTERFACE: &str = "ferrule.1";
/// Bytes that encapsulation adds to a packet.
pub const OVERHEAD: u32 = 50;

/// How the interface should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// What makes it.
    pub vxlan: Vxlan,
    /// Its hardware address.
    pub mac: Mac,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its address.
    pub address: Ipv4Addr,
}

/// What to do with the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceStep {
    /// Nothing.
    #[default]
    Keep,
    /// Make it, in place of one that is different. What leads through it is planned after that.
    Make(Device),
    /// Set these of the interface that is there: MTU, hardware address, address, up.
    Set(u32, Device),
    /// Remove it.
    Remove,
}

impl Device {
    /// How this node's one should be.
    pub fn of(settings: &Settings, uplink: &Uplink, pods: Cidr) -> Self {
        Self {
            vxlan: Vxlan {
                id: settings.tunnel_id,
                local: uplink.address.address,
                port: settings.tunnel_port,
            },
            mac: Mac::of(pods.base()),
            mtu: uplink.mtu.saturating_sub(OVERHEAD),
            address: pods.base(),
        }
    }

    /// This node's end of the tunnel.
    pub fn end(&self) -> TunnelEnd {
        TunnelEnd {
            id: self.vxlan.id,
            mac: self.mac,
            address: self.vxlan.local,
        }
    }

    /// Its address as the kernel has it.
    pub fn own_address(&self, link: u32) -> Address {
        Address {
            link,
            address: self.address,
            prefix: 32,
        }
    }

    /// From what is there to this.
    pub fn step(&self, present: Option<&Link>, addresses: &[Address]) -> DeviceStep {
        match present {
            Some(link) if link.vxlan == Some(self.vxlan) => {
                let of_link = addresses
                    .iter()
                    .filter(|address| address.link == link.index);
                let addressed = of_link.eq([&self.own_address(link.index)]);
                let is_so = link.up && link.mtu == self.mtu && link.mac == Some(self.mac);
                if is_so && addressed {
                    DeviceStep::Keep
                } else {
                    DeviceStep::Set(link.index, *self)
                }
            }
            _ => DeviceStep::Make(*self),
        }
    }
}

/// What the interface should know of another node's end.
pub fn neighbors(link: u32, pods: Cidr, end: &TunnelEnd) -> [Neighbor; 2] {
    let entry = |table, address| Neighbor {
        table,
        link,
        address,
        mac: end.mac,
    };
    [
        entry(Table::Forwarding, end.address),
        entry(Table::Neighbors, pods.base()),
    ]
}

/// Whether the interface is of use to anybody.
pub fn is_needed(settings: &Settings, others: &[&NodeNetwork]) -> bool {
    settings.backend == Backend::Vxlan || others.iter().any(|node| node.tunnel.is_some())
}
