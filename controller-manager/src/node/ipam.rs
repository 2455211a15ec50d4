//! Gives each node its pod network.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Controller, EventType, Key, Next, Patch, Queue, Reader, Recorder, Typed, Writes,
};
use serde_json::json;

use super::cidrs::{Division, Network};
use crate::manager::{Manager, enqueue_all};
use crate::objects::node::Node;

pub(super) fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    let options = &manager.options;
    let Some(division) = Division::new(options.cluster_cidr, options.node_cidr_mask_size) else {
        tracing::error!(
            "--node-cidr-mask-size does not divide --cluster-cidr; nodes get no pod networks"
        );
        return;
    };
    enqueue_all(&caches.nodes, &queue);
    let controller = Ipam {
        nodes: caches.nodes.clone(),
        division,
        given: Mutex::default(),
        recorder: manager.recorder("cidrAllocator"),
    };
    // One worker: what it gives is known to it before the next node asks.
    manager.run(controller, queue, Readers::default().with(&caches.nodes), 1);
}

struct Ipam {
    nodes: Reader<Typed<Node>>,
    division: Division,
    /// Networks that were given, or tried to, and that the cache may not show yet.
    given: Mutex<HashMap<Key, (String, Network)>>,
    recorder: Recorder,
}

#[async_trait]
impl Controller for Ipam {
    fn name(&self) -> &'static str {
        "node-ipam"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.nodes.get(key) else {
            return Ok(Next::Done);
        };
        let node: &Node = &seen.value;
        if !node.spec.pod_cidr.is_empty() || node.metadata.is_deleting() {
            return Ok(Next::Done);
        }
        let Some(network) = self.give(key, &node.metadata.uid) else {
            let message = format!("Node {} status is now: CIDRNotAvailable", key.name);
            self.recorder.event(
                &node.metadata.reference("v1", "Node"),
                EventType::Normal,
                "CIDRNotAvailable",
                message,
            );
            return Err("no pod network is left for the node".into());
        };
        let cidr = network.to_string();
        let patch = json!({
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
        });
        writes
            .patch(&At::of(gvr::NODES).name(&*key.name), &Patch::Merge(patch))
            .await?;
        tracing::info!(node = %key, %cidr, "gave the node its pod network");
        Ok(Next::Done)
    }
}

impl Ipam {
    /// A network that no node has, the same one when a node asks again.
    fn give(&self, key: &Key, uid: &str) -> Option<Network> {
        // One observation for all of it: a node whose network arrives in between would be in
        // neither the networks that are taken nor those that were given.
        let nodes = self.nodes.list();
        let observed = nodes.iter().map(|node| {
            let spec = &node.value.spec;
            let networks = spec.pod_cidrs.iter().chain([&spec.pod_cidr]);
            let networks = networks.filter_map(|cidr| cidr.parse().ok()).collect();
            (node.key(), (node.value.metadata.uid.clone(), networks))
        });
        let mut given = self
            .given
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        choose(&observed.collect(), &mut given, &self.division, key, uid)
    }
}

/// Each node's uid and networks, as the cache shows them.
type Observed = HashMap<Key, (String, Vec<Network>)>;

/// Chooses a network for a node, and notes it in `given` until the nodes show it.
fn choose(
    nodes: &Observed,
    given: &mut HashMap<Key, (String, Network)>,
    division: &Division,
    key: &Key,
    uid: &str,
) -> Option<Network> {
    let mut taken: BTreeSet<Network> = BTreeSet::new();
    for (_, networks) in nodes.values() {
        taken.extend(networks);
    }
    given.retain(|key, (uid, _)| {
        nodes
            .get(key)
            .is_some_and(|(known, networks)| known == uid && networks.is_empty())
    });
    if let Some((_, network)) = given
        .get(key)
        .filter(|(known, network)| known == uid && !taken.contains(network))
    {
        return Some(*network);
    }
    taken.extend(given.values().map(|(_, network)| *network));
    let network = division.first_free(&taken)?;
    given.insert(key.clone(), (uid.to_owned(), network));
    Some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_network_is_given_twice_whether_the_cache_shows_the_first_or_not() {
        let division = Division::new("10.244.0.0/16".parse().unwrap(), 24).unwrap();
        let (one, two) = (Key::cluster("one"), Key::cluster("two"));
        let asking = |key: &Key| (key.clone(), (format!("uid-{key}"), Vec::new()));
        let mut given = HashMap::new();
        let unseen: Observed = [asking(&one), asking(&two)].into();
        let first = choose(&unseen, &mut given, &division, &one, "uid-one").unwrap();
        let again = choose(&unseen, &mut given, &division, &one, "uid-one").unwrap();
        assert_eq!(first, again, "a node that asks again");
        let second = choose(&unseen, &mut given.clone(), &division, &two, "uid-two").unwrap();
        assert_ne!(first, second, "the cache does not show it yet");
        let mut seen = unseen.clone();
        seen.insert(one.clone(), ("uid-one".to_owned(), vec![first]));
        let second = choose(&seen, &mut given, &division, &two, "uid-two").unwrap();
        assert_ne!(first, second, "the cache shows it");
        assert!(
            !given.contains_key(&one),
            "what the cache shows is not kept"
        );
        // A node that is gone gives its network back.
        let gone: Observed = [asking(&two)].into();
        let mut fresh = given.clone();
        fresh.remove(&two);
        assert_eq!(
            choose(&gone, &mut fresh, &division, &two, "uid-two"),
            Some(first)
        );
    }
}
