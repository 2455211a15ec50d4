//! What the machine is: CPU, memory, storage, names of system and kernel.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::context::Capacity;

/// Memory that is kept for the system before pods are evicted.
const EVICTION: i64 = 100 << 20;

/// The architecture as Kubernetes names it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// What the machine has. Storage is that of the file system of `root`.
pub fn capacity(root: &Path, max_pods: usize) -> Capacity {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = i64::try_from(cpus).unwrap_or(1) * 1000;
    let memory = memory_total().unwrap_or(0);
    let storage = nix::sys::statvfs::statvfs(root)
        .map(|own| {
            i64::try_from(own.blocks().saturating_mul(own.fragment_size())).unwrap_or(i64::MAX)
        })
        .unwrap_or(0);
    let pods = i64::try_from(max_pods).unwrap_or(i64::MAX);
    let allocatable: BTreeMap<String, i64> = [
        ("cpu", cpu),
        ("memory", (memory - EVICTION).max(0)),
        ("ephemeral-storage", storage / 10 * 9),
        ("pods", pods),
    ]
    .into_iter()
    .map(|(name, amount)| (name.to_owned(), amount))
    .collect();
    Capacity {
        cpu,
        memory,
        storage,
        allocatable,
    }
}

fn memory_line(name: &str) -> Option<i64> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let line = table
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn memory_total() -> Option<i64> {
    memory_line("MemTotal")
}

/// Whether so little memory is left that pods would be evicted.
pub fn memory_pressure() -> bool {
    memory_line("MemAvailable").is_some_and(|available| available < EVICTION)
}

/// Whether the file system of `root` is nearly full.
pub fn disk_pressure(root: &Path) -> bool {
    nix::sys::statvfs::statvfs(root).is_ok_and(|own| {
        let blocks = own.blocks().max(1);
        let inodes = own.files();
        own.blocks_available() * 100 / blocks < 5
            || (inodes > 0 && own.files_available() * 100 / inodes < 5)
    })
}

/// Whether nearly all process ids are in use.
pub fn pid_pressure() -> bool {
    let read = |path: &str| fs::read_to_string(path).ok();
    let most = read("/proc/sys/kernel/pid_max").and_then(|text| text.trim().parse::<u64>().ok());
    let now = read("/proc/loadavg").and_then(|text| {
        text.split(' ')
            .nth(3)?
            .split_once('/')?
            .1
            .parse::<u64>()
            .ok()
    });
    matches!((most, now), (Some(most), Some(now)) if now * 100 / most.max(1) >= 90)
}

fn line(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The machine's id.
pub fn machine_id() -> String {
    let own = line("/etc/machine-id");
    if own.is_empty() {
        line("/var/lib/dbus/machine-id")
    } else {
        own
    }
}

/// The id of the hardware; the machine's where the firmware has none.
pub fn system_uuid() -> String {
    let own = line("/sys/class/dmi/id/product_uuid");
    if own.is_empty() { machine_id() } else { own }
}

/// The id of this boot.
pub fn boot_id() -> String {
    line("/proc/sys/kernel/random/boot_id")
}

/// The kernel's release.
pub fn kernel() -> String {
    line("/proc/sys/kernel/osrelease")
}

/// The name of the system: `Debian GNU/Linux 12 (bookworm)`.
pub fn os_image() -> String {
    let table = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = table
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

/// The host name, in lower case as node names are.
pub fn hostname() -> String {
    line("/proc/sys/kernel/hostname").to_lowercase()
}
