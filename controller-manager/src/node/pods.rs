//! Which pods are on which node.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use ferrule_client::{Change, Key, Reader, Typed};

use crate::objects::Seen;
use crate::objects::pod::Pod;

type Keys = HashMap<String, BTreeSet<Key>>;

/// An index of the cache of pods.
pub struct ByNode {
    pods: Reader<Typed<Pod>>,
    keys: Arc<Mutex<Keys>>,
}

fn lock(keys: &Mutex<Keys>) -> MutexGuard<'_, Keys> {
    keys.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl ByNode {
    /// Keeps the index from now on.
    pub fn follow(pods: &Reader<Typed<Pod>>) -> ByNode {
        let keys: Arc<Mutex<Keys>> = Arc::default();
        let own = keys.clone();
        pods.on_change(move |change| {
            let node = change.object().value.spec.node_name.as_str();
            // A pod never leaves its node but by its deletion.
            if node.is_empty() {
                return;
            }
            let mut keys = lock(&own);
            if matches!(change, Change::Deleted(_)) {
                let emptied = keys.get_mut(node).is_some_and(|on_node| {
                    on_node.remove(&change.key());
                    on_node.is_empty()
                });
                if emptied {
                    keys.remove(node);
                }
            } else {
                keys.entry(node.to_owned())
                    .or_default()
                    .insert(change.key());
            }
        });
        ByNode {
            pods: pods.clone(),
            keys,
        }
    }

    /// The pods on a node.
    pub fn on(&self, node: &str) -> Vec<Seen<Pod>> {
        let keys: Vec<Key> = lock(&self.keys)
            .get(node)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        keys.iter().filter_map(|key| self.pods.get(key)).collect()
    }
}
