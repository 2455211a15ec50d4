//! The pure part: from what was observed to the routes that should be, and how to get there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ferrule_netlink::route::{Address, Kind, Link, Neighbor, Route, Scope};

use crate::agent::nodes::{NodeNetwork, TunnelEnd};
use crate::agent::tunnel::{self, Device, DeviceStep};
use crate::cidr::Cidr;

/// The number that marks routes as ours.
pub const PROTOCOL: u8 = 70;

/// How nodes reach each other's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Backend {
    /// Routes through the other node's address, for nodes that share a link.
    #[default]
    HostGw,
    /// A tunnel between nodes, whatever lies between them. Nodes that have none yet are reached by routes.
    Vxlan,
}

/// What the flags say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's name.
    pub node: String,
    /// All pods of all nodes.
    pub cluster: Cidr,
    /// All services.
    pub services: Cidr,
    /// How nodes reach each other's pods.
    pub backend: Backend,
    /// The number of the tunnel's network.
    pub tunnel_id: u32,
    /// The tunnel's UDP port.
    pub tunnel_port: u16,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// All nodes by name; `None` before the first complete list.
    pub nodes: Option<BTreeMap<String, NodeNetwork>>,
    /// The kernel's links.
    pub links: Vec<Link>,
    /// The kernel's addresses.
    pub addresses: Vec<Address>,
    /// The kernel's routes.
    pub routes: Vec<Route>,
    /// The permanent entries of the tunnel's interface.
    pub neighbors: Vec<Neighbor>,
}

/// The interface that has the node's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The link's index.
    pub link: u32,
    /// The link's name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The node's address and network there.
    pub address: Address,
}

/// What to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The node's pod CIDR, once it is known.
    pub pod_cidr: Option<Cidr>,
    /// Where the node's address is.
    pub uplink: Option<Uplink>,
    /// Routes to add, or to put in place of others to the same network.
    pub replace: Vec<Route>,
    /// Routes to remove.
    pub delete: Vec<Route>,
    /// What to do with the tunnel's interface.
    pub device: DeviceStep,
    /// What the tunnel's interface should know besides, before routes lead there.
    pub new_neighbors: Vec<Neighbor>,
    /// What it should forget, after no route leads there.
    pub old_neighbors: Vec<Neighbor>,
    /// What this node's Node should say of its end of the tunnel, if it says something else.
    pub announce: Option<Option<TunnelEnd>>,
    /// Bytes of each packet that the way between nodes takes.
    pub overhead: u32,
    /// Nodes whose address is not on our link, and that have no tunnel: their pods cannot be reached.
    pub unreachable: Vec<String>,
}

/// Routes that keep packets for cluster addresses on the node while nothing better is known.
pub fn guard_routes(settings: &Settings) -> [Route; 2] {
    [
        route(settings.cluster, Kind::Blackhole, None, 0),
        route(settings.services, Kind::Blackhole, None, u32::MAX),
    ]
}

/// Plans the node's routes.
pub fn plan(settings: &Settings, observed: &Observed) -> Plan {
    let own = observed.routes.iter().filter(|r| r.protocol == PROTOCOL);
    let mut wanted = guard_routes(settings).to_vec();
    let Some(nodes) = &observed.nodes else {
        // Nothing is known yet: what an earlier run of the agent made stays as it is.
        wanted.retain(|route| !observed.routes.contains(route));
        return Plan {
            replace: wanted,
            ..Plan::default()
        };
    };
    let me = nodes.get(&settings.node).copied().unwrap_or_default();
    let uplink = me.address.and_then(|address| uplink(observed, address));
    let others: Vec<(&String, &NodeNetwork)> = nodes
        .iter()
        .filter(|(name, _)| **name != settings.node)
        .collect();
    let present = observed
        .links
        .iter()
        .find(|link| link.name == tunnel::INTERFACE);
    let mut plan = Plan {
        pod_cidr: me.pod_cidr,
        overhead: match settings.backend {
            Backend::HostGw => 0,
            Backend::Vxlan => tunnel::OVERHEAD,
        },
        ..Plan::default()
    };
    let mut neighbors = Vec::new();
    if let Some(uplink) = &uplink {
        let device = me.pod_cidr.map(|pods| Device::of(settings, uplink, pods));
        plan.plan_device(settings, &me, device, present, &others, &observed.addresses);
        wanted.extend(service_route(settings, observed, uplink));
        let ready = present.filter(|_| plan.device == DeviceStep::Keep);
        for (name, node) in others {
            match reach(settings, node, uplink, ready) {
                Reach::Route(route, entries)
                    if Some(route.destination) != me.pod_cidr.map(Cidr::base) =>
                {
                    wanted.push(route);
                    neighbors.extend(entries);
                }
                Reach::OffLink => plan.unreachable.push(name.clone()),
                _ => {}
            }
        }
    }
    plan.uplink = uplink;
    plan.delete = own
        .filter(|r| !wanted.iter().any(|w| key(w) == key(r)))
        .copied()
        .collect();
    wanted.retain(|route| !observed.routes.contains(route));
    plan.replace = wanted;
    let stale = |entry: &&Neighbor| {
        let same = |other: &Neighbor| {
            entry.table == other.table && (entry.address, entry.mac) == (other.address, other.mac)
        };
        !neighbors.iter().any(same)
    };
    plan.old_neighbors = observed.neighbors.iter().filter(stale).copied().collect();
    neighbors.retain(|entry| !observed.neighbors.contains(entry));
    plan.new_neighbors = neighbors;
    plan
}

impl Plan {
    fn plan_device(
        &mut self,
        settings: &Settings,
        me: &NodeNetwork,
        device: Option<Device>,
        present: Option<&Link>,
        others: &[(&String, &NodeNetwork)],
        addresses: &[Address],
    ) {
        let others: Vec<&NodeNetwork> = others.iter().map(|(_, node)| *node).collect();
        let announced = match (settings.backend, device) {
            (Backend::Vxlan, Some(device)) => {
                self.device = device.step(present, addresses);
                // Others may send as soon as it is said: the interface must be there.
                match self.device {
                    DeviceStep::Keep => Some(device.end()),
                    _ => me.tunnel,
                }
            }
            (Backend::Vxlan, None) => me.tunnel,
            (Backend::HostGw, _) => {
                if present.is_some() && !tunnel::is_needed(settings, &others) {
                    self.device = DeviceStep::Remove;
                }
                None
            }
        };
        self.announce = (announced != me.tunnel).then_some(announced);
    }
}

/// What makes two routes the same place in the table.
fn key(route: &Route) -> (Ipv4Addr, u8, u32) {
    (route.destination, route.prefix, route.metric)
}

fn uplink(observed: &Observed, address: Ipv4Addr) -> Option<Uplink> {
    let found = observed.addresses.iter().find(|a| a.address == address)?;
    let link = observed
        .links
        .iter()
        .find(|l| l.index == found.link && l.up)?;
    Some(Uplink {
        link: link.index,
        name: link.name.clone(),
        mtu: link.mtu,
        address: *found,
    })
}

fn service_route(settings: &Settings, observed: &Observed, uplink: &Uplink) -> Option<Route> {
    let loopback = observed
        .links
        .iter()
        .find(|link| link.name == "lo" && link.up)?;
    Some(Route {
        link: Some(loopback.index),
        source: Some(uplink.address.address),
        scope: Scope::Link,
        ..route(settings.services, Kind::Unicast, None, 0)
    })
}

enum Reach {
    Route(Route, Vec<Neighbor>),
    OffLink,
    NotKnownYet,
}

/// How the pods of another node are reached: by the tunnel where both have an end, else by a route.
fn reach(settings: &Settings, node: &NodeNetwork, uplink: &Uplink, device: Option<&Link>) -> Reach {
    let end = node.tunnel.filter(|end| end.id == settings.tunnel_id);
    match (settings.backend, node.pod_cidr, end, device) {
        (Backend::Vxlan, Some(pods), Some(end), Some(device)) => Reach::Route(
            Route {
                link: Some(device.index),
                on_link: true,
                ..route(pods, Kind::Unicast, Some(pods.base()), 0)
            },
            tunnel::neighbors(device.index, pods, &end).to_vec(),
        ),
        _ => host_gateway(node, uplink),
    }
}

fn host_gateway(node: &NodeNetwork, uplink: &Uplink) -> Reach {
    let (Some(pods), Some(address)) = (node.pod_cidr, node.address) else {
        return Reach::NotKnownYet;
    };
    let network = Cidr::new(uplink.address.address, uplink.address.prefix);
    if address == uplink.address.address || !network.contains(address) {
        return Reach::OffLink;
    }
    let route = Route {
        link: Some(uplink.link),
        ..route(pods, Kind::Unicast, Some(address), 0)
    };
    Reach::Route(route, Vec::new())
}

fn route(to: Cidr, kind: Kind, gateway: Option<Ipv4Addr>, metric: u32) -> Route {
    Route {
        destination: to.base(),
        prefix: to.prefix(),
        kind,
        gateway,
        link: None,
        source: None,
        metric,
        protocol: PROTOCOL,
        scope: Scope::Universe,
        on_link: false,
    }
}

#[cfg(test)]
mod tests;
