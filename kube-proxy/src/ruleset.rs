//! The pure part: from Services, EndpointSlices and the node to the whole table.
//!
//! ```text
//! table ip ferrule-proxy {
//!   set cluster-ips         { type ipv4_addr; }                    # of all services
//!   set hairpins            { type ipv4_addr . ipv4_addr; }        # each local endpoint, twice
//!   map service-ips         { type ipv4_addr . inet_proto . inet_service : verdict; }
//!     #   10.96.0.1 . tcp . 443 comment "default/kubernetes:https" : goto internal-1
//!     #   10.96.0.9 . tcp . 80  comment "default/web:http"         : goto internal-2
//!     #   192.0.2.5 . tcp . 80  comment "default/web:http"         : goto external-2
//!     #   10.96.0.7 . udp . 53  comment "default/dns:"             : goto unserved     # no usable endpoint
//!   map service-node-ports  { type inet_proto . inet_service : verdict; }
//!     #   tcp . 30000           comment "default/web:http"         : goto node-port-2
//!     #   tcp . 30001           comment "default/mail:"            : goto reject       # no usable endpoint
//!
//!   map endpoints           { type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service; }
//!     #   10.96.0.9 . tcp . 80 . 0x00000000 : 10.244.1.2 . 8080
//!     #   10.96.0.9 . tcp . 80 . 0x00000001 : 10.244.2.7 . 8080
//!     #   10.96.0.9 . tcp . 80 . 0x80000000 : 10.244.1.2 . 8080    # from 2^31 on: those of this node, for policy Local
//!   map node-port-endpoints { type inet_proto . inet_service . mark : ipv4_addr . inet_service; }
//!     #   tcp . 30000 . 0x00000000          : 10.244.1.2 . 8080
//!     #   tcp . 30000 . 0x00000001          : 10.244.2.7 . 8080
//!
//!   # sessionAffinity ClientIP; packets write these, and the proxy takes out what leads to endpoints that are gone:
//!   map affinity            { type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; dynamic,timeout }
//!     #   10.244.1.7 . 10.96.0.9 . tcp . 80 expires 2h59m : 10.244.1.2 . 8080
//!   map node-port-affinity  { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; dynamic,timeout }
//!     #   172.30.0.1 . tcp . 30000          expires 2h59m : 10.244.1.2 . 8080
//!   map sticky-ips          { type ipv4_addr . inet_proto . inet_service : verdict; }  # 10.96.0.9 . tcp . 80 : goto remember-10800s
//!   map sticky-node-ports   { type inet_proto . inet_service : verdict; }          # tcp . 30000 : goto remember-node-port-10800s
//!   set external-ips        { type ipv4_addr; }                    # addresses of services besides cluster IPs
//!
//!   # loadBalancerSourceRanges:
//!   set allowed-sources     { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }
//!
//!   chain prerouting  { type nat hook prerouting priority dstnat; jump services }
//!   chain output      { type nat hook output priority dstnat; jump services }
//!   chain services {                                              # first packets of connections only
//!     ip daddr . meta l4proto . th dport vmap @service-ips
//!     fib daddr type local meta l4proto . th dport vmap @service-node-ports
//!     ip daddr <service CIDR> goto unserved                               # not allocated, or no such port
//!     ip daddr @cluster-ips goto unserved                                 # the same, outside of the CIDR
//!   }
//!   chain unserved {
//!     fib daddr type local return              # somebody on this node has the address: the cluster's DNS server
//!     goto reject
//!   }
//!   chain reject {
//!     meta l4proto tcp reject with tcp reset
//!     reject with icmp port-unreachable
//!   }
//!
//!   # One chain for each number of endpoints that some service has, not one for each service:
//!   chain internal-2 {
//!     ip saddr != <pod CIDR> meta mark set meta mark | 0x4000             # from outside: answers must pass here
//!     dnat to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints
//!   }
//!   chain external-2 {
//!     meta mark set meta mark | 0x4000
//!     dnat to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints
//!   }
//!   chain node-port-2 {
//!     meta mark set meta mark | 0x4000
//!     dnat to meta l4proto . th dport . numgen random mod 2 map @node-port-endpoints
//!   }
//!   chain node-port-plain-3 { dnat to ... mod 3 ... }                     # the same, and the source stays
//!   chain node-port-local-1-of-3 {                                        # externalTrafficPolicy Local
//!     ip saddr <pod CIDR> goto node-port-plain-3                          # as if it had come from outside and back
//!     fib saddr type local meta mark set meta mark | 0x4000
//!     fib saddr type local goto node-port-plain-3
//!     dnat to ... numgen random mod 1 offset 2147483648 map @node-port-endpoints
//!   }
//!   chain internal-sticky-2 {                                             # sessionAffinity ClientIP
//!     ...                                                                 # masquerading as without
//!     dnat to ip saddr . ip daddr . meta l4proto . th dport map @affinity # the client has an endpoint
//!     dnat to ip daddr . meta l4proto . th dport . numgen random mod 2 map @endpoints
//!   }
//!   chain external-restricted-2 { ip daddr . meta l4proto . th dport . ip saddr != @allowed-sources drop; ... }
//!
//!   chain postrouting {
//!     type nat hook postrouting priority srcnat
//!     meta mark & 0x4000 != 0 meta mark set meta mark & ~0x4000 masquerade fully-random
//!     ip saddr . ip daddr @hairpins masquerade fully-random       # a pod that reaches itself
//!   }
//!   # Where a connection went is seen after its translation, on its way out of the node or into it:
//!   chain remember-forwarded { type filter hook postrouting priority mangle; ct state new ct status dnat goto remember }
//!   chain remember-local     { type filter hook input priority mangle; ct state new ct status dnat goto remember }
//!   chain remember {
//!     ct original ip daddr . meta l4proto . ct original proto-dst vmap @sticky-ips
//!     ct original ip daddr @cluster-ips return
//!     ct original ip daddr @external-ips return
//!     meta l4proto . ct original proto-dst vmap @sticky-node-ports
//!   }
//!   chain remember-10800s {
//!     update @affinity { ct original ip saddr . ct original ip daddr . meta l4proto . ct original proto-dst
//!                        timeout 3h : ip daddr . th dport }
//!   }
//!   chain loopback-guard {                                        # node ports answer on 127.0.0.1, for this node only
//!     type filter hook prerouting priority raw
//!     iifname != "lo" ip daddr 127.0.0.0/8 drop
//!   }
//! }
//! ```
//!
//! A connection costs two or three look-ups, whatever the number of services, and a service's change touches elements of maps
//! only. The kernel would be slow with a chain, a set or a rule for each service: adding to a map walks all rules that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use crate::cidr::Cidr;
use crate::endpoints::{Policies, Usable, usable};
use crate::objects::{EndpointSlice, Node, Protocol, Service, ServiceName, ServicePort};
use crate::spread::{Chain, Ends, Memory, Place, Spread};

/// The number of the first endpoint of this node in `endpoints`.
pub const LOCAL: u32 = 1 << 31;

/// What the flags say about the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// All pods; other sources are masqueraded when they use a cluster IP. `None`: nobody is.
    pub cluster_cidr: Option<Cidr>,
    /// All services: what is not allocated in it is rejected.
    pub service_range: Option<Cidr>,
    /// The bit of the packet mark that asks for masquerading.
    pub masquerade_bit: u8,
    /// Masquerade everything that goes through a cluster IP.
    pub masquerade_all: bool,
}

/// Where a frontend leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To endpoints.
    Spread(Spread),
    /// Nowhere, and the client is told.
    Reject,
    /// Nowhere, in silence.
    Drop,
}

/// An address, a protocol and a port.
pub type ServiceKey = (Ipv4Addr, Protocol, u16);
/// A protocol and a port.
pub type NodePortKey = (Protocol, u16);

/// An element of one of the table's sets and maps, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `cluster-ips`
    ClusterIp(Ipv4Addr),
    /// `external-ips`
    ExternalIp(Ipv4Addr),
    /// `hairpins`
    Hairpin(Ipv4Addr),
    /// `service-ips`
    ServiceIp(ServiceKey),
    /// `service-node-ports`
    NodePort(NodePortKey),
    /// `endpoints`: behind an address and port, the endpoint of this number.
    Endpoint(ServiceKey, u32),
    /// `node-port-endpoints`: the same behind a node port.
    NodePortEndpoint(NodePortKey, u32),
    /// `sticky-ips`
    StickyIp(ServiceKey),
    /// `sticky-node-ports`
    StickyNodePort(NodePortKey),
    /// `allowed-sources`
    AllowedSource(ServiceKey, Cidr),
}

/// What an element gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: it is a member.
    Member,
    /// Where a frontend leads, and whose it is, for people: `default/web:http`.
    Frontend(Target, Arc<str>),
    /// An endpoint.
    Endpoint(SocketAddrV4),
    /// How it is remembered where a connection went.
    Memory(Memory),
}

/// A service port as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programmed {
    /// The port's name.
    pub port_name: String,
    /// The protocol.
    pub protocol: Protocol,
    /// Where it can be reached: `10.96.0.1:443`, `node-port:30000`.
    pub frontends: Vec<String>,
    /// The endpoints that it leads to.
    pub endpoints: Vec<SocketAddrV4>,
}

/// What load balancers may ask about a service on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The port where they ask.
    pub port: u16,
    /// How many endpoints on this node are ready.
    pub local_endpoints: usize,
}

/// What one service contributes to the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fragment {
    /// Its elements.
    pub elements: BTreeMap<Key, Value>,
    /// The chains that they lead to.
    pub chains: BTreeSet<Chain>,
    /// Its ports, for people.
    pub programmed: Vec<Programmed>,
    /// What load balancers may ask.
    pub checked: Option<Checked>,
}

/// What a service contributes to the table of a node; `None` if it is not proxied.
pub fn fragment<'a>(
    node: &Node,
    name: &ServiceName,
    service: &Service,
    slices: impl Iterator<Item = &'a EndpointSlice> + Clone,
) -> Option<Fragment> {
    let cluster_ip = service.cluster_ip?;
    let mut fragment = Fragment::default();
    fragment.add(Key::ClusterIp(cluster_ip), Value::Member);
    for port in &service.ports {
        let frontends = Frontends {
            service,
            port,
            id: (cluster_ip, port.protocol, port.port),
            owner: format!("{name}:{}", port.name).into(),
            node,
        };
        frontends.add_to(&mut fragment, slices.clone());
    }
    if service.health_port != 0 {
        let endpoints = slices.flat_map(|slice| &slice.endpoints);
        let ready = endpoints
            .filter(|endpoint| endpoint.ready && endpoint.node.as_deref() == Some(&*node.name));
        let addresses: BTreeSet<_> = ready.map(|endpoint| endpoint.address).collect();
        fragment.checked = Some(Checked {
            port: service.health_port,
            local_endpoints: addresses.len(),
        });
    }
    Some(fragment)
}

impl Fragment {
    fn add(&mut self, key: Key, value: Value) {
        self.elements.insert(key, value);
    }

    fn need(&mut self, target: Target) {
        if let Target::Spread(spread) = target {
            self.chains.insert(Chain::Spread(spread));
            self.chains.extend(spread.leads_to().map(Chain::Spread));
        }
    }
}

/// One port of a service, and all that leads to it.
struct Frontends<'a> {
    service: &'a Service,
    port: &'a ServicePort,
    id: ServiceKey,
    owner: Arc<str>,
    node: &'a Node,
}

impl Frontends<'_> {
    fn add_to<'a>(&self, fragment: &mut Fragment, slices: impl Iterator<Item = &'a EndpointSlice>) {
        let (service, port) = (self.service, self.port);
        let reached_from_outside = port.node_port != 0
            || !service.external_ips.is_empty()
            || !service.balancer_ips.is_empty();
        let policies = Policies {
            // Pods and the node itself use node ports as if their policy were Cluster.
            cluster: !service.internal_local || reached_from_outside,
            local: service.internal_local || (service.external_local && reached_from_outside),
        };
        let usable = usable(targets(port, slices), policies, self.node);
        self.add_hairpins(fragment, &usable);

        let mut shown = Vec::new();
        let outside = self.target(&usable, Place::External, false);
        let external = service
            .external_ips
            .iter()
            .map(|address| (address, outside));
        let restricted = self.target(&usable, Place::External, !service.source_ranges.is_empty());
        let balanced = service
            .balancer_ips
            .iter()
            .map(|address| (address, restricted));
        for (address, target) in external.chain(balanced) {
            shown.push(format!("{address}:{}", port.port));
            let key = (*address, port.protocol, port.port);
            fragment.add(Key::ExternalIp(*address), Value::Member);
            self.add_address(fragment, key, target, &usable);
        }
        for address in &service.balancer_ips {
            self.add_sources(fragment, *address);
        }
        if port.node_port != 0 {
            shown.push(format!("node-port:{}", port.node_port));
            let target = self.target(&usable, Place::NodePort, false);
            let key = (port.protocol, port.node_port);
            fragment.add(Key::NodePort(key), self.frontend(target));
            for (number, endpoint) in numbered(&usable) {
                let key = Key::NodePortEndpoint(key, number);
                fragment.add(key, Value::Endpoint(endpoint));
            }
            fragment.need(target);
            self.add_memory(fragment, Key::StickyNodePort(key), true);
        }
        shown.insert(0, format!("{}:{}", self.id.0, port.port));
        let target = self.target(&usable, Place::Internal, false);
        self.add_address(fragment, self.id, target, &usable);
        fragment.programmed.push(Programmed {
            port_name: port.name.clone(),
            protocol: port.protocol,
            frontends: shown,
            endpoints: usable.reachable(),
        });
    }

    fn add_address(
        &self,
        fragment: &mut Fragment,
        key: ServiceKey,
        target: Target,
        usable: &Usable,
    ) {
        fragment.add(Key::ServiceIp(key), self.frontend(target));
        for (number, endpoint) in numbered(usable) {
            let key = Key::Endpoint(key, number);
            fragment.add(key, Value::Endpoint(endpoint));
        }
        fragment.need(target);
        self.add_memory(fragment, Key::StickyIp(key), false);
    }

    fn add_memory(&self, fragment: &mut Fragment, key: Key, of_node_port: bool) {
        if let Some(seconds) = self.service.affinity {
            let memory = Memory {
                of_node_port,
                seconds,
            };
            fragment.add(key, Value::Memory(memory));
            fragment.chains.insert(Chain::Remember(memory));
        }
    }

    fn add_hairpins(&self, fragment: &mut Fragment, usable: &Usable) {
        for endpoint in &usable.here {
            // A process on the node's own network that reaches itself needs no other source.
            if Some(*endpoint.ip()) != self.node.address {
                fragment.add(Key::Hairpin(*endpoint.ip()), Value::Member);
            }
        }
    }

    /// Who may use a load balancer's address.
    fn add_sources(&self, fragment: &mut Fragment, address: Ipv4Addr) {
        let key = (address, self.port.protocol, self.port.port);
        let ranges = &self.service.source_ranges;
        for range in ranges {
            fragment.add(Key::AllowedSource(key, *range), Value::Member);
        }
        // Where the node has the address itself, its own packets to it have it as source too.
        let allows_node = |address| ranges.iter().any(|range| range.contains(address));
        if self.node.address.is_some_and(allows_node) {
            for own in &self.service.balancer_ips {
                fragment.add(Key::AllowedSource(key, Cidr::single(*own)), Value::Member);
            }
        }
    }

    fn frontend(&self, target: Target) -> Value {
        Value::Frontend(target, self.owner.clone())
    }

    /// Where frontends of this kind lead.
    fn target(&self, usable: &Usable, place: Place, restricted: bool) -> Target {
        let count = |list: &[SocketAddrV4]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        let (cluster, local) = (count(&usable.cluster), count(&usable.local));
        let is_local = match place {
            Place::Internal => self.service.internal_local,
            Place::External | Place::NodePort => self.service.external_local,
        };
        let ends = match (is_local, place) {
            _ if cluster == 0 && local == 0 => return self.nowhere(usable),
            (false, _) => Ends::Cluster,
            // With endpoints elsewhere only, a load balancer must not take the node for a broken one.
            (true, Place::Internal) if local == 0 => return Target::Drop,
            (true, Place::Internal) => Ends::Local { of: 0 },
            (true, _) => Ends::Local { of: cluster },
        };
        Target::Spread(Spread {
            place,
            ends,
            restricted,
            sticky: self.service.affinity.is_some(),
            count: if is_local { local } else { cluster },
        })
    }

    fn nowhere(&self, usable: &Usable) -> Target {
        if usable.anywhere {
            Target::Drop
        } else {
            Target::Reject
        }
    }
}

/// The endpoints by their numbers.
fn numbered(usable: &Usable) -> impl Iterator<Item = (u32, SocketAddrV4)> {
    let cluster = (0..).zip(&usable.cluster);
    let local = (LOCAL..).zip(&usable.local);
    cluster
        .chain(local)
        .map(|(number, endpoint)| (number, *endpoint))
}

/// The endpoints of a port in these slices.
fn targets<'a>(
    port: &ServicePort,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> impl Iterator<Item = (SocketAddrV4, &'a crate::objects::Endpoint)> {
    slices.flat_map(move |slice| {
        let found = slice
            .ports
            .iter()
            .find(|(name, protocol, _)| **name == *port.name && *protocol == port.protocol);
        found.into_iter().flat_map(move |(_, _, number)| {
            let endpoints = slice.endpoints.iter();
            endpoints.map(move |endpoint| (SocketAddrV4::new(endpoint.address, *number), endpoint))
        })
    })
}

#[cfg(test)]
mod tests;
