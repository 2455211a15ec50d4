//! Control groups of pods, in hierarchies of version 1 and 2.
//!
//! ```text
//! <mount>/kubepods/pod<uid>              Guaranteed
//! <mount>/kubepods/burstable/pod<uid>    Burstable
//! <mount>/kubepods/besteffort/pod<uid>   BestEffort
//! ```
//! The runtime makes the containers' groups below the pod's. A limit that the kernel refuses is
//! reported and left out: a pod with less isolation is better than none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;

use crate::pod::spec;
use crate::qos::{self, Class};
use crate::resources::{self, Amounts};

/// Who makes control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// We do, as directories.
    Cgroupfs,
    /// systemd does, as slices.
    Systemd,
}

/// A mounted hierarchy of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    path: PathBuf,
    controllers: Vec<String>,
}

/// The control groups of this node.
#[derive(Clone, Debug)]
pub struct Cgroups {
    unified: Option<PathBuf>,
    hierarchies: Vec<Hierarchy>,
    driver: std::sync::Arc<std::sync::OnceLock<Driver>>,
}

impl Cgroups {
    /// What `/proc/self/mountinfo` shows. The mount point is taken for the root, whatever
    /// `/proc/self/cgroup` says: inside a container the two do not fit.
    pub fn find() -> Cgroups {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let (unified, hierarchies) = parse(&table);
        Cgroups {
            unified,
            hierarchies,
            driver: std::sync::Arc::default(),
        }
    }

    /// None at all: for tests, and for machines without them.
    pub fn none() -> Cgroups {
        Cgroups {
            unified: None,
            hierarchies: Vec::new(),
            driver: std::sync::Arc::default(),
        }
    }

    /// Whether version 2 is in use.
    pub fn unified(&self) -> bool {
        self.unified.is_some()
    }

    /// Sets who makes control groups; the first word counts.
    pub fn set_driver(&self, driver: Driver) {
        let _ = self.driver.set(driver);
    }

    fn systemd(&self) -> bool {
        self.driver.get() == Some(&Driver::Systemd)
    }

    /// The name of a pod's group, for the runtime.
    pub fn parent(&self, pod: &Pod) -> String {
        let (class, uid) = (qos::class(pod), spec::uid(pod));
        if self.systemd() {
            qos::cgroup_slice(class, uid)
        } else {
            qos::cgroup_parent(class, uid)
        }
    }

    /// Makes the group of `pod` with its limits.
    pub fn ensure(&self, pod: &Pod) -> io::Result<()> {
        if self.systemd() {
            return Ok(());
        }
        let class = qos::class(pod);
        let path = qos::cgroup_parent(class, spec::uid(pod));
        let amounts = resources::of_pod(pod);
        if let Some(root) = &self.unified {
            let group = make_unified(root, &path)?;
            limit_unified(&group, &amounts);
        }
        for hierarchy in &self.hierarchies {
            let group = make(hierarchy, &path)?;
            for controller in &hierarchy.controllers {
                limit(&group, controller, &amounts);
            }
        }
        Ok(())
    }

    /// Removes the groups of a pod, whatever class it had.
    pub fn remove(&self, uid: &str) -> io::Result<()> {
        for group in self.groups(uid) {
            remove(&group)?;
        }
        Ok(())
    }

    /// Whether a pod has a group.
    pub fn exist(&self, uid: &str) -> bool {
        !self.groups(uid).is_empty()
    }

    fn groups(&self, uid: &str) -> Vec<PathBuf> {
        let classes = [Class::Guaranteed, Class::Burstable, Class::BestEffort];
        let roots = self.roots();
        let below = |root: &PathBuf| {
            let root = root.clone();
            classes.map(|class| root.join(qos::cgroup_parent(class, uid).trim_start_matches('/')))
        };
        roots
            .iter()
            .flat_map(below)
            .filter(|group| group.is_dir())
            .collect()
    }

    fn roots(&self) -> Vec<PathBuf> {
        self.unified
            .iter()
            .cloned()
            .chain(self.hierarchies.iter().map(|own| own.path.clone()))
            .collect()
    }

    /// The uids of pods that have a group.
    pub fn uids(&self) -> Vec<String> {
        let mut uids = Vec::new();
        for root in self.roots() {
            for class in ["kubepods", "kubepods/burstable", "kubepods/besteffort"] {
                for entry in fs::read_dir(root.join(class))
                    .into_iter()
                    .flatten()
                    .flatten()
                {
                    let name = entry.file_name();
                    let Some(uid) = name.to_str().and_then(|name| name.strip_prefix("pod")) else {
                        continue;
                    };
                    if entry.path().is_dir() && !uids.iter().any(|own| own == uid) {
                        uids.push(uid.to_owned());
                    }
                }
            }
        }
        uids
    }
}

fn parse(table: &str) -> (Option<PathBuf>, Vec<Hierarchy>) {
    let mut unified = None;
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    for line in table.lines() {
        let Some((mount, source)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(point), mut source) = (mount.split(' ').nth(4), source.split(' ')) else {
            continue;
        };
        let (kind, options) = (source.next(), source.nth(1).unwrap_or_default());
        match kind {
            // In the hybrid layout version 2 is mounted beside version 1 and carries no controllers.
            Some("cgroup2") if point == "/sys/fs/cgroup" => unified = Some(PathBuf::from(point)),
            Some("cgroup") => {
                const FLAGS: [&str; 5] = ["rw", "ro", "xattr", "clone_children", "relatime"];
                let controllers: Vec<String> = options
                    .split(',')
                    .filter(|option| !FLAGS.contains(option) && !option.contains('='))
                    .map(str::to_owned)
                    .collect();
                let path = PathBuf::from(point);
                if !controllers.is_empty() && !hierarchies.iter().any(|own| own.path == path) {
                    hierarchies.push(Hierarchy { path, controllers });
                }
            }
            _ => {}
        }
    }
    (unified, hierarchies)
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn create(group: &Path) -> io::Result<bool> {
    match fs::create_dir(group) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn make(hierarchy: &Hierarchy, path: &str) -> io::Result<PathBuf> {
    let mut group = hierarchy.path.clone();
    let cpuset = hierarchy.controllers.iter().any(|own| own == "cpuset");
    for part in steps(path) {
        let parent = group.clone();
        group.push(part);
        let fresh = create(&group)?;
        if fresh && cpuset {
            // A new group of this controller is empty, and nothing can run in it.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let value = fs::read_to_string(parent.join(file)).unwrap_or_default();
                write(&group.join(file), value.trim());
            }
        }
        if fresh && part == "besteffort" && hierarchy.controllers.iter().any(|own| own == "cpu") {
            write(&group.join("cpu.shares"), "2");
        }
    }
    Ok(group)
}

fn make_unified(root: &Path, path: &str) -> io::Result<PathBuf> {
    let mut group = root.to_owned();
    for part in steps(path) {
        let available = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
        let enabled = fs::read_to_string(group.join("cgroup.subtree_control")).unwrap_or_default();
        for controller in ["cpu", "cpuset", "memory", "pids", "io"] {
            let has = |list: &str| list.split_whitespace().any(|own| own == controller);
            if has(&available) && !has(&enabled) {
                write(
                    &group.join("cgroup.subtree_control"),
                    &format!("+{controller}"),
                );
            }
        }
        group.push(part);
        if create(&group)? && part == "besteffort" {
            write(&group.join("cpu.weight"), "1");
        }
    }
    Ok(group)
}

fn limit(group: &Path, controller: &str, amounts: &Amounts) {
    match controller {
        "cpu" => {
            let shares = resources::cpu_shares(amounts.cpu_request.unwrap_or(0));
            write(&group.join("cpu.shares"), &shares.to_string());
            let (quota, period) = resources::cpu_quota(amounts.cpu_limit);
            if quota > 0 {
                write(&group.join("cpu.cfs_period_us"), &period.to_string());
                write(&group.join("cpu.cfs_quota_us"), &quota.to_string());
            }
        }
        "memory" => {
            if let Some(limit) = amounts.memory_limit {
                write(&group.join("memory.limit_in_bytes"), &limit.to_string());
            }
        }
        _ => {}
    }
}

fn limit_unified(group: &Path, amounts: &Amounts) {
    let shares = resources::cpu_shares(amounts.cpu_request.unwrap_or(0));
    // The kernel's own mapping of [2, 262144] to [1, 10000].
    let weight = 1 + (shares - 2) * 9999 / 262_142;
    write(&group.join("cpu.weight"), &weight.to_string());
    let (quota, period) = resources::cpu_quota(amounts.cpu_limit);
    if quota > 0 {
        write(&group.join("cpu.max"), &format!("{quota} {period}"));
    }
    if let Some(limit) = amounts.memory_limit {
        write(&group.join("memory.max"), &limit.to_string());
    }
}

fn write(file: &Path, value: &str) {
    if let Err(error) = fs::write(file, value) {
        tracing::debug!(file = %file.display(), value, %error, "the control group does not take this");
    }
}

/// Groups are removed from the leaves up; their files go with them.
fn remove(group: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    match fs::remove_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_by_their_mounts() {
        let hybrid = "\
30 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n\
31 30 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n\
32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
33 30 0:29 /docker/abc /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let (unified, hierarchies) = parse(hybrid);
        assert_eq!(unified, None);
        let found: Vec<String> = hierarchies
            .iter()
            .map(|own| own.controllers.join(","))
            .collect();
        assert_eq!(found, ["cpu,cpuacct", "memory"]);
        let (unified, hierarchies) = parse("29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        assert_eq!(
            (unified, hierarchies),
            (Some(PathBuf::from("/sys/fs/cgroup")), Vec::new())
        );
    }
}
