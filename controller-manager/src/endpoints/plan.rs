//! The Endpoints object of a service: the older form, for clients that still read it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::endpointslice::plan::{HEADLESS, hostname, is_endpoint, port_number};
use crate::objects::meta::{Map, map_patch};
use crate::objects::pod::Pod;
use crate::objects::service::{
    EndpointAddress, EndpointPort, Endpoints, Service, Subset, TargetRef,
};

/// The label that names who keeps an Endpoints object.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
/// This controller there.
const KEEPER: &str = "endpoint-controller";
/// The annotation that says that there are more addresses than the object holds.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// Addresses in an Endpoints object.
const MOST: usize = 1000;

/// What is known about a service.
pub struct Observed<'a> {
    /// The service.
    pub service: &'a Service,
    /// The pods of its namespace that its selector chooses.
    pub pods: Vec<&'a Pod>,
    /// Its present Endpoints.
    pub endpoints: Option<&'a Endpoints>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Plan {
    /// All is as it should be.
    Nothing,
    /// Make the object.
    Create(Value),
    /// Change it by a merge patch.
    Change(Value),
}

/// Whether this controller made an object.
pub fn is_ours(endpoints: &Endpoints) -> bool {
    let keeper = endpoints.metadata.meta.labels.get(MANAGED_BY);
    keeper.is_some_and(|keeper| keeper == KEEPER)
}

/// Plans the Endpoints of a service that selects pods.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let service = observed.service;
    let mut subsets = subsets(observed);
    let over_capacity = truncate(&mut subsets);
    let mut labels = service.metadata.labels.clone();
    labels.remove(HEADLESS);
    if service.is_headless() {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), KEEPER.to_owned());
    let Some(present) = observed.endpoints else {
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": service.metadata.name,
                "namespace": service.metadata.namespace,
                "labels": labels,
            },
            "subsets": subsets,
        });
        if over_capacity {
            object["metadata"]["annotations"] = json!({OVER_CAPACITY: "truncated"});
        }
        return Plan::Create(object);
    };
    let mut annotations: Map = present.metadata.annotations.clone();
    annotations.remove(OVER_CAPACITY);
    if over_capacity {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    }
    let mut patch = json!({});
    for (field, from, to) in [
        ("labels", &present.metadata.meta.labels, &labels),
        ("annotations", &present.metadata.annotations, &annotations),
    ] {
        let changed = map_patch(from, to);
        if !changed.is_empty() {
            patch["metadata"][field] = Value::Object(changed);
        }
    }
    if present.subsets != subsets {
        patch["subsets"] = json!(subsets);
    }
    if patch.as_object().is_some_and(serde_json::Map::is_empty) {
        Plan::Nothing
    } else {
        Plan::Change(patch)
    }
}

/// Addresses with the same ports share a subset.
fn subsets(observed: &Observed<'_>) -> Vec<Subset> {
    let service = observed.service;
    let any = service.spec.publish_not_ready_addresses;
    let mut by_ports: BTreeMap<Vec<EndpointPort>, (Vec<EndpointAddress>, Vec<EndpointAddress>)> =
        BTreeMap::new();
    for pod in &observed.pods {
        if !is_endpoint(pod) || (pod.meta().is_deleting() && !any) {
            continue;
        }
        let ports = ports(service, pod);
        // A headless service may have no ports at all; any other pod without ports serves nothing.
        if ports.is_empty() && !(service.spec.ports.is_empty() && service.is_headless()) {
            continue;
        }
        let address = EndpointAddress {
            ip: pod.ipv4().unwrap_or_default().to_owned(),
            hostname: hostname(service, pod),
            node_name: Some(pod.spec.node_name.clone()).filter(|node| !node.is_empty()),
            target_ref: Some(TargetRef::pod(pod.meta())),
        };
        let (ready, not_ready) = by_ports.entry(ports).or_default();
        if any || pod.is_ready() {
            ready.push(address)
        } else {
            not_ready.push(address)
        }
    }
    by_ports
        .into_iter()
        .map(|(ports, (mut addresses, mut not_ready_addresses))| {
            addresses.sort();
            not_ready_addresses.sort();
            Subset {
                addresses,
                not_ready_addresses,
                ports,
            }
        })
        .collect()
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let mut ports: Vec<EndpointPort> = service
        .spec
        .ports
        .iter()
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone()).filter(|name| !name.is_empty()),
                port: port_number(port, pod)?,
                protocol: port.protocol.clone(),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    ports.sort();
    ports
}

/// Cuts the object down to what it may hold, ready addresses before others. Each subset keeps its
/// share, rounded up, so that the last ones may keep less.
fn truncate(subsets: &mut [Subset]) -> bool {
    let ready: usize = subsets.iter().map(|own| own.addresses.len()).sum();
    let unready: usize = subsets
        .iter()
        .map(|own| own.not_ready_addresses.len())
        .sum();
    if ready + unready <= MOST {
        return false;
    }
    let cut_ready = ready > MOST;
    let (room, total) = if cut_ready {
        (MOST, ready)
    } else {
        (MOST - ready, unready)
    };
    let mut left = room;
    for subset in subsets {
        let addresses = if cut_ready {
            subset.not_ready_addresses.clear();
            &mut subset.addresses
        } else {
            &mut subset.not_ready_addresses
        };
        let share = (addresses.len() * room).div_ceil(total);
        addresses.truncate(share.min(left));
        left -= addresses.len();
    }
    true
}
