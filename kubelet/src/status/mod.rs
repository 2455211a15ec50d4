//! The status of a pod, generated from what is observed: phase, conditions, container states, addresses.

mod conditions;
mod containers;
pub mod patch;

pub use self::conditions::OWNED as OWNED_CONDITIONS;
pub use self::containers::seconds;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::spec::{self, Role};
use crate::pod::sync::{Outlook, outlook};
use crate::pod::{ObservedPod, State};
use crate::qos;

/// How the message of a pod begins that the node refused.
pub const REFUSED: &str = "Pod was rejected: ";

/// What the status depends on besides the pod itself.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The node's addresses, the primary one first.
    pub host_ips: &'a [String],
    /// The scheme of container ids: `ferrule`, `containerd`.
    pub runtime: &'a str,
    /// The status generated before, or the object's after a restart.
    pub old: &'a PodStatus,
    /// All containers have stopped and none comes back: the pod is being cleaned up.
    pub stopped: bool,
}

/// The status to report for `pod`.
pub fn generate(pod: &ObservedPod, context: &Context<'_>, now: Timestamp) -> PodStatus {
    let object = &pod.pod;
    let mut status = PodStatus {
        qos_class: Some(qos::class(object).as_str().to_owned()),
        start_time: context.old.start_time.clone().or(Some(Time(now))),
        observed_generation: object.metadata.generation,
        nominated_node_name: None,
        ..PodStatus::default()
    };
    if let Some(refusal) = &pod.refusal {
        status.phase = Some("Failed".to_owned());
        status.reason = Some(refusal.reason.clone());
        status.message = Some(format!("{REFUSED}{}", refusal.message));
        status.conditions = conditions::refused(object, context.old, now);
        return status;
    }
    let mut init: Vec<ContainerStatus> = spec::all_containers(object)
        .filter(|(_, role)| *role != Role::Main)
        .map(|(container, role)| containers::generate(pod, container, role, context, now))
        .collect();
    let mut main: Vec<ContainerStatus> = spec::containers(object)
        .iter()
        .map(|container| containers::generate(pod, container, Role::Main, context, now))
        .collect();
    main.sort_by(|a, b| a.name.cmp(&b.name));
    if context.stopped {
        containers::settle(object, &mut init, &mut main);
    }
    let phase = final_phase(pod, context, &init, &main, &mut status, now);
    status.phase = Some(phase.to_owned());
    status.conditions = conditions::generate(pod, context.old, &init, &main, phase, now);
    status.container_statuses = Some(main);
    status.init_container_statuses = (!init.is_empty()).then_some(init);
    addresses(pod, context, &mut status);
    status
}

fn final_phase(
    pod: &ObservedPod,
    context: &Context<'_>,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    status: &mut PodStatus,
    now: Timestamp,
) -> &'static str {
    let old = context.old;
    let mut phase = phase(&pod.pod, init, main, context.stopped, initialized(pod));
    let reported = [old.phase.as_deref(), Some(spec::phase(&pod.pod))];
    for ended in ["Failed", "Succeeded"] {
        if reported.contains(&Some(ended)) {
            phase = ended;
        }
    }
    if context.stopped && !matches!(phase, "Succeeded" | "Failed") {
        phase = "Failed";
    }
    if old.phase.as_deref() == Some(phase) {
        status.reason = old.reason.clone();
        status.message = old.message.clone();
    } else if outlook(pod, now) == Outlook::DeadlineExceeded {
        phase = "Failed";
        status.reason = Some("DeadlineExceeded".to_owned());
        status.message =
            Some("Pod was active on the node longer than the specified deadline".to_owned());
    }
    phase
}

fn initialized(pod: &ObservedPod) -> bool {
    pod.containers.iter().any(|record| {
        record.state != State::Created
            && spec::containers(&pod.pod)
                .iter()
                .any(|container| container.name == record.name)
    })
}

/// The phase by the states of the containers.
pub fn phase(
    pod: &Pod,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    stopped: bool,
    initialized: bool,
) -> &'static str {
    let mut pending_init = 0;
    let mut pending_sidecars = 0;
    let mut running = 0;
    let mut waiting = 0;
    let mut ended = 0;
    let mut succeeded = 0;
    let mut final_ends = 0;
    let mut unknown = 0;
    for (container, role) in spec::all_containers(pod) {
        let own = if role == Role::Main { main } else { init };
        let Some(status) = own.iter().find(|status| status.name == container.name) else {
            match role {
                Role::Init => pending_init += 1,
                Role::Sidecar | Role::Main => unknown += 1,
            }
            continue;
        };
        let policy = spec::restart_policy(pod, container, role);
        let is_running = status
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some());
        let terminated = status
            .state
            .as_ref()
            .and_then(|state| state.terminated.as_ref());
        let before = status
            .last_state
            .as_ref()
            .and_then(|state| state.terminated.as_ref());
        match role {
            Role::Init => match terminated.or(before) {
                Some(end) if !is_running => {
                    if end.exit_code != 0 && !policy.restarts(end.exit_code) {
                        return "Failed";
                    }
                }
                _ => pending_init += 1,
            },
            Role::Sidecar if is_running => {
                pending_sidecars += usize::from(status.started != Some(true));
                running += 1;
            }
            Role::Sidecar if terminated.or(before).is_some() => {}
            Role::Sidecar => {
                pending_sidecars += 1;
                waiting += 1;
            }
            Role::Main if is_running => running += 1,
            Role::Main => match terminated.or(before) {
                Some(end) => {
                    ended += 1;
                    succeeded += usize::from(terminated.is_some() && end.exit_code == 0);
                    final_ends += usize::from(!policy.restarts(end.exit_code));
                }
                None => waiting += 1,
            },
        }
    }
    if pending_init > 0 || (pending_sidecars > 0 && !initialized) || waiting > 0 {
        "Pending"
    } else if running > 0 && unknown == 0 {
        "Running"
    } else if running == 0 && ended > 0 && unknown == 0 {
        match (stopped || ended == final_ends, ended == succeeded) {
            (false, _) => "Running",
            (true, true) => "Succeeded",
            (true, false) => "Failed",
        }
    } else {
        "Pending"
    }
}

fn addresses(pod: &ObservedPod, context: &Context<'_>, status: &mut PodStatus) {
    status.host_ip = context.host_ips.first().cloned();
    status.host_ips = Some(
        context
            .host_ips
            .iter()
            .map(|ip| HostIP { ip: ip.clone() })
            .collect(),
    );
    let sandbox = pod.sandboxes.first().filter(|sandbox| sandbox.ready);
    let ips: Vec<String> = if spec::host_network(&pod.pod) {
        context.host_ips.to_vec()
    } else if let Some(sandbox) = sandbox {
        sandbox.ips.clone()
    } else {
        let old = context.old.pod_ips.iter().flatten();
        // What the pod's last address was stays known until it has another.
        old.map(|ip| ip.ip.clone()).collect()
    };
    status.pod_ip = ips.first().cloned();
    status.pod_ips = (!ips.is_empty()).then(|| ips.into_iter().map(|ip| PodIP { ip }).collect());
}

#[cfg(test)]
mod tests;
