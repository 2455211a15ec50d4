use serde_json::{Value, json};

use super::plan::{Observed, Plan, is_ours, plan};
use crate::objects::pod::Pod;
use crate::objects::service::{Endpoints, Service};

fn service(spec: Value) -> Service {
    let mut all =
        json!({"type": "ClusterIP", "clusterIP": "10.96.0.7", "selector": {"app": "web"}});
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "svc", "labels": {"team": "a"}},
        "spec": all,
    }))
    .unwrap()
}

fn pod(number: u8, ready: bool) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": format!("web-{number}"), "namespace": "shop", "uid": format!("u{number}")},
        "spec": {"nodeName": "node1"},
        "status": {"phase": "Running", "podIP": format!("10.244.0.{number}"),
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    }))
    .unwrap()
}

fn address(number: u8) -> Value {
    json!({
        "ip": format!("10.244.0.{number}"),
        "nodeName": "node1",
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": format!("web-{number}"), "uid": format!("u{number}")},
    })
}

#[test]
fn addresses_with_the_same_ports_share_a_subset_and_unready_ones_stand_apart() {
    let service = service(json!({"ports": [{"protocol": "TCP", "port": 80, "targetPort": 8080}]}));
    let pods = [pod(3, true), pod(1, true), pod(2, false)];
    let made = plan(&Observed {
        service: &service,
        pods: pods.iter().collect(),
        endpoints: None,
    });
    let object = json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"team": "a", "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
        },
        "subsets": [{
            "addresses": [address(1), address(3)],
            "notReadyAddresses": [address(2)],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }],
    });
    assert_eq!(made, Plan::Create(object.clone()));
    let present: Endpoints = serde_json::from_value(object).unwrap();
    let again = plan(&Observed {
        service: &service,
        pods: pods.iter().collect(),
        endpoints: Some(&present),
    });
    assert_eq!(again, Plan::Nothing);
    let fewer = plan(&Observed {
        service: &service,
        pods: vec![&pods[1]],
        endpoints: Some(&present),
    });
    let subsets =
        json!([{"addresses": [address(1)], "ports": [{"port": 8080, "protocol": "TCP"}]}]);
    assert_eq!(fewer, Plan::Change(json!({"subsets": subsets})));
}

#[test]
fn pods_that_are_being_deleted_are_left_out_unless_unready_ones_are_published() {
    let mut leaving = pod(1, true);
    leaving.metadata.meta.deletion_timestamp = Some(jiff::Timestamp::UNIX_EPOCH);
    for (publish, expected) in [(false, 0), (true, 1)] {
        let ports = json!([{"protocol": "TCP", "port": 80}]);
        let service = service(json!({"ports": ports, "publishNotReadyAddresses": publish}));
        let made = plan(&Observed {
            service: &service,
            pods: vec![&leaving],
            endpoints: None,
        });
        let Plan::Create(object) = made else {
            panic!("{made:?}")
        };
        assert_eq!(object["subsets"].as_array().unwrap().len(), expected);
    }
}

#[test]
fn a_headless_service_without_ports_lists_addresses_alone() {
    let service = service(json!({"clusterIP": "None", "ports": []}));
    let pods = [pod(1, true)];
    let made = plan(&Observed {
        service: &service,
        pods: pods.iter().collect(),
        endpoints: None,
    });
    let Plan::Create(object) = made else {
        panic!("{made:?}")
    };
    assert_eq!(object["subsets"], json!([{"addresses": [address(1)]}]));
    assert_eq!(
        object["metadata"]["labels"]["service.kubernetes.io/headless"],
        json!("")
    );
}

#[test]
fn an_object_with_too_many_addresses_keeps_ready_ones_and_says_so() {
    let pods = |ready: usize, unready: usize| -> Vec<Pod> {
        (0..ready + unready)
            .map(|number| {
                let mut pod = pod(1, number < ready);
                let meta = &mut pod.metadata.meta;
                meta.name = format!("web-{number:04}");
                pod.status.pod_ip = format!("10.{}.{}.1", 1 + number / 250, number % 250);
                // Two subsets: every third pod serves at another number.
                let number = 8000 + i32::from(number % 3 == 0);
                pod.spec.containers = serde_json::from_value(
                    json!([{"ports": [{"name": "http", "containerPort": number, "protocol": "TCP"}]}]),
                )
                .unwrap();
                pod
            })
            .collect()
    };
    let service =
        service(json!({"ports": [{"protocol": "TCP", "port": 80, "targetPort": "http"}]}));
    for (ready, unready, expected) in [
        (600, 300, [[400, 200], [200, 100]]),
        (600, 900, [[400, 267], [200, 133]]),
        (1500, 300, [[667, 0], [333, 0]]),
    ] {
        let pods = pods(ready, unready);
        let made = plan(&Observed {
            service: &service,
            pods: pods.iter().collect(),
            endpoints: None,
        });
        let Plan::Create(object) = made else {
            panic!("nothing is made")
        };
        let count = |subset: &Value, list: &str| subset[list].as_array().map_or(0, Vec::len);
        let found: Vec<[usize; 2]> = object["subsets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|own| [count(own, "addresses"), count(own, "notReadyAddresses")])
            .collect();
        assert_eq!(found, expected, "{ready} and {unready}");
        let note = &object["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"];
        let expected = if ready + unready > 1000 {
            json!("truncated")
        } else {
            Value::Null
        };
        assert_eq!(*note, expected);
    }
}

#[test]
fn what_somebody_else_made_is_not_ours() {
    for (labels, ours) in [
        (
            json!({"endpoints.kubernetes.io/managed-by": "endpoint-controller"}),
            true,
        ),
        (
            json!({"endpoints.kubernetes.io/managed-by": "somebody"}),
            false,
        ),
        (json!({}), false),
    ] {
        let endpoints: Endpoints = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop", "labels": labels},
        }))
        .unwrap();
        assert_eq!(is_ours(&endpoints), ours, "{labels}");
    }
}
