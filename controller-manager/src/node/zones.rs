//! How fast nodes of a zone may be evicted.
//!
//! | zone | nodes evicted |
//! |---|---|
//! | most nodes are ready | `--node-eviction-rate` a second |
//! | three or more, and most, are not | `--secondary-node-eviction-rate`; none in a small zone |
//! | no node is ready | as if all were well: their pods are needed elsewhere |
//! | no node is ready in any zone | none, and evictions under way end: it is rather we who are cut off |

use std::collections::HashMap;

use ferrule_client::Key;
use jiff::{SignedDuration, Timestamp};

use crate::objects::meta::Map;
use crate::objects::node::Node;

const ZONE: &str = "topology.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";

/// How fast nodes may be evicted.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Nodes a second in a healthy zone.
    pub primary: f64,
    /// Nodes a second in an unhealthy large zone.
    pub secondary: f64,
    /// The part of nodes that are not ready from which on a zone is unhealthy.
    pub threshold: f64,
    /// A zone with more nodes is large.
    pub large: usize,
}

/// Whether a node that is not ready may be evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// Its turn has come.
    Allowed,
    /// Not yet: what is under way goes on.
    #[default]
    Later,
    /// What is under way ends.
    Cancelled,
}

/// The nodes of a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Nodes that are ready.
    pub ready: usize,
    /// Nodes that are not.
    pub unready: usize,
}

impl Zone {
    /// Nodes that may be evicted a second.
    pub fn rate(self, rates: &Rates) -> f64 {
        let all = self.ready + self.unready;
        let unhealthy = self.unready > 2
            && self.ready > 0
            && self.unready as f64 / all as f64 >= rates.threshold;
        match unhealthy {
            false => rates.primary,
            true if all > rates.large => rates.secondary,
            true => 0.0,
        }
    }
}

/// Lets one node pass, and the next one after a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limiter(Option<Timestamp>);

impl Limiter {
    /// Passes, or says how long the next one has to wait; `None` is for ever.
    pub fn pass(&mut self, rate: f64, now: Timestamp) -> Result<(), Option<SignedDuration>> {
        if rate <= 0.0 {
            return Err(None);
        }
        let pause = SignedDuration::try_from_secs_f64(1.0 / rate).unwrap_or(SignedDuration::MAX);
        let wait = self.0.map(|last| pause - now.duration_since(last));
        match wait.filter(|wait| wait.is_positive()) {
            Some(wait) => Err(Some(wait)),
            None => {
                self.0 = Some(now);
                Ok(())
            }
        }
    }
}

/// The nodes by their zones.
pub struct Zones {
    rates: Rates,
    nodes: HashMap<Key, (String, bool)>,
    zones: HashMap<String, Zone>,
    limiters: HashMap<String, Limiter>,
}

impl Zones {
    /// No nodes yet.
    pub fn new(rates: Rates) -> Zones {
        Zones {
            rates,
            nodes: HashMap::new(),
            zones: HashMap::new(),
            limiters: HashMap::new(),
        }
    }

    /// Takes in a node's present state.
    pub fn observe(&mut self, key: Key, node: &Node) {
        self.remove(&key);
        let (zone, ready) = (zone_of(&node.metadata.labels), node.is_ready());
        let count = self.zones.entry(zone.clone()).or_default();
        *part(count, ready) += 1;
        self.nodes.insert(key, (zone, ready));
    }

    /// Takes a node out.
    pub fn remove(&mut self, key: &Key) {
        let Some((zone, ready)) = self.nodes.remove(key) else {
            return;
        };
        if let Some(count) = self.zones.get_mut(&zone) {
            *part(count, ready) -= 1;
            if *count == Zone::default() {
                self.zones.remove(&zone);
            }
        }
    }

    /// Whether nothing may be evicted anywhere.
    pub fn all_disrupted(&self) -> bool {
        !self.zones.is_empty() && self.zones.values().all(|zone| zone.ready == 0)
    }

    /// Lets a node be evicted, or says when to ask again.
    pub fn pass(&mut self, key: &Key, now: Timestamp) -> Result<(), Option<SignedDuration>> {
        let Some((zone, _)) = self.nodes.get(key) else {
            return Err(None);
        };
        let count = self.zones.get(zone).copied().unwrap_or_default();
        let limiter = self.limiters.entry(zone.clone()).or_default();
        limiter.pass(count.rate(&self.rates), now)
    }
}

fn part(zone: &mut Zone, ready: bool) -> &mut usize {
    if ready {
        &mut zone.ready
    } else {
        &mut zone.unready
    }
}

fn zone_of(labels: &Map) -> String {
    let label = |name: &str| labels.get(name).map_or("", String::as_str);
    format!("{}/{}", label(REGION), label(ZONE))
}
