use serde_json::{Value, json};

use super::plan::{MOST, Observed, Plan, plan};
use crate::objects::service::{EndpointSlice, Endpoints, Service};

fn endpoints(more: Value, subsets: Value) -> Endpoints {
    let mut metadata = json!({
        "name": "db", "namespace": "shop", "uid": "ep", "labels": {"team": "a"},
        "annotations": {"note": "by hand", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    });
    for (key, value) in more.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    serde_json::from_value(json!({"metadata": metadata, "subsets": subsets})).unwrap()
}

fn service(selector: Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": "db"}, "spec": {"selector": selector}}))
        .unwrap()
}

fn planned(endpoints: &Endpoints, slices: &[EndpointSlice]) -> Plan {
    plan(&Observed {
        endpoints: Some(endpoints),
        service: Some(&service(Value::Null)),
        slices: slices.iter().collect(),
    })
}

fn made(plan: &Plan) -> Vec<EndpointSlice> {
    let objects = plan.create.iter();
    objects
        .map(|object| serde_json::from_value(object.clone()).unwrap())
        .collect()
}

fn two_subsets() -> Value {
    json!([
        {
            "addresses": [{"ip": "192.0.2.1", "hostname": "one"}, {"ip": "2001:DB8::1"}],
            "notReadyAddresses": [{"ip": "192.0.2.2", "nodeName": "node1"}],
            "ports": [{"port": 5432, "protocol": "TCP"}],
        },
        {"addresses": [{"ip": "192.0.2.1"}], "ports": [{"name": "admin", "port": 9000, "protocol": "TCP"}]},
    ])
}

#[test]
fn a_slice_for_each_set_of_ports_and_kind_of_address_says_what_upstreams_says() {
    let plan = planned(&endpoints(json!({}), two_subsets()), &[]);
    assert_eq!(
        plan.create[0],
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": "db-",
                "namespace": "shop",
                "labels": {
                    "team": "a",
                    "kubernetes.io/service-name": "db",
                    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
                },
                "annotations": {"note": "by hand"},
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "Endpoints", "name": "db", "uid": "ep",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["192.0.2.1"], "conditions": {"ready": true}, "hostname": "one"},
                {"addresses": ["192.0.2.2"], "conditions": {"ready": false}, "nodeName": "node1"},
            ],
            "ports": [{"name": "", "port": 5432, "protocol": "TCP"}],
        })
    );
    let rest: Vec<(&Value, &Value, &Value)> = plan.create[1..]
        .iter()
        .map(|own| {
            (
                &own["addressType"],
                &own["ports"][0]["port"],
                &own["endpoints"][0]["addresses"],
            )
        })
        .collect();
    let (four, six) = (json!("IPv4"), json!("IPv6"));
    assert_eq!(
        rest,
        [
            (&four, &json!(9000), &json!(["192.0.2.1"])),
            (&six, &json!(5432), &json!(["2001:db8::1"])),
        ]
    );
}

#[test]
fn slices_follow_and_are_used_again() {
    let first = endpoints(json!({}), two_subsets());
    let slices = made(&planned(&first, &[]));
    assert_eq!(planned(&first, &slices), Plan::default());
    let subsets =
        json!([{"addresses": [{"ip": "192.0.2.9"}], "ports": [{"port": 1, "protocol": "UDP"}]}]);
    let plan = planned(&endpoints(json!({"labels": {}}), subsets), &slices);
    assert_eq!((plan.create.len(), plan.delete.len()), (0, 2));
    let [(_, patch)] = plan.change.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(
        patch["ports"],
        json!([{"name": "", "port": 1, "protocol": "UDP"}])
    );
    assert_eq!(patch["endpoints"][0]["addresses"], json!(["192.0.2.9"]));
    assert_eq!(patch["metadata"]["labels"], json!({"team": null}));
}

#[test]
fn what_is_not_kept_by_hand_is_not_mirrored() {
    let plain = endpoints(json!({}), two_subsets());
    let slices = made(&planned(&plain, &[]));
    let skip = json!({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}});
    let lock = json!({"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}});
    let none = service(Value::Null);
    let some = service(json!({"app": "db"}));
    let (skip, lock) = (
        endpoints(skip, two_subsets()),
        endpoints(lock, two_subsets()),
    );
    for (endpoints, service) in [
        (None, Some(&none)),
        (Some(&plain), None),
        (Some(&plain), Some(&some)),
        (Some(&skip), Some(&none)),
        (Some(&lock), Some(&none)),
    ] {
        let plan = plan(&Observed {
            endpoints,
            service,
            slices: slices.iter().collect(),
        });
        assert_eq!(plan.delete, [0, 1, 2]);
        assert!(plan.create.is_empty() && plan.change.is_empty());
    }
}

#[test]
fn addresses_that_are_none_or_too_many_are_counted() {
    let mut addresses: Vec<Value> = (0..MOST + 5)
        .map(|number| json!({"ip": format!("10.0.{}.{}", number / 250, number % 250)}))
        .collect();
    addresses.insert(0, json!({"ip": "nowhere"}));
    let subsets = json!([{"addresses": addresses, "ports": [{"port": 1, "protocol": "TCP"}]}]);
    let plan = planned(&endpoints(json!({}), subsets), &[]);
    assert_eq!((plan.invalid, plan.skipped), (1, 6));
    assert_eq!(plan.create[0]["endpoints"].as_array().unwrap().len(), MOST);
}
