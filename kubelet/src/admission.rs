//! Whether a pod that was given to this node fits on it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Pod};

use crate::context::Capacity;
use crate::pod::{Refusal, spec};
use crate::resources::of_pod;

/// The node, as far as admission looks at it.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it has.
    pub capacity: Capacity,
    /// Pods at most.
    pub max_pods: usize,
}

/// Admits `pod` beside the `active` ones, or says why not.
pub fn admit<'a>(
    pod: &Pod,
    active: impl Iterator<Item = &'a Pod> + Clone,
    node: &Node,
) -> Result<(), Refusal> {
    let short = |resource: &str, requested: i64, used: i64, capacity: i64| Refusal {
        reason: format!("OutOf{resource}"),
        message: format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
        ),
    };
    let predicate = |name: &str, message: &str| Refusal {
        reason: name.to_owned(),
        message: format!("Predicate {name} failed: {message}"),
    };
    let count = i64::try_from(active.clone().count()).unwrap_or(i64::MAX);
    let most = i64::try_from(node.max_pods).unwrap_or(i64::MAX);
    if count + 1 > most {
        return Err(short("pods", 1, count, most));
    }
    let wanted = of_pod(pod);
    let (mut cpu, mut memory) = (0, 0);
    for amounts in active.clone().map(of_pod) {
        cpu += amounts.cpu_request.unwrap_or(0);
        memory += amounts.memory_request.unwrap_or(0);
    }
    let has = |name: &str, all: i64| node.capacity.allocatable.get(name).copied().unwrap_or(all);
    for (name, wanted, used, capacity) in [
        (
            "cpu",
            wanted.cpu_request,
            cpu,
            has("cpu", node.capacity.cpu),
        ),
        (
            "memory",
            wanted.memory_request,
            memory,
            has("memory", node.capacity.memory),
        ),
    ] {
        let wanted = wanted.unwrap_or(0);
        if wanted > 0 && used + wanted > capacity {
            return Err(short(name, wanted, used, capacity));
        }
    }
    if !matches(pod, node) {
        return Err(predicate(
            "NodeAffinity",
            "node(s) didn't match Pod's node affinity/selector",
        ));
    }
    let taken: Vec<HostPort> = active.flat_map(host_ports).collect();
    if host_ports(pod)
        .iter()
        .any(|port| taken.iter().any(|other| port.collides(other)))
    {
        return Err(predicate(
            "NodePorts",
            "node(s) didn't have free ports for the requested pod ports",
        ));
    }
    Ok(())
}

struct HostPort {
    ip: String,
    protocol: String,
    port: i32,
}

impl HostPort {
    fn collides(&self, other: &HostPort) -> bool {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || any(&self.ip) || any(&other.ip))
    }
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let ports =
        spec::all_containers(pod).flat_map(|(container, _)| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(HostPort {
                ip: port.host_ip.clone().unwrap_or_default(),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port: port.host_port.filter(|port| *port > 0)?,
            })
        })
        .collect()
}

fn matches(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = spec::of(pod) else {
        return true;
    };
    let selected = spec
        .node_selector
        .iter()
        .flatten()
        .all(|(key, value)| node.labels.get(key) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|own| own.node_affinity.as_ref())
        .and_then(|own| {
            own.required_during_scheduling_ignored_during_execution
                .as_ref()
        });
    selected
        && required.is_none_or(|own| {
            own.node_selector_terms
                .iter()
                .any(|term| term_matches(term, node))
        })
}

fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let (labels, fields) = (
        term.match_expressions.iter().flatten(),
        term.match_fields.iter().flatten(),
    );
    if labels.clone().next().is_none() && fields.clone().next().is_none() {
        return false;
    }
    let name = |key: &str| (key == "metadata.name").then_some(node.name.as_str());
    labels
        .clone()
        .all(|own| requirement(own, node.labels.get(&own.key).map(String::as_str)))
        && fields.clone().all(|own| requirement(own, name(&own.key)))
}

fn requirement(own: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = own.values.as_deref().unwrap_or_default();
    let contained = value.is_some_and(|value| values.iter().any(|own| own == value));
    let numbers = || {
        Some((
            value?.parse::<i64>().ok()?,
            values.first()?.parse::<i64>().ok()?,
        ))
    };
    match own.operator.as_str() {
        "In" => contained,
        "NotIn" => !contained,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers().is_some_and(|(value, bound)| value > bound),
        "Lt" => numbers().is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).expect("a pod")
    }

    #[test]
    fn a_pod_is_refused_in_upstreams_words_when_it_does_not_fit() {
        let node = Node {
            name: "node1".to_owned(),
            labels: [("disk".to_owned(), "ssd".to_owned())].into(),
            capacity: Capacity {
                cpu: 2000,
                memory: 1 << 30,
                ..Capacity::default()
            },
            max_pods: 2,
        };
        let with = |request: Value, port: i32| json!({"containers": [{"name": "c", "image": "i", "resources": {"requests": request}, "ports": [{"containerPort": 80, "hostPort": port}]}]});
        let beside = [pod(with(json!({"cpu": "1500m"}), 8080))];
        let mut selecting = with(json!({}), 0);
        selecting["nodeSelector"] = json!({"disk": "hdd"});
        let mut affine = with(json!({}), 0);
        affine["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]}}});
        let table = [
            (with(json!({"cpu": "500m"}), 8081), None),
            (affine, None),
            (
                with(json!({"cpu": "501m"}), 0),
                Some((
                    "OutOfcpu",
                    "Node didn't have enough resource: cpu, requested: 501, used: 1500, capacity: 2000",
                )),
            ),
            (
                with(json!({"memory": "2Gi"}), 0),
                Some((
                    "OutOfmemory",
                    "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824",
                )),
            ),
            (
                with(json!({}), 8080),
                Some((
                    "NodePorts",
                    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
                )),
            ),
            (
                selecting,
                Some((
                    "NodeAffinity",
                    "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
                )),
            ),
        ];
        for (spec, expected) in table {
            let result = admit(&pod(spec), beside.iter(), &node).err();
            let found = result
                .as_ref()
                .map(|own| (own.reason.as_str(), own.message.as_str()));
            assert_eq!(found, expected);
        }
        let full = [pod(with(json!({}), 0)), pod(with(json!({}), 0))];
        let refused = admit(&pod(with(json!({}), 0)), full.iter(), &node)
            .err()
            .map(|own| own.reason);
        assert_eq!(refused.as_deref(), Some("OutOfpods"));
    }
}
