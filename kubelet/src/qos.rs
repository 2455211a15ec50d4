//! Quality of service: a pod's class, the control group it lives in, and its OOM scores.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pod::spec;
use crate::resources::{bytes, milli};

/// The quality-of-service class of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Every container has equal requests and limits of CPU and memory.
    Guaranteed,
    /// Some container has a request or limit.
    Burstable,
    /// None has.
    BestEffort,
}

impl Class {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Guaranteed => "Guaranteed",
            Class::Burstable => "Burstable",
            Class::BestEffort => "BestEffort",
        }
    }
}

type List = BTreeMap<String, Quantity>;

fn amount(list: Option<&List>, name: &str) -> i128 {
    let Some(quantity) = list.and_then(|list| list.get(name)) else {
        return 0;
    };
    if name == "cpu" {
        i128::from(milli(quantity))
    } else {
        i128::from(bytes(quantity))
    }
}

/// The class of `pod`.
pub fn class(pod: &Pod) -> Class {
    let reported = pod
        .status
        .as_ref()
        .and_then(|status| status.qos_class.as_deref());
    match reported {
        Some("Guaranteed") => return Class::Guaranteed,
        Some("Burstable") => return Class::Burstable,
        Some("BestEffort") => return Class::BestEffort,
        _ => {}
    }
    let mut any = false;
    let mut guaranteed = true;
    let whole = spec::of(pod).and_then(|spec| spec.resources.as_ref());
    let own = spec::all_containers(pod).map(|(container, _)| container.resources.as_ref());
    let all: Vec<Option<&ResourceRequirements>> = if whole.is_some() {
        vec![whole]
    } else {
        own.collect()
    };
    for resources in all {
        let requests = resources.and_then(|own| own.requests.as_ref());
        let limits = resources.and_then(|own| own.limits.as_ref());
        for name in ["cpu", "memory"] {
            let (request, limit) = (amount(requests, name), amount(limits, name));
            any |= request != 0 || limit != 0;
            guaranteed &= limit != 0 && (request == 0 || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => Class::BestEffort,
        (true, true) => Class::Guaranteed,
        (true, false) => Class::Burstable,
    }
}

/// The pod's control group below the root of the hierarchy.
pub fn cgroup_parent(class: Class, uid: &str) -> String {
    match class {
        Class::Guaranteed => format!("/kubepods/pod{uid}"),
        Class::Burstable => format!("/kubepods/burstable/pod{uid}"),
        Class::BestEffort => format!("/kubepods/besteffort/pod{uid}"),
    }
}

/// The same for a runtime that leaves control groups to systemd: the name of a slice.
pub fn cgroup_slice(class: Class, uid: &str) -> String {
    let uid = uid.replace('-', "_");
    match class {
        Class::Guaranteed => format!("kubepods-pod{uid}.slice"),
        Class::Burstable => format!("kubepods-burstable-pod{uid}.slice"),
        Class::BestEffort => format!("kubepods-besteffort-pod{uid}.slice"),
    }
}

/// How readily the kernel kills a container for memory: the less it asked for, the more readily.
pub fn oom_score_adj(pod: &Pod, container: &Container, memory_capacity: i64) -> i64 {
    let priority = spec::of(pod).and_then(|spec| spec.priority).unwrap_or(0);
    if priority >= 2_000_000_000 {
        return -997;
    }
    match class(pod) {
        Class::Guaranteed => -997,
        Class::BestEffort => 1000,
        Class::Burstable => {
            let requests = container
                .resources
                .as_ref()
                .and_then(|own| own.requests.as_ref());
            let limits = container
                .resources
                .as_ref()
                .and_then(|own| own.limits.as_ref());
            let asked = match amount(requests, "memory") {
                0 => amount(limits, "memory"),
                asked => asked,
            };
            let score = 1000 - 1000 * asked / i128::from(memory_capacity.max(1));
            i64::try_from(score.clamp(3, 999)).unwrap_or(999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(resources: serde_json::Value) -> Pod {
        let containers: Vec<_> = resources
            .as_array()
            .expect("a list")
            .iter()
            .enumerate()
            .map(
                |(index, own)| json!({"name": format!("c{index}"), "image": "i", "resources": own}),
            )
            .collect();
        serde_json::from_value(
            json!({"metadata": {"name": "p"}, "spec": {"containers": containers}}),
        )
        .expect("a pod")
    }

    #[test]
    fn the_class_follows_requests_and_limits_of_all_containers() {
        let full = json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "0.5", "memory": "1024Mi"}});
        let table = [
            (json!([{}]), Class::BestEffort),
            (json!([full]), Class::Guaranteed),
            (json!([full, {}]), Class::Burstable),
            (
                json!([{"limits": {"cpu": "1", "memory": "1Gi"}}]),
                Class::Guaranteed,
            ),
            (json!([{"limits": {"memory": "1Gi"}}]), Class::Burstable),
            (
                json!([{"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}]),
                Class::Burstable,
            ),
        ];
        for (resources, expected) in table {
            assert_eq!(class(&pod(resources.clone())), expected, "{resources}");
        }
    }

    #[test]
    fn the_oom_score_falls_with_the_share_of_memory_asked_for() {
        let node = 4 << 30;
        let table = [
            (json!([{}]), 1000),
            (json!([{"limits": {"cpu": "1", "memory": "1Gi"}}]), -997),
            (json!([{"requests": {"memory": "1Gi"}}]), 750),
            (json!([{"requests": {"memory": "4Gi"}}]), 3),
            (json!([{"requests": {"memory": "1"}}]), 999),
            (json!([{"requests": {"cpu": "1"}}]), 999),
        ];
        for (resources, expected) in table {
            let pod = pod(resources.clone());
            assert_eq!(
                oom_score_adj(&pod, &spec::containers(&pod)[0], node),
                expected,
                "{resources}"
            );
        }
    }
}
