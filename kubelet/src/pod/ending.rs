//! The order in which a pod ends and disappears.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::spec::{self, Role};
use super::{Action, KillReason, ObservedPod, Record, State, Target};

/// Stops everything in order. `None` once nothing runs and nothing is in flight.
pub(super) fn end(pod: &ObservedPod, deadline: Timestamp, now: Timestamp) -> Option<Vec<Action>> {
    let mut actions = Vec::new();
    let mut busy = false;
    for (target, operation) in &pod.operations {
        match target {
            Target::Start(name) => {
                busy = true;
                if !operation.cancelled {
                    actions.push(Action::CancelStart { name: name.clone() });
                }
            }
            Target::Sandbox | Target::Volumes | Target::Remove(_) | Target::Clean => busy = true,
            Target::Kill(_) => {}
        }
    }
    let grace = Duration::try_from(deadline.duration_since(now)).unwrap_or(Duration::ZERO);
    let alive: Vec<&Record> = pod
        .containers
        .iter()
        .filter(|record| record.state == State::Running)
        .collect();
    let sidecar = |record: &Record| {
        spec::container(&pod.pod, &record.name).is_some_and(|(_, role)| role == Role::Sidecar)
    };
    let mains_alive = alive.iter().any(|record| !sidecar(record));
    // Sidecars go after everything else, the one that started last first.
    let last_sidecar = spec::init_containers(&pod.pod)
        .iter()
        .rev()
        .map(|container| container.name.as_str())
        .find(|name| {
            alive
                .iter()
                .any(|record| sidecar(record) && record.name == *name)
        });
    for record in &alive {
        busy = true;
        if sidecar(record) && (mains_alive || last_sidecar != Some(record.name.as_str())) {
            continue;
        }
        let underway = pod.operations.get(&Target::Kill(record.id.clone()));
        // One second apart is the same deadline: it is computed anew each time.
        let late = underway.is_some_and(|underway| {
            underway
                .deadline
                .is_some_and(|own| own.duration_since(deadline) > SignedDuration::from_secs(1))
        });
        if underway.is_none() || late {
            actions.push(Action::KillContainer {
                id: record.id.clone(),
                name: record.name.clone(),
                reason: KillReason::Stopping,
                grace,
            });
        }
    }
    if pod
        .operations
        .keys()
        .any(|target| matches!(target, Target::Kill(_)))
    {
        busy = true;
    }
    if busy {
        return Some(actions);
    }
    let ready = pod.sandboxes.iter().find(|sandbox| sandbox.ready);
    ready.map(|sandbox| {
        vec![Action::StopSandbox {
            id: sandbox.id.clone(),
            recreate: false,
        }]
    })
}

/// Removes what has been stopped; then `last`.
pub(super) fn remove(pod: &ObservedPod, last: Action) -> Vec<Action> {
    if !pod.containers.is_empty() {
        let ids = pod.containers.iter().map(|record| record.id.clone());
        return ids.map(|id| Action::RemoveContainer { id }).collect();
    }
    if let Some(sandbox) = pod.sandboxes.first() {
        return vec![Action::RemoveSandbox {
            id: sandbox.id.clone(),
        }];
    }
    if pod.leftovers.volumes || pod.leftovers.cgroups {
        return vec![Action::Clean];
    }
    vec![last]
}
