//! ReplicaSets: the wanted number of pods.

pub mod plan;
pub mod rank;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Controller, DeleteOptions, EventType, Key, Next, Patch, Queue, Reader, Recorder, Typed,
    Writes,
};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::json;

use crate::claim;
use crate::manager::{Manager, enqueue_all, unless_gone};
use crate::objects::Seen;
use crate::objects::meta::{Meta, now, unless_zero};
use crate::objects::pod::Pod;
use crate::objects::workload::{ReplicaSet, ReplicaSetStatus, Workload};
use plan::{Failure, Observed, Plan};

/// Starts the controller.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    enqueue_all(&caches.replica_sets, &queue);
    claim::enqueue_for(&caches.pods, &caches.replica_sets, &queue);
    let readers = Readers::default()
        .with(&caches.replica_sets)
        .with(&caches.pods);
    let controller = ReplicaSets {
        sets: caches.replica_sets.clone(),
        pods: caches.pods.clone(),
        recorder: manager.recorder("replicaset-controller"),
    };
    manager.run(
        controller,
        queue,
        readers,
        manager.options.concurrent_replicaset_syncs,
    );
}

struct ReplicaSets {
    sets: Reader<Typed<ReplicaSet>>,
    pods: Reader<Typed<Pod>>,
    recorder: Recorder,
}

#[async_trait]
impl Controller for ReplicaSets {
    fn name(&self) -> &'static str {
        "replicaset"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.sets.get(key) else {
            return Ok(Next::Done);
        };
        let set: &ReplicaSet = &seen.value;
        let pods = self.pods.in_namespace(&key.namespace);
        let Some(own) = self.claim(set, &pods, writes).await? else {
            return Ok(Next::Done);
        };
        let observed = Observed {
            set,
            pods: own.into_iter().map(|place| &*pods[place].value).collect(),
            related: self.related(set, &pods),
        };
        let failure = self
            .carry_out(&observed, plan::plan(&observed, now()), writes)
            .await;
        let now = now();
        let status = plan::status(&observed, failure.as_ref().map(|(failure, _)| failure), now);
        if status != set.status {
            write_status(set.meta(), &status, writes).await?;
        }
        if let Some((_, error)) = failure {
            return Err(error.into());
        }
        Ok(
            match plan::next_available(&observed, now).map(std::time::Duration::try_from) {
                Some(Ok(next)) => Next::After(next),
                _ => Next::Done,
            },
        )
    }
}

impl ReplicaSets {
    /// The places of its own pods; `None` when ownership had to change first.
    async fn claim(
        &self,
        set: &ReplicaSet,
        pods: &[Seen<Pod>],
        writes: &Writes,
    ) -> Result<Option<Vec<usize>>, Error> {
        let metas: Vec<&Meta> = pods.iter().map(|pod| pod.value.meta()).collect();
        let mut claims = claim::claims(set.meta(), &set.spec.selector, metas.iter().copied());
        // Pods that have ended are nobody's concern any more.
        claims.leave(|place| !pods[place].value.is_active());
        let settled = claims.settle(set, &gvr::PODS, &metas, writes).await?;
        Ok(settled.then_some(claims.own))
    }

    /// The active pods of all ReplicaSets of the same owner; none without an owner, as upstream.
    fn related<'a>(&self, set: &ReplicaSet, pods: &'a [Seen<Pod>]) -> Vec<&'a Pod> {
        let Some(owner) = set.meta().controller() else {
            return Vec::new();
        };
        let relatives = self.sets.in_namespace(&set.meta().namespace);
        let uids: Vec<&str> = relatives
            .iter()
            .map(|relative| relative.value.meta())
            .filter(|relative| relative.is_controlled_by(&owner.uid))
            .map(|relative| relative.uid.as_str())
            .collect();
        pods.iter()
            .map(|pod| &*pod.value)
            .filter(|pod: &&Pod| pod.is_active())
            .filter(|pod| {
                pod.meta()
                    .controller()
                    .is_some_and(|owner| uids.contains(&owner.uid.as_str()))
            })
            .collect()
    }

    async fn carry_out(
        &self,
        observed: &Observed<'_>,
        plan: Plan,
        writes: &Writes,
    ) -> Option<(Failure, Status)> {
        let set = observed.set;
        let failed = |reason, message, status: Status| Some((Failure { reason, message }, status));
        let body = bytes::Bytes::from(plan::pod(set).to_string());
        let collection = At::of(gvr::PODS).namespace(&set.meta().namespace);
        for batch in plan::batches(plan.create) {
            let attempts =
                join_all((0..batch).map(|_| writes.create(&collection, body.clone()))).await;
            let mut error = None;
            for attempt in attempts {
                match attempt.and_then(|object| object.parse::<Created>()) {
                    Ok(pod) => {
                        let message = format!("Created pod: {}", pod.metadata.name);
                        self.event(set, EventType::Normal, "SuccessfulCreate", message);
                    }
                    // The end of the namespace ends the ReplicaSet as well.
                    Err(status) if status.is_namespace_terminating() => return None,
                    Err(status) => {
                        self.event(
                            set,
                            EventType::Warning,
                            "FailedCreate",
                            format!("Error creating: {status}"),
                        );
                        error = Some(status);
                    }
                }
            }
            if let Some(status) = error {
                return failed("FailedCreate", status.to_string(), status);
            }
        }
        let deletions = join_all(plan.delete.iter().map(|pod| async move {
            let result = writes
                .delete(&at_pod(pod), &DeleteOptions::only_uid(&pod.uid))
                .await;
            (pod, result)
        }))
        .await;
        let mut error = None;
        for (pod, result) in deletions {
            match result {
                Ok(_) => {
                    let message = format!("Deleted pod: {}", pod.name);
                    self.event(set, EventType::Normal, "SuccessfulDelete", message);
                }
                Err(status) if status.is_not_found() => {}
                Err(status) => {
                    self.event(
                        set,
                        EventType::Warning,
                        "FailedDelete",
                        format!("Error deleting: {status}"),
                    );
                    error = Some(status);
                }
            }
        }
        error.and_then(|status| {
            let message = format!("unable to delete pods: {status}");
            failed("FailedDelete", message, status)
        })
    }

    fn event(&self, set: &ReplicaSet, kind: EventType, reason: &str, message: String) {
        self.recorder.event(
            &set.meta().reference("apps/v1", "ReplicaSet"),
            kind,
            reason,
            message,
        );
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Created {
    metadata: Meta,
}

fn at_pod(meta: &Meta) -> At {
    At::of(gvr::PODS)
        .namespace(&meta.namespace)
        .name(&meta.name)
}

async fn write_status(
    meta: &Meta,
    status: &ReplicaSetStatus,
    writes: &Writes,
) -> Result<(), Status> {
    let conditions = Some(&status.conditions).filter(|conditions| !conditions.is_empty());
    let patch = json!({
        "metadata": {"resourceVersion": meta.resource_version},
        "status": {
            "replicas": status.replicas,
            "fullyLabeledReplicas": unless_zero(status.fully_labeled_replicas),
            "readyReplicas": unless_zero(status.ready_replicas),
            "availableReplicas": unless_zero(status.available_replicas),
            "terminatingReplicas": status.terminating_replicas,
            "observedGeneration": status.observed_generation,
            "conditions": conditions,
        },
    });
    unless_gone(
        writes
            .patch(
                &ReplicaSet::at(meta).subresource("status"),
                &Patch::Merge(patch),
            )
            .await,
    )
}
