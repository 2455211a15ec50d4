//! Which capabilities a container gets.

use std::collections::BTreeSet;

use k8s_cri::v1::LinuxContainerSecurityContext;

/// What every container has that does not drop it.
const DEFAULT: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// By the kernel's numbers.
const NAMES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The capabilities in the mask of a `CapBnd:` line.
pub fn from_status(status: &str) -> BTreeSet<String> {
    let mask = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapBnd:")?.trim(), 16).ok())
        .unwrap_or(0);
    NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect()
}

/// The capabilities that this process may hand on.
pub fn bounding() -> BTreeSet<String> {
    from_status(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// What the container gets: never more than the node has itself. Who may make device files could reach every
/// device where cgroups do not guard them (`devices_guarded`): there it must be asked for by name.
pub fn of(
    security: &LinuxContainerSecurityContext,
    bounding: &BTreeSet<String>,
    devices_guarded: bool,
) -> Vec<String> {
    let all = || NAMES.iter().map(|name| (*name).to_owned());
    let mut set: BTreeSet<String> = if security.privileged {
        all().collect()
    } else {
        DEFAULT
            .iter()
            .filter(|name| devices_guarded || **name != "CAP_MKNOD")
            .map(|name| (*name).to_owned())
            .collect()
    };
    if let (Some(change), false) = (&security.capabilities, security.privileged) {
        if change.add_capabilities.iter().any(|name| is_all(name)) {
            set.extend(all());
        }
        if change.drop_capabilities.iter().any(|name| is_all(name)) {
            set.clear();
        }
        set.extend(
            change
                .add_capabilities
                .iter()
                .filter(|name| !is_all(name))
                .map(|name| full(name)),
        );
        for name in &change.drop_capabilities {
            set.remove(&full(name));
        }
    }
    set.intersection(bounding).cloned().collect()
}

/// Those that survive a change of user.
pub fn ambient(security: &LinuxContainerSecurityContext, granted: &[String]) -> Vec<String> {
    security
        .capabilities
        .iter()
        .flat_map(|change| {
            change
                .add_ambient_capabilities
                .iter()
                .map(|name| full(name))
        })
        .filter(|name| granted.contains(name))
        .collect()
}

fn is_all(name: &str) -> bool {
    name.eq_ignore_ascii_case("ALL")
}

fn full(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("CAP_") {
        upper
    } else {
        format!("CAP_{upper}")
    }
}
