//! Requests and limits as the kernel wants them.

use ferrule_apimachinery::quantity;
use k8s_cri::v1::LinuxContainerResources;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pod::spec::{self, Role};
use crate::qos;

const PERIOD: i64 = 100_000;
const MIN_QUOTA: i64 = 1000;
const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;

/// A quantity in thousandths; what does not parse counts as nothing.
pub fn milli(quantity: &Quantity) -> i64 {
    let parsed = quantity::Quantity::parse(&quantity.0).ok();
    parsed.map_or(0, |parsed| parsed.milli())
}

/// A quantity in whole units, rounded up; what does not parse counts as nothing.
pub fn bytes(quantity: &Quantity) -> i64 {
    let parsed = quantity::Quantity::parse(&quantity.0).ok();
    parsed.map_or(0, |parsed| parsed.value())
}

/// Amounts of CPU in thousandths and memory in bytes; `None` is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPU asked for.
    pub cpu_request: Option<i64>,
    /// CPU at most.
    pub cpu_limit: Option<i64>,
    /// Memory asked for.
    pub memory_request: Option<i64>,
    /// Memory at most.
    pub memory_limit: Option<i64>,
}

/// What a container asks for.
pub fn of_container(container: &Container) -> Amounts {
    let resources = container.resources.as_ref();
    let requests = resources.and_then(|own| own.requests.as_ref());
    let limits = resources.and_then(|own| own.limits.as_ref());
    Amounts {
        cpu_request: requests.and_then(|own| own.get("cpu")).map(milli),
        cpu_limit: limits.and_then(|own| own.get("cpu")).map(milli),
        memory_request: requests.and_then(|own| own.get("memory")).map(bytes),
        memory_limit: limits.and_then(|own| own.get("memory")).map(bytes),
    }
}

/// What a pod asks for: its main containers and sidecars together, or the largest moment of its
/// initialisation. A limit holds for the pod only when every container has one.
pub fn of_pod(pod: &Pod) -> Amounts {
    type Field = fn(&Amounts) -> Option<i64>;
    let all: Vec<(Amounts, Role)> = spec::all_containers(pod)
        .map(|(container, role)| (of_container(container), role))
        .collect();
    let total = |field: Field, everywhere: bool| -> Option<i64> {
        let (mut together, mut sidecars, mut peak) = (0, 0, 0);
        for (amounts, role) in &all {
            let amount = match field(amounts) {
                Some(amount) => amount,
                None if everywhere => return None,
                None => 0,
            };
            match role {
                Role::Init => peak = peak.max(sidecars + amount),
                Role::Sidecar => {
                    sidecars += amount;
                    together += amount;
                    peak = peak.max(sidecars);
                }
                Role::Main => together += amount,
            }
        }
        Some(together.max(peak))
    };
    Amounts {
        cpu_request: total(|own| own.cpu_request.or(own.cpu_limit), false),
        cpu_limit: total(|own| own.cpu_limit, true),
        memory_request: total(|own| own.memory_request.or(own.memory_limit), false),
        memory_limit: total(|own| own.memory_limit, true),
    }
}

/// CPU shares for thousandths of a CPU.
pub fn cpu_shares(milli: i64) -> i64 {
    if milli <= 0 {
        MIN_SHARES
    } else {
        (milli.saturating_mul(1024) / 1000).clamp(MIN_SHARES, MAX_SHARES)
    }
}

/// The CPU quota in microseconds of a period; 0 is no limit.
pub fn cpu_quota(milli: Option<i64>) -> (i64, i64) {
    match milli {
        Some(milli) if milli > 0 => ((milli.saturating_mul(PERIOD) / 1000).max(MIN_QUOTA), PERIOD),
        _ => (0, PERIOD),
    }
}

/// A container's resources in the runtime's words.
pub fn to_cri(
    pod: &Pod,
    container: &Container,
    memory_capacity: i64,
    unified: bool,
) -> LinuxContainerResources {
    let amounts = of_container(container);
    let (cpu_quota, cpu_period) = cpu_quota(amounts.cpu_limit);
    let mut resources = LinuxContainerResources {
        cpu_shares: cpu_shares(amounts.cpu_request.or(amounts.cpu_limit).unwrap_or(0)),
        cpu_quota,
        cpu_period,
        memory_limit_in_bytes: amounts.memory_limit.unwrap_or(0),
        oom_score_adj: qos::oom_score_adj(pod, container, memory_capacity),
        ..LinuxContainerResources::default()
    };
    if unified && amounts.memory_limit.is_some() {
        // Without it the kernel would kill one process and leave a crippled container.
        resources
            .unified
            .insert("memory.oom.group".to_owned(), "1".to_owned());
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_becomes_shares_and_quota_with_the_kernels_lower_bounds() {
        for (milli, shares, quota) in [
            (0, 2, 0),
            (1, 2, 1000),
            (100, 102, 10_000),
            (500, 512, 50_000),
            (2000, 2048, 200_000),
        ] {
            assert_eq!(cpu_shares(milli), shares, "{milli}m");
            assert_eq!(cpu_quota(Some(milli)).0, quota, "{milli}m");
        }
        assert_eq!(cpu_quota(None), (0, 100_000));
    }
}
