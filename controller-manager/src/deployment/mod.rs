//! Deployments: a ReplicaSet per pod template, and how one replaces another.

pub mod annotations;
pub mod plan;
pub mod sizes;
pub mod status;
pub mod template;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Controller, DeleteOptions, EventType, Key, Next, Patch, Queue, Reader, Recorder,
    Typed, Writes,
};
use serde_json::{Value, json};

use crate::claim;
use crate::manager::{Manager, enqueue_all, unless_gone};
use crate::objects::Seen;
use crate::objects::meta::{Meta, now, unless_zero};
use crate::objects::pod::Pod;
use crate::objects::workload::{Deployment, DeploymentStatus, ReplicaSet, Workload};
use plan::{Observed, Step};

/// Starts the controller.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    enqueue_all(&caches.deployments, &queue);
    claim::enqueue_for(&caches.replica_sets, &caches.deployments, &queue);
    let (deployments, sets, own) = (
        caches.deployments.clone(),
        caches.replica_sets.clone(),
        queue.clone(),
    );
    caches.pods.on_change(move |change| {
        let ended = matches!(change, Change::Deleted(_)) || change.object().value.is_terminal();
        if let Some(key) = deployment_of(&sets, &change.object().value).filter(|_| ended) {
            // A recreation waits for the last old pod.
            if deployments
                .get(&key)
                .is_some_and(|deployment| !deployment.value.is_rolling())
            {
                own.add(key);
            }
        }
    });
    let readers = Readers::default()
        .with(&caches.deployments)
        .with(&caches.replica_sets)
        .with(&caches.pods);
    let controller = Deployments {
        deployments: caches.deployments.clone(),
        sets: caches.replica_sets.clone(),
        pods: caches.pods.clone(),
        recorder: manager.recorder("deployment-controller"),
    };
    manager.run(
        controller,
        queue,
        readers,
        manager.options.concurrent_deployment_syncs,
    );
}

fn deployment_of(sets: &Reader<Typed<ReplicaSet>>, pod: &Pod) -> Option<Key> {
    let namespace = pod.meta().namespace.as_str();
    let owner = pod
        .meta()
        .controller()
        .filter(|owner| owner.kind == "ReplicaSet")?;
    let set = sets.get(&Key::new(namespace, owner.name.as_str()))?;
    let deployment = set
        .value
        .meta()
        .controller()
        .filter(|owner| owner.kind == "Deployment")?;
    Some(Key::new(namespace, deployment.name.as_str()))
}

struct Deployments {
    deployments: Reader<Typed<Deployment>>,
    sets: Reader<Typed<ReplicaSet>>,
    pods: Reader<Typed<Pod>>,
    recorder: Recorder,
}

#[async_trait]
impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployment"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.deployments.get(key) else {
            return Ok(Next::Done);
        };
        let deployment: &Deployment = &seen.value;
        let sets = self.sets.in_namespace(&key.namespace);
        let Some(own) = self.claim(deployment, &sets, writes).await? else {
            return Ok(Next::Done);
        };
        let pods = if deployment.is_rolling() {
            Vec::new()
        } else {
            self.pods.in_namespace(&key.namespace)
        };
        let observed = Observed {
            deployment,
            sets: own.into_iter().map(|place| &*sets[place].value).collect(),
            pods: pods.iter().map(|pod| &*pod.value).collect(),
        };
        let plan = plan::plan(&observed, now());
        if plan.selects_everything {
            let message =
                "This deployment is selecting all pods. A non-empty selector is required.";
            self.event(deployment, EventType::Warning, "SelectingAll", message);
        }
        for step in &plan.steps {
            self.carry_out(deployment, step, writes).await?;
        }
        if plan.status.is_some() || plan.revision.is_some() {
            let status = plan.status.as_ref().unwrap_or(&deployment.status);
            write_status(deployment.meta(), plan.revision.as_deref(), status, writes).await?;
        }
        Ok(match plan.next.map(std::time::Duration::try_from) {
            Some(Ok(next)) => Next::After(next),
            _ => Next::Done,
        })
    }
}

impl Deployments {
    /// The places of its own ReplicaSets; `None` when ownership had to change first.
    async fn claim(
        &self,
        deployment: &Deployment,
        sets: &[Seen<ReplicaSet>],
        writes: &Writes,
    ) -> Result<Option<Vec<usize>>, Error> {
        let metas: Vec<&Meta> = sets.iter().map(|set| set.value.meta()).collect();
        let claims = claim::claims(
            deployment.meta(),
            &deployment.spec.selector,
            metas.iter().copied(),
        );
        let settled = claims
            .settle(deployment, &gvr::REPLICA_SETS, &metas, writes)
            .await?;
        Ok(settled.then_some(claims.own))
    }

    async fn carry_out(
        &self,
        deployment: &Deployment,
        step: &Step,
        writes: &Writes,
    ) -> Result<(), Error> {
        match step {
            Step::Create {
                name,
                object,
                replicas,
            } => {
                let at = At::of(gvr::REPLICA_SETS).namespace(&deployment.meta().namespace);
                match writes.create(&at, object.to_string()).await {
                    Ok(_) => self.scaled(deployment, name, 0, *replicas),
                    Err(status) if status.is_already_exists() => {
                        return self.collision(deployment, name, writes).await;
                    }
                    Err(status) if status.is_namespace_terminating() => {}
                    Err(status) => {
                        return Err(self.not_created(deployment, name, status, writes).await);
                    }
                }
            }
            Step::Change {
                meta,
                replicas: (from, to),
                patch,
            } => {
                let mut patch = patch.clone();
                patch["metadata"]["resourceVersion"] = json!(meta.resource_version);
                writes
                    .patch(&ReplicaSet::at(meta), &Patch::Merge(patch))
                    .await?;
                self.scaled(deployment, &meta.name, *from, *to);
            }
            Step::Delete(meta) => {
                let options = DeleteOptions {
                    resource_version: Some(meta.resource_version.clone()),
                    ..DeleteOptions::only_uid(&meta.uid)
                };
                unless_gone(writes.delete(&ReplicaSet::at(meta), &options).await)?;
            }
        }
        Ok(())
    }

    /// A ReplicaSet of that name exists. Unless it is the wanted one, which the cache does not
    /// show yet, the next name is another.
    async fn collision(
        &self,
        deployment: &Deployment,
        name: &str,
        writes: &Writes,
    ) -> Result<(), Error> {
        let owner = deployment.meta();
        let at = At::of(gvr::REPLICA_SETS)
            .namespace(&owner.namespace)
            .name(name);
        let present: ReplicaSet = writes.client().get(&at).await?.parse()?;
        let same =
            template::normal(&present.spec.template) == template::normal(&deployment.spec.template);
        if !(same && present.meta().is_controlled_by(&owner.uid)) {
            let mut status = deployment.status.clone();
            status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
            write_status(owner, None, &status, writes).await?;
        }
        Err(format!("ReplicaSet {name} exists already").into())
    }

    async fn not_created(
        &self,
        deployment: &Deployment,
        name: &str,
        error: Status,
        writes: &Writes,
    ) -> Error {
        let owner = deployment.meta();
        let message = format!("Failed to create new replica set \"{name}\": {error}");
        if deployment.has_deadline() {
            let mut status = deployment.status.clone();
            let now = now();
            status::set(
                &mut status,
                status::say(
                    "Progressing",
                    "False",
                    "ReplicaSetCreateError",
                    message.clone(),
                    now,
                ),
            );
            if status != deployment.status {
                // The failure itself is what is reported.
                let _ = write_status(owner, None, &status, writes).await;
            }
        }
        self.event(
            deployment,
            EventType::Warning,
            "ReplicaSetCreateError",
            &message,
        );
        error.into()
    }

    fn scaled(&self, deployment: &Deployment, name: &str, from: i64, to: i64) {
        if from != to {
            let direction = if from < to { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
            self.event(deployment, EventType::Normal, "ScalingReplicaSet", &message);
        }
    }

    fn event(&self, deployment: &Deployment, kind: EventType, reason: &str, message: &str) {
        self.recorder.event(
            &deployment.meta().reference("apps/v1", "Deployment"),
            kind,
            reason,
            message,
        );
    }
}

/// Writes the status, and with it the revision: changed in the object itself, the annotation
/// would count as a new generation.
async fn write_status(
    meta: &Meta,
    revision: Option<&str>,
    status: &DeploymentStatus,
    writes: &Writes,
) -> Result<(), Status> {
    let mut patch: Value = json!({
        "metadata": {"resourceVersion": meta.resource_version},
        "status": {
            "observedGeneration": status.observed_generation,
            "replicas": unless_zero(status.replicas),
            "updatedReplicas": unless_zero(status.updated_replicas),
            "readyReplicas": unless_zero(status.ready_replicas),
            "availableReplicas": unless_zero(status.available_replicas),
            "unavailableReplicas": unless_zero(status.unavailable_replicas),
            "terminatingReplicas": status.terminating_replicas,
            "collisionCount": status.collision_count,
            "conditions": status.conditions,
        },
    });
    if let Some(revision) = revision {
        patch["metadata"]["annotations"] = json!({annotations::REVISION: revision});
    }
    let at = Deployment::at(meta).subresource("status");
    unless_gone(writes.patch(&at, &Patch::Merge(patch)).await)
}
