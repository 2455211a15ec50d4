//! PodDisruptionBudgets: how many pods the API server may evict now.

pub mod plan;
mod scale;
mod stale;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Status;
use ferrule_client::controller::{Error, Readers};
use ferrule_client::{
    At, Change, Controller, EventType, Key, Next, Patch, Queue, Reader, Recorder, Typed, Writes,
};
use serde_json::{Value, json};

use crate::manager::{Manager, enqueue_all, unless_gone};
use crate::objects::disruption::{BudgetStatus, PodDisruptionBudget};
use crate::objects::meta::{Map, now, time};
use crate::objects::pod::Pod;
use plan::{Observed, needs_scale};
use scale::Scales;

/// Starts the controllers.
pub fn start(manager: &Manager) {
    let queue = Queue::new();
    let caches = &manager.caches;
    let recorder = manager.recorder("controllermanager");
    enqueue_all(&caches.budgets, &queue);
    enqueue_for_pods(&caches.pods, &caches.budgets, &queue, recorder.clone());
    let readers = Readers::default()
        .with(&caches.budgets)
        .with(&caches.pods)
        .with(&caches.deployments)
        .with(&caches.replica_sets);
    let controller = Disruptions {
        budgets: caches.budgets.clone(),
        pods: caches.pods.clone(),
        scales: Scales {
            deployments: caches.deployments.clone(),
            sets: caches.replica_sets.clone(),
        },
        recorder,
    };
    manager.run(controller, queue, readers, 1);
    stale::start(manager);
}

/// Adds the budgets that select a pod which changed; more than one is said to be wrong.
fn enqueue_for_pods(
    pods: &Reader<Typed<Pod>>,
    budgets: &Reader<Typed<PodDisruptionBudget>>,
    queue: &Queue,
    recorder: Recorder,
) {
    let (budgets, queue) = (budgets.clone(), queue.clone());
    let add = move |namespace: &str, labels: &Map| {
        let all = budgets.in_namespace(namespace);
        let of_pod = all.iter().filter(|budget| budget.value.selects(labels));
        let names: Vec<Key> = of_pod.map(|budget| budget.key()).collect();
        names.iter().cloned().for_each(|key| queue.add(key));
        names
    };
    pods.on_change(move |change| {
        let pod: &Pod = &change.object().value;
        let namespace = pod.meta().namespace.as_str();
        let relabelled = match change {
            Change::Modified { old, .. } if old.value.labels() == pod.labels() => false,
            Change::Modified { old, .. } => {
                add(namespace, old.value.labels());
                true
            }
            Change::Added(_) => true,
            Change::Deleted(_) => false,
        };
        let names = add(namespace, pod.labels());
        if let [first, _, ..] = names.as_slice()
            && relabelled
        {
            let message = format!(
                "Pod {namespace:?}/{:?} matches multiple PodDisruptionBudgets.  Chose {:?} arbitrarily.",
                pod.meta().name, first.name
            );
            recorder.event(
                &pod.meta().reference("v1", "Pod"),
                EventType::Warning,
                "MultiplePodDisruptionBudgets",
                message,
            );
        }
    });
}

struct Disruptions {
    budgets: Reader<Typed<PodDisruptionBudget>>,
    pods: Reader<Typed<Pod>>,
    scales: Scales,
    recorder: Recorder,
}

#[async_trait]
impl Controller for Disruptions {
    fn name(&self) -> &'static str {
        "disruption"
    }

    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error> {
        let Some(seen) = self.budgets.get(key) else {
            return Ok(Next::Done);
        };
        let budget: &PodDisruptionBudget = &seen.value;
        match self.sync(budget, writes).await {
            Ok(next) => Ok(next),
            Err(Failed::Write(status)) if status.is_conflict() => Err(status.into()),
            Err(failed) => {
                // At least nothing may be evicted while it is not known what there is.
                if let Some(status) = plan::failed(budget, &failed.to_string(), now()) {
                    write_status(budget, &status, writes).await?;
                }
                Err(failed.into())
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Count(String),
    #[error("{0}")]
    Write(#[from] Status),
}

impl Disruptions {
    async fn sync(&self, budget: &PodDisruptionBudget, writes: &Writes) -> Result<Next, Failed> {
        let all = self.pods.in_namespace(&budget.metadata.namespace);
        let selected = all.iter().filter(|pod| budget.selects(pod.value.labels()));
        let pods: Vec<&Pod> = selected.map(|pod| &*pod.value).collect();
        if pods.is_empty() {
            let message = "No matching pods found";
            self.event(budget, EventType::Normal, "NoPods", message.to_owned());
        }
        let scale = if needs_scale(budget) {
            let sum = self.scales.sum(&pods, writes.client()).await;
            let sum = sum.map_err(|error| self.not_counted(budget, error.to_string()))?;
            if !sum.unmanaged.is_empty() {
                self.event(
                    budget,
                    EventType::Warning,
                    "UnmanagedPods",
                    unmanaged(budget),
                );
            }
            sum.scale
        } else {
            0
        };
        let observed = Observed {
            budget,
            pods,
            scale,
        };
        let plan = plan::plan(&observed, now());
        let plan = plan.map_err(|error| self.not_counted(budget, error))?;
        for place in plan.not_deleted {
            // Upstream says the namespace twice.
            let namespace = &budget.metadata.namespace;
            let message = format!(
                "Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
            );
            self.recorder.event(
                &observed.pods[place].meta().reference("v1", "Pod"),
                EventType::Warning,
                "NotDeleted",
                message,
            );
        }
        if let Some(status) = &plan.status {
            write_status(budget, status, writes).await?;
        }
        Ok(match plan.next.map(std::time::Duration::try_from) {
            // Times are in whole seconds: a moment later it is surely past.
            Some(Ok(next)) => Next::After(next + std::time::Duration::from_secs(1)),
            _ => Next::Done,
        })
    }

    fn not_counted(&self, budget: &PodDisruptionBudget, error: String) -> Failed {
        let message = format!("Failed to calculate the number of expected pods: {error}");
        let reason = "CalculateExpectedPodCountFailed";
        self.event(budget, EventType::Warning, reason, message);
        Failed::Count(error)
    }

    fn event(&self, budget: &PodDisruptionBudget, kind: EventType, reason: &str, message: String) {
        let object = budget
            .metadata
            .reference("policy/v1", "PodDisruptionBudget");
        self.recorder.event(&object, kind, reason, message);
    }
}

fn unmanaged(budget: &PodDisruptionBudget) -> String {
    format!(
        "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. \
         As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. \
         To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
        plan::shown(budget.spec.selector.as_ref())
    )
}

/// Writes the status of the budget as it was observed: an eviction meanwhile is a conflict.
async fn write_status(
    budget: &PodDisruptionBudget,
    status: &BudgetStatus,
    writes: &Writes,
) -> Result<(), Status> {
    let disrupted = disrupted_pods(&budget.status, status);
    let patch = json!({
        "metadata": {"resourceVersion": budget.metadata.resource_version},
        "status": {
            "observedGeneration": status.observed_generation,
            "disruptedPods": disrupted,
            "disruptionsAllowed": status.disruptions_allowed,
            "currentHealthy": status.current_healthy,
            "desiredHealthy": status.desired_healthy,
            "expectedPods": status.expected_pods,
            "conditions": status.conditions,
        },
    });
    let at = At::of(gvr::POD_DISRUPTION_BUDGETS)
        .namespace(&budget.metadata.namespace)
        .name(&budget.metadata.name)
        .subresource("status");
    unless_gone(writes.patch(&at, &Patch::Merge(patch)).await)
}

/// The evicted pods in a merge patch; those that are no longer waited for go.
fn disrupted_pods(before: &BudgetStatus, after: &BudgetStatus) -> Value {
    if after.disrupted_pods.is_empty() {
        return Value::Null;
    }
    let kept = after.disrupted_pods.iter();
    let kept = kept.map(|(pod, since)| (pod.clone(), json!(time(*since))));
    let gone = before.disrupted_pods.keys();
    let gone = gone.filter(|pod| !after.disrupted_pods.contains_key(*pod));
    kept.chain(gone.map(|pod| (pod.clone(), Value::Null)))
        .collect::<serde_json::Map<String, Value>>()
        .into()
}
