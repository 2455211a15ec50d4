use std::collections::HashMap;

use serde_json::{Value, json};

use super::plan::{Observed, Plan, plan};
use crate::objects::pod::Pod;
use crate::objects::service::{EndpointSlice, Service};

fn service(more: Value) -> Service {
    let mut spec = json!({
        "type": "ClusterIP", "clusterIP": "10.96.0.7", "selector": {"app": "web"},
        "ports": [{"name": "", "protocol": "TCP", "port": 80, "targetPort": 8080}],
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "svc", "labels": {"team": "a"}},
        "spec": spec,
    }))
    .unwrap()
}

fn pod(number: usize, ready: bool, deleting: bool) -> Pod {
    let mut object = json!({
        "metadata": {"name": format!("web-{number}"), "namespace": "shop", "uid": format!("uid-{number:04}"),
            "labels": {"app": "web"}},
        "spec": {"nodeName": "node1", "containers": [
            {"ports": [{"name": "http", "containerPort": 8000 + number % 2, "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "podIP": format!("10.244.{}.{}", number / 250, number % 250 + 1),
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    });
    if deleting {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    }
    serde_json::from_value(object).unwrap()
}

fn planned(service: &Service, pods: &[Pod], slices: &[EndpointSlice]) -> Plan {
    plan(&Observed {
        service,
        pods: pods.iter().collect(),
        zones: HashMap::from([("node1", "z1"), ("node2", "")]),
        slices: slices.iter().collect(),
    })
}

/// The slices after a plan was carried out.
fn carried_out(plan: &Plan, slices: &[EndpointSlice]) -> Vec<EndpointSlice> {
    let mut left: Vec<EndpointSlice> = slices.to_vec();
    for (place, patch) in &plan.change {
        let slice = &mut left[*place];
        if let Some(endpoints) = patch.get("endpoints") {
            slice.endpoints = serde_json::from_value(endpoints.clone()).unwrap();
        }
        if let Some(ports) = patch.get("ports") {
            slice.ports = serde_json::from_value(ports.clone()).unwrap();
        }
    }
    let mut place = 0;
    left.retain(|_| {
        place += 1;
        !plan.delete.contains(&(place - 1))
    });
    left.extend(
        plan.create
            .iter()
            .map(|object| serde_json::from_value(object.clone()).unwrap()),
    );
    left
}

#[test]
fn a_slice_says_what_upstreams_says() {
    let plan = planned(&service(json!({})), &[pod(1, true, false)], &[]);
    assert_eq!(
        plan.create,
        [json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": "web-",
                "namespace": "shop",
                "labels": {
                    "team": "a",
                    "kubernetes.io/service-name": "web",
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "Service", "name": "web", "uid": "svc",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "addressType": "IPv4",
            "endpoints": [{
                "addresses": ["10.244.0.2"],
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "nodeName": "node1",
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "uid-0001"},
                "zone": "z1",
            }],
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        })]
    );
}

#[test]
fn conditions_follow_readiness_and_deletion() {
    for (ready, deleting, any, expected) in [
        (true, false, false, (true, true, false)),
        (false, false, false, (false, false, false)),
        (true, true, false, (false, true, true)),
        (false, true, true, (true, false, true)),
    ] {
        let service = service(json!({"publishNotReadyAddresses": any}));
        let plan = planned(&service, &[pod(1, ready, deleting)], &[]);
        let (ready, serving, terminating) = expected;
        assert_eq!(
            plan.create[0]["endpoints"][0]["conditions"],
            json!({"ready": ready, "serving": serving, "terminating": terminating})
        );
    }
}

#[test]
fn pods_without_address_or_that_have_ended_are_left_out_and_an_empty_slice_stays() {
    let mut ended = pod(1, true, false);
    ended.status.phase = "Failed".to_owned();
    let mut pending = pod(2, false, false);
    pending.status.pod_ip = String::new();
    let service = service(json!({}));
    let plan = planned(&service, &[ended, pending], &[]);
    assert_eq!(
        (&plan.create[0]["endpoints"], &plan.create[0]["ports"]),
        (&json!([]), &json!([]))
    );
    let slices = carried_out(&plan, &[]);
    assert_eq!(planned(&service, &[], &slices), Plan::default());
    let grown = planned(&service, &[pod(3, true, false)], &slices);
    assert_eq!((grown.create.len(), grown.change.len()), (0, 1));
}

#[test]
fn slices_hold_a_hundred_and_change_as_little_as_possible() {
    let service = service(json!({}));
    let mut pods: Vec<Pod> = (0..250).map(|number| pod(number, true, false)).collect();
    let slices = carried_out(&planned(&service, &pods, &[]), &[]);
    let sizes: Vec<usize> = slices.iter().map(|slice| slice.endpoints.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(planned(&service, &pods, &slices), Plan::default());
    // One pod less, another one more: the slice that changes anyway takes the new one.
    pods.remove(5);
    pods.push(pod(300, true, false));
    let plan = planned(&service, &pods, &slices);
    assert_eq!(
        (plan.create.len(), plan.delete.len(), plan.change.len()),
        (0, 0, 1)
    );
    assert_eq!(carried_out(&plan, &slices)[0].endpoints.len(), 100);
}

#[test]
fn named_ports_with_different_numbers_need_slices_of_their_own() {
    let service = service(
        json!({"ports": [{"name": "w", "protocol": "TCP", "port": 80, "targetPort": "http"}]}),
    );
    let pods: Vec<Pod> = (0..4).map(|number| pod(number, true, false)).collect();
    let plan = planned(&service, &pods, &[]);
    let numbers: Vec<&Value> = plan
        .create
        .iter()
        .map(|object| &object["ports"][0]["port"])
        .collect();
    assert_eq!(numbers, [&json!(8000), &json!(8001)]);
    let slices = carried_out(&plan, &[]);
    let plan = planned(&service, &pods[..1], &slices);
    assert_eq!(
        (plan.create.len(), plan.change.len(), plan.delete.len()),
        (0, 1, 1)
    );
}

#[test]
fn a_headless_service_is_labelled_and_names_its_pods() {
    let service = service(json!({"clusterIP": "None", "ports": []}));
    let mut named = pod(1, true, false);
    named.spec.hostname = "first".to_owned();
    named.spec.subdomain = "web".to_owned();
    let plan = planned(&service, &[named], &[]);
    assert_eq!(
        plan.create[0]["metadata"]["labels"]["service.kubernetes.io/headless"],
        json!("")
    );
    assert_eq!(plan.create[0]["endpoints"][0]["hostname"], json!("first"));
}

#[test]
fn labels_of_the_service_are_kept_in_step() {
    let mut service = service(json!({}));
    let pods = [pod(1, true, false)];
    let slices = carried_out(&planned(&service, &pods, &[]), &[]);
    service.metadata.labels = [("team".to_owned(), "b".to_owned())].into();
    let plan = planned(&service, &pods, &slices);
    assert_eq!(
        plan.change,
        [(0, json!({"metadata": {"labels": {"team": "b"}}}))]
    );
}

#[test]
fn hints_say_who_should_use_a_ready_endpoint() {
    let zones = json!([{"name": "z1"}]);
    for (distribution, ready, node, expected) in [
        (Value::Null, true, "node1", Value::Null),
        (
            json!("PreferClose"),
            true,
            "node1",
            json!({"forZones": zones}),
        ),
        (
            json!("PreferSameZone"),
            true,
            "node1",
            json!({"forZones": zones}),
        ),
        (json!("PreferSameZone"), true, "node2", Value::Null),
        (json!("PreferSameZone"), false, "node1", Value::Null),
        (
            json!("PreferSameNode"),
            true,
            "node1",
            json!({"forZones": zones, "forNodes": [{"name": "node1"}]}),
        ),
        (
            json!("PreferSameNode"),
            true,
            "node2",
            json!({"forNodes": [{"name": "node2"}]}),
        ),
    ] {
        let service = service(json!({"trafficDistribution": distribution}));
        let mut pod = pod(1, ready, false);
        pod.spec.node_name = node.to_owned();
        let plan = planned(&service, &[pod], &[]);
        let found = &plan.create[0]["endpoints"][0]["hints"];
        assert_eq!(*found, expected, "{distribution} {node}");
    }
}

#[test]
fn a_pod_whose_node_is_not_there_is_left_out_and_looked_at_again() {
    let mut lost = pod(1, true, false);
    lost.spec.node_name = "gone".to_owned();
    for (publish, endpoints) in [(false, 0), (true, 1)] {
        let service = service(json!({"publishNotReadyAddresses": publish}));
        let plan = planned(&service, std::slice::from_ref(&lost), &[]);
        let found = plan.create[0]["endpoints"].as_array().unwrap().len();
        assert_eq!((found, plan.lacks_nodes), (endpoints, !publish));
    }
}

#[test]
fn several_ports_of_any_protocol_share_a_slice_and_a_pod_without_a_named_port_lacks_it() {
    let ports = json!([
        {"name": "web", "protocol": "TCP", "port": 80, "targetPort": 8080, "appProtocol": "http"},
        {"name": "dns", "protocol": "UDP", "port": 53},
        {"name": "sig", "protocol": "SCTP", "port": 9, "targetPort": "absent"},
    ]);
    let plan = planned(
        &service(json!({"ports": ports})),
        &[pod(1, true, false)],
        &[],
    );
    let expected = json!([
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "web", "port": 8080, "protocol": "TCP", "appProtocol": "http"},
    ]);
    assert_eq!(plan.create[0]["ports"], expected);
}
