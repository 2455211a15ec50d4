//! What a ReplicaSet needs: pods made or deleted, and a status that says how many there are.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::rank;
use crate::objects::meta::{Meta, OwnerReference};
use crate::objects::pod::Pod;
use crate::objects::workload::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};

/// Pods that one plan makes or deletes at most.
pub const BURST: usize = 500;

/// What is known about a ReplicaSet.
pub struct Observed<'a> {
    /// The ReplicaSet.
    pub set: &'a ReplicaSet,
    /// The pods that it manages.
    pub pods: Vec<&'a Pod>,
    /// The active pods of all ReplicaSets of the same owner, its own included.
    pub related: Vec<&'a Pod>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// How many pods to make.
    pub create: usize,
    /// The pods to delete.
    pub delete: Vec<Meta>,
}

/// Plans the change of pods.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let set = observed.set;
    if set.meta().is_deleting() {
        return Plan::default();
    }
    let mut active: Vec<&Pod> = observed
        .pods
        .iter()
        .copied()
        .filter(|pod| pod.is_active())
        .collect();
    let wanted = usize::try_from(set.replicas()).unwrap_or(0);
    if active.len() <= wanted {
        return Plan {
            create: (wanted - active.len()).min(BURST),
            delete: Vec::new(),
        };
    }
    let surplus = (active.len() - wanted).min(BURST);
    rank::order(&mut active, &observed.related, now);
    let delete = active
        .into_iter()
        .take(surplus)
        .map(|pod| pod.meta().clone())
        .collect();
    Plan { create: 0, delete }
}

/// What could not be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// `FailedCreate` or `FailedDelete`.
    pub reason: &'static str,
    /// What the API server said.
    pub message: String,
}

/// The status of a ReplicaSet with these pods, after an attempt to change them.
pub fn status(
    observed: &Observed<'_>,
    failure: Option<&Failure>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let set = observed.set;
    let active: Vec<&Pod> = observed
        .pods
        .iter()
        .copied()
        .filter(|pod| pod.is_active())
        .collect();
    let count = |test: &dyn Fn(&Pod) -> bool| active.iter().filter(|pod| test(pod)).count() as i64;
    let labels = set.spec.template.labels();
    let terminating = observed
        .pods
        .iter()
        .filter(|pod| pod.meta().is_deleting() && !pod.is_terminal())
        .count();
    let mut conditions = set.status.conditions.clone();
    let failed_before = conditions
        .iter()
        .any(|condition| condition.r#type == "ReplicaFailure");
    match failure {
        Some(failure) if !failed_before => conditions.push(ReplicaSetCondition {
            r#type: "ReplicaFailure".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(now),
            reason: failure.reason.to_owned(),
            message: failure.message.clone(),
        }),
        Some(_) => {}
        None => conditions.retain(|condition| condition.r#type != "ReplicaFailure"),
    }
    ReplicaSetStatus {
        replicas: active.len() as i64,
        fully_labeled_replicas: count(&|pod| {
            labels
                .iter()
                .all(|(key, value)| pod.labels().get(key) == Some(value))
        }),
        ready_replicas: count(&Pod::is_ready),
        available_replicas: count(&|pod| pod.is_available(set.spec.min_ready_seconds, now)),
        terminating_replicas: Some(terminating as i64),
        observed_generation: set.meta().generation,
        conditions,
    }
}

/// When the next pod becomes available by the passing of time alone.
pub fn next_available(observed: &Observed<'_>, now: Timestamp) -> Option<SignedDuration> {
    let seconds = observed.set.spec.min_ready_seconds;
    observed
        .pods
        .iter()
        .filter(|pod| pod.is_active())
        .filter_map(|pod| pod.available_in(seconds, now))
        .filter(|wait| !wait.is_zero())
        .min()
}

/// The pod that a ReplicaSet makes.
pub fn pod(set: &ReplicaSet) -> Value {
    let mut template = set.spec.template.tree();
    let mut metadata = json!({
        "generateName": format!("{}-", set.meta().name),
        "namespace": set.meta().namespace,
        "ownerReferences": [OwnerReference::controller("apps/v1", "ReplicaSet", set.meta())],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer_mut(&format!("/metadata/{field}")) {
            metadata[field] = value.take();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"].take()})
}

/// How many creations are tried at a time: 1, 2, 4, …, so that an attempt that is bound to fail
/// does not fail hundreds of times.
pub fn batches(mut left: usize) -> impl Iterator<Item = usize> {
    let mut size = 1;
    std::iter::from_fn(move || {
        let batch = size.min(left);
        left -= batch;
        size *= 2;
        (batch > 0).then_some(batch)
    })
}
