//! The annotations by which a Deployment numbers its ReplicaSets and remembers their sizes.

use super::sizes::Bounds;
use crate::objects::meta::Map;
use crate::objects::workload::{Deployment, ReplicaSet};

/// The number of a rollout, on the Deployment and on each ReplicaSet.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Earlier numbers of a ReplicaSet that was rolled back to.
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The Deployment's size when the ReplicaSet was last scaled.
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The same with the surge.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// The longest history of numbers.
const LONGEST_HISTORY: usize = 2000;

/// What a Deployment does not hand on to its ReplicaSets.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// The number in an annotation of a ReplicaSet.
pub fn number(set: &ReplicaSet, name: &str) -> Option<i64> {
    set.metadata.annotations.get(name)?.parse().ok()
}

/// The number of a ReplicaSet's rollout; 0 when it has none.
pub fn revision(set: &ReplicaSet) -> i64 {
    number(set, REVISION).unwrap_or(0)
}

/// Notes the Deployment's present size.
pub fn set_sizes(annotations: &mut Map, deployment: &Deployment) {
    let desired = deployment.replicas();
    annotations.insert(DESIRED_REPLICAS.to_owned(), desired.to_string());
    annotations.insert(
        MAX_REPLICAS.to_owned(),
        (desired + Bounds::of(deployment).surge).to_string(),
    );
}

/// The annotations of the newest ReplicaSet: what the Deployment hands on, and a number that is
/// higher than those of all old ones, with the earlier numbers kept.
pub fn of_newest(deployment: &Deployment, present: &Map, highest_old: i64) -> Map {
    let mut annotations = present.clone();
    for (name, value) in &deployment.metadata.annotations {
        if !OWN.contains(&name.as_str()) {
            annotations.insert(name.clone(), value.clone());
        }
    }
    let before = present.get(REVISION);
    if before
        .and_then(|text| text.parse::<i64>().ok())
        .unwrap_or(0)
        <= highest_old
    {
        annotations.insert(REVISION.to_owned(), (highest_old + 1).to_string());
        if let Some(history) = before.and_then(|before| history(present, before)) {
            annotations.insert(REVISION_HISTORY.to_owned(), history);
        }
    }
    annotations
}

/// The history with one number more, without the oldest ones that do not fit; `None` when even
/// that does not.
fn history(present: &Map, number: &str) -> Option<String> {
    let Some(history) = present
        .get(REVISION_HISTORY)
        .filter(|history| !history.is_empty() && !history.starts_with(','))
    else {
        return Some(number.to_owned());
    };
    let mut kept = history.as_str();
    while !kept.is_empty() && kept.len() + 1 + number.len() > LONGEST_HISTORY {
        kept = kept.split_once(',').map_or("", |(_, rest)| rest);
    }
    match kept {
        "" => Some(number.to_owned()).filter(|number| number.len() <= LONGEST_HISTORY),
        kept => Some(format!("{kept},{number}")),
    }
}
