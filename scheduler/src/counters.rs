//! What the scheduler counts of its work.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What the scheduler counts.
#[derive(Clone, Default)]
pub struct Counters {
    /// Pods bound to a node.
    pub placed: Counter,
    /// Decisions that found no node.
    pub refused: Counter,
    /// Bindings that the API server refused.
    pub failed: Counter,
    /// Refused pods for which room was looked for.
    pub preemptions: Counter,
    /// Pods made to leave for others.
    pub victims: Counter,
}

impl Counters {
    /// Counters in a registry.
    pub fn register(registry: &mut Registry) -> Counters {
        let counters = Counters::default();
        for (name, help, counter) in [
            (
                "scheduler_pods_scheduled",
                "Pods bound to a node",
                &counters.placed,
            ),
            (
                "scheduler_pods_unschedulable",
                "Decisions that found no node",
                &counters.refused,
            ),
            (
                "scheduler_bindings_failed",
                "Bindings that the API server refused",
                &counters.failed,
            ),
            (
                "scheduler_preemption_attempts",
                "Refused pods for which room was looked for",
                &counters.preemptions,
            ),
            (
                "scheduler_preemption_victims",
                "Pods made to leave for others",
                &counters.victims,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        counters
    }
}
