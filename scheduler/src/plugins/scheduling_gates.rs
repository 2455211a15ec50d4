//! A pod with scheduling gates is not considered before all are gone.

use crate::framework::Plugin;
use crate::pod::Pod;

/// Upstream's `SchedulingGates`.
pub struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn gate(&self, pod: &Pod) -> Option<String> {
        if pod.gates.is_empty() {
            return None;
        }
        let gates: Vec<&str> = pod.gates.iter().map(|gate| &**gate).collect();
        Some(format!(
            "waiting for scheduling gates: [{}]",
            gates.join(" ")
        ))
    }
}
