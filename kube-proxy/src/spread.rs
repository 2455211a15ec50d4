//! Chains that services share: those that spread connections over endpoints, and those that remember where one went.

use std::fmt::Write;

/// A chain that services share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// Spreads connections over endpoints.
    Spread(Spread),
    /// Remembers where a client's connection went.
    Remember(Memory),
}

impl Chain {
    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Spread(spread) => spread.chain(),
            Self::Remember(memory) => memory.chain(),
        }
    }

    /// Whether it goes to another one of these.
    pub fn leads_on(&self) -> bool {
        matches!(self, Self::Spread(spread) if spread.leads_to().is_some())
    }
}

/// How long a client keeps its endpoint, and how the frontend is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// Whether the frontend is a node port.
    pub of_node_port: bool,
    /// How long.
    pub seconds: u32,
}

impl Memory {
    /// The chain's name.
    pub fn chain(&self) -> String {
        let kind = if self.of_node_port { "node-port-" } else { "" };
        format!("remember-{kind}{}s", self.seconds)
    }
}

/// How a packet is known to be for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// By the cluster IP and port.
    Internal,
    /// By another address of it and its port.
    External,
    /// By the port, at an address of this node.
    NodePort,
}

/// Which endpoints may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ends {
    /// Those of all nodes. What comes from outside gets an address of this node, so that answers pass here.
    Cluster,
    /// Those of all nodes, and nobody gets another address.
    Plain,
    /// Those of this node. From outside, pods and the node itself use those of all nodes, of which there are so many.
    Local {
        /// How many there are on all nodes; 0 for cluster IPs, which make no such difference.
        of: u32,
    },
}

/// A chain that spreads connections over a number of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spread {
    /// How a packet is known to be for a service.
    pub place: Place,
    /// Which endpoints may answer.
    pub ends: Ends,
    /// Whether only some sources are let in.
    pub restricted: bool,
    /// Whether a client keeps its endpoint.
    pub sticky: bool,
    /// How many endpoints. None is possible only for the policy Local from outside.
    pub count: u32,
}

impl Spread {
    /// The chain's name.
    pub fn chain(&self) -> String {
        let mut name = match self.place {
            Place::Internal => "internal",
            Place::External => "external",
            Place::NodePort => "node-port",
        }
        .to_owned();
        name += match self.ends {
            Ends::Cluster => "",
            Ends::Plain => "-plain",
            Ends::Local { .. } => "-local",
        };
        if self.restricted {
            name += "-restricted";
        }
        if self.sticky {
            name += "-sticky";
        }
        // Writing to a string cannot fail.
        let _ = write!(name, "-{}", self.count);
        if let Ends::Local { of: of @ 1.. } = self.ends {
            let _ = write!(name, "-of-{of}");
        }
        name
    }

    /// The chain that this one goes to for some sources.
    pub fn leads_to(&self) -> Option<Self> {
        match self.ends {
            Ends::Local { of: of @ 1.. } => Some(Self {
                ends: Ends::Plain,
                restricted: false,
                count: of,
                ..*self
            }),
            _ => None,
        }
    }
}
