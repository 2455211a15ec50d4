//! The EndpointSlices of a service: at most 100 endpoints each, changed as little as possible.
//!
//! Pods whose named ports have different numbers cannot share a slice, so endpoints are packed
//! for each set of ports apart. A service without endpoints keeps one empty slice.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::objects::meta::{Map, OwnerReference, map_patch};
use crate::objects::pod::Pod;
use crate::objects::service::{
    Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Hints, IntOrString, Named, Service,
    ServicePort, TargetRef,
};

/// The label that names a slice's service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that names who keeps a slice.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// This controller.
pub const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// The label of the slices of a headless service.
pub const HEADLESS: &str = "service.kubernetes.io/headless";
/// Endpoints in a slice.
const MOST: usize = 100;

/// What is known about a service.
pub struct Observed<'a> {
    /// The service.
    pub service: &'a Service,
    /// The pods of its namespace that its selector chooses.
    pub pods: Vec<&'a Pod>,
    /// The nodes and their zones, `""` for none.
    pub zones: HashMap<&'a str, &'a str>,
    /// Its present slices, this controller's own.
    pub slices: Vec<&'a EndpointSlice>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Slices to make.
    pub create: Vec<Value>,
    /// Slices to change: the slice as observed by its place, and the merge patch.
    pub change: Vec<(usize, Value)>,
    /// Slices to delete, by their place.
    pub delete: Vec<usize>,
    /// Whether a pod was left out because its node is not there: it has to be looked at again.
    pub lacks_nodes: bool,
}

/// Plans the slices of a service that selects pods.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let service = observed.service;
    let mut plan = Plan::default();
    let labels = labels(service);
    let mut wanted = wanted(observed);
    plan.lacks_nodes = observed.pods.iter().any(|pod| lacks_node(observed, pod));
    // What each present slice should hold next: `None` when it should go.
    let mut next: Vec<Option<(Vec<EndpointPort>, Vec<Endpoint>)>> = Vec::new();
    for slice in &observed.slices {
        let keep = slice.address_type == "IPv4" && !slice.metadata.is_deleting();
        next.push(keep.then(|| take_wanted(slice, &mut wanted)));
    }
    for (ports, endpoints) in wanted {
        let mut left: Vec<Endpoint> = endpoints.into_values().collect();
        fill(&ports, &mut left, observed, &mut next);
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(MOST));
            plan.create.push(object(service, &labels, &ports, &left));
            left = rest;
        }
    }
    let some_left = next
        .iter()
        .flatten()
        .any(|(_, endpoints)| !endpoints.is_empty());
    if plan.create.is_empty() && !some_left {
        // The placeholder: the first slice that may stay, emptied, or a new one.
        match next.iter().position(Option::is_some) {
            Some(place) => next[place] = Some((Vec::new(), Vec::new())),
            None => plan.create.push(object(service, &labels, &[], &[])),
        }
    }
    let placeholder = (plan.create.is_empty() && !some_left)
        .then(|| next.iter().position(Option::is_some))
        .flatten();
    for (place, (slice, next)) in observed.slices.iter().zip(next).enumerate() {
        match next {
            Some((ports, endpoints)) if !endpoints.is_empty() || placeholder == Some(place) => {
                if let Some(patch) = difference(slice, &labels, &ports, &endpoints) {
                    plan.change.push((place, patch));
                }
            }
            // A slice that goes already needs no second deletion.
            _ if slice.metadata.is_deleting() => {}
            _ => plan.delete.push(place),
        }
    }
    plan
}

type Group = BTreeMap<String, Endpoint>;

/// The endpoints as they should be, by ports and pod.
fn wanted(observed: &Observed<'_>) -> BTreeMap<Vec<EndpointPort>, Group> {
    let mut groups: BTreeMap<Vec<EndpointPort>, Group> = BTreeMap::new();
    for pod in &observed.pods {
        if let Some(endpoint) = endpoint(observed, pod) {
            let ports = ports(observed.service, pod);
            groups
                .entry(ports)
                .or_default()
                .insert(pod.meta().uid.clone(), endpoint);
        }
    }
    groups
}

/// Moves what a slice holds rightly out of `wanted`.
fn take_wanted(
    slice: &EndpointSlice,
    wanted: &mut BTreeMap<Vec<EndpointPort>, Group>,
) -> (Vec<EndpointPort>, Vec<Endpoint>) {
    let mut ports = slice.ports.clone();
    ports.sort();
    let mut kept = Vec::new();
    if let Some(group) = wanted.get_mut(&ports) {
        for endpoint in slice.endpoints.iter().take(MOST) {
            let uid = endpoint
                .target_ref
                .as_ref()
                .map_or("", |target| &target.uid);
            kept.extend(group.remove(uid));
        }
    }
    (ports, kept)
}

/// Puts endpoints into present slices with room: first those that change anyway, then the fullest.
fn fill(
    ports: &[EndpointPort],
    left: &mut Vec<Endpoint>,
    observed: &Observed<'_>,
    next: &mut [Option<(Vec<EndpointPort>, Vec<Endpoint>)>],
) {
    let mut places: Vec<(bool, usize, usize)> = Vec::new();
    for (place, slice) in next.iter().enumerate() {
        if let Some((own, endpoints)) = slice
            .as_ref()
            .filter(|(own, held)| own == ports || held.is_empty())
        {
            let unchanged = own == ports && *endpoints == observed.slices[place].endpoints;
            places.push((unchanged, MOST - endpoints.len(), place));
        }
    }
    places.sort_unstable();
    for (_, room, place) in places {
        if left.is_empty() || room == 0 {
            continue;
        }
        if let Some((own, endpoints)) = &mut next[place] {
            let rest = left.split_off(left.len().min(room));
            endpoints.append(left);
            *own = ports.to_vec();
            *left = rest;
        }
    }
}

/// Whether a pod is left out because its node is not there. It is about to go with its node.
fn lacks_node(observed: &Observed<'_>, pod: &Pod) -> bool {
    let node = pod.spec.node_name.as_str();
    !node.is_empty()
        && !observed.service.spec.publish_not_ready_addresses
        && !observed.zones.contains_key(node)
        && is_endpoint(pod)
}

/// Whether a service may know a pod: it has an address and has not ended.
pub fn is_endpoint(pod: &Pod) -> bool {
    !pod.is_terminal() && pod.ipv4().is_some()
}

fn endpoint(observed: &Observed<'_>, pod: &Pod) -> Option<Endpoint> {
    let address = pod.ipv4().filter(|_| is_endpoint(pod))?;
    if lacks_node(observed, pod) {
        return None;
    }
    let service = observed.service;
    let serving = pod.is_ready();
    let terminating = pod.meta().is_deleting();
    let node = Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty());
    let zone = node.as_deref().and_then(|node| observed.zones.get(node));
    let zone = zone.filter(|zone| !zone.is_empty());
    let mut endpoint = Endpoint {
        addresses: vec![address.to_owned()],
        conditions: EndpointConditions {
            ready: Some(service.spec.publish_not_ready_addresses || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        },
        hostname: hostname(service, pod),
        zone: zone.map(|zone| (*zone).to_owned()),
        node_name: node,
        target_ref: Some(TargetRef::pod(pod.meta())),
        hints: None,
    };
    endpoint.hints = hints(service, &endpoint);
    Some(endpoint)
}

/// Who should use a ready endpoint, when the service says that somebody should.
fn hints(service: &Service, endpoint: &Endpoint) -> Option<Hints> {
    let by_node = match service.spec.traffic_distribution.as_deref()? {
        "PreferClose" | "PreferSameZone" => false,
        "PreferSameNode" => true,
        _ => return None,
    };
    let named = |name: &Option<String>| name.iter().cloned().map(|name| Named { name }).collect();
    let hints = Hints {
        for_zones: named(&endpoint.zone),
        for_nodes: named(&endpoint.node_name.clone().filter(|_| by_node)),
    };
    let ready = endpoint.conditions.ready == Some(true);
    Some(hints).filter(|hints| ready && *hints != Hints::default())
}

/// The name that a pod has below its service.
pub fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let named = !pod.spec.hostname.is_empty() && pod.spec.subdomain == service.metadata.name;
    named.then(|| pod.spec.hostname.clone())
}

/// The number at which a pod serves a service's port; none when it lacks the named port.
pub fn port_number(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        Some(IntOrString::Int(number)) if *number != 0 => Some(*number),
        Some(IntOrString::String(name)) => pod.named_port(name, &port.protocol),
        _ => Some(port.port),
    }
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let mut ports: Vec<EndpointPort> = service
        .spec
        .ports
        .iter()
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone()),
                port: port_number(port, pod)?,
                protocol: port.protocol.clone(),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    ports.sort();
    ports
}

fn labels(service: &Service) -> Map {
    let mut labels = service.metadata.labels.clone();
    labels.remove(HEADLESS);
    labels.insert(SERVICE_NAME.to_owned(), service.metadata.name.clone());
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

fn object(
    service: &Service,
    labels: &Map,
    ports: &[EndpointPort],
    endpoints: &[Endpoint],
) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", service.metadata.name),
            "namespace": service.metadata.namespace,
            "labels": labels,
            "ownerReferences": [OwnerReference::controller("v1", "Service", &service.metadata)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    })
}

fn difference(
    slice: &EndpointSlice,
    labels: &Map,
    ports: &[EndpointPort],
    endpoints: &[Endpoint],
) -> Option<Value> {
    let mut patch = json!({});
    let label_patch = map_patch(&slice.metadata.labels, labels);
    if !label_patch.is_empty() {
        patch["metadata"]["labels"] = Value::Object(label_patch);
    }
    let same_ports = {
        let (before, after): (HashSet<_>, HashSet<_>) = (hashable(&slice.ports), hashable(ports));
        before == after
    };
    if !same_ports {
        patch["ports"] = json!(ports);
    }
    if slice.endpoints != endpoints {
        patch["endpoints"] = json!(endpoints);
    }
    patch
        .as_object()
        .is_some_and(|patch| !patch.is_empty())
        .then_some(patch)
}

fn hashable(ports: &[EndpointPort]) -> HashSet<(Option<&str>, i32, &str, Option<&str>)> {
    ports
        .iter()
        .map(|port| {
            (
                port.name.as_deref(),
                port.port,
                port.protocol.as_str(),
                port.app_protocol.as_deref(),
            )
        })
        .collect()
}
