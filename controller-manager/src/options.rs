//! The flags, with upstream's names and defaults.

use std::time::Duration;

use clap::Parser;
use ferrule_apimachinery::duration::parse as duration;
use ferrule_component_base::cli::CommonArgs;

use crate::node::cidrs::Network;

/// The Kubernetes controller manager: drives the cluster towards what its objects say.
#[derive(Clone, Debug, Parser)]
#[command(name = "kube-controller-manager", version)]
pub struct Options {
    /// What every component takes.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Lead only while holding the lease kube-system/kube-controller-manager.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub leader_elect: bool,
    /// How long others wait after the last renewal before they take over.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub leader_elect_lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub leader_elect_renew_deadline: Duration,
    /// The pause between tries.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub leader_elect_retry_period: Duration,
    /// How long a node may be silent before it counts as dead.
    #[arg(long, value_name = "DURATION", default_value = "40s", value_parser = duration)]
    pub node_monitor_grace_period: Duration,
    /// How often nodes are looked at.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub node_monitor_period: Duration,
    /// How long a new node may be silent.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub node_startup_grace_period: Duration,
    /// Nodes a second whose pods are evicted in a healthy zone.
    #[arg(long, value_name = "RATE", default_value_t = 0.1)]
    pub node_eviction_rate: f64,
    /// Nodes a second whose pods are evicted in an unhealthy zone; none in a small one.
    #[arg(long, value_name = "RATE", default_value_t = 0.01)]
    pub secondary_node_eviction_rate: f64,
    /// The part of nodes (at least three) that are not ready from which on a zone is unhealthy.
    #[arg(long, value_name = "PART", default_value_t = 0.55)]
    pub unhealthy_zone_threshold: f64,
    /// A zone with more nodes is large.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub large_cluster_size_threshold: usize,
    /// Whether nodes get pod networks.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub allocate_node_cidrs: bool,
    /// The network of all pods.
    #[arg(long, value_name = "CIDR", default_value = "10.244.0.0/16")]
    pub cluster_cidr: Network,
    /// The mask length of a node's pod network.
    #[arg(long, value_name = "BITS", default_value_t = 24)]
    pub node_cidr_mask_size: u8,
    /// How many ended pods may stay; 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value_t = 12500)]
    pub terminated_pod_gc_threshold: i64,
    /// Deployments that are worked on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub concurrent_deployment_syncs: usize,
    /// ReplicaSets that are worked on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub concurrent_replicaset_syncs: usize,
    /// Services whose Endpoints are worked on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub concurrent_endpoint_syncs: usize,
    /// Services whose EndpointSlices are worked on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub concurrent_service_endpoint_syncs: usize,
    /// Endpoints that are mirrored at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub mirroring_concurrent_service_endpoint_syncs: usize,
    /// Namespaces that are worked on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub concurrent_namespace_syncs: usize,
    /// Objects that the garbage collector works on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub concurrent_gc_syncs: usize,
    /// Service accounts that are worked on at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub concurrent_serviceaccount_token_syncs: usize,
}
