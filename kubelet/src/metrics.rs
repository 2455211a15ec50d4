//! Figures about this kubelet's work.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The figures. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Workers, one for each pod.
    pub workers: Gauge,
    /// Containers started.
    pub started: Counter,
    /// Starts that failed.
    pub start_failures: Counter,
    /// Statuses written.
    pub status_writes: Counter,
    /// Times the runtime was asked for everything.
    pub relists: Counter,
}

impl Metrics {
    /// Names the figures in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "kubelet_working_pods",
            "Pods with a worker",
            self.workers.clone(),
        );
        registry.register(
            "kubelet_started_containers",
            "Containers started",
            self.started.clone(),
        );
        registry.register(
            "kubelet_started_containers_errors",
            "Starts that failed",
            self.start_failures.clone(),
        );
        registry.register(
            "kubelet_pod_status_writes",
            "Pod statuses written",
            self.status_writes.clone(),
        );
        registry.register(
            "kubelet_pleg_relists",
            "Times the runtime was asked for everything",
            self.relists.clone(),
        );
    }
}
