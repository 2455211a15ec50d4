//! The flags of `kubelet`, with upstream's names where upstream has them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use ferrule_apimachinery::quantity::Quantity;
use ferrule_component_base::cli::CommonArgs;

/// The node agent: it keeps the pods of one node.
#[derive(Parser, Debug)]
#[command(name = "kubelet", version)]
pub struct Args {
    /// What every server takes.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The endpoint of the container runtime.
    #[arg(
        long,
        value_name = "ENDPOINT",
        default_value = "unix:///run/ferrule/cri.sock"
    )]
    pub container_runtime_endpoint: String,
    /// The name of the node, in place of the host name.
    #[arg(long, value_name = "NAME")]
    pub hostname_override: Option<String>,
    /// The address of the node; the one that leads to the API server when not given.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub node_ip: Vec<IpAddr>,
    /// Addresses of the cluster's DNS.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub cluster_dns: Vec<IpAddr>,
    /// The domain of the cluster.
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Where volumes and other state lie.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ferrule/kubelet")]
    pub root_dir: PathBuf,
    /// Where the logs of pods lie.
    #[arg(long, value_name = "DIR", default_value = "/var/log/pods")]
    pub pod_logs_dir: PathBuf,
    /// The number of pods that can run on this node.
    #[arg(long, value_name = "NUMBER", default_value_t = 110)]
    pub max_pods: usize,
    /// The resolver configuration of the node, the basis of the pods' own.
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    pub resolv_conf: PathBuf,
    /// Register the node with the API server.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub register_node: bool,
    /// How often the node's status is computed; it is written when it changed.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub node_status_update_frequency: Duration,
    /// How often an unchanged status is written.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub node_status_report_frequency: Duration,
    /// How long the node's lease is valid; it is renewed four times in that time.
    #[arg(long, value_name = "SECONDS", default_value_t = 40)]
    pub node_lease_duration_seconds: u64,
    /// Keep control groups for each class of service and each pod.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub cgroups_per_qos: bool,
    /// Bytes of a container's log before it is rotated: `10Mi`.
    #[arg(long, value_name = "QUANTITY", default_value = "10Mi", value_parser = quantity)]
    pub container_log_max_size: u64,
    /// Log files that are kept of a container, at least two.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub container_log_max_files: usize,
    /// How often a pod is looked at when nothing happens.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub sync_frequency: Duration,
}

fn quantity(text: &str) -> Result<u64, String> {
    let parsed = Quantity::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(parsed.value()).map_err(|_| format!("{text} is negative"))
}

/// Reads `300ms`, `10s`, `1m30s`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("time: invalid duration {text:?}");
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let amount: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(bad()),
        };
        rest = &rest[unit..];
        total += Duration::try_from_secs_f64(amount * seconds).map_err(|_| bad())?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("300ms", 300),
            ("1.5h", 5_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)));
        }
        for text in ["", "10", "s", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
