//! Security contexts in the runtime's words.

use k8s_cri::v1::{self as cri, security_profile::ProfileType};
use k8s_openapi::api::core::v1::{
    Container, Pod, PodSecurityContext, SELinuxOptions, SeccompProfile,
};

use crate::pod::spec;

const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Which namespaces a pod shares with the node or among its containers.
pub fn namespaces(pod: &Pod) -> cri::NamespaceOption {
    let spec = spec::of(pod);
    let flag = |own: Option<bool>| own.unwrap_or(false);
    let node = |own: bool| {
        if own {
            cri::NamespaceMode::Node
        } else {
            cri::NamespaceMode::Pod
        }
    };
    let pid = if flag(spec.and_then(|spec| spec.host_pid)) {
        cri::NamespaceMode::Node
    } else if flag(spec.and_then(|spec| spec.share_process_namespace)) {
        cri::NamespaceMode::Pod
    } else {
        cri::NamespaceMode::Container
    };
    cri::NamespaceOption {
        network: node(spec::host_network(pod)) as i32,
        pid: pid as i32,
        ipc: node(flag(spec.and_then(|spec| spec.host_ipc))) as i32,
        ..cri::NamespaceOption::default()
    }
}

fn pod_context(pod: &Pod) -> Option<&PodSecurityContext> {
    spec::of(pod)?.security_context.as_ref()
}

/// Whether a container is privileged.
pub fn privileged(container: &Container) -> bool {
    container
        .security_context
        .as_ref()
        .and_then(|own| own.privileged)
        .unwrap_or(false)
}

/// The context of the sandbox.
pub fn sandbox(pod: &Pod) -> cri::LinuxSandboxSecurityContext {
    let context = pod_context(pod);
    let int = |value: i64| cri::Int64Value { value };
    cri::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod)),
        selinux_options: context
            .and_then(|own| own.se_linux_options.as_ref())
            .map(selinux),
        run_as_user: context.and_then(|own| own.run_as_user).map(int),
        run_as_group: context.and_then(|own| own.run_as_group).map(int),
        supplemental_groups: supplemental_groups(context),
        privileged: spec::all_containers(pod).any(|(container, _)| privileged(container)),
        seccomp: Some(profile(ProfileType::RuntimeDefault, "")),
        ..cri::LinuxSandboxSecurityContext::default()
    }
}

/// The context of a container. `image_user` is the uid that the image names, where it is a number.
pub fn container(
    pod: &Pod,
    container: &Container,
    image_user: Option<i64>,
) -> Result<cri::LinuxContainerSecurityContext, String> {
    let whole = pod_context(pod);
    let own = container.security_context.as_ref();
    let int = |value: i64| cri::Int64Value { value };
    let user = own
        .and_then(|own| own.run_as_user)
        .or_else(|| whole.and_then(|own| own.run_as_user));
    let group = own
        .and_then(|own| own.run_as_group)
        .or_else(|| whole.and_then(|own| own.run_as_group));
    let non_root = own
        .and_then(|own| own.run_as_non_root)
        .or_else(|| whole.and_then(|own| own.run_as_non_root));
    let in_pod = || {
        format!(
            "(pod: {:?}, container: {})",
            spec::display(pod),
            container.name
        )
    };
    if non_root == Some(true) {
        match (user, image_user) {
            (Some(0), _) => {
                return Err(format!(
                    "container's runAsUser breaks non-root policy {}",
                    in_pod()
                ));
            }
            (None, Some(0)) => {
                return Err(format!(
                    "container has runAsNonRoot and image will run as root {}",
                    in_pod()
                ));
            }
            _ => {}
        }
    }
    let is_privileged = privileged(container);
    let unmasked = own.and_then(|own| own.proc_mount.as_deref()) == Some("Unmasked");
    let paths = |paths: &[&str]| -> Vec<String> {
        if is_privileged || unmasked {
            Vec::new()
        } else {
            paths.iter().map(|path| (*path).to_owned()).collect()
        }
    };
    let capabilities = own
        .and_then(|own| own.capabilities.as_ref())
        .map(|own| cri::Capability {
            add_capabilities: own.add.clone().unwrap_or_default(),
            drop_capabilities: own.drop.clone().unwrap_or_default(),
            ..cri::Capability::default()
        });
    let seccomp_profile = own
        .and_then(|own| own.seccomp_profile.as_ref())
        .or_else(|| whole.and_then(|own| own.seccomp_profile.as_ref()));
    let selinux_options = own
        .and_then(|own| own.se_linux_options.as_ref())
        .or_else(|| whole.and_then(|own| own.se_linux_options.as_ref()));
    Ok(cri::LinuxContainerSecurityContext {
        capabilities,
        privileged: is_privileged,
        namespace_options: Some(namespaces(pod)),
        selinux_options: selinux_options.map(selinux),
        run_as_user: user.map(int),
        run_as_group: group.map(int),
        readonly_rootfs: own
            .and_then(|own| own.read_only_root_filesystem)
            .unwrap_or(false),
        supplemental_groups: supplemental_groups(whole),
        no_new_privs: own.and_then(|own| own.allow_privilege_escalation) == Some(false),
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        seccomp: Some(seccomp(seccomp_profile)),
        ..cri::LinuxContainerSecurityContext::default()
    })
}

fn supplemental_groups(context: Option<&PodSecurityContext>) -> Vec<i64> {
    let mut groups = context
        .and_then(|own| own.supplemental_groups.clone())
        .unwrap_or_default();
    groups.extend(context.and_then(|own| own.fs_group));
    groups
}

fn selinux(own: &SELinuxOptions) -> cri::SeLinuxOption {
    cri::SeLinuxOption {
        user: own.user.clone().unwrap_or_default(),
        role: own.role.clone().unwrap_or_default(),
        r#type: own.type_.clone().unwrap_or_default(),
        level: own.level.clone().unwrap_or_default(),
    }
}

fn profile(kind: ProfileType, localhost: &str) -> cri::SecurityProfile {
    cri::SecurityProfile {
        profile_type: kind as i32,
        localhost_ref: localhost.to_owned(),
    }
}

fn seccomp(own: Option<&SeccompProfile>) -> cri::SecurityProfile {
    match own.map(|own| own.type_.as_str()) {
        Some("RuntimeDefault") => profile(ProfileType::RuntimeDefault, ""),
        Some("Localhost") => {
            let file = own
                .and_then(|own| own.localhost_profile.as_deref())
                .unwrap_or_default();
            profile(
                ProfileType::Localhost,
                &format!("/var/lib/kubelet/seccomp/{file}"),
            )
        }
        _ => profile(ProfileType::Unconfined, ""),
    }
}
