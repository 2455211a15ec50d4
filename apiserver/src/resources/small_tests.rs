//! The rules of the smaller kinds, in tables.

use serde_json::{Value, json};

use super::Rules;
use super::config::{ConfigMap, Secret};
use super::disruption::PodDisruptionBudget;
use super::endpoints::{EndpointSlice, Endpoints, IpAddress};
use super::event::Event;
use super::lease::Lease;
use super::namespace::Namespace;
use super::node::Node;
use super::priority::PriorityClass;
use super::tests::{context, lines, with};

fn named(spec: Value) -> Value {
    let mut object = spec;
    object["metadata"] = json!({ "name": "x", "namespace": "default" });
    object
}

#[test]
fn secrets_are_checked_by_their_type() {
    let cases: [(&str, Value, &[&str]); 8] = [
        ("Opaque", json!({}), &[]),
        (
            "Opaque",
            json!({ "..": "" }),
            &["data[..]: Invalid value: \"..\": must not be '..'"],
        ),
        (
            "kubernetes.io/tls",
            json!({ "tls.crt": "YQ==" }),
            &["data[tls.key]: Required value"],
        ),
        (
            "kubernetes.io/basic-auth",
            json!({}),
            &[
                "data[username]: Required value",
                "data[password]: Required value",
            ],
        ),
        ("kubernetes.io/basic-auth", json!({ "username": "" }), &[]),
        (
            "kubernetes.io/ssh-auth",
            json!({}),
            &["data[ssh-privatekey]: Required value"],
        ),
        (
            "kubernetes.io/dockerconfigjson",
            json!({ ".dockerconfigjson": "eA==" }),
            &[
                "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'x' looking for beginning of value",
            ],
        ),
        (
            "kubernetes.io/service-account-token",
            json!({}),
            &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
    ];
    for (kind, data, expected) in cases {
        let secret = named(json!({ "type": kind, "data": data }));
        assert_eq!(
            lines(Secret.validate_create(&secret, &context())),
            expected,
            "{kind}"
        );
    }
}

#[test]
fn texts_of_a_secret_become_data() {
    let mut secret = json!({ "data": { "a": "eA==" }, "stringData": { "a": "y", "b": "z" } });
    Secret.default(&mut secret);
    assert_eq!(
        secret,
        json!({ "type": "Opaque", "data": { "a": "eQ==", "b": "eg==" } })
    );
}

#[test]
fn what_is_immutable_stays_so() {
    for (rules, list) in [
        (&ConfigMap as &dyn Rules, "data"),
        (&Secret, "data"),
        (&ConfigMap, "binaryData"),
    ] {
        let old = named(json!({ "immutable": true, list: { "k": "YQ==" } }));
        let changed = with(old.clone(), list, json!({ "k": "Yg==" }));
        let expected = format!("{list}: Forbidden: field is immutable when `immutable` is set");
        assert_eq!(
            lines(rules.validate_update(&changed, &old, &context())),
            [expected]
        );
        let mutable = with(old.clone(), "immutable", json!(false));
        let expected = "immutable: Forbidden: field is immutable when `immutable` is set";
        assert_eq!(
            lines(rules.validate_update(&mutable, &old, &context())),
            [expected]
        );
    }
}

#[test]
fn a_key_stands_in_one_map_of_a_config_map() {
    let map = named(json!({ "data": { "k": "v" }, "binaryData": { "k": "YQ==" } }));
    let expected = "data[k]: Invalid value: \"k\": duplicate of key present in binaryData";
    assert_eq!(
        lines(ConfigMap.validate_create(&map, &context())),
        [expected]
    );
    assert_eq!(ConfigMap.row(&map, context().now).cells[1], 2);
}

#[test]
fn a_namespace_begins_active_with_its_name_as_a_label() {
    let mut namespace = json!({ "metadata": { "name": "x" } });
    Namespace.default(&mut namespace);
    Namespace.prepare_create(&mut namespace, &context());
    let expected = json!({
        "metadata": { "name": "x", "labels": { "kubernetes.io/metadata.name": "x" } },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    });
    assert_eq!(namespace, expected);
    let ended = with(namespace.clone(), "status.phase", json!("Terminating"));
    let expected = "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty";
    assert_eq!(
        lines(Namespace.validate_status(&ended, &namespace, &context())),
        [expected]
    );
}

fn node() -> Value {
    json!({
        "metadata": { "name": "n", "labels": { "node-role.kubernetes.io/worker": "" } },
        "spec": { "podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"] },
        "status": {
            "conditions": [{ "type": "Ready", "status": "True" }],
            "addresses": [{ "type": "InternalIP", "address": "192.0.2.1" }],
            "nodeInfo": {
                "kubeletVersion": "v1.36.3", "osImage": "OS", "kernelVersion": "6.1", "architecture": "amd64",
                "containerRuntimeVersion": "ferrule://0.1.0",
            },
        },
    })
}

#[test]
fn a_node_keeps_what_it_was_once_given() {
    let old = with(node(), "spec.providerID", json!("x://1"));
    let cases = [
        (
            "spec.podCIDRs",
            json!(["10.244.2.0/24"]),
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
        ),
        (
            "spec.providerID",
            json!("x://2"),
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
        ),
        (
            "spec.taints",
            json!([{ "key": "a", "effect": "NoExecute" }, { "key": "a", "effect": "NoExecute", "value": "x" }]),
            "metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"x\",\"Effect\":\"NoExecute\",\"TimeAdded\":null}: taints must be unique by key and effect pair",
        ),
    ];
    for (path, value, expected) in cases {
        let new = with(old.clone(), path, value);
        assert_eq!(
            lines(Node.validate_update(&new, &old, &context())),
            [expected]
        );
    }
}

#[test]
fn the_row_of_a_node_has_its_versions_and_addresses() {
    let row = Node
        .row(
            &with(node(), "spec.unschedulable", json!(true)),
            context().now,
        )
        .cells;
    let expected = [
        "n",
        "Ready,SchedulingDisabled",
        "worker",
        "<unknown>",
        "v1.36.3",
        "192.0.2.1",
        "<none>",
        "OS",
        "6.1 (amd64)",
        "ferrule://0.1.0",
    ];
    assert_eq!(row, expected.map(Value::from));
    assert_eq!(Node.row(&json!({}), context().now).cells[1], "Unknown");
}

#[test]
fn a_lease_lasts_for_some_time() {
    let lease = named(json!({ "spec": { "leaseDurationSeconds": 0, "leaseTransitions": -1 } }));
    let expected = [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ];
    assert_eq!(lines(Lease.validate_create(&lease, &context())), expected);
}

#[test]
fn slices_hold_addresses_of_one_family() {
    let slice = |kind: &str, address: &str| {
        let mut slice = named(
            json!({ "addressType": kind, "endpoints": [{ "addresses": [address] }], "ports": [{}] }),
        );
        EndpointSlice.default(&mut slice);
        slice
    };
    assert_eq!(
        slice("IPv4", "192.0.2.1")["ports"],
        json!([{ "name": "", "protocol": "TCP" }])
    );
    let cases = [
        ("", "192.0.2.1", "addressType: Required value"),
        (
            "IPv4",
            "2001:db8::1",
            "endpoints[0].addresses: Invalid value: \"2001:db8::1\": must be an IPv4 address",
        ),
        (
            "MAC",
            "x",
            "addressType: Unsupported value: \"MAC\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"",
        ),
        (
            "IPv4",
            "127.0.0.1",
            "endpoints[0].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
    ];
    for (kind, address, expected) in cases {
        assert_eq!(
            lines(EndpointSlice.validate_create(&slice(kind, address), &context())),
            [expected]
        );
    }
    let old = slice("IPv4", "192.0.2.1");
    let errors = EndpointSlice.validate_update(
        &with(old.clone(), "addressType", json!("FQDN")),
        &old,
        &context(),
    );
    assert_eq!(
        lines(errors).last().unwrap(),
        "addressType: Invalid value: \"FQDN\": field is immutable"
    );
}

#[test]
fn subsets_with_the_same_ports_are_one() {
    let subset = |address: &str, ready: bool| {
        let list = if ready {
            "addresses"
        } else {
            "notReadyAddresses"
        };
        json!({ list: [{ "ip": address }], "ports": [{ "port": 80 }] })
    };
    let mut endpoints = named(
        json!({ "subsets": [subset("192.0.2.2", true), subset("192.0.2.1", true), subset("192.0.2.3", false)] }),
    );
    Endpoints.default(&mut endpoints);
    let expected = json!([{
        "addresses": [{ "ip": "192.0.2.1" }, { "ip": "192.0.2.2" }],
        "notReadyAddresses": [{ "ip": "192.0.2.3" }],
        "ports": [{ "port": 80, "protocol": "TCP" }],
    }]);
    assert_eq!(endpoints["subsets"], expected);
    assert_eq!(
        Endpoints.row(&endpoints, context().now).cells[1],
        "192.0.2.1:80,192.0.2.2:80"
    );
}

#[test]
fn tables_show_three_endpoints_and_count_the_rest() {
    let addresses = ["1", "2", "3", "4"].map(|last| format!("192.0.2.{last}"));
    let slice = json!({ "endpoints": [{ "addresses": addresses }], "addressType": "IPv4" });
    let row = EndpointSlice.row(&slice, context().now).cells;
    assert_eq!(
        row[2..4],
        [
            json!("<unset>"),
            json!("192.0.2.1,192.0.2.2,192.0.2.3 + 1 more...")
        ]
    );
}

#[test]
fn an_address_is_named_in_canonical_form_and_belongs_to_something() {
    let address = |name: &str| json!({ "metadata": { "name": name }, "spec": { "parentRef": { "resource": "services", "namespace": "default", "name": "kubernetes" } } });
    assert!(
        IpAddress
            .validate_create(&address("10.96.0.1"), &context())
            .is_empty()
    );
    let expected = "metadata.name: Invalid value: \"2001:0db8::1\": must be in canonical form (\"2001:db8::1\")";
    assert_eq!(
        lines(IpAddress.validate_create(&address("2001:0db8::1"), &context())),
        [expected]
    );
    let orphan = with(address("10.96.0.1"), "spec", json!({}));
    assert_eq!(
        lines(IpAddress.validate_create(&orphan, &context())),
        ["spec.parentRef: Required value"]
    );
    assert_eq!(
        IpAddress.row(&address("10.96.0.1"), context().now).cells[1],
        "services/default/kubernetes"
    );
}

#[test]
fn events_live_beside_what_they_are_about() {
    let event = |namespace: &str| {
        named(json!({ "involvedObject": { "kind": "Pod", "name": "p", "namespace": namespace } }))
    };
    assert!(
        Event
            .validate_create(&event("default"), &context())
            .is_empty()
    );
    assert!(
        Event.validate_create(&event(""), &context()).is_empty(),
        "events of nodes live in `default`"
    );
    let expected =
        "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace";
    assert_eq!(
        lines(Event.validate_create(&event("other"), &context())),
        [expected]
    );
}

#[test]
fn an_event_of_the_newer_form_says_who_saw_what() {
    let event = named(json!({
        "involvedObject": { "namespace": "default" }, "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingComponent": "kubelet", "reason": "Started",
    }));
    let expected = [
        "reportingInstance: Required value",
        "action: Required value",
    ];
    assert_eq!(lines(Event.validate_create(&event, &context())), expected);
}

#[test]
fn the_row_of_an_event_says_when_it_happened_last() {
    let event = json!({
        "metadata": { "name": "e" }, "type": "Normal", "reason": "Started", "message": "Started it\n",
        "involvedObject": { "kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}" },
        "source": { "component": "kubelet", "host": "n1" }, "count": 3,
        "firstTimestamp": "2025-12-31T23:50:00Z", "lastTimestamp": "2025-12-31T23:59:00Z",
    });
    let row = Event.row(&event, context().now).cells;
    let expected = json!([
        "60s",
        "Normal",
        "Started",
        "pod/p",
        "spec.containers{c}",
        "kubelet, n1",
        "Started it",
        "10m",
        3,
        "e",
    ]);
    assert_eq!(Value::from(row), expected);
}

fn budget(spec: Value) -> Value {
    let mut object = named(json!({ "spec": spec }));
    PodDisruptionBudget.prepare_create(&mut object, &context());
    object
}

#[test]
fn a_budget_is_a_number_or_a_share_of_pods() {
    let percent = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
    let half = format!("spec.minAvailable: Invalid value: \"half\": {percent}");
    let cases: [(Value, &[&str]); 8] = [
        (json!({}), &[]),
        (json!({ "minAvailable": "50%", "selector": {} }), &[]),
        (
            json!({ "minAvailable": 1, "maxUnavailable": 1, "selector": { "matchLabels": { "a": "b" } } }),
            &[
                "spec: Invalid value: {\"MinAvailable\":1,\"Selector\":{\"matchLabels\":{\"a\":\"b\"}},\"MaxUnavailable\":1,\"UnhealthyPodEvictionPolicy\":null}: minAvailable and maxUnavailable cannot be both set",
            ],
        ),
        (
            json!({ "minAvailable": -1 }),
            &["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            json!({ "maxUnavailable": "101%" }),
            &["spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"],
        ),
        (json!({ "minAvailable": "half" }), &[&half]),
        (
            json!({ "selector": { "matchExpressions": [{ "key": "a", "operator": "In" }] } }),
            &[
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ],
        ),
        (
            json!({ "unhealthyPodEvictionPolicy": "Never" }),
            &[
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ],
        ),
    ];
    for (spec, expected) in cases {
        let errors = PodDisruptionBudget.validate_create(&budget(spec.clone()), &context());
        assert_eq!(lines(errors), expected, "{spec}");
    }
}

#[test]
fn a_budgets_generation_counts_its_specifications_and_its_status_is_written_apart() {
    let old = budget(json!({ "minAvailable": 1 }));
    let allowed = with(old.clone(), "status.disruptionsAllowed", json!(3));
    let mut new = with(allowed.clone(), "metadata.labels", json!({ "a": "b" }));
    PodDisruptionBudget.prepare_update(&mut new, &old, &context());
    assert_eq!(
        (&new["status"], &new["metadata"]["generation"]),
        (&old["status"], &json!(1))
    );
    let mut new = with(allowed.clone(), "spec.minAvailable", json!(2));
    PodDisruptionBudget.prepare_update(&mut new, &old, &context());
    assert_eq!(new["metadata"]["generation"], 2);
    let mut new = with(allowed, "spec.minAvailable", json!(2));
    PodDisruptionBudget.prepare_status(&mut new, &old, &context());
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["status"]["disruptionsAllowed"], 3);
}

#[test]
fn a_budgets_status_has_no_negative_counts_and_whole_conditions() {
    let old = budget(json!({}));
    let condition = |kind: &str, reason: &str, status: &str| {
        let time = "2026-01-01T00:00:00Z";
        json!({ "type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": time })
    };
    let conditions = json!([
        condition("DisruptionAllowed", "SufficientPods", "True"),
        condition("DisruptionAllowed", "", "Maybe")
    ]);
    let new = with(old.clone(), "status.conditions", conditions);
    let new = with(new, "status.disruptionsAllowed", json!(-1));
    assert_eq!(
        lines(PodDisruptionBudget.validate_status(&new, &old, &context())),
        [
            "status.conditions[1].type: Duplicate value: \"DisruptionAllowed\"",
            "status.conditions[1].status: Unsupported value: \"Maybe\": supported values: \"False\", \"True\", \"Unknown\"",
            "status.conditions[1].reason: Required value: must be set",
            "status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0",
        ]
    );
}

#[test]
fn rows_of_budgets_and_priority_classes() {
    let row = PodDisruptionBudget.row(&budget(json!({ "minAvailable": "50%" })), context().now);
    assert_eq!(row.cells[1..4], [json!("50%"), json!("N/A"), json!(0)]);
    let class = json!({ "metadata": { "name": "x" }, "value": 7, "preemptionPolicy": "Never" });
    let cells = PriorityClass.row(&class, context().now).cells;
    assert_eq!(cells[1..3], [json!(7), json!(false)]);
    assert_eq!(cells[4], json!("Never"));
}

#[test]
fn priorities_of_the_system_are_the_systems() {
    let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
    let cases = [
        ("x", 1_000_000_000, "Never", false, String::new()),
        (
            "x",
            1_000_000_001,
            "Never",
            false,
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000".to_owned(),
        ),
        (
            "x",
            1,
            "Maybe",
            false,
            "preemptionPolicy: Unsupported value: \"Maybe\": supported values: \"PreemptLowerPriority\", \"Never\"".to_owned(),
        ),
        ("system-x", 1, "Never", false, format!("{reserved}system-x is not a known system priority class")),
        (
            "system-node-critical",
            1,
            "Never",
            false,
            format!("{reserved}value of system-node-critical PriorityClass must be 2000001000"),
        ),
        (
            "system-node-critical",
            2_000_001_000,
            "Never",
            true,
            format!("{reserved}globalDefault of system-node-critical PriorityClass must be false"),
        ),
        ("system-cluster-critical", 2_000_000_000, "Never", false, String::new()),
    ];
    for (name, value, preemption, global, expected) in cases {
        let class = json!({
            "metadata": { "name": name }, "value": value, "preemptionPolicy": preemption, "globalDefault": global,
        });
        let found = lines(PriorityClass.validate_create(&class, &context())).join("\n");
        assert_eq!(found, expected, "{name} {value}");
    }
}

#[test]
fn a_priority_class_keeps_its_value_and_policy() {
    let mut old = json!({ "metadata": { "name": "x" }, "value": 1 });
    PriorityClass.default(&mut old);
    let new = with(
        with(old.clone(), "value", json!(2)),
        "preemptionPolicy",
        json!("Never"),
    );
    assert_eq!(
        lines(PriorityClass.validate_update(&new, &old, &context())),
        [
            "value: Forbidden: may not be changed in an update.",
            "preemptionPolicy: Invalid value: \"Never\": field is immutable",
        ]
    );
}
