//! What the proxy needs of Services, EndpointSlices and its Node.

mod node;
mod service;
mod slice;

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Deserialize;

use crate::cidr::Cidr;

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP
    #[default]
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// Its number in the IP header.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol of this number, if it has ports.
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|protocol| protocol.number() == number)
    }

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// A namespace and a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name; empty if it is the only one.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port at the Service's addresses.
    pub port: u16,
    /// The port at every node; 0 for none.
    pub node_port: u16,
}

/// A Service, as far as it is proxied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Its address inside the cluster; none if it is not proxied.
    pub cluster_ip: Option<Ipv4Addr>,
    /// Addresses that lead to it from outside.
    pub external_ips: Vec<Ipv4Addr>,
    /// The same of its load balancer.
    pub balancer_ips: Vec<Ipv4Addr>,
    /// Who may use the addresses of its load balancer; empty for everybody.
    pub source_ranges: Vec<Cidr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Whether traffic from inside goes to endpoints on this node only.
    pub internal_local: bool,
    /// Whether traffic from outside goes to endpoints on this node only.
    pub external_local: bool,
    /// For how many seconds a client keeps its endpoint, if it does.
    pub affinity: Option<u32>,
    /// The node port that tells load balancers whether there are endpoints here; 0 for none.
    pub health_port: u16,
}

/// One address behind a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: Ipv4Addr,
    /// Whether it takes new connections.
    pub ready: bool,
    /// Whether it answers; may be true while it terminates.
    pub serving: bool,
    /// Whether it is about to end.
    pub terminating: bool,
    /// Its node, if told.
    pub node: Option<Box<str>>,
    /// The zones whose clients should use it.
    pub zones: Vec<Box<str>>,
    /// The nodes whose clients should use it.
    pub nodes: Vec<Box<str>>,
}

/// An EndpointSlice, as far as it is proxied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointSlice {
    /// The name of its Service; empty if it is not proxied.
    pub service: Box<str>,
    /// Target ports by name and protocol.
    pub ports: Vec<(Box<str>, Protocol, u16)>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// This node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its address, once it is known.
    pub address: Option<Ipv4Addr>,
    /// Its zone; empty if it has none.
    pub zone: String,
}

/// What a Node object tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFacts {
    /// Its internal address.
    pub address: Option<Ipv4Addr>,
    /// Its zone; empty if it has none.
    pub zone: String,
    /// Whether load balancers may send to it: it is not about to be deleted.
    pub eligible: bool,
}
