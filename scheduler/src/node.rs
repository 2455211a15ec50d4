//! What the scheduler keeps of a node, and the pods that it counts there.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::selector::Labels;
use ferrule_client::Projection;
use serde::Deserialize;

use crate::pod::{HostPort, Pod, Taint};
use crate::resources::{ResourceList, Resources};

/// The label of a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The label of a node's region.
pub const REGION: &str = "topology.kubernetes.io/region";
/// The label of a node's name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// What the scheduler keeps of a node object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeObject {
    /// Its labels.
    pub labels: Labels,
    /// Cordoned.
    pub unschedulable: bool,
    /// Its taints.
    pub taints: Box<[Taint]>,
    /// What pods may have of it.
    pub allocatable: Resources,
    /// How many pods it takes.
    pub allowed_pods: i64,
    /// Images that it has, by [`image_id`] and sorted by it, with their sizes in bytes.
    pub images: Box<[(u64, i64)]>,
}

/// A short name for an image: its full one, with the tag `latest` where it has none, hashed.
pub fn image_id(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    if name.rfind(':') <= name.rfind('/') {
        hasher.write(b":latest");
    }
    hasher.finish()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireNode {
    spec: WireSpec,
    status: WireStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSpec {
    unschedulable: bool,
    taints: Box<[Taint]>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireStatus {
    allocatable: ResourceList,
    images: Vec<WireImage>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireImage {
    names: Vec<String>,
    size_bytes: i64,
}

impl Projection for NodeObject {
    fn project(header: &Header, json: &[u8]) -> Result<NodeObject, serde_json::Error> {
        let WireNode { spec, status } = serde_json::from_slice(json)?;
        let pods = status
            .allocatable
            .get("pods")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut images: Vec<(u64, i64)> = status
            .images
            .iter()
            .flat_map(|image| {
                let size = image.size_bytes;
                image.names.iter().map(move |name| (image_id(name), size))
            })
            .collect();
        images.sort_unstable();
        images.dedup_by_key(|(id, _)| *id);
        Ok(NodeObject {
            labels: header.labels.clone(),
            unschedulable: spec.unschedulable,
            taints: spec.taints,
            allocatable: Resources::of(&status.allocatable),
            allowed_pods: pods,
            images: images.into(),
        })
    }
}

/// The number of a node in its snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A node with its pods.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// What they ask for together.
    pub requested: Resources,
    /// The same for scoring.
    pub scored: Resources,
    /// The pods on it.
    pub pods: Vec<Arc<Pod>>,
    /// The ports that they take.
    pub ports: Vec<HostPort>,
    /// The object; `None` while only pods of it are known.
    pub object: Option<Arc<NodeObject>>,
    /// Its name.
    pub name: Box<str>,
}

impl Node {
    /// A label of the node.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.object.as_ref()?.labels.get(key)
    }

    /// Its taints.
    pub fn taints(&self) -> &[Taint] {
        self.object.as_ref().map_or(&[], |object| &object.taints)
    }

    /// Counts a pod here.
    pub fn add(&mut self, pod: Arc<Pod>) {
        self.requested.add(&pod.requests);
        self.scored.add(&pod.scored);
        self.ports.extend(pod.host_ports.iter().cloned());
        self.pods.push(pod);
    }

    /// Counts a pod no more. Says whether it was here.
    pub fn remove(&mut self, pod: &Arc<Pod>) -> bool {
        let Some(place) = self.pods.iter().position(|own| Arc::ptr_eq(own, pod)) else {
            return false;
        };
        self.pods.swap_remove(place);
        self.requested.subtract(&pod.requests);
        self.scored.subtract(&pod.scored);
        for port in &pod.host_ports {
            if let Some(index) = self.ports.iter().position(|own| own == port) {
                self.ports.swap_remove(index);
            }
        }
        true
    }
}
