//! The conditions of a pod that the kubelet owns.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};

use super::containers::seconds;
use crate::pod::ObservedPod;
use crate::pod::spec::{self, Role};

/// The types of conditions that the kubelet writes; all others belong to somebody else.
pub const OWNED: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// A condition before it has a time.
struct Draft {
    kind: &'static str,
    status: bool,
    reason: &'static str,
    message: String,
}

impl Draft {
    fn met(kind: &'static str) -> Draft {
        Draft {
            kind,
            status: true,
            reason: "",
            message: String::new(),
        }
    }

    fn unmet(kind: &'static str, reason: &'static str, message: String) -> Draft {
        Draft {
            kind,
            status: false,
            reason,
            message,
        }
    }
}

/// All conditions: those of others as the object has them, then our own.
pub fn generate(
    pod: &ObservedPod,
    old: &PodStatus,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    phase: &str,
    now: Timestamp,
) -> Option<Vec<PodCondition>> {
    let sandboxed = if pod.current_sandbox().is_some() {
        Draft::met("PodReadyToStartContainers")
    } else {
        Draft::unmet("PodReadyToStartContainers", "", String::new())
    };
    let foreign = foreign(&pod.pod);
    let containers_ready = containers_ready(&pod.pod, init, main, phase);
    let ready = ready(&pod.pod, &foreign, &containers_ready);
    let drafts = [
        sandboxed,
        initialized(&pod.pod, init, main, phase),
        ready,
        containers_ready,
        Draft::met("PodScheduled"),
    ];
    Some(dated(&pod.pod, foreign, drafts, old, now))
}

/// The conditions of a pod that the node refused: nothing of it ever ran.
pub fn refused(pod: &Pod, old: &PodStatus, now: Timestamp) -> Option<Vec<PodCondition>> {
    Some(dated(
        pod,
        foreign(pod),
        [Draft::met("PodScheduled")],
        old,
        now,
    ))
}

fn foreign(pod: &Pod) -> Vec<PodCondition> {
    let all = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    all.filter(|condition| !OWNED.contains(&condition.type_.as_str()))
        .cloned()
        .collect()
}

fn dated<const N: usize>(
    pod: &Pod,
    mut conditions: Vec<PodCondition>,
    drafts: [Draft; N],
    old: &PodStatus,
    now: Timestamp,
) -> Vec<PodCondition> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    for draft in drafts {
        let status = if draft.status { "True" } else { "False" };
        let before = old
            .conditions
            .iter()
            .flatten()
            .chain(
                pod.status
                    .iter()
                    .flat_map(|status| status.conditions.iter().flatten()),
            )
            .find(|condition| condition.type_ == draft.kind);
        let since = before
            .filter(|before| before.status == status)
            .and_then(|before| before.last_transition_time.clone());
        conditions.push(PodCondition {
            type_: draft.kind.to_owned(),
            status: status.to_owned(),
            reason: text(draft.reason),
            message: text(&draft.message),
            observed_generation: pod.metadata.generation,
            last_probe_time: None,
            last_transition_time: since.or_else(|| Some(seconds(now))),
        });
    }
    conditions
}

/// Names as Go prints a list: `[a b]`.
fn list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

fn message(unknown: &[&str], other: &[&str], what: &str) -> String {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: {}", list(unknown)));
    }
    if !other.is_empty() {
        parts.push(format!("containers with {what} status: {}", list(other)));
    }
    parts.join(", ")
}

fn containers_ready(
    pod: &Pod,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    phase: &str,
) -> Draft {
    let kind = "ContainersReady";
    let (mut unknown, mut unready) = (Vec::new(), Vec::new());
    for (container, _) in spec::all_containers(pod).filter(|(_, role)| *role != Role::Init) {
        let name = container.name.as_str();
        match init.iter().chain(main).find(|status| status.name == name) {
            None => unknown.push(name),
            Some(status) if !status.ready => unready.push(name),
            Some(_) => {}
        }
    }
    let text = message(&unknown, &unready, "unready");
    match phase {
        "Succeeded" if unknown.is_empty() => Draft::unmet(kind, "PodCompleted", String::new()),
        "Failed" => Draft::unmet(kind, "PodFailed", String::new()),
        _ if text.is_empty() => Draft::met(kind),
        _ => Draft::unmet(kind, "ContainersNotReady", text),
    }
}

fn ready(pod: &Pod, conditions: &[PodCondition], containers_ready: &Draft) -> Draft {
    if !containers_ready.status {
        return Draft::unmet(
            "Ready",
            containers_ready.reason,
            containers_ready.message.clone(),
        );
    }
    let gates = spec::of(pod)
        .and_then(|spec| spec.readiness_gates.as_deref())
        .unwrap_or_default();
    let mut unmet = Vec::new();
    for gate in gates {
        let kind = gate.condition_type.as_str();
        match conditions.iter().find(|condition| condition.type_ == kind) {
            None => unmet.push(format!(
                "corresponding condition of pod readiness gate \"{kind}\" does not exist."
            )),
            Some(condition) if condition.status != "True" => unmet.push(format!(
                "the status of pod readiness gate \"{kind}\" is not \"True\", but {}",
                condition.status
            )),
            Some(_) => {}
        }
    }
    if unmet.is_empty() {
        Draft::met("Ready")
    } else {
        Draft::unmet("Ready", "ReadinessGatesNotReady", unmet.join(", "))
    }
}

fn initialized(
    pod: &Pod,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    phase: &str,
) -> Draft {
    let kind = "Initialized";
    let (mut unknown, mut incomplete) = (Vec::new(), Vec::new());
    for (container, role) in spec::all_containers(pod).filter(|(_, role)| *role != Role::Main) {
        let name = container.name.as_str();
        match init.iter().find(|status| status.name == name) {
            None => unknown.push(name),
            Some(status) => {
                let complete = match role {
                    Role::Sidecar => status.started == Some(true),
                    Role::Init | Role::Main => status.ready,
                };
                if !complete {
                    incomplete.push(name);
                }
            }
        }
    }
    let began = main.iter().any(|status| {
        let states = [status.state.as_ref(), status.last_state.as_ref()];
        states
            .into_iter()
            .flatten()
            .any(|state| state.running.is_some() || state.terminated.is_some())
    });
    let text = message(&unknown, &incomplete, "incomplete");
    if phase == "Succeeded" && unknown.is_empty() {
        Draft {
            reason: "PodCompleted",
            ..Draft::met(kind)
        }
    } else if began || text.is_empty() {
        Draft::met(kind)
    } else {
        Draft::unmet(kind, "ContainersNotInitialized", text)
    }
}
