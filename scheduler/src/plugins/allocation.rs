//! How full a node would be with a pod, as a score.

use crate::framework::MAX_SCORE;
use crate::node::Node;
use crate::pod::Pod;
use crate::resources::Resources;

/// A resource that is scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Thousandths of a core.
    Cpu,
    /// Bytes.
    Memory,
    /// Bytes.
    EphemeralStorage,
    /// Any other, by its name.
    Scalar(Box<str>),
}

impl Resource {
    /// A resource by its name.
    pub fn named(name: &str) -> Resource {
        match name {
            "cpu" => Resource::Cpu,
            "memory" => Resource::Memory,
            "ephemeral-storage" => Resource::EphemeralStorage,
            other => Resource::Scalar(other.into()),
        }
    }

    fn of(&self, resources: &Resources) -> i64 {
        match self {
            Resource::Cpu => resources.milli_cpu,
            Resource::Memory => resources.memory,
            Resource::EphemeralStorage => resources.ephemeral_storage,
            Resource::Scalar(name) => resources.scalar(name),
        }
    }

    fn has_default(&self) -> bool {
        matches!(self, Resource::Cpu | Resource::Memory)
    }
}

/// The resources that are scored, with their weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted(pub Vec<(Resource, i64)>);

impl Default for Counted {
    fn default() -> Self {
        Counted(vec![(Resource::Cpu, 1), (Resource::Memory, 1)])
    }
}

impl Counted {
    /// What a pod asks of each; without `exact`, containers that ask for nothing count too.
    pub fn asked(&self, pod: &Pod, exact: bool) -> Vec<i64> {
        let of = |(resource, _): &(Resource, i64)| {
            if exact || !resource.has_default() {
                resource.of(&pod.requests)
            } else {
                resource.of(&pod.scored)
            }
        };
        self.0.iter().map(of).collect()
    }

    /// For each resource with its weight: what would be taken with the pod, what is taken without
    /// it, and what there is. Resources that the node lacks are left out, and so are extended
    /// ones that the pod does not ask for.
    pub fn of_node<'a>(
        &'a self,
        asked: &'a [i64],
        node: &'a Node,
        exact: bool,
    ) -> impl Iterator<Item = (i64, i64, i64, i64)> + 'a {
        let rows = self.0.iter().zip(asked);
        rows.filter_map(move |((resource, weight), asked)| {
            if *asked == 0 && matches!(resource, Resource::Scalar(_)) {
                return None;
            }
            let offered = resource.of(&node.object.as_ref()?.allocatable);
            let used = if exact || !resource.has_default() {
                resource.of(&node.requested)
            } else {
                resource.of(&node.scored)
            };
            (offered != 0).then_some((*weight, used.saturating_add(*asked), used, offered))
        })
    }
}

/// What kind of node is best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The emptiest.
    #[default]
    LeastAllocated,
    /// The fullest.
    MostAllocated,
    /// As these points say: utilization in percent, and a score up to 100; straight lines between.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// The score of a node with the pod on it: the weighted mean over the resources.
pub fn weighed(strategy: &Strategy, counted: &Counted, asked: &[i64], node: &Node) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    for (weight, with, _, offered) in counted.of_node(asked, node, false) {
        let score = match strategy {
            Strategy::LeastAllocated if with > offered => 0,
            Strategy::LeastAllocated => share(offered - with, offered),
            Strategy::MostAllocated => share(with.min(offered), offered),
            Strategy::RequestedToCapacityRatio(shape) => {
                let score = on_shape(shape, share(with.min(offered), offered));
                // As upstream: a resource that scores nothing is left out of the mean.
                if score <= 0 {
                    continue;
                }
                score
            }
        };
        sum += score * weight;
        weights += weight;
    }
    match strategy {
        _ if weights == 0 => 0,
        Strategy::RequestedToCapacityRatio(_) => (sum as f64 / weights as f64).round() as i64,
        _ => sum / weights,
    }
}

/// A part in percent. In 128 bits only where 64 do not suffice.
fn share(part: i64, whole: i64) -> i64 {
    match part.checked_mul(MAX_SCORE) {
        Some(scaled) => scaled / whole,
        None => i64::try_from(i128::from(part) * i128::from(MAX_SCORE) / i128::from(whole))
            .unwrap_or(MAX_SCORE),
    }
}

fn on_shape(shape: &[(i64, i64)], utilization: i64) -> i64 {
    let Some(next) = shape.iter().position(|(at, _)| utilization <= *at) else {
        return shape.last().map_or(0, |(_, score)| *score);
    };
    let (at, score) = shape[next];
    if next == 0 {
        return score;
    }
    let (before, from) = shape[next - 1];
    from + (score - from) * (utilization - before) / (at - before)
}
