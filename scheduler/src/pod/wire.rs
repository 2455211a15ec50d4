//! Reads a pod's JSON, only the parts that matter here.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::selector::{LabelSelector, Labels};
use ferrule_client::Projection;
use serde::Deserialize;
use serde_json::Value;

use super::{HostPort, Known, Pod, Toleration};
use crate::affinity::{
    AffinityTerm, Keys, PodAffinity, PodTerm, SpreadConstraint, Unsatisfiable, narrowed,
};
use crate::node::image_id;
use crate::node_selector::{NodeSelector, PreferredTerm};
use crate::resources::{DEFAULT_MEMORY, DEFAULT_MILLI_CPU, ResourceList, Resources};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Whole {
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Box<str>,
    scheduler_name: Box<str>,
    priority: Option<i32>,
    preemption_policy: Option<String>,
    node_selector: BTreeMap<String, String>,
    affinity: Option<Affinity>,
    topology_spread_constraints: Vec<Spread>,
    tolerations: Box<[Toleration]>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    overhead: ResourceList,
    resources: Option<Requirements>,
    scheduling_gates: Vec<Gate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Gate {
    name: Box<str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Affinity {
    node_affinity: Option<Rules<Option<NodeSelector>, PreferredTerm>>,
    pod_affinity: Option<Rules<Vec<Term>, Weighted>>,
    pod_anti_affinity: Option<Rules<Vec<Term>, Weighted>>,
}

#[derive(Deserialize)]
#[serde(default, bound = "R: Default + Deserialize<'de>, P: Deserialize<'de>")]
struct Rules<R, P> {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: R,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    preferred: Vec<P>,
}

impl<R: Default, P> Default for Rules<R, P> {
    fn default() -> Self {
        Rules {
            required: R::default(),
            preferred: Vec::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Term {
    label_selector: Option<Value>,
    namespaces: Vec<Box<str>>,
    namespace_selector: Option<Value>,
    topology_key: Box<str>,
    match_label_keys: Vec<String>,
    mismatch_label_keys: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Weighted {
    weight: i64,
    pod_affinity_term: Term,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spread {
    max_skew: i64,
    topology_key: Box<str>,
    when_unsatisfiable: String,
    label_selector: Option<Value>,
    min_domains: Option<usize>,
    node_affinity_policy: Option<String>,
    node_taints_policy: Option<String>,
    match_label_keys: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    image: String,
    resources: Requirements,
    ports: Vec<Port>,
    restart_policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Requirements {
    requests: ResourceList,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Port {
    #[serde(rename = "hostPort")]
    host_port: u16,
    #[serde(rename = "hostIP")]
    host_ip: String,
    protocol: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
    nominated_node_name: Box<str>,
    start_time: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: Box<str>,
    message: Box<str>,
}

impl Projection for Known {
    fn project(header: &Header, json: &[u8]) -> Result<Known, serde_json::Error> {
        Pod::project(header, json).map(|pod| Known(Arc::new(pod)))
    }
}

impl Projection for Pod {
    fn project(header: &Header, json: &[u8]) -> Result<Pod, serde_json::Error> {
        let Whole { spec, status } = serde_json::from_slice(json)?;
        let requests = total(&spec, Resources::of);
        let scored = total(&spec, with_defaults);
        let containers = || spec.containers.iter().chain(&spec.init_containers);
        let host_ports = containers().flat_map(host_ports).collect();
        let images = containers()
            .map(|container| image_id(&container.image))
            .collect();
        let condition = |kind: &str| {
            let mut all = status.conditions.iter();
            all.find(|condition| condition.r#type == kind)
        };
        let refusal = condition("PodScheduled")
            .filter(|condition| condition.status == "False")
            .map(|condition| (condition.reason.clone(), condition.message.clone()));
        let preempted = condition("DisruptionTarget").is_some_and(|condition| {
            condition.status == "True" && &*condition.reason == "PreemptionByScheduler"
        });
        let started = status.start_time.as_deref();
        let started = started.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let spread = spec.topology_spread_constraints.iter();
        let affinity = spec.affinity.unwrap_or_default();
        let nodes = affinity.node_affinity.unwrap_or_default();
        let pods = PodAffinity::of(header, affinity.pod_affinity, affinity.pod_anti_affinity);
        Ok(Pod {
            namespace: header.namespace.clone(),
            name: header.name.clone(),
            uid: header.uid.clone(),
            labels: header.labels.clone(),
            node_name: spec.node_name,
            nominated: status.nominated_node_name,
            scheduler_name: spec.scheduler_name,
            priority: spec.priority.unwrap_or(0),
            never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
            requests,
            scored,
            host_ports,
            images,
            node_selector: spec.node_selector.iter().collect(),
            node_affinity: nodes.required,
            preferred_nodes: nodes.preferred.into(),
            affinity: (!pods.is_empty()).then(|| Box::new(pods)),
            spread: spread
                .map(|constraint| constraint.read(&header.labels))
                .collect(),
            tolerations: spec.tolerations,
            controller: header.controller().cloned(),
            gates: spec
                .scheduling_gates
                .into_iter()
                .map(|gate| gate.name)
                .collect(),
            finished: matches!(status.phase.as_str(), "Succeeded" | "Failed"),
            deleting: header.deletion_timestamp.is_some(),
            preempted,
            started: started.map(jiff::Timestamp::as_second),
            refusal,
        })
    }
}

/// A selector that cannot be read selects nothing; the API server accepts none.
fn selector(value: Option<&Value>) -> LabelSelector {
    LabelSelector::from_value(value).unwrap_or_else(|_| LabelSelector::nothing())
}

impl PodAffinity {
    fn of(
        header: &Header,
        near: Option<Rules<Vec<Term>, Weighted>>,
        far: Option<Rules<Vec<Term>, Weighted>>,
    ) -> PodAffinity {
        let (near, far) = (near.unwrap_or_default(), far.unwrap_or_default());
        let required = |terms: &[Term]| terms.iter().map(|term| term.read(header)).collect();
        let preferred = |terms: &[Weighted]| {
            terms
                .iter()
                .map(|term| (term.weight, term.pod_affinity_term.read(header)))
                .collect()
        };
        PodAffinity {
            required: required(&near.required),
            required_anti: required(&far.required),
            preferred: preferred(&near.preferred),
            preferred_anti: preferred(&far.preferred),
        }
    }
}

impl Term {
    fn read(&self, header: &Header) -> AffinityTerm {
        let own = selector(self.label_selector.as_ref());
        let own = narrowed(own, &header.labels, &self.match_label_keys, Keys::Same);
        let own = narrowed(own, &header.labels, &self.mismatch_label_keys, Keys::Other);
        let mut namespaces = self.namespaces.clone();
        if namespaces.is_empty() && self.namespace_selector.is_none() {
            namespaces.push(header.namespace.clone());
        }
        AffinityTerm {
            pods: PodTerm {
                namespaces: namespaces.into(),
                namespace_selector: selector(self.namespace_selector.as_ref()),
                selector: own,
            },
            topology_key: self.topology_key.clone(),
        }
    }
}

impl Spread {
    fn read(&self, labels: &Labels) -> SpreadConstraint {
        let own = selector(self.label_selector.as_ref());
        SpreadConstraint {
            max_skew: self.max_skew,
            topology_key: self.topology_key.clone(),
            unsatisfiable: match self.when_unsatisfiable.as_str() {
                "ScheduleAnyway" => Unsatisfiable::ScheduleAnyway,
                _ => Unsatisfiable::DoNotSchedule,
            },
            selector: narrowed(own, labels, &self.match_label_keys, Keys::Same),
            min_domains: self.min_domains.unwrap_or(1),
            honor_affinity: self.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: self.node_taints_policy.as_deref() == Some("Honor"),
        }
    }
}

/// What a container counts with when nodes are scored.
fn with_defaults(requests: &ResourceList) -> Resources {
    let mut resources = Resources::of(requests);
    if !requests.contains_key("cpu") {
        resources.milli_cpu = DEFAULT_MILLI_CPU;
    }
    if !requests.contains_key("memory") {
        resources.memory = DEFAULT_MEMORY;
    }
    resources
}

/// All containers together, or the init container that asks for more while the sidecars before
/// it run; then the overhead. (KEP-753, as upstream's resource helpers.)
fn total(spec: &Spec, of: impl Fn(&ResourceList) -> Resources) -> Resources {
    let mut running = Resources::default();
    for container in &spec.containers {
        running.add(&of(&container.resources.requests));
    }
    let mut sidecars = Resources::default();
    let mut starting = Resources::default();
    for container in &spec.init_containers {
        let mut own = of(&container.resources.requests);
        if container.restart_policy.as_deref() == Some("Always") {
            running.add(&own);
            sidecars.add(&own);
            own = sidecars.clone();
        } else {
            own.add(&sidecars);
        }
        starting.at_least(&own);
    }
    running.at_least(&starting);
    if let Some(pod_level) = &spec.resources {
        let own = Resources::of(&pod_level.requests);
        if pod_level.requests.contains_key("cpu") {
            running.milli_cpu = own.milli_cpu;
        }
        if pod_level.requests.contains_key("memory") {
            running.memory = own.memory;
        }
    }
    running.add(&Resources::of(&spec.overhead));
    running
}

fn host_ports(container: &Container) -> impl Iterator<Item = HostPort> + '_ {
    let or = |text: &str, default: &str| -> Box<str> {
        if text.is_empty() { default } else { text }.into()
    };
    container
        .ports
        .iter()
        .filter(|port| port.host_port > 0)
        .map(move |port| HostPort {
            address: or(&port.host_ip, "0.0.0.0"),
            protocol: or(&port.protocol, "TCP"),
            port: port.host_port,
        })
}
