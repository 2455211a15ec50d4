use std::collections::HashSet;
use std::sync::Arc;

use ferrule_apimachinery::scheme::Scheme;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Ranges, World};
use crate::store::Compare;
use crate::verbs::Target;
use crate::verbs::effects::Effects;

fn ranges() -> (Ranges, Target) {
    let scheme = Scheme::builtin();
    let find = |group, plural| Arc::clone(scheme.lookup(group, "v1", plural).unwrap());
    let ranges = Ranges {
        network: "10.96.0.0/16".parse().unwrap(),
        ports: 30000..=32767,
        addresses: find("networking.k8s.io", "ipaddresses"),
    };
    let target = Target {
        resource: find("", "services"),
        namespace: "default".to_owned(),
        name: "web".to_owned(),
        subresource: String::new(),
    };
    (ranges, target)
}

fn world(taken: &[&str]) -> World {
    World {
        now: Timestamp::UNIX_EPOCH,
        namespaces: None,
        addresses: None,
        services: None,
        classes: None,
        default_classes: None,
        taken: taken.iter().map(ToString::to_string).collect(),
        seed: 7,
    }
}

/// The Service with its spec filled in, and what goes along with it.
fn allocate(old: Option<Value>, new: Value, taken: &[&str]) -> Result<(Value, Effects), String> {
    let (ranges, target) = ranges();
    let old = old.map(|spec| json!({"metadata": {"uid": "u"}, "spec": spec}));
    let mut new = json!({"metadata": {"uid": "u"}, "spec": new});
    let effects = ranges
        .allocate(&target, old.as_ref(), Some(&mut new), &world(taken))
        .map_err(|status| status.message)?;
    Ok((new["spec"].take(), effects))
}

fn keys(effects: &Effects) -> HashSet<String> {
    effects.put.iter().map(|(key, _)| key.clone()).collect()
}

#[test]
fn each_kind_of_service_gets_what_it_needs() {
    let ports = json!([{"port": 80}, {"port": 81}]);
    // Type and further fields, and how many addresses and ports come of it.
    for (fields, addresses, node_ports) in [
        (json!({}), 1, 0),
        (json!({"type": "ClusterIP"}), 1, 0),
        (json!({"type": "NodePort"}), 1, 2),
        (json!({"type": "LoadBalancer"}), 1, 2),
        (
            json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}),
            1,
            0,
        ),
        (
            json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}),
            1,
            3,
        ),
        (
            json!({"type": "ExternalName", "externalName": "a.example"}),
            0,
            0,
        ),
        (json!({"clusterIP": "None"}), 0, 0),
    ] {
        let mut spec = fields.clone();
        spec["ports"] = ports.clone();
        let (_, effects) = allocate(None, spec, &[]).unwrap();
        let keys = keys(&effects);
        let of = |prefix: &str| keys.iter().filter(|key| key.starts_with(prefix)).count();
        assert_eq!(
            of("/registry/networking.k8s.io/ipaddresses/"),
            addresses,
            "{fields}"
        );
        assert_eq!(of("/ferrule/nodeports/"), node_ports, "{fields}");
        // Everything that is given out must have been free.
        for key in keys {
            assert!(effects.compare.contains(&Compare::Absent(key)), "{fields}");
        }
    }
}

#[test]
fn families_follow_from_the_kind_of_service() {
    let families = |spec: Value| {
        let (spec, _) = allocate(None, spec, &[]).unwrap();
        (spec["ipFamilies"].clone(), spec["ipFamilyPolicy"].clone())
    };
    let single = (json!(["IPv4"]), json!("SingleStack"));
    assert_eq!(families(json!({"selector": {"a": "b"}})), single);
    assert_eq!(
        families(json!({"selector": {"a": "b"}, "clusterIP": "None"})),
        single
    );
    let both = (json!(["IPv4", "IPv6"]), json!("RequireDualStack"));
    assert_eq!(families(json!({"clusterIP": "None"})), both);
    assert_eq!(
        families(json!({"type": "ExternalName"})),
        (Value::Null, Value::Null)
    );
    let refusal = allocate(None, json!({"ipFamilies": ["IPv6"]}), &[]).unwrap_err();
    assert_eq!(
        refusal,
        "Service \"web\" is invalid: spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"
    );
}

#[test]
fn what_cannot_be_had_is_refused_in_upstreams_words() {
    let node_port =
        |port: u16| json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
    for (spec, taken, expected) in [
        (
            json!({"clusterIP": "203.0.113.9"}),
            "",
            "spec.clusterIPs: Invalid value: [\"203.0.113.9\"]: failed to allocate IP 203.0.113.9: \
             the provided network does not match the current range",
        ),
        (
            json!({"clusterIP": "10.96.0.10"}),
            "/registry/networking.k8s.io/ipaddresses/10.96.0.10",
            "spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: \
             provided IP is already allocated",
        ),
        (
            node_port(80),
            "",
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. \
             The range of valid ports is 30000-32767",
        ),
        (
            node_port(30000),
            "/ferrule/nodeports/30000",
            "spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated",
        ),
    ] {
        let refusal = allocate(None, spec, &[taken]).unwrap_err();
        assert_eq!(refusal, format!("Service \"web\" is invalid: {expected}"));
    }
}

#[test]
fn what_the_new_type_does_not_have_is_given_back() {
    let old = json!({
        "type": "NodePort",
        "clusterIP": "10.96.1.1",
        "clusterIPs": ["10.96.1.1"],
        "externalTrafficPolicy": "Cluster",
        "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30001}],
    });
    let mut new = old.clone();
    new["type"] = "ClusterIP".into();
    let (spec, effects) = allocate(Some(old.clone()), new, &[]).unwrap();
    assert_eq!(spec["clusterIP"], "10.96.1.1");
    assert!(spec["ports"][0]["nodePort"].is_null() && spec["externalTrafficPolicy"].is_null());
    assert_eq!(effects.delete, ["/ferrule/nodeports/30001"]);

    let replaced = json!({"type": "NodePort", "ports": [{"port": 80}, {"name": "b", "port": 81}]});
    let (spec, effects) = allocate(Some(old), replaced, &[]).unwrap();
    assert_eq!(spec["clusterIPs"], json!(["10.96.1.1"]));
    assert_eq!(spec["ports"][0]["nodePort"], 30001);
    assert_eq!((effects.put.len(), effects.delete.len()), (1, 0));
}
