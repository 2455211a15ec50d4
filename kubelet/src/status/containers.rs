//! The status of one container from its last two attempts and from what kept it from starting.

use std::time::Duration;

use ferrule_apimachinery::duration;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, ContainerUser, LinuxContainerUser, Pod,
    VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Context;
use crate::pod::spec::{self, Role};
use crate::pod::sync::{Verdict, verdict};
use crate::pod::{ObservedPod, Record, State};

const NOT_LOCATED: &str = "The container could not be located when the pod was terminated";

/// The status of `container` in `pod`.
pub fn generate(
    pod: &ObservedPod,
    container: &Container,
    role: Role,
    context: &Context<'_>,
    now: Timestamp,
) -> ContainerStatus {
    let old = old_status(context, &container.name);
    let mut status = match pod.latest(&container.name) {
        Some(latest) => from_records(pod, container, latest, old, context),
        None => without_records(pod, container, old, context),
    };
    if !context.stopped {
        waiting(pod, container, role, now, &mut status);
    }
    let latest = pod.latest(&container.name);
    let running = latest.filter(|latest| latest.state == State::Running);
    let started = running.is_some_and(|latest| pod.has_started(container, latest));
    status.started = Some(started);
    status.ready = match role {
        Role::Init => exit_code(&status) == Some(0),
        Role::Main | Role::Sidecar => {
            started && running.is_some_and(|latest| passes(pod, container, latest))
        }
    };
    status
}

/// Whether the readiness probe, if there is one, has succeeded.
fn passes(pod: &ObservedPod, container: &Container, latest: &Record) -> bool {
    container.readiness_probe.is_none()
        || pod
            .probed
            .get(&latest.id)
            .and_then(|probed| probed.readiness)
            == Some(true)
}

fn old_status<'a>(context: &'a Context<'_>, name: &str) -> Option<&'a ContainerStatus> {
    [
        &context.old.container_statuses,
        &context.old.init_container_statuses,
    ]
    .into_iter()
    .flatten()
    .flatten()
    .find(|status| status.name == name)
}

fn exit_code(status: &ContainerStatus) -> Option<i32> {
    Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
}

fn from_records(
    pod: &ObservedPod,
    container: &Container,
    latest: &Record,
    old: Option<&ContainerStatus>,
    context: &Context<'_>,
) -> ContainerStatus {
    let previous = pod
        .previous(&container.name)
        .map(|record| state(record, old, context));
    let kept = old.and_then(|old| old.last_state.clone());
    // The attempt before may have been removed, or lost with the runtime's records.
    let lost = old
        .filter(|old| old.container_id.as_deref() != Some(&container_id(context, &latest.id)))
        .and_then(|old| old.state.clone())
        .filter(|state| state.terminated.is_some());
    ContainerStatus {
        name: container.name.clone(),
        state: Some(state(latest, old, context)),
        last_state: previous
            .filter(|state| state.terminated.is_some())
            .or(lost)
            .or(kept.filter(|_| latest.attempt > 0)),
        restart_count: i32::try_from(latest.attempt).unwrap_or(i32::MAX),
        image: latest.image.clone(),
        image_id: latest.image_ref.clone(),
        container_id: Some(container_id(context, &latest.id)),
        allocated_resources: container
            .resources
            .as_ref()
            .and_then(|own| own.requests.clone()),
        resources: Some(container.resources.clone().unwrap_or_default()),
        user: latest
            .user
            .as_ref()
            .map(|(uid, gid, groups)| ContainerUser {
                linux: Some(LinuxContainerUser {
                    uid: *uid,
                    gid: *gid,
                    supplemental_groups: (!groups.is_empty()).then(|| groups.clone()),
                }),
            }),
        volume_mounts: volume_mounts(container),
        ..ContainerStatus::default()
    }
}

fn without_records(
    pod: &ObservedPod,
    container: &Container,
    old: Option<&ContainerStatus>,
    context: &Context<'_>,
) -> ContainerStatus {
    if let Some(ended) = old.filter(|old| exit_code(old).is_some()) {
        return ended.clone();
    }
    let reason = if spec::init_containers(&pod.pod).is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting_state(reason, None)),
        last_state: old.and_then(|old| old.last_state.clone()),
        restart_count: old.map_or(0, |old| old.restart_count),
        volume_mounts: volume_mounts(container),
        ..ContainerStatus::default()
    };
    let ran = old
        .and_then(|old| old.state.as_ref())
        .is_some_and(|state| state.running.is_some());
    if !context.stopped
        && ran
        && status
            .last_state
            .as_ref()
            .is_none_or(|state| state.terminated.is_none())
    {
        let message = "The container could not be located when the pod was deleted.  The container used to be Running";
        status.last_state = Some(ContainerState {
            terminated: Some(ContainerStateTerminated {
                reason: Some("ContainerStatusUnknown".to_owned()),
                message: Some(message.to_owned()),
                exit_code: 137,
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        });
        status.restart_count += i32::from(pod.pod.metadata.deletion_timestamp.is_none());
    }
    status
}

/// What a pod that was stopped says of the containers that left no trace: those that had their turn
/// count as failed, those that still waited for their turn keep waiting.
pub fn settle(pod: &Pod, init: &mut [ContainerStatus], main: &mut [ContainerStatus]) {
    if initialized(pod, init, main) {
        main.iter_mut().for_each(unlocated);
    }
    let tried = init.iter().rposition(|status| {
        let waiting = status
            .state
            .as_ref()
            .is_some_and(|state| state.waiting.is_some());
        let ended = status
            .last_state
            .as_ref()
            .is_some_and(|state| state.terminated.is_some());
        !waiting || ended
    });
    let turns = tried.unwrap_or(0) + 1;
    init.iter_mut().take(turns).for_each(unlocated);
}

/// Whether the pod got past its init containers, by what is known of it.
fn initialized(pod: &Pod, init: &[ContainerStatus], main: &[ContainerStatus]) -> bool {
    let last = spec::all_containers(pod)
        .filter(|(_, role)| *role != Role::Main)
        .last();
    let Some((last, role)) = last else {
        return true;
    };
    let ended = |state: &Option<ContainerState>| {
        state
            .as_ref()
            .and_then(|state| state.terminated.as_ref())
            .map(|end| end.exit_code)
    };
    let began = main.iter().any(|status| {
        let running = status
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some());
        running || ended(&status.state).is_some() || ended(&status.last_state).is_some()
    });
    began
        || init
            .iter()
            .filter(|status| status.name == last.name)
            .any(|status| match role {
                Role::Sidecar => status.started == Some(true),
                Role::Init | Role::Main => [&status.state, &status.last_state]
                    .into_iter()
                    .any(|state| ended(state) == Some(0)),
            })
}

fn unlocated(status: &mut ContainerStatus) {
    if status
        .state
        .as_ref()
        .is_some_and(|state| state.terminated.is_some())
    {
        return;
    }
    status.state = Some(ContainerState {
        terminated: Some(ContainerStateTerminated {
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some(NOT_LOCATED.to_owned()),
            exit_code: 137,
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    });
}

/// A container that should run and does not says what it waits for.
fn waiting(
    pod: &ObservedPod,
    container: &Container,
    role: Role,
    now: Timestamp,
    status: &mut ContainerStatus,
) {
    let name = container.name.as_str();
    let state = match verdict(pod, container, role, None, now) {
        Verdict::BackOff { delay, .. } => waiting_state(
            "CrashLoopBackOff",
            Some(format!(
                "back-off {} restarting failed container={name} pod={}",
                duration::format(Duration::from_secs(delay.as_secs())),
                spec::display(&pod.pod)
            )),
        ),
        Verdict::Wait(_) | Verdict::Start { .. } => {
            let Some(failure) = pod.failures.get(name) else {
                return;
            };
            waiting_state(&failure.reason, Some(failure.message.clone()))
        }
        Verdict::Keep | Verdict::Done { .. } | Verdict::Kill(_) => return,
    };
    if let Some(ended) = status
        .state
        .take()
        .filter(|state| state.terminated.is_some())
    {
        status.last_state = Some(ended);
    }
    status.state = Some(state);
}

fn waiting_state(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message,
        }),
        ..ContainerState::default()
    }
}

fn state(record: &Record, old: Option<&ContainerStatus>, context: &Context<'_>) -> ContainerState {
    let was_running = old
        .and_then(|old| old.state.as_ref())
        .is_some_and(|state| state.running.is_some());
    let id = container_id(context, &record.id);
    match record.state {
        State::Created => waiting_state("ContainerCreating", None),
        State::Running => ContainerState {
            running: Some(ContainerStateRunning {
                started_at: record.started_at.map(seconds),
            }),
            ..ContainerState::default()
        },
        State::Unknown if !was_running => waiting_state("ContainerCreating", None),
        State::Exited | State::Unknown => {
            let unknown = record.state == State::Unknown;
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let terminated = ContainerStateTerminated {
                container_id: Some(id),
                exit_code: if unknown { 137 } else { record.exit_code },
                reason: if unknown {
                    text("ContainerStatusUnknown")
                } else {
                    text(&record.reason)
                },
                message: if unknown {
                    text(NOT_LOCATED)
                } else {
                    text(&record.message)
                },
                started_at: record.started_at.map(seconds),
                finished_at: record.finished_at.map(seconds),
                signal: None,
            };
            ContainerState {
                terminated: Some(terminated),
                ..ContainerState::default()
            }
        }
    }
}

fn container_id(context: &Context<'_>, id: &str) -> String {
    format!("{}://{id}", context.runtime)
}

fn volume_mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container
        .volume_mounts
        .as_ref()
        .filter(|mounts| !mounts.is_empty())?;
    let status = mounts.iter().map(|mount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|own| *own),
        recursive_read_only: mount
            .read_only
            .filter(|own| *own)
            .map(|_| "Disabled".to_owned()),
        ..VolumeMountStatus::default()
    });
    Some(status.collect())
}

/// The API's times have whole seconds; a status must compare equal to what was written.
pub fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
