//! Figures of containers and pods, read from their cgroups when asked for.

use k8s_cri::v1::{
    self as cri, ContainerAttributes, ContainerStats, CpuUsage, FilesystemIdentifier,
    FilesystemUsage, LinuxPodSandboxStats, MemoryUsage, NetworkInterfaceUsage, NetworkUsage,
    PodSandboxAttributes, PodSandboxStats, ProcessUsage, UInt64Value,
};

use super::Runtime;
use super::records::{ContainerRecord, SandboxRecord};
use super::status::is_running;
use crate::cgroup::Usage;
use crate::shim::process::now;

impl Runtime {
    /// The figures of a container; only attributes once it has ended.
    pub(super) fn container_stats(&self, record: &ContainerRecord) -> ContainerStats {
        let usage = is_running(record)
            .then(|| self.cgroups.usage(&record.cgroup))
            .flatten();
        let upper = self.layout().container(&record.id).join("upper");
        let (bytes, inodes) = tree_size(&upper);
        ContainerStats {
            attributes: Some(ContainerAttributes {
                id: record.id.clone(),
                metadata: record.config.metadata.clone(),
                labels: record.config.labels.clone(),
                annotations: record.config.annotations.clone(),
            }),
            cpu: usage.as_ref().map(cpu),
            memory: usage.as_ref().map(memory),
            writable_layer: Some(FilesystemUsage {
                timestamp: now(),
                fs_id: Some(FilesystemIdentifier {
                    mountpoint: self.layout().root.display().to_string(),
                }),
                used_bytes: value(bytes),
                inodes_used: value(inodes),
            }),
            swap: None,
        }
    }

    /// The figures of a pod: those of its cgroup, and its containers'.
    pub(super) fn sandbox_stats(&self, record: &SandboxRecord) -> PodSandboxStats {
        let usage = self.cgroups.usage(record.cgroup_parent());
        let containers = self
            .containers_of(&record.id)
            .iter()
            .map(|container| container.record())
            .filter(is_running)
            .map(|container| self.container_stats(&container))
            .collect();
        let network = record.netns.as_ref().filter(|_| record.ready).map(|_| {
            let text = std::fs::read_to_string(format!("/proc/{}/net/dev", record.shim))
                .unwrap_or_default();
            network(&text)
        });
        PodSandboxStats {
            attributes: Some(PodSandboxAttributes {
                id: record.id.clone(),
                metadata: record.config.metadata.clone(),
                labels: record.config.labels.clone(),
                annotations: record.config.annotations.clone(),
            }),
            linux: Some(LinuxPodSandboxStats {
                cpu: usage.as_ref().map(cpu),
                memory: usage.as_ref().map(memory),
                network,
                process: usage.as_ref().map(|usage| ProcessUsage {
                    timestamp: now(),
                    process_count: value(usage.processes),
                }),
                containers,
            }),
            windows: None,
        }
    }

    /// What images and containers take on the disk.
    pub(super) fn image_fs_info(&self) -> cri::ImageFsInfoResponse {
        let usage = |(bytes, inodes): (u64, u64), path: &std::path::Path| FilesystemUsage {
            timestamp: now(),
            fs_id: Some(FilesystemIdentifier {
                mountpoint: path.display().to_string(),
            }),
            used_bytes: value(bytes),
            inodes_used: value(inodes),
        };
        let containers = self.layout().root.join("containers");
        cri::ImageFsInfoResponse {
            image_filesystems: vec![usage(self.images.usage(), self.images.root())],
            container_filesystems: vec![usage(tree_size(&containers), &containers)],
        }
    }
}

fn value(value: u64) -> Option<UInt64Value> {
    Some(UInt64Value { value })
}

fn cpu(usage: &Usage) -> CpuUsage {
    CpuUsage {
        timestamp: now(),
        usage_core_nano_seconds: value(usage.cpu_ns),
        usage_nano_cores: None,
    }
}

fn memory(usage: &Usage) -> MemoryUsage {
    MemoryUsage {
        timestamp: now(),
        working_set_bytes: value(usage.working_set),
        available_bytes: usage
            .memory_limit
            .and_then(|limit| value(limit.saturating_sub(usage.working_set))),
        usage_bytes: value(usage.memory),
        rss_bytes: value(usage.rss),
        page_faults: value(usage.page_faults),
        major_page_faults: value(usage.major_page_faults),
    }
}

/// The interfaces in the text of `/proc/<pid>/net/dev`, without the loopback.
fn network(text: &str) -> NetworkUsage {
    let interfaces: Vec<NetworkInterfaceUsage> = text
        .lines()
        .skip(2)
        .filter_map(|line| {
            let (name, numbers) = line.split_once(':')?;
            let numbers: Vec<u64> = numbers
                .split_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect();
            Some(NetworkInterfaceUsage {
                name: name.trim().to_owned(),
                rx_bytes: value(*numbers.first()?),
                rx_errors: value(*numbers.get(2)?),
                tx_bytes: value(*numbers.get(8)?),
                tx_errors: value(*numbers.get(10)?),
            })
        })
        .filter(|interface| interface.name != "lo")
        .collect();
    NetworkUsage {
        timestamp: now(),
        default_interface: interfaces
            .iter()
            .find(|interface| interface.name == "eth0")
            .cloned(),
        interfaces,
    }
}

fn tree_size(path: &std::path::Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        sum.0 += metadata.blocks() * 512;
        sum.1 += 1;
        if metadata.is_dir() {
            let (bytes, inodes) = tree_size(&entry.path());
            sum.0 += bytes;
            sum.1 += inodes;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_without_the_loopback() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n\
                    \x20 eth0: 100 2 3 0 0 0 0 0 200 4 5 0 0 0 0 0\n";
        let usage = network(text);
        assert_eq!(usage.interfaces.len(), 1);
        let eth0 = usage.default_interface.expect("eth0");
        let numbers: Vec<u64> = [eth0.rx_bytes, eth0.rx_errors, eth0.tx_bytes, eth0.tx_errors]
            .into_iter()
            .flatten()
            .map(|value| value.value)
            .collect();
        assert_eq!(numbers, [100, 3, 200, 5]);
    }
}
