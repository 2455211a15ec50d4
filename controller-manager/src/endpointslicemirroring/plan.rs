//! The EndpointSlices of Endpoints that somebody else keeps: one for each set of ports and kind of address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::endpointslice::plan::{MANAGED_BY, SERVICE_NAME};
use crate::objects::meta::{Map, OwnerReference, map_patch};
use crate::objects::service::{
    Endpoint, EndpointAddress, EndpointConditions, EndpointPort, EndpointSlice, Endpoints, Service,
};

/// This controller.
pub const CONTROLLER: &str = "endpointslicemirroring-controller.k8s.io";
/// The label that asks for no mirroring.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Endpoints that are a lock, and lead nowhere.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that slices do not take over.
const OWN: [&str; 2] = [
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
];
/// Addresses of a subset that are mirrored.
pub const MOST: usize = 1000;

/// What is known about Endpoints.
pub struct Observed<'a> {
    /// The Endpoints.
    pub endpoints: Option<&'a Endpoints>,
    /// The service of their name.
    pub service: Option<&'a Service>,
    /// Their present slices, this controller's own.
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
    /// Addresses that are none.
    pub invalid: usize,
    /// Addresses that are not mirrored, those that are none included.
    pub skipped: usize,
}

type Group = (&'static str, Vec<EndpointPort>);

/// Plans the slices of Endpoints.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    let going = |place: &usize| !observed.slices[*place].metadata.is_deleting();
    let mut present: Vec<usize> = (0..observed.slices.len()).filter(going).collect();
    let Some(endpoints) = mirrored(observed) else {
        plan.delete = present;
        return plan;
    };
    let groups = groups(endpoints, &mut plan);
    let mut left = Vec::new();
    for (group, wanted) in groups {
        let fits = |place: &usize| {
            let slice = observed.slices[*place];
            let mut ports = slice.ports.clone();
            ports.sort();
            slice.address_type == group.0 && ports == group.1
        };
        match present.iter().position(fits) {
            Some(at) => {
                let place = present.remove(at);
                change(
                    observed.slices[place],
                    place,
                    endpoints,
                    &group,
                    wanted,
                    &mut plan,
                );
            }
            None => left.push((group, wanted)),
        }
    }
    // A slice that nobody needs takes another set of ports, rather than that one goes and one comes.
    for (group, wanted) in left {
        let same_type = |place: &usize| observed.slices[*place].address_type == group.0;
        match present.iter().position(same_type) {
            Some(at) => {
                let place = present.remove(at);
                change(
                    observed.slices[place],
                    place,
                    endpoints,
                    &group,
                    wanted,
                    &mut plan,
                );
            }
            None => plan.create.push(object(endpoints, &group, &wanted)),
        }
    }
    plan.delete = present;
    plan
}

/// The Endpoints, when their slices are this controller's task.
fn mirrored<'a>(observed: &Observed<'a>) -> Option<&'a Endpoints> {
    let endpoints = observed.endpoints?;
    let meta = &endpoints.metadata;
    let mirrored = meta.labels.get(SKIP).is_none_or(|skip| skip != "true")
        && !meta.annotations.contains_key(LEADER)
        && !meta.is_deleting();
    let by_hand = observed.service?.spec.selector.is_none();
    (mirrored && by_hand).then_some(endpoints)
}

fn groups(endpoints: &Endpoints, plan: &mut Plan) -> BTreeMap<Group, Vec<Endpoint>> {
    let mut groups: BTreeMap<Group, Vec<Endpoint>> = BTreeMap::new();
    for subset in &endpoints.subsets {
        let mut ports = subset.ports.clone();
        for port in &mut ports {
            port.name.get_or_insert_default();
        }
        ports.sort();
        let ready = subset.addresses.iter().map(|address| (address, true));
        let unready = subset.not_ready_addresses.iter();
        let all = ready.chain(unready.map(|address| (address, false)));
        let mut taken = 0;
        for (address, ready) in all {
            let endpoint = (taken < MOST).then(|| endpoint(address, ready));
            match endpoint {
                Some(Some((kind, endpoint))) => {
                    taken += 1;
                    let group = groups.entry((kind, ports.clone())).or_default();
                    if !group.contains(&endpoint) {
                        group.push(endpoint);
                    }
                    continue;
                }
                Some(None) => plan.invalid += 1,
                None => {}
            }
            plan.skipped += 1;
        }
    }
    groups
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Option<(&'static str, Endpoint)> {
    let ip: IpAddr = address.ip.parse().ok()?;
    let kind = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let endpoint = Endpoint {
        addresses: vec![ip.to_string()],
        conditions: EndpointConditions {
            ready: Some(ready),
            ..EndpointConditions::default()
        },
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    };
    Some((kind, endpoint))
}

fn labels(endpoints: &Endpoints) -> Map {
    let mut labels = endpoints.metadata.labels.clone();
    let name = endpoints.metadata.name.clone();
    labels.insert(SERVICE_NAME.to_owned(), name);
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    labels
}

fn annotations(endpoints: &Endpoints) -> Map {
    let mut annotations = endpoints.metadata.annotations.clone();
    annotations.retain(|name, _| !OWN.contains(&name.as_str()));
    annotations
}

fn object(endpoints: &Endpoints, group: &Group, wanted: &[Endpoint]) -> Value {
    let meta = &endpoints.metadata;
    let mut object = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", meta.name),
            "namespace": meta.namespace,
            "labels": labels(endpoints),
            "ownerReferences": [OwnerReference::controller("v1", "Endpoints", meta)],
        },
        "addressType": group.0,
        "endpoints": wanted,
        "ports": group.1,
    });
    let annotations = annotations(endpoints);
    if !annotations.is_empty() {
        object["metadata"]["annotations"] = json!(annotations);
    }
    object
}

/// Lets a slice hold a group. Endpoints that it holds already stay where they are.
fn change(
    slice: &EndpointSlice,
    place: usize,
    endpoints: &Endpoints,
    group: &Group,
    mut wanted: Vec<Endpoint>,
    plan: &mut Plan,
) {
    let position = |endpoint: &Endpoint| {
        let present = slice.endpoints.iter();
        let mut same = present.map(|own| own.addresses == endpoint.addresses);
        same.position(|same| same).unwrap_or(usize::MAX)
    };
    wanted.sort_by_key(position);
    let mut patch = json!({});
    for (field, before, after) in [
        ("labels", &slice.metadata.labels, labels(endpoints)),
        (
            "annotations",
            &slice.metadata.annotations,
            annotations(endpoints),
        ),
    ] {
        let changed = map_patch(before, &after);
        if !changed.is_empty() {
            patch["metadata"][field] = Value::Object(changed);
        }
    }
    let mut ports = slice.ports.clone();
    ports.sort();
    if ports != group.1 {
        patch["ports"] = json!(group.1);
    }
    if slice.endpoints != wanted {
        patch["endpoints"] = json!(wanted);
    }
    if patch.as_object().is_some_and(|patch| !patch.is_empty()) {
        plan.change.push((place, patch));
    }
}
