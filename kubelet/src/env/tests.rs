//! The environment, in tables.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::services::{Service, variables};
use super::*;

fn pod(container: Value) -> Pod {
    let mut container = container;
    container["name"] = json!("c");
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}, "annotations": {"note": "a \"b\""}},
        "spec": {"nodeName": "node1", "containers": [container]}
    }))
    .expect("a pod")
}

fn inputs() -> Inputs {
    let contents = |pairs: &[(&str, &str)]| {
        let map: BTreeMap<String, Vec<u8>> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Some(map)
    };
    Inputs {
        config_maps: [
            ("settings".to_owned(), contents(&[("A", "1"), ("B", "2")])),
            ("gone".to_owned(), None),
        ]
        .into(),
        secrets: [
            ("login".to_owned(), contents(&[("password", "s3cret")])),
            ("gone".to_owned(), None),
        ]
        .into(),
        services: [("KUBERNETES_SERVICE_HOST".to_owned(), "10.96.0.1".to_owned())].into(),
        facts: PodFacts {
            pod_ips: vec!["10.244.1.5".to_owned()],
            host_ips: vec!["172.30.0.11".to_owned()],
            allocatable: [("cpu".to_owned(), 2000), ("memory".to_owned(), 4 << 30)].into(),
        },
    }
}

fn of(container: Value) -> Result<Vec<(String, String)>, String> {
    let pod = pod(container);
    environment(&pod, &spec::containers(&pod)[0], &inputs()).map_err(|error| error.to_string())
}

#[test]
fn variables_come_from_values_references_fields_and_resources() {
    let from = |source: Value| json!({"env": [{"name": "X", "valueFrom": source}]});
    let table = [
        (json!({"env": [{"name": "X", "value": "v"}]}), "v"),
        (
            json!({"env": [{"name": "Y", "value": "1"}, {"name": "X", "value": "$(Y)-$(KUBERNETES_SERVICE_HOST)-$(NO)"}]}),
            "1-10.96.0.1-$(NO)",
        ),
        (
            from(json!({"configMapKeyRef": {"name": "settings", "key": "B"}})),
            "2",
        ),
        (
            from(json!({"secretKeyRef": {"name": "login", "key": "password"}})),
            "s3cret",
        ),
        (
            from(json!({"fieldRef": {"fieldPath": "metadata.labels['app']"}})),
            "web",
        ),
        (
            from(json!({"fieldRef": {"fieldPath": "metadata.annotations"}})),
            "note=\"a \\\"b\\\"\"",
        ),
        (
            from(json!({"fieldRef": {"fieldPath": "status.podIP"}})),
            "10.244.1.5",
        ),
        (
            from(json!({"fieldRef": {"fieldPath": "status.hostIP"}})),
            "172.30.0.11",
        ),
        (
            from(json!({"fieldRef": {"fieldPath": "spec.nodeName"}})),
            "node1",
        ),
        (
            from(json!({"resourceFieldRef": {"resource": "limits.cpu"}})),
            "2",
        ),
        (
            from(json!({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}})),
            "4096",
        ),
        (
            from(json!({"resourceFieldRef": {"resource": "requests.cpu"}})),
            "0",
        ),
        (
            json!({"envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}}], "env": [{"name": "X", "value": "$(P_A)"}]}),
            "1",
        ),
    ];
    for (container, expected) in table {
        let all = of(container.clone()).expect("an environment");
        let value = all
            .iter()
            .find(|(name, _)| name == "X")
            .map(|(_, value)| value.as_str());
        assert_eq!(value, Some(expected), "{container}");
        assert_eq!(
            all.last().map(|(name, _)| name.as_str()),
            Some("KUBERNETES_SERVICE_HOST")
        );
    }
}

#[test]
fn what_is_missing_is_an_error_in_upstreams_words_unless_it_is_optional() {
    let key = |kind: &str, name: &str, key: &str, optional: bool| json!({"env": [{"name": "X", "valueFrom": {kind: {"name": name, "key": key, "optional": optional}}}]});
    let table = [
        (
            key("configMapKeyRef", "gone", "A", false),
            Some("configmap \"gone\" not found"),
        ),
        (
            key("secretKeyRef", "gone", "A", false),
            Some("secret \"gone\" not found"),
        ),
        (
            key("configMapKeyRef", "settings", "C", false),
            Some("couldn't find key C in ConfigMap shop/settings"),
        ),
        (
            key("secretKeyRef", "login", "C", false),
            Some("couldn't find key C in Secret shop/login"),
        ),
        (key("configMapKeyRef", "gone", "A", true), None),
        (key("secretKeyRef", "login", "C", true), None),
        (
            json!({"envFrom": [{"configMapRef": {"name": "gone"}}]}),
            Some("configmap \"gone\" not found"),
        ),
        (
            json!({"envFrom": [{"secretRef": {"name": "gone", "optional": true}}]}),
            None,
        ),
    ];
    for (container, expected) in table {
        match (of(container.clone()), expected) {
            (Err(error), Some(expected)) => assert_eq!(error, expected),
            (Ok(all), None) => assert!(!all.iter().any(|(name, _)| name == "X")),
            (other, _) => panic!("{container}: {other:?}"),
        }
    }
}

#[test]
fn services_are_announced_with_links_and_kubernetes_always() {
    let service = |namespace: &str, name: &str, ip: &str, ports: &[(&str, &str, i32)]| Service {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        cluster_ip: ip.to_owned(),
        ports: ports
            .iter()
            .map(|(name, protocol, port)| ((*name).to_owned(), (*protocol).to_owned(), *port))
            .collect(),
    };
    let services = [
        service(
            "default",
            "kubernetes",
            "10.96.0.1",
            &[("https", "TCP", 443)],
        ),
        service(
            "shop",
            "redis-primary",
            "10.96.0.11",
            &[("", "TCP", 6379), ("metrics", "UDP", 9121)],
        ),
        service("shop", "headless", "None", &[("", "TCP", 1)]),
        service("other", "db", "10.96.0.12", &[("", "TCP", 5432)]),
    ];
    let linked = variables(&services, "shop", true);
    for (name, value) in [
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
        ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
        ("REDIS_PRIMARY_SERVICE_PORT", "6379"),
        ("REDIS_PRIMARY_PORT", "tcp://10.96.0.11:6379"),
        ("REDIS_PRIMARY_SERVICE_PORT_METRICS", "9121"),
        ("REDIS_PRIMARY_PORT_9121_UDP_PROTO", "udp"),
        ("REDIS_PRIMARY_PORT_9121_UDP_ADDR", "10.96.0.11"),
    ] {
        assert_eq!(linked.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(
        !linked
            .keys()
            .any(|name| name.starts_with("DB_") || name.starts_with("HEADLESS_"))
    );
    let plain = variables(&services, "shop", false);
    assert!(plain.keys().all(|name| name.starts_with("KUBERNETES_")));
}
