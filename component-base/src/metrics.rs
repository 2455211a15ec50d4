//! The metrics of a process: one registry, handed down, never global.

use std::sync::{Arc, Mutex};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

/// A shared registry that already knows the process's memory and CPU.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        Metrics(Arc::new(Mutex::new(registry)))
    }
}

impl Metrics {
    /// Lets `register` add metrics to the registry.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(
            &mut self
                .0
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let registry = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &registry) {
            tracing::warn!(%error, "cannot encode the metrics");
        }
        text
    }
}

#[derive(Debug)]
struct ProcessCollector;

impl prometheus_client::collector::Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| {
            let Some(value) = value else { return Ok(()) };
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            metric.encode_gauge(&value)
        };
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            resident_bytes(),
        )?;
        gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            open_files(),
        )?;
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            start_time(),
        )?;
        if let Some(seconds) = cpu_seconds() {
            let cpu = ConstCounter::new(seconds);
            let metric = encoder.encode_descriptor(
                "process_cpu_seconds",
                "Total user and system CPU time spent in seconds.",
                None,
                cpu.metric_type(),
            )?;
            cpu.encode(metric)?;
        }
        let build = [
            ("major", "1"),
            ("minor", "36"),
            ("git_version", crate::GIT_VERSION),
            ("platform", std::env::consts::OS),
        ];
        encoder
            .encode_descriptor(
                "kubernetes_build_info",
                "A metric with a constant '1' value labeled by major, minor, git version and platform.",
                None,
                MetricType::Gauge,
            )?
            .encode_family(&build)?
            .encode_gauge(&1_i64)
    }
}

/// The kernel's ticks in a second, as `/proc` counts them on every architecture of Linux.
const TICKS: f64 = 100.0;

/// The process's resident memory, from `/proc/self/status`.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u32 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(f64::from(kilobytes) * 1024.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_described_under_the_usual_names() {
        let text = Metrics::default().text();
        for name in [
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_start_time_seconds ",
            "process_cpu_seconds_total ",
            "kubernetes_build_info{major=\"1\",minor=\"36\"",
        ] {
            let found = text.lines().any(|line| line.starts_with(name));
            assert!(found, "{name} in\n{text}");
        }
    }
}
