//! What every process tells of itself: its build, memory, CPU, files and network.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::build;

#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        gauges(&mut encoder)?;
        counters(&mut encoder)?;
        let help = "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, \
                    git tree state, build date, Go version, and compiler from which Kubernetes was built, and \
                    platform on which it is running.";
        encoder
            .encode_descriptor("kubernetes_build_info", help, None, MetricType::Gauge)?
            .encode_family(&[
                ("build_date", build::DATE),
                ("compiler", build::COMPILER),
                ("git_commit", build::GIT_COMMIT),
                ("git_tree_state", build::GIT_TREE_STATE),
                ("git_version", crate::GIT_VERSION),
                ("go_version", build::GO_VERSION),
                ("major", build::MAJOR),
                ("minor", build::MINOR),
                ("platform", &build::platform()),
            ])?
            .encode_gauge(&1_i64)
    }
}

fn gauges(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            memory("VmRSS:"),
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            memory("VmSize:"),
        ),
        (
            "process_virtual_memory_max_bytes",
            "Maximum amount of virtual memory available in bytes.",
            limit("Max address space"),
        ),
        (
            "process_open_fds",
            "Number of open file descriptors.",
            open_files(),
        ),
        (
            "process_max_fds",
            "Maximum number of open file descriptors.",
            limit("Max open files"),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            start_time(),
        ),
    ] {
        if let Some(value) = value {
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&value)?;
        }
    }
    Ok(())
}

fn counters(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for (name, help, value) in [
        (
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds.",
            cpu_seconds(),
        ),
        (
            "process_network_receive_bytes",
            "Number of bytes received by the process over the network.",
            network("InOctets"),
        ),
        (
            "process_network_transmit_bytes",
            "Number of bytes sent by the process over the network.",
            network("OutOctets"),
        ),
    ] {
        if let Some(value) = value {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            counter.encode(metric)?;
        }
    }
    Ok(())
}

/// The kernel's ticks in a second, as `/proc` counts them on every architecture of Linux.
const TICKS: f64 = 100.0;

/// A size from `/proc/self/status`, in bytes.
fn memory(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// A soft limit of the process; the largest number where there is none, as in Go's client.
fn limit(name: &str) -> Option<f64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        number => number.parse().ok(),
    }
}

fn open_files() -> Option<f64> {
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(f64::from(u32::try_from(count).ok()?))
}

/// A field of `/proc/self/stat`, counted as proc(5) does.
fn stat_field(number: usize) -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, which may have blanks in it.
    let rest = stat.rsplit_once(')')?.1;
    rest.split_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

fn cpu_seconds() -> Option<f64> {
    Some((stat_field(14)? + stat_field(15)?) / TICKS)
}

fn start_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + stat_field(22)? / TICKS)
}

/// A counter of the process's network, from the line of names and the line of numbers of `IpExt`.
fn network(name: &str) -> Option<f64> {
    let netstat = std::fs::read_to_string("/proc/self/net/netstat").ok()?;
    let mut lines = netstat
        .lines()
        .filter_map(|line| line.strip_prefix("IpExt:"));
    let at = lines
        .next()?
        .split_whitespace()
        .position(|own| own == name)?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    #[test]
    fn the_process_is_described_under_the_usual_names() {
        let text = Metrics::default().text();
        for name in [
            "process_cpu_seconds_total ",
            "process_max_fds ",
            "process_network_receive_bytes_total ",
            "process_network_transmit_bytes_total ",
            "process_open_fds ",
            "process_resident_memory_bytes ",
            "process_start_time_seconds ",
            "process_virtual_memory_bytes ",
            "process_virtual_memory_max_bytes ",
            "kubernetes_build_info{build_date=\"",
        ] {
            let found = text.lines().any(|line| line.starts_with(name));
            assert!(found, "{name} in\n{text}");
        }
    }
}
