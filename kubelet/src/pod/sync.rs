//! The decision about one pod: from what is desired and observed to what is to be done now.
//!
//! ```text
//! Run:        volumes -> sandbox -> init containers, one by one -> main containers
//!             (a lost sandbox: stop what is left of it, begin again)
//! Terminate:  main containers -> sidecars, last first -> sandbox -> remove all -> clean -> delete the object
//! Gone:       the same, and the object is not touched
//! ```
//! Nothing is decided for a target on which an operation is in flight, except to hurry it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod};

use super::ending::{end, remove};
use super::spec::{self, Role};
use super::{Action, Desired, KillReason, ObservedPod, Record, Sandbox, State, Target, Volumes};

/// What shall happen to one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs, and shall.
    Keep,
    /// It shall be started.
    Start {
        /// Its restart count.
        attempt: u32,
        /// A never started attempt to be removed first.
        replaces: Option<String>,
    },
    /// It keeps ending, and has to wait.
    BackOff {
        /// How long in all.
        delay: Duration,
        /// Until then.
        until: Timestamp,
    },
    /// Something is in flight, or failed a moment ago.
    Wait(Option<Timestamp>),
    /// It ended, and stays so.
    Done {
        /// How.
        exit_code: i32,
    },
    /// It runs, and shall not.
    Kill(KillReason),
}

/// How a pod stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// There is, or will be, something to run.
    Alive,
    /// All has ended, or must end.
    Ended,
    /// It ran longer than it may.
    DeadlineExceeded,
}

/// What to do about `pod` now.
pub fn sync(desired: &Desired, pod: &ObservedPod, now: Timestamp) -> Vec<Action> {
    match desired {
        Desired::Run => run(pod, now),
        Desired::Terminate { deadline } => {
            end(pod, *deadline, now).unwrap_or_else(|| remove(pod, Action::DeleteObject))
        }
        Desired::Gone { deadline } => {
            end(pod, *deadline, now).unwrap_or_else(|| remove(pod, Action::Forget))
        }
    }
}

/// Whether the pod has come to an end by itself.
pub fn outlook(pod: &ObservedPod, now: Timestamp) -> Outlook {
    if pod.refusal.is_some() || spec::has_ended(&pod.pod) {
        return Outlook::Ended;
    }
    if deadline(&pod.pod).is_some_and(|deadline| now >= deadline) {
        return Outlook::DeadlineExceeded;
    }
    let done = |container: &Container, role: Role| {
        matches!(
            verdict(pod, container, role, None, now),
            Verdict::Done { .. }
        )
    };
    let failed_init = spec::all_containers(&pod.pod).any(|(container, role)| {
        role == Role::Init
            && !any_main_exists(pod, None)
            && matches!(verdict(pod, container, role, None, now), Verdict::Done { exit_code } if exit_code != 0)
    });
    let main = spec::containers(&pod.pod);
    let all_done = !main.is_empty() && main.iter().all(|container| done(container, Role::Main));
    if failed_init || all_done {
        Outlook::Ended
    } else {
        Outlook::Alive
    }
}

/// What shall happen to a container, given the sandbox in which it should run. `None` judges
/// attempts of any sandbox.
pub fn verdict(
    pod: &ObservedPod,
    container: &Container,
    role: Role,
    sandbox: Option<&Sandbox>,
    now: Timestamp,
) -> Verdict {
    let name = container.name.as_str();
    if pod.starting(name) {
        return Verdict::Wait(None);
    }
    let latest = pod.latest(name);
    if latest.is_some_and(|latest| {
        pod.operations
            .contains_key(&Target::Kill(latest.id.clone()))
    }) {
        return Verdict::Wait(None);
    }
    let attempt = latest.map_or_else(
        || first_attempt(&pod.pod, name),
        |latest| latest.attempt + 1,
    );
    match latest {
        None => start(pod, name, attempt, None, now),
        Some(latest) if latest.state == State::Created => {
            start(pod, name, latest.attempt, Some(latest.id.clone()), now)
        }
        Some(latest) if latest.state == State::Running => {
            running(pod, container, role, sandbox, latest)
        }
        Some(latest) => {
            // An init container's work is lost with the sandbox.
            let elsewhere = sandbox.is_some_and(|sandbox| sandbox.id != latest.sandbox_id);
            if role == Role::Init && elsewhere {
                return start(pod, name, attempt, None, now);
            }
            if !spec::restart_policy(&pod.pod, container, role).restarts(latest.exit_code) {
                return Verdict::Done {
                    exit_code: latest.exit_code,
                };
            }
            let event = latest.finished_at.unwrap_or(latest.created_at);
            let waiting = pod
                .backoff
                .get(name)
                .and_then(|entry| Some((entry, entry.until(event, now)?)));
            match waiting {
                Some((entry, until)) => Verdict::BackOff {
                    delay: entry.delay,
                    until,
                },
                None => start(pod, name, attempt, None, now),
            }
        }
    }
}

fn running(
    pod: &ObservedPod,
    container: &Container,
    role: Role,
    sandbox: Option<&Sandbox>,
    latest: &Record,
) -> Verdict {
    let probed = pod.probed.get(&latest.id).copied().unwrap_or_default();
    if sandbox.is_some_and(|sandbox| sandbox.id != latest.sandbox_id) {
        Verdict::Kill(KillReason::Stopping)
    } else if role != Role::Init
        && latest.hash != 0
        && latest.hash != spec::container_hash(container)
    {
        Verdict::Kill(KillReason::Changed)
    } else if probed.liveness == Some(false) {
        Verdict::Kill(KillReason::Liveness)
    } else if probed.startup == Some(false) {
        Verdict::Kill(KillReason::Startup)
    } else {
        Verdict::Keep
    }
}

fn start(
    pod: &ObservedPod,
    name: &str,
    attempt: u32,
    replaces: Option<String>,
    now: Timestamp,
) -> Verdict {
    match pod.failures.get(name) {
        Some(failure) if now < failure.retry_at => Verdict::Wait(Some(failure.retry_at)),
        _ => Verdict::Start { attempt, replaces },
    }
}

/// A container of which the runtime knows nothing may have run before its records were lost.
fn first_attempt(pod: &Pod, name: &str) -> u32 {
    let Some(reported) = spec::reported(pod, name) else {
        return 0;
    };
    let count = u32::try_from(reported.restart_count).unwrap_or(0);
    let ran = reported
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some() || state.terminated.is_some());
    if ran { count + 1 } else { count }
}

fn run(pod: &ObservedPod, now: Timestamp) -> Vec<Action> {
    if outlook(pod, now) != Outlook::Alive {
        let grace = SignedDuration::from_secs(spec::grace_seconds(&pod.pod));
        let deadline = pod_kill_deadline(pod).unwrap_or(now + grace);
        return end(pod, deadline, now).unwrap_or_default();
    }
    let mut actions = Vec::new();
    if let Some(deadline) = deadline(&pod.pod) {
        actions.push(Action::WakeAt(deadline));
    }
    match pod.volumes {
        Volumes::Ready => {}
        Volumes::Failed(retry_at) if now < retry_at => actions.push(Action::WakeAt(retry_at)),
        _ if pod.operations.contains_key(&Target::Volumes) => {}
        _ => actions.push(Action::MountVolumes),
    }
    let Some(sandbox) = pod.current_sandbox() else {
        recreate(pod, now, &mut actions);
        return actions;
    };
    if pod.operations.contains_key(&Target::Sandbox) {
        return actions;
    }
    if pod.volumes == Volumes::Ready {
        containers(pod, sandbox, now, &mut actions);
    } else {
        supervise(pod, sandbox, now, &mut actions);
    }
    collect_garbage(pod, sandbox, &mut actions);
    actions
}

/// The pod has no sandbox that works: stop the rest of the old ones, then make a new one.
fn recreate(pod: &ObservedPod, now: Timestamp, actions: &mut Vec<Action>) {
    if pod.operations.contains_key(&Target::Sandbox) {
        return;
    }
    let runs_in = |sandbox: &Sandbox| {
        pod.containers
            .iter()
            .any(|record| record.state == State::Running && record.sandbox_id == sandbox.id)
    };
    if let Some(old) = pod
        .sandboxes
        .iter()
        .find(|sandbox| sandbox.ready || runs_in(sandbox))
    {
        actions.push(Action::StopSandbox {
            id: old.id.clone(),
            recreate: true,
        });
        return;
    }
    if pod.volumes != Volumes::Ready {
        return;
    }
    if let Some(retry_at) = pod.sandbox_retry_at.filter(|retry_at| now < *retry_at) {
        actions.push(Action::WakeAt(retry_at));
        return;
    }
    let attempt = pod
        .sandboxes
        .iter()
        .map(|sandbox| sandbox.attempt + 1)
        .max()
        .unwrap_or(0);
    actions.push(Action::CreateSandbox { attempt });
}

fn containers(pod: &ObservedPod, sandbox: &Sandbox, now: Timestamp, actions: &mut Vec<Action>) {
    let initialized = any_main_exists(pod, Some(sandbox));
    for (container, role) in spec::all_containers(&pod.pod) {
        if role == Role::Main {
            continue;
        }
        if role == Role::Init && initialized {
            continue;
        }
        let verdict = verdict(pod, container, role, Some(sandbox), now);
        let passed = match (&verdict, role) {
            (Verdict::Done { exit_code }, Role::Init) => *exit_code == 0,
            (Verdict::Keep, Role::Sidecar) => pod
                .latest(&container.name)
                .is_some_and(|latest| pod.has_started(container, latest)),
            _ => false,
        };
        act(pod, container, sandbox, verdict, actions);
        if !passed && !initialized {
            return;
        }
    }
    for container in spec::containers(&pod.pod) {
        let verdict = verdict(pod, container, Role::Main, Some(sandbox), now);
        act(pod, container, sandbox, verdict, actions);
    }
}

/// While nothing may be started: only what stops a container.
fn supervise(pod: &ObservedPod, sandbox: &Sandbox, now: Timestamp, actions: &mut Vec<Action>) {
    for (container, role) in spec::all_containers(&pod.pod) {
        let verdict = verdict(pod, container, role, Some(sandbox), now);
        if matches!(verdict, Verdict::Kill(_)) {
            act(pod, container, sandbox, verdict, actions);
        }
    }
}

fn act(
    pod: &ObservedPod,
    container: &Container,
    sandbox: &Sandbox,
    verdict: Verdict,
    actions: &mut Vec<Action>,
) {
    let name = container.name.clone();
    match verdict {
        Verdict::Keep | Verdict::Done { .. } | Verdict::Wait(None) => {}
        Verdict::Wait(Some(until)) => actions.push(Action::WakeAt(until)),
        Verdict::Start { attempt, replaces } => {
            let sandbox_id = sandbox.id.clone();
            actions.push(Action::StartContainer {
                name,
                attempt,
                sandbox_id,
                replaces,
            });
        }
        Verdict::BackOff { until, .. } => {
            actions.push(Action::ReportBackOff { name });
            actions.push(Action::WakeAt(until));
        }
        Verdict::Kill(reason) => {
            if let Some(latest) = pod.latest(&name) {
                let grace = kill_grace(&pod.pod, container, reason);
                actions.push(Action::KillContainer {
                    id: latest.id.clone(),
                    name,
                    reason,
                    grace,
                });
            }
        }
    }
}

fn kill_grace(pod: &Pod, container: &Container, reason: KillReason) -> Duration {
    let probe = match reason {
        KillReason::Liveness => container.liveness_probe.as_ref(),
        KillReason::Startup => container.startup_probe.as_ref(),
        KillReason::Stopping | KillReason::Changed => None,
    };
    let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
    let seconds = own.unwrap_or_else(|| spec::grace_seconds(pod));
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn any_main_exists(pod: &ObservedPod, sandbox: Option<&Sandbox>) -> bool {
    spec::containers(&pod.pod).iter().any(|container| {
        pod.containers.iter().any(|record| {
            record.name == container.name
                && record.state != State::Created
                && sandbox.is_none_or(|sandbox| record.sandbox_id == sandbox.id)
        })
    })
}

/// Keeps the latest attempt at each container and the one before it, and the sandboxes they are in.
fn collect_garbage(pod: &ObservedPod, current: &Sandbox, actions: &mut Vec<Action>) {
    let kept = |record: &Record| {
        pod.containers
            .iter()
            .filter(|other| other.name == record.name)
            .position(|other| other.id == record.id)
            < Some(2)
    };
    let stopped = |record: &&Record| matches!(record.state, State::Exited | State::Unknown);
    for record in pod.containers.iter().filter(stopped) {
        if !kept(record)
            && !pod
                .operations
                .contains_key(&Target::Remove(record.id.clone()))
        {
            actions.push(Action::RemoveContainer {
                id: record.id.clone(),
            });
        }
    }
    let unused = pod.sandboxes.iter().find(|sandbox| {
        sandbox.id != current.id
            && !sandbox.ready
            && !pod
                .containers
                .iter()
                .any(|record| record.sandbox_id == sandbox.id)
    });
    if let Some(sandbox) = unused {
        actions.push(Action::RemoveSandbox {
            id: sandbox.id.clone(),
        });
    }
}

/// When `activeDeadlineSeconds` runs out.
fn deadline(pod: &Pod) -> Option<Timestamp> {
    let seconds = spec::of(pod)?.active_deadline_seconds?;
    let started = pod.status.as_ref()?.start_time.as_ref()?.0;
    Some(started + SignedDuration::from_secs(seconds))
}

/// The latest end of the kills in flight: a pod that ends by itself gets one grace, not one a sync.
fn pod_kill_deadline(pod: &ObservedPod) -> Option<Timestamp> {
    pod.operations
        .values()
        .filter_map(|operation| operation.deadline)
        .max()
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
