//! Cgroups of pods and containers: where they are, their limits, their figures, their end.
//!
//! Paths are relative to the mount, which in a node that is itself a container shows that container's own
//! cgroup as its root.

pub mod migration;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_cri::v1::LinuxContainerResources;

/// The cgroup hierarchies of this machine.
#[derive(Debug, Clone)]
pub enum Cgroups {
    /// One mount per controller (also hybrid machines).
    V1(BTreeMap<String, PathBuf>),
    /// The unified hierarchy.
    V2(PathBuf),
}

/// What a cgroup has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// Memory less inactive file pages.
    pub working_set: u64,
    /// Anonymous memory.
    pub rss: u64,
    /// The limit, if there is one.
    pub memory_limit: Option<u64>,
    /// Minor and major page faults.
    pub page_faults: u64,
    /// Major page faults.
    pub major_page_faults: u64,
    /// Processes.
    pub processes: u64,
}

impl Cgroups {
    /// Reads the mounts of this process.
    pub fn detect() -> io::Result<Cgroups> {
        Ok(Cgroups::parse(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    /// The hierarchies in the text of a mountinfo file.
    pub fn parse(mountinfo: &str) -> Cgroups {
        let mut controllers = BTreeMap::new();
        let mut unified = None;
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let Some(mount_point) = left.split(' ').nth(4) else {
                continue;
            };
            let mut right = right.split(' ');
            let kind = right.next().unwrap_or_default();
            let options = right.nth(1).unwrap_or_default();
            match kind {
                "cgroup2" => {
                    unified.get_or_insert_with(|| PathBuf::from(mount_point));
                }
                "cgroup" => {
                    for option in options.split(',') {
                        if CONTROLLERS.contains(&option) || option.starts_with("name=") {
                            controllers
                                .entry(option.to_owned())
                                .or_insert_with(|| PathBuf::from(mount_point));
                        }
                    }
                }
                _ => {}
            }
        }
        match unified {
            Some(root) if controllers.is_empty() => Cgroups::V2(root),
            _ => Cgroups::V1(controllers),
        }
    }

    /// Whether this is the unified hierarchy.
    pub fn is_v2(&self) -> bool {
        matches!(self, Cgroups::V2(_))
    }

    /// The directory of `cgroup` for a controller (all the same in v2).
    pub fn directory(&self, controller: &str, cgroup: &str) -> Option<PathBuf> {
        let cgroup = cgroup.trim_start_matches('/');
        match self {
            Cgroups::V1(mounts) => Some(mounts.get(controller)?.join(cgroup)),
            Cgroups::V2(root) => Some(root.join(cgroup)),
        }
    }

    /// The file that counts kills for lack of memory.
    pub fn oom_file(&self, cgroup: &str) -> Option<PathBuf> {
        let name = if self.is_v2() {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        Some(self.directory("memory", cgroup)?.join(name))
    }

    /// The file that lists the processes.
    pub fn procs_file(&self, cgroup: &str) -> Option<PathBuf> {
        ["pids", "memory", "cpu", "freezer", "devices"]
            .iter()
            .find_map(|controller| self.directory(controller, cgroup))
            .map(|directory| directory.join("cgroup.procs"))
    }

    fn directories(&self, cgroup: &str) -> Vec<PathBuf> {
        let cgroup = cgroup.trim_start_matches('/');
        match self {
            Cgroups::V1(mounts) => {
                let mut all: Vec<PathBuf> =
                    mounts.values().map(|mount| mount.join(cgroup)).collect();
                all.dedup();
                all
            }
            Cgroups::V2(root) => vec![root.join(cgroup)],
        }
    }

    /// Whether the cgroup exists in some hierarchy.
    pub fn exists(&self, cgroup: &str) -> bool {
        self.directories(cgroup).iter().any(|path| path.is_dir())
    }

    /// Removes the cgroup and those below it. One that is in use stays; that is an error.
    pub fn remove(&self, cgroup: &str) -> io::Result<()> {
        if cgroup.trim_matches('/').is_empty() {
            return Ok(());
        }
        for directory in self.directories(cgroup) {
            remove_below(&directory)?;
        }
        Ok(())
    }

    /// Kills every process in the cgroup.
    pub fn kill(&self, cgroup: &str) {
        let Some(procs) = self.procs_file(cgroup) else {
            return;
        };
        for pid in fs::read_to_string(procs).unwrap_or_default().lines() {
            if let Ok(pid) = pid.parse() {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
    }

    /// On the unified hierarchy a cgroup with processes hands out no controllers. When the root of our view
    /// is a container's cgroup, its processes move into a leaf of their own.
    pub fn prepare(&self) -> io::Result<()> {
        let Cgroups::V2(root) = self else {
            return Ok(());
        };
        let available = fs::read_to_string(root.join("cgroup.controllers"))?;
        let wanted: Vec<String> = available
            .split_whitespace()
            .map(|controller| format!("+{controller}"))
            .collect();
        let control = root.join("cgroup.subtree_control");
        if !refused_as_busy(&control, &wanted) {
            return Ok(());
        }
        let leaf = root.join("node");
        fs::create_dir_all(&leaf)?;
        for pid in fs::read_to_string(root.join("cgroup.procs"))?.lines() {
            // Kernel threads and processes that are gone by now do not move.
            let _ = fs::write(leaf.join("cgroup.procs"), pid);
        }
        refused_as_busy(&control, &wanted);
        Ok(())
    }

    /// Applies new limits to a running container.
    pub fn update(&self, cgroup: &str, resources: &LinuxContainerResources) -> io::Result<()> {
        let write = |(controller, file, value): &(&'static str, String, String)| {
            let Some(directory) = self.directory(controller, cgroup) else {
                return Ok(());
            };
            fs::write(directory.join(file), value).map_err(|error| {
                io::Error::new(error.kind(), format!("set {file} to {value}: {error}"))
            })
        };
        // Memory may not exceed memory and swap together, nor a quota what its parent's period allows: which
        // of two goes first depends on the direction of the change. What is refused is tried again at the end.
        let refused: Vec<_> = self
            .limits(resources)
            .into_iter()
            .filter(|limit| write(limit).is_err())
            .collect();
        refused.iter().try_for_each(write)
    }

    /// The files to write for `resources`: controller, file, value.
    pub fn limits(
        &self,
        resources: &LinuxContainerResources,
    ) -> Vec<(&'static str, String, String)> {
        let mut files = Vec::new();
        let mut set = |controller, file: &str, value: String| {
            files.push((controller, file.to_owned(), value));
        };
        let period = if resources.cpu_period > 0 {
            resources.cpu_period
        } else {
            100_000
        };
        if self.is_v2() {
            if resources.cpu_shares > 0 {
                set(
                    "cpu",
                    "cpu.weight",
                    weight(resources.cpu_shares).to_string(),
                );
            }
            if resources.cpu_quota > 0 {
                set(
                    "cpu",
                    "cpu.max",
                    format!("{} {period}", resources.cpu_quota),
                );
            } else if resources.cpu_quota < 0 {
                set("cpu", "cpu.max", format!("max {period}"));
            }
            if resources.memory_limit_in_bytes > 0 {
                set(
                    "memory",
                    "memory.max",
                    resources.memory_limit_in_bytes.to_string(),
                );
            }
            for (file, value) in &resources.unified {
                set("memory", file, value.clone());
            }
        } else {
            if resources.cpu_shares > 0 {
                set("cpu", "cpu.shares", resources.cpu_shares.to_string());
            }
            if resources.cpu_period > 0 {
                set("cpu", "cpu.cfs_period_us", resources.cpu_period.to_string());
            }
            if resources.cpu_quota != 0 {
                set("cpu", "cpu.cfs_quota_us", resources.cpu_quota.to_string());
            }
            if resources.memory_limit_in_bytes > 0 {
                set(
                    "memory",
                    "memory.limit_in_bytes",
                    resources.memory_limit_in_bytes.to_string(),
                );
                if self.limits_swap() {
                    let both = resources
                        .memory_swap_limit_in_bytes
                        .max(resources.memory_limit_in_bytes);
                    set("memory", "memory.memsw.limit_in_bytes", both.to_string());
                }
            }
        }
        if !resources.cpuset_cpus.is_empty() {
            set("cpuset", "cpuset.cpus", resources.cpuset_cpus.clone());
        }
        if !resources.cpuset_mems.is_empty() {
            set("cpuset", "cpuset.mems", resources.cpuset_mems.clone());
        }
        files
    }

    /// Whether a limit of memory and swap together can be set.
    pub fn limits_swap(&self) -> bool {
        match self {
            Cgroups::V1(mounts) => mounts
                .get("memory")
                .is_some_and(|mount| mount.join("memory.memsw.limit_in_bytes").exists()),
            // The root itself has no such file.
            Cgroups::V2(root) => fs::read_dir(root)
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| entry.path().join("memory.swap.max").exists()),
        }
    }

    /// What the cgroup has used; `None` when it is not there.
    pub fn usage(&self, cgroup: &str) -> Option<Usage> {
        let memory = self.directory("memory", cgroup)?;
        let stat = flat(&memory.join("memory.stat"));
        let get = |name: &str| stat.get(name).copied().unwrap_or(0);
        let mut usage = if self.is_v2() {
            let cpu = flat(&memory.join("cpu.stat"));
            Usage {
                cpu_ns: cpu.get("usage_usec").copied().unwrap_or(0) * 1000,
                memory: number(&memory.join("memory.current"))?,
                rss: get("anon"),
                memory_limit: number(&memory.join("memory.max")),
                page_faults: get("pgfault"),
                major_page_faults: get("pgmajfault"),
                ..Usage::default()
            }
        } else {
            Usage {
                cpu_ns: self
                    .directory("cpuacct", cgroup)
                    .and_then(|directory| number(&directory.join("cpuacct.usage")))
                    .unwrap_or(0),
                memory: number(&memory.join("memory.usage_in_bytes"))?,
                rss: get("total_rss"),
                // The kernel's "no limit" is the largest multiple of a page.
                memory_limit: number(&memory.join("memory.limit_in_bytes"))
                    .filter(|limit| *limit < 1 << 62),
                page_faults: get("total_pgfault"),
                major_page_faults: get("total_pgmajfault"),
                ..Usage::default()
            }
        };
        let inactive = if self.is_v2() {
            get("inactive_file")
        } else {
            get("total_inactive_file")
        };
        usage.working_set = usage.memory.saturating_sub(inactive);
        usage.processes = self
            .directory("pids", cgroup)
            .and_then(|directory| number(&directory.join("pids.current")))
            .unwrap_or(0);
        Some(usage)
    }
}

const CONTROLLERS: &[&str] = &[
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "net_cls",
    "net_prio",
    "perf_event",
    "hugetlb",
];

/// Enables the controllers; true when the kernel refused one because of processes in the cgroup. Those
/// that are refused for other reasons are not to be had.
fn refused_as_busy(control: &Path, wanted: &[String]) -> bool {
    let mut busy = false;
    for controller in wanted {
        if let Err(error) = fs::write(control, controller) {
            busy |= error.kind() == io::ErrorKind::ResourceBusy;
        }
    }
    busy
}

fn remove_below(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path())?;
        }
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Shares of v1 (2 … 262144) as a weight of v2 (1 … 10000), as the OCI runtimes convert them.
pub fn weight(shares: i64) -> i64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn flat(path: &Path) -> BTreeMap<String, u64> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_machines_use_the_controllers_mounts() {
        let text = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 /docker/1 /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
        let cgroups = Cgroups::parse(text);
        assert!(!cgroups.is_v2());
        assert_eq!(
            cgroups.oom_file("/kubepods/a"),
            Some("/sys/fs/cgroup/memory/kubepods/a/memory.oom_control".into())
        );
        assert_eq!(cgroups.directory("pids", "/a"), None);
    }

    #[test]
    fn a_lone_cgroup2_mount_is_the_unified_hierarchy() {
        let cgroups =
            Cgroups::parse("30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
        assert!(cgroups.is_v2());
        assert_eq!(
            cgroups.procs_file("a/b"),
            Some("/sys/fs/cgroup/a/b/cgroup.procs".into())
        );
    }

    #[test]
    fn shares_become_weights() {
        for (shares, expected) in [
            (0, 1),
            (2, 1),
            (1024, 39),
            (262_144, 10_000),
            (1 << 40, 10_000),
        ] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
    }

    #[test]
    fn limits_name_the_files_of_each_version() {
        let resources = LinuxContainerResources {
            cpu_quota: 50_000,
            cpu_period: 100_000,
            cpu_shares: 512,
            memory_limit_in_bytes: 1 << 20,
            ..Default::default()
        };
        let names = |cgroups: Cgroups| -> Vec<String> {
            cgroups
                .limits(&resources)
                .into_iter()
                .map(|(_, file, value)| format!("{file}={value}"))
                .collect()
        };
        assert_eq!(
            names(Cgroups::V1(BTreeMap::new())),
            [
                "cpu.shares=512",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "memory.limit_in_bytes=1048576"
            ]
        );
        assert_eq!(
            names(Cgroups::V2("/".into())),
            [
                "cpu.weight=20",
                "cpu.max=50000 100000",
                "memory.max=1048576"
            ]
        );
    }
}
