//! Moving a process into a cgroup, without the kernel's wait.
//!
//! The kernel's lock for such moves is made for rare writers: the first one after a pause waits for an RCU
//! grace period, 5 to 10 ms, before it may begin; those that follow within some 20 ms do not. A container is
//! moved last, into each controller. So when one is about to come, a move that changes nothing is made
//! in time and beside all else: this process into the cgroup where it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Cgroups;

/// Takes the kernel's wait upon itself.
#[derive(Debug, Clone, Default)]
pub struct Migration {
    /// The `cgroup.procs` that lists this process; `None` where it cannot be found.
    own: Option<PathBuf>,
    underway: Arc<AtomicBool>,
}

impl Migration {
    /// Finds the cgroup of this process.
    pub fn new(cgroups: &Cgroups) -> Migration {
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let pid = std::process::id().to_string();
        let lists_us = |path: &PathBuf| {
            let pids = fs::read_to_string(path).unwrap_or_default();
            pids.lines().any(|line| line == pid)
        };
        Migration {
            own: candidates(cgroups, &membership).into_iter().find(lists_us),
            underway: Arc::default(),
        }
    }

    /// Says that a process will soon be moved. Returns at once.
    pub fn is_near(&self) {
        let Some(path) = self.own.clone() else {
            return;
        };
        if self.underway.swap(true, Ordering::AcqRel) {
            return;
        }
        let underway = self.underway.clone();
        tokio::task::spawn_blocking(move || {
            // Where it cannot be done, the move itself waits as ever.
            let _ = fs::write(path, std::process::id().to_string());
            underway.store(false, Ordering::Release);
        });
    }
}

/// Where this process may be listed: what its membership says, and the root of the mount, which in a
/// container is the container's own cgroup whatever the membership says.
fn candidates(cgroups: &Cgroups, membership: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let mount: Option<&Path> = match cgroups {
            Cgroups::V2(root) => controllers.is_empty().then_some(root.as_path()),
            Cgroups::V1(mounts) => controllers
                .split(',')
                .find_map(|controller| mounts.get(controller))
                .map(PathBuf::as_path),
        };
        if let Some(mount) = mount {
            let inside = mount.join(path.trim_start_matches('/'));
            found.extend([inside.join("cgroup.procs"), mount.join("cgroup.procs")]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_looked_for_where_it_says_and_at_the_root_of_the_mount() {
        let v1 = Cgroups::V1([("pids".to_owned(), PathBuf::from("/sys/pids"))].into());
        let text = "8:pids:/docker/1\n1:name=systemd:/x\n0::/unified\n";
        assert_eq!(
            candidates(&v1, text),
            [
                PathBuf::from("/sys/pids/docker/1/cgroup.procs"),
                "/sys/pids/cgroup.procs".into()
            ]
        );
        let v2 = Cgroups::V2("/sys".into());
        assert_eq!(
            candidates(&v2, text),
            [
                PathBuf::from("/sys/unified/cgroup.procs"),
                "/sys/cgroup.procs".into()
            ]
        );
    }
}
