//! The status of a Deployment: counts, and the conditions Available, Progressing, ReplicaFailure.

use jiff::{SignedDuration, Timestamp};

use super::sizes::{Bounds, wanted};
use crate::objects::workload::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};

/// Progressing: the newest ReplicaSet is complete.
pub const NEW_REPLICA_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
/// Progressing: nothing happened for too long.
pub const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// The condition of a type.
pub fn condition<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.r#type == kind)
}

/// A condition of this moment.
pub fn say(
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        r#type: kind.to_owned(),
        status: status.to_owned(),
        last_update_time: Some(now),
        last_transition_time: Some(now),
        reason: reason.to_owned(),
        message,
    }
}

/// Sets a condition, unless status and reason are what they were.
pub fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(before) = self::condition(status, &condition.r#type) {
        if before.status == condition.status && before.reason == condition.reason {
            return;
        }
        if before.status == condition.status {
            condition.last_transition_time = before.last_transition_time;
        }
    }
    remove(status, &condition.r#type);
    status.conditions.push(condition);
}

/// Removes a condition.
pub fn remove(status: &mut DeploymentStatus, kind: &str) {
    status
        .conditions
        .retain(|condition| condition.r#type != kind);
}

/// Notes that a Deployment was paused or goes on, so that the time of the pause does not count
/// against its deadline.
pub fn note_pause(deployment: &Deployment, status: &mut DeploymentStatus, now: Timestamp) {
    if deployment.spec.progress_deadline_seconds.is_none() {
        return;
    }
    let reason = condition(status, "Progressing").map(|condition| condition.reason.as_str());
    if reason == Some(TIMED_OUT) {
        return;
    }
    let was_paused = reason == Some(PAUSED);
    if deployment.spec.paused && !was_paused {
        set(
            status,
            say(
                "Progressing",
                "Unknown",
                PAUSED,
                "Deployment is paused".to_owned(),
                now,
            ),
        );
    } else if !deployment.spec.paused && was_paused {
        let message = "Deployment is resumed".to_owned();
        set(
            status,
            say("Progressing", "Unknown", "DeploymentResumed", message, now),
        );
    }
}

/// Counts and availability, on top of the conditions in `base`.
pub fn counted(
    deployment: &Deployment,
    base: &DeploymentStatus,
    sets: &[ReplicaSet],
    newest: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let sum = |count: fn(&ReplicaSet) -> i64| sets.iter().map(count).sum::<i64>();
    let available = sum(|set| set.status.available_replicas);
    let mut status = DeploymentStatus {
        observed_generation: deployment.meta().generation,
        replicas: sum(|set| set.status.replicas),
        updated_replicas: newest.map_or(0, |set| set.status.replicas),
        ready_replicas: sum(|set| set.status.ready_replicas),
        available_replicas: available,
        unavailable_replicas: (wanted(sets) - available).max(0),
        // Unknown until every ReplicaSet has said its part.
        terminating_replicas: sets.iter().map(|set| set.status.terminating_replicas).sum(),
        conditions: base.conditions.clone(),
        collision_count: base.collision_count,
    };
    let said = if available >= deployment.replicas() - Bounds::of(deployment).unavailable {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    set(
        &mut status,
        say("Available", said.0, said.1, said.2.to_owned(), now),
    );
    status
}

/// [`counted`], and how the rollout goes.
pub fn of_rollout(
    deployment: &Deployment,
    base: &DeploymentStatus,
    sets: &[ReplicaSet],
    newest: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let mut status = counted(deployment, base, sets, newest, now);
    let current = condition(base, "Progressing").cloned();
    let was_complete = status.replicas == status.updated_replicas
        && current
            .as_ref()
            .is_some_and(|condition| condition.reason == NEW_REPLICA_SET_AVAILABLE);
    let subject = match newest {
        Some(set) => format!("ReplicaSet \"{}\"", set.meta().name),
        None => format!("Deployment \"{}\"", deployment.meta().name),
    };
    if !deployment.has_deadline() {
        remove(&mut status, "Progressing");
    } else if !was_complete {
        if is_complete(deployment, &status) {
            let message = format!("{subject} has successfully progressed.");
            set(
                &mut status,
                say(
                    "Progressing",
                    "True",
                    NEW_REPLICA_SET_AVAILABLE,
                    message,
                    now,
                ),
            );
        } else if has_progressed(&deployment.status, &status) {
            let message = format!("{subject} is progressing.");
            let mut condition = say("Progressing", "True", "ReplicaSetUpdated", message, now);
            // Each sign of progress counts, also when it is said in the same words.
            if let Some(current) = current.filter(|current| current.status == "True") {
                condition.last_transition_time = current.last_transition_time;
            }
            remove(&mut status, "Progressing");
            status.conditions.push(condition);
        } else if timed_out(deployment, &status, now) {
            let message = format!("{subject} has timed out progressing.");
            set(
                &mut status,
                say("Progressing", "False", TIMED_OUT, message, now),
            );
        }
    }
    match failure(sets, newest) {
        Some(condition) => set(&mut status, condition),
        None => remove(&mut status, "ReplicaFailure"),
    }
    status
}

/// Whether everything that is wanted is there, and nothing else.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = deployment.replicas();
    [
        status.updated_replicas,
        status.replicas,
        status.available_replicas,
    ]
    .iter()
    .all(|count| *count == wanted)
        && status.observed_generation >= deployment.meta().generation
}

fn has_progressed(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let old_pods = |status: &DeploymentStatus| status.replicas - status.updated_replicas;
    after.updated_replicas > before.updated_replicas
        || old_pods(after) < old_pods(before)
        || after.ready_replicas > before.ready_replicas
        || after.available_replicas > before.available_replicas
}

fn timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(condition) = condition(status, "Progressing") else {
        return false;
    };
    match condition.reason.as_str() {
        NEW_REPLICA_SET_AVAILABLE => false,
        TIMED_OUT => true,
        _ => time_left(deployment, condition, now).is_some_and(|left| left.is_negative()),
    }
}

fn time_left(
    deployment: &Deployment,
    condition: &DeploymentCondition,
    now: Timestamp,
) -> Option<SignedDuration> {
    let deadline = SignedDuration::from_secs(deployment.spec.progress_deadline_seconds?);
    Some(deadline - now.duration_since(condition.last_update_time?))
}

/// When a rollout without any progress must be looked at again.
pub fn check_again(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<SignedDuration> {
    let condition = condition(status, "Progressing")?;
    if !deployment.has_deadline() || is_complete(deployment, status) {
        return None;
    }
    if condition.reason == TIMED_OUT || condition.reason == NEW_REPLICA_SET_AVAILABLE {
        return None;
    }
    let left = time_left(deployment, condition, now)?;
    Some(left.max(SignedDuration::ZERO) + SignedDuration::from_secs(1))
}

/// The first failure of a ReplicaSet, the newest one's before others'.
fn failure(sets: &[ReplicaSet], newest: Option<&ReplicaSet>) -> Option<DeploymentCondition> {
    let found = newest
        .into_iter()
        .chain(sets)
        .flat_map(|set| &set.status.conditions)
        .find(|condition| condition.r#type == "ReplicaFailure")?;
    Some(DeploymentCondition {
        r#type: found.r#type.clone(),
        status: found.status.clone(),
        last_update_time: found.last_transition_time,
        last_transition_time: found.last_transition_time,
        reason: found.reason.clone(),
        message: found.message.clone(),
    })
}
