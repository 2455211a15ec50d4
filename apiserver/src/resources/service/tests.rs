//! The rules of services, in tables.

use serde_json::{Value, json};

use super::Service;
use crate::resources::Rules;
use crate::resources::tests::{context, lines, with};

/// A service as it is after defaults and allocation.
fn service(kind: &str) -> Value {
    let mut service = json!({
        "metadata": { "name": "s", "namespace": "default" },
        "spec": {
            "type": kind, "selector": { "app": "a" }, "ports": [{ "port": 80 }],
            "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        },
    });
    Service.default(&mut service);
    service
}

#[test]
fn defaults_depend_on_the_type() {
    for (kind, external, node_ports) in [
        ("", None, None),
        ("ClusterIP", None, None),
        ("NodePort", Some("Cluster"), None),
        ("LoadBalancer", Some("Cluster"), Some(true)),
    ] {
        let spec = &service(kind)["spec"];
        assert_eq!(
            spec.get("externalTrafficPolicy").and_then(Value::as_str),
            external,
            "{kind}"
        );
        assert_eq!(
            spec.get("allocateLoadBalancerNodePorts")
                .and_then(Value::as_bool),
            node_ports,
            "{kind}"
        );
        assert_eq!(spec["internalTrafficPolicy"], "Cluster");
        assert_eq!(
            spec["ports"],
            json!([{ "port": 80, "protocol": "TCP", "targetPort": 80 }])
        );
        assert!(
            Service
                .validate_create(&service(kind), &context())
                .is_empty(),
            "{kind}"
        );
    }
}

#[test]
fn affinity_by_client_lasts_three_hours_unless_it_says_otherwise() {
    let mut service = json!({ "spec": { "sessionAffinity": "ClientIP" } });
    Service.default(&mut service);
    let expected = json!({ "clientIP": { "timeoutSeconds": 10800 } });
    assert_eq!(service["spec"]["sessionAffinityConfig"], expected);
    service["spec"]["sessionAffinity"] = json!("None");
    Service.default(&mut service);
    assert!(service["spec"].get("sessionAffinityConfig").is_none());
}

#[test]
fn a_bad_specification_is_told_in_upstreams_words() {
    let ports = |ports: Value| ports;
    let cases: [(&str, &str, Value, &[&str]); 14] = [
        (
            "ClusterIP",
            "spec.ports",
            json!([]),
            &["spec.ports: Required value"],
        ),
        (
            "ClusterIP",
            "spec.ports.0.port",
            json!(0),
            &["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
        ),
        (
            "ClusterIP",
            "spec.ports.0.nodePort",
            json!(30000),
            &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            "ClusterIP",
            "spec.ports",
            ports(json!([
                { "port": 1, "targetPort": 1, "protocol": "TCP", "name": "a" },
                { "port": 1, "targetPort": 1, "protocol": "TCP", "name": "b" },
            ])),
            &[
                "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":1,\"TargetPort\":0,\"NodePort\":0}",
            ],
        ),
        (
            "ClusterIP",
            "spec.type",
            json!("Internal"),
            &[
                "spec.type: Unsupported value: \"Internal\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ],
        ),
        (
            "ClusterIP",
            "spec.sessionAffinity",
            json!("Cookie"),
            &[
                "spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\"",
            ],
        ),
        (
            "ClusterIP",
            "spec.externalTrafficPolicy",
            json!("Local"),
            &[
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ],
        ),
        (
            "ClusterIP",
            "spec.externalIPs",
            json!(["127.0.0.1"]),
            &[
                "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
                "spec.externalTrafficPolicy: Required value",
            ],
        ),
        (
            "ClusterIP",
            "spec.ipFamilyPolicy",
            json!("Both"),
            &[
                "spec.ipFamilyPolicy: Unsupported value: \"Both\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"",
            ],
        ),
        (
            "ClusterIP",
            "spec.clusterIPs",
            json!(["10.96.0.8"]),
            &[
                "spec.clusterIPs: Invalid value: [\"10.96.0.8\"]: first value must match `clusterIP`",
            ],
        ),
        (
            "ClusterIP",
            "spec.ports.0.targetPort",
            json!("NO_GOOD"),
            &[
                "spec.ports[0].targetPort: Invalid value: \"NO_GOOD\": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                "spec.ports[0].targetPort: Invalid value: \"NO_GOOD\": must contain at least one letter (a-z)",
            ],
        ),
        (
            "LoadBalancer",
            "spec.loadBalancerSourceRanges",
            json!(["x"]),
            &[
                "spec.LoadBalancerSourceRanges[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ],
        ),
        (
            "NodePort",
            "spec.loadBalancerClass",
            json!("a.b/c"),
            &["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            "NodePort",
            "spec.externalTrafficPolicy",
            json!("Nearest"),
            &[
                "spec.externalTrafficPolicy: Unsupported value: \"Nearest\": supported values: \"Cluster\", \"Local\"",
            ],
        ),
    ];
    for (kind, path, value, expected) in cases {
        let service = with(service(kind), path, value);
        assert_eq!(
            lines(Service.validate_create(&service, &context())),
            expected,
            "{path}"
        );
    }
}

#[test]
fn an_external_name_has_no_address() {
    let mut service = json!({
        "metadata": { "name": "s", "namespace": "default" },
        "spec": { "type": "ExternalName" },
    });
    Service.default(&mut service);
    assert_eq!(
        lines(Service.validate_create(&service, &context())),
        ["spec.externalName: Required value"]
    );
    let named = with(service, "spec.externalName", json!("db.example."));
    assert!(Service.validate_create(&named, &context()).is_empty());
    let addressed = with(named, "spec.clusterIPs", json!(["10.96.0.7"]));
    let expected = "spec.clusterIPs: Forbidden: may not be set for ExternalName services";
    assert_eq!(
        lines(Service.validate_create(&addressed, &context())),
        [expected]
    );
}

#[test]
fn an_address_does_not_change() {
    let old = service("ClusterIP");
    let new = with(old.clone(), "spec.clusterIP", json!("10.96.0.8"));
    let new = with(new, "spec.clusterIPs", json!(["10.96.0.8"]));
    let expected = "spec.clusterIPs[0]: Invalid value: [\"10.96.0.8\"]: may not change once set";
    assert_eq!(
        lines(Service.validate_update(&new, &old, &context())),
        [expected]
    );
}

#[test]
fn rows_show_where_a_service_is_reached() {
    let node_port = with(service("NodePort"), "spec.ports.0.nodePort", json!(30080));
    let balancer = with(
        service("LoadBalancer"),
        "spec.externalIPs",
        json!(["192.0.2.50"]),
    );
    let named =
        json!({ "metadata": {}, "spec": { "type": "ExternalName", "externalName": "x.example" } });
    for (service, expected) in [
        (service("ClusterIP"), ["10.96.0.7", "<none>", "80/TCP"]),
        (node_port, ["10.96.0.7", "<none>", "80:30080/TCP"]),
        (
            service("LoadBalancer"),
            ["10.96.0.7", "<pending>", "80/TCP"],
        ),
        (balancer, ["10.96.0.7", "192.0.2.50", "80/TCP"]),
        (named, ["<none>", "x.example", "<none>"]),
    ] {
        let row = Service.row(&service, context().now);
        let shown: Vec<&str> = row.cells[2..5].iter().filter_map(Value::as_str).collect();
        assert_eq!(shown, expected);
    }
}

#[test]
fn fields_without_effect_are_warned_of() {
    let external = with(
        service("ClusterIP"),
        "spec.externalIPs",
        json!(["192.0.2.50"]),
    );
    let expected =
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
    assert_eq!(Service.warnings(&external, None), [expected]);
    let named = with(service("ClusterIP"), "spec.externalName", json!("x"));
    let expected = "spec.externalName is ignored when spec.type is not \"ExternalName\"";
    assert_eq!(Service.warnings(&named, None), [expected]);
}
