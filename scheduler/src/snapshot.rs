//! What a decision is made from: nodes with their pods, and counts that are kept up to date.
//!
//! ```text
//!   pod added to or removed from a node
//!        │
//!        ├─> the node: its pods, what they ask for together, their ports
//!        ├─> held terms: how many pods of each domain hold this (anti-)affinity term
//!        └─> matchers: how many pods of each node and domain a term or spread constraint means
//! ```
//!
//! A matcher is counted from the moment on when a pod that asks for it is about to be decided on
//! ([`Snapshot::prepare`]). A decision reads the counts where they are kept, and counts for itself
//! where they are not: the answer is the same, only slower.

mod tally;
mod topology;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use ferrule_apimachinery::selector::Labels;

pub use self::tally::{Holding, Matcher, Tally};
pub use self::topology::Topology;
use crate::affinity::AffinityTerm;
use crate::disruption::Budget;
use crate::node::{Node, NodeId, NodeObject, REGION, ZONE};
use crate::pod::Pod;
use crate::workloads::Workloads;

/// Matchers that are counted at a time; the one that was not asked for longest goes first.
const MATCHERS: usize = 256;

/// All that a decision looks at.
#[derive(Clone, Default)]
pub struct Snapshot {
    nodes: Vec<Node>,
    by_name: HashMap<Box<str>, NodeId>,
    vacant: Vec<NodeId>,
    order: Vec<NodeId>,
    unordered: bool,
    topologies: Vec<Topology>,
    held: HashMap<u64, Vec<Held>>,
    hasher: RandomState,
    matchers: HashMap<Matcher, (Tally, u64)>,
    uses: u64,
    images: HashMap<u64, usize>,
    tainted: usize,
    cordoned: usize,
    nominated: HashMap<Box<str>, Vec<Arc<Pod>>>,
    /// Labels of the namespaces.
    pub namespaces: HashMap<Box<str>, Labels>,
    /// What selects pods by their labels: Services and ReplicaSets.
    pub workloads: Workloads,
    /// Disruption budgets.
    pub budgets: Vec<Arc<Budget>>,
}

/// A term that pods hold, and where they are.
#[derive(Clone, Debug)]
pub struct Held {
    /// What the term means to those who hold it.
    pub holding: Holding,
    /// The term.
    pub term: AffinityTerm,
    /// Pods that hold it, in the domains of its own topology key.
    pub tally: Tally,
}

impl Snapshot {
    /// Nodes whose objects are known, zones taking turns.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// The same as nodes.
    pub fn known(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().map(|id| self.node(*id))
    }

    /// A node by its number.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// A node by its name, when its object is known.
    pub fn named(&self, name: &str) -> Option<&Node> {
        let node = self.node(*self.by_name.get(name)?);
        node.object.is_some().then_some(node)
    }

    /// Whether any node has a taint.
    pub fn any_taints(&self) -> bool {
        self.tainted > 0
    }

    /// Whether any node is cordoned.
    pub fn any_cordoned(&self) -> bool {
        self.cordoned > 0
    }

    /// How many nodes have an image.
    pub fn nodes_with_image(&self, image: u64) -> usize {
        self.images.get(&image).copied().unwrap_or(0)
    }

    /// The labels of a namespace; none where it is not known.
    pub fn namespace(&self, name: &str) -> &Labels {
        static NONE: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::default);
        self.namespaces.get(name).unwrap_or(&NONE)
    }

    /// Whether room is made for any pod.
    pub fn any_nominated(&self) -> bool {
        !self.nominated.is_empty()
    }

    /// Pods for which room is made on a node.
    pub fn nominated(&self, node: &str) -> &[Arc<Pod>] {
        self.nominated.get(node).map_or(&[], Vec::as_slice)
    }

    /// All terms that pods hold.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values().flatten()
    }

    /// The domains of a label.
    pub fn topology(&self, key: &str) -> Cow<'_, Topology> {
        match self
            .topologies
            .iter()
            .find(|topology| &*topology.key == key)
        {
            Some(topology) => Cow::Borrowed(topology),
            None => Cow::Owned(self.new_topology(key)),
        }
    }

    /// Pods that a matcher means, for each node, and for each domain of these labels.
    pub fn tally(&self, matcher: &Matcher, keys: &[&str]) -> Cow<'_, Tally> {
        match self.matchers.get(matcher) {
            Some((tally, _)) if keys.iter().all(|key| tally.has(key)) => Cow::Borrowed(tally),
            _ => Cow::Owned(self.new_tally(matcher, keys)),
        }
    }

    /// Counts what a matcher means from now on.
    pub fn prepare(&mut self, matcher: &Matcher, keys: &[&str]) {
        for key in keys {
            self.know_topology(key);
        }
        self.uses += 1;
        if let Some((tally, used)) = self.matchers.get_mut(matcher)
            && keys.iter().all(|key| tally.has(key))
        {
            *used = self.uses;
            return;
        }
        if self.matchers.len() >= MATCHERS
            && let Some(oldest) = self.matchers.iter().min_by_key(|(_, (_, used))| *used)
        {
            let oldest = oldest.0.clone();
            self.matchers.remove(&oldest);
        }
        // What was counted for other labels stays counted.
        let before = self.matchers.get(matcher);
        let mut all: Vec<Box<str>> = before.map(|(tally, _)| tally.keys()).unwrap_or_default();
        all.extend(keys.iter().map(|key| (*key).into()));
        all.sort();
        all.dedup();
        let all: Vec<&str> = all.iter().map(|key| &**key).collect();
        let tally = self.new_tally(matcher, &all);
        self.matchers.insert(matcher.clone(), (tally, self.uses));
    }

    fn new_topology(&self, key: &str) -> Topology {
        let mut topology = Topology::new(key);
        for node in &self.nodes {
            topology.put(node);
        }
        topology
    }

    fn know_topology(&mut self, key: &str) -> usize {
        let mut known = self.topologies.iter();
        if let Some(index) = known.position(|topology| &*topology.key == key) {
            return index;
        }
        self.topologies.push(self.new_topology(key));
        self.topologies.len() - 1
    }

    fn new_tally(&self, matcher: &Matcher, keys: &[&str]) -> Tally {
        let mut tally = Tally::new(keys);
        let topologies: Vec<Cow<Topology>> = keys.iter().map(|key| self.topology(key)).collect();
        for node in &self.nodes {
            let meant = |pod: &&Arc<Pod>| matcher.matches(pod, self.namespace(&pod.namespace));
            let count = node.pods.iter().filter(meant).count();
            let domain = |key: &str| {
                let topology = topologies.iter().find(|topology| &*topology.key == key);
                topology.and_then(|topology| topology.domain(node.id))
            };
            tally.change(node.id, i64::try_from(count).unwrap_or(i64::MAX), domain);
        }
        tally
    }

    /// The number of a node, which is new where it is not known.
    pub(crate) fn slot(&mut self, name: &str) -> NodeId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = self.vacant.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            NodeId(u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX))
        });
        self.nodes[id.index()] = Node {
            id,
            name: name.into(),
            ..Node::default()
        };
        self.by_name.insert(name.into(), id);
        id
    }

    /// Gives a node's number away when nothing is known of it any more.
    fn vacate(&mut self, id: NodeId) {
        let node = &self.nodes[id.index()];
        if node.object.is_none() && node.pods.is_empty() {
            self.by_name.remove(&node.name);
            self.vacant.push(id);
        }
    }

    /// Takes a node's object, or its end.
    pub(crate) fn put_node(&mut self, id: NodeId, object: Option<NodeObject>) {
        let old = self.nodes[id.index()].object.take();
        let change = |counter: &mut usize, old: bool, new: bool| {
            *counter = (*counter + usize::from(new)).saturating_sub(usize::from(old));
        };
        let is =
            |object: Option<&NodeObject>, what: fn(&NodeObject) -> bool| object.is_some_and(what);
        let tainted = |object: &NodeObject| !object.taints.is_empty();
        let cordoned = |object: &NodeObject| object.unschedulable;
        let (before, after) = (old.as_deref(), object.as_ref());
        change(&mut self.tainted, is(before, tainted), is(after, tainted));
        change(
            &mut self.cordoned,
            is(before, cordoned),
            is(after, cordoned),
        );
        for (image, _) in before.map_or(&[][..], |object| &object.images) {
            if let Some(count) = self.images.get_mut(image) {
                *count -= 1;
                if *count == 0 {
                    self.images.remove(image);
                }
            }
        }
        for (image, _) in after.map_or(&[][..], |object| &object.images) {
            *self.images.entry(*image).or_default() += 1;
        }
        let labels = |object: Option<&NodeObject>| object.map(|object| object.labels.clone());
        let moved = labels(before) != labels(after);
        self.nodes[id.index()].object = object.map(Arc::new);
        if moved {
            self.move_node(id);
            self.unordered = true;
        }
        self.vacate(id);
    }

    /// A node's labels are others: its pods count in other domains.
    fn move_node(&mut self, id: NodeId) {
        let before = self.topologies.clone_domains(id);
        for topology in &mut self.topologies {
            topology.put(&self.nodes[id.index()]);
        }
        let after = self.topologies.clone_domains(id);
        let tallies = self.matchers.values_mut().map(|(tally, _)| tally);
        let held = self.held.values_mut().flatten().map(|held| &mut held.tally);
        for tally in tallies.chain(held) {
            tally.relocate(id, |key| find(&before, key), |key| find(&after, key));
        }
    }

    /// Brings what is kept lazily up to date: the nodes of all zones in turns, so that a part of
    /// the list is spread over zones.
    pub(crate) fn settle(&mut self) {
        if !std::mem::take(&mut self.unordered) {
            return;
        }
        let mut zones: std::collections::BTreeMap<(&str, &str), Vec<NodeId>> = Default::default();
        let mut names: Vec<(&Box<str>, &NodeId)> = self.by_name.iter().collect();
        names.sort();
        for (_, id) in names {
            let node = &self.nodes[id.index()];
            if node.object.is_some() {
                let zone = |key| node.label(key).unwrap_or_default();
                zones
                    .entry((zone(REGION), zone(ZONE)))
                    .or_default()
                    .push(*id);
            }
        }
        let mut order = Vec::with_capacity(self.nodes.len());
        let longest = zones.values().map(Vec::len).max().unwrap_or(0);
        for turn in 0..longest {
            order.extend(zones.values().filter_map(|zone| zone.get(turn)));
        }
        self.order = order;
    }

    /// Counts a pod on a node.
    pub(crate) fn add_pod(&mut self, id: NodeId, pod: Arc<Pod>) {
        self.count(id, &pod, 1);
        self.nodes[id.index()].add(pod);
    }

    /// Counts a pod no more.
    pub(crate) fn remove_pod(&mut self, id: NodeId, pod: &Arc<Pod>) {
        if self.nodes[id.index()].remove(pod) {
            self.count(id, pod, -1);
            self.vacate(id);
        }
    }

    fn count(&mut self, id: NodeId, pod: &Pod, change: i64) {
        let topologies = std::mem::take(&mut self.topologies);
        let domain = |key: &str| {
            let topology = topologies.iter().find(|topology| &*topology.key == key)?;
            topology.domain(id)
        };
        let namespace = self.namespaces.get(&pod.namespace);
        let none = Labels::default();
        for (matcher, (tally, _)) in &mut self.matchers {
            if matcher.matches(pod, namespace.unwrap_or(&none)) {
                tally.change(id, change, domain);
            }
        }
        self.topologies = topologies;
        let Some(affinity) = &pod.affinity else {
            return;
        };
        for (holding, term) in Holding::all(affinity) {
            self.hold(id, holding, term, change);
        }
    }

    fn hold(&mut self, id: NodeId, holding: Holding, term: &AffinityTerm, change: i64) {
        let topology = self.know_topology(&term.topology_key);
        let domain = self.topologies[topology].domain(id);
        let hash = self.hasher.hash_one((holding, term));
        let bucket = self.held.entry(hash).or_default();
        let same = |held: &Held| held.holding == holding && held.term == *term;
        let place = bucket.iter().position(same).unwrap_or_else(|| {
            bucket.push(Held {
                holding,
                term: term.clone(),
                tally: Tally::new(&[&term.topology_key]),
            });
            bucket.len() - 1
        });
        bucket[place].tally.change(id, change, |_| domain);
        if bucket[place].tally.is_empty() {
            bucket.swap_remove(place);
            if bucket.is_empty() {
                self.held.remove(&hash);
            }
        }
    }

    /// A namespace's labels; terms that select namespaces by label are counted anew.
    pub(crate) fn put_namespace(&mut self, name: &str, labels: Option<Labels>) {
        let old = match labels {
            Some(labels) => self.namespaces.insert(name.into(), labels),
            None => self.namespaces.remove(name),
        };
        if old.as_ref() != self.namespaces.get(name) {
            self.matchers
                .retain(|matcher, _| !matcher.selects_namespaces());
        }
    }

    /// Room is made for a pod on a node.
    pub(crate) fn nominate(&mut self, node: &str, pod: Arc<Pod>) {
        self.nominated.entry(node.into()).or_default().push(pod);
    }

    /// No room is kept for a pod any more.
    pub(crate) fn renounce(&mut self, node: &str, uid: &str) {
        if let Some(pods) = self.nominated.get_mut(node) {
            pods.retain(|pod| &*pod.uid != uid);
            if pods.is_empty() {
                self.nominated.remove(node);
            }
        }
    }
}

type Domains = Vec<(Box<str>, Option<u32>)>;

fn find(domains: &Domains, key: &str) -> Option<u32> {
    domains.iter().find(|(own, _)| &**own == key)?.1
}

trait DomainsOf {
    fn clone_domains(&self, id: NodeId) -> Domains;
}

impl DomainsOf for Vec<Topology> {
    fn clone_domains(&self, id: NodeId) -> Domains {
        self.iter()
            .map(|topology| (topology.key.clone(), topology.domain(id)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
