//! Reading a pod's object: the defaults and small rules that everything else asks for.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec};

/// When a container is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever its exit code was.
    Always,
    /// After an exit code other than 0.
    OnFailure,
    /// Never.
    Never,
}

impl RestartPolicy {
    /// Whether a container that ended so is started again.
    pub fn restarts(self, exit_code: i32) -> bool {
        match self {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit_code != 0,
            RestartPolicy::Never => false,
        }
    }
}

/// How a container takes part in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the next one.
    Init,
    /// Starts before the next one, and goes on.
    Sidecar,
    /// What the pod is for.
    Main,
}

/// The pod's own spec; an object without one reads as empty.
pub fn of(pod: &Pod) -> Option<&PodSpec> {
    pod.spec.as_ref()
}

/// The name.
pub fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The namespace.
pub fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}

/// The uid.
pub fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// `name_namespace(uid)`, the form in messages.
pub fn display(pod: &Pod) -> String {
    format!("{}_{}({})", name(pod), namespace(pod), uid(pod))
}

/// The init containers, sidecars among them.
pub fn init_containers(pod: &Pod) -> &[Container] {
    of(pod)
        .and_then(|spec| spec.init_containers.as_deref())
        .unwrap_or_default()
}

/// The main containers.
pub fn containers(pod: &Pod) -> &[Container] {
    of(pod)
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default()
}

/// All containers with their roles, init containers first.
pub fn all_containers(pod: &Pod) -> impl Iterator<Item = (&Container, Role)> {
    let init = init_containers(pod).iter().map(|container| {
        (
            container,
            if is_sidecar(container) {
                Role::Sidecar
            } else {
                Role::Init
            },
        )
    });
    init.chain(
        containers(pod)
            .iter()
            .map(|container| (container, Role::Main)),
    )
}

/// A container by its name.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<(&'a Container, Role)> {
    all_containers(pod).find(|(container, _)| container.name == name)
}

/// An init container that goes on beside the main ones.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The restart policy of a container in its role.
pub fn restart_policy(pod: &Pod, container: &Container, role: Role) -> RestartPolicy {
    let own = match container.restart_policy.as_deref() {
        Some("Always") => Some(RestartPolicy::Always),
        Some("OnFailure") => Some(RestartPolicy::OnFailure),
        Some("Never") => Some(RestartPolicy::Never),
        _ => None,
    };
    if let Some(own) = own {
        return own;
    }
    let pods = match of(pod).and_then(|spec| spec.restart_policy.as_deref()) {
        Some("OnFailure") => RestartPolicy::OnFailure,
        Some("Never") => RestartPolicy::Never,
        _ => RestartPolicy::Always,
    };
    match (role, pods) {
        (Role::Sidecar, _) => RestartPolicy::Always,
        (Role::Init, RestartPolicy::Always) => RestartPolicy::OnFailure,
        (_, pods) => pods,
    }
}

/// Whether the pod uses the node's network.
pub fn host_network(pod: &Pod) -> bool {
    of(pod).and_then(|spec| spec.host_network).unwrap_or(false)
}

/// The grace for stopping the pod's containers, in seconds; at least one, as upstream's.
pub fn grace_seconds(pod: &Pod) -> i64 {
    pod.metadata
        .deletion_grace_period_seconds
        .or_else(|| of(pod).and_then(|spec| spec.termination_grace_period_seconds))
        .unwrap_or(30)
        .max(1)
}

/// The phase in the object.
pub fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// Whether the object says that the pod has ended.
pub fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// A container's status in the object.
pub fn reported<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    [&status.container_statuses, &status.init_container_statuses]
        .into_iter()
        .flatten()
        .flatten()
        .find(|status| status.name == name)
}

/// The host name inside the pod: at most 63 bytes, cut where upstream cuts.
pub fn hostname(pod: &Pod) -> String {
    let named = of(pod)
        .and_then(|spec| spec.hostname.as_deref())
        .filter(|own| !own.is_empty());
    let hostname = named.unwrap_or_else(|| name(pod));
    let mut cut = hostname.len().min(63);
    while !hostname.is_char_boundary(cut) {
        cut -= 1;
    }
    hostname[..cut].trim_end_matches(['-', '.']).to_owned()
}

/// A fingerprint of the parts of a container whose change restarts it (FNV-1a).
pub fn container_hash(container: &Container) -> u64 {
    let parts = [
        container.name.as_str(),
        "\0",
        container.image.as_deref().unwrap_or_default(),
    ];
    let hash = parts
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // 0 is kept for containers that carry no fingerprint.
    if hash == 0 { 1 } else { hash }
}
