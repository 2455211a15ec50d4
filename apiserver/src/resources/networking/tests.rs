//! What is refused and filled in, in upstream's words.

use serde_json::{Value, json};

use super::*;
use crate::resources::Rules;
use crate::resources::tests::{context, lines, with};

fn refused(rules: &dyn Rules, object: &Value) -> Vec<String> {
    lines(rules.validate_create(object, &context()))
}

fn ingress() -> Value {
    json!({
        "metadata": { "name": "x", "namespace": "default" },
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{ "host": "a.example", "http": { "paths": [
                { "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "web", "port": { "name": "http" } } } },
            ] } }],
            "tls": [{ "hosts": ["a.example"], "secretName": "tls" }],
        },
    })
}

#[test]
fn an_ingress_is_refused_in_upstreams_words() {
    let path = "spec.rules.0.http.paths.0";
    let cases = [
        (
            "spec",
            json!({}),
            "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
        ),
        (
            "spec.rules.0.http.paths.0.path",
            json!("a"),
            "spec.rules[0].http.paths[0].path: Invalid value: \"a\": must be an absolute path",
        ),
        (
            "spec.rules.0.http.paths.0.path",
            json!("/a//b"),
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
        ),
        (
            "spec.rules.0.http.paths.0.path",
            json!("/a/.."),
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a/..\": cannot end with '/..'",
        ),
        (
            "spec.rules.0.http.paths.0.pathType",
            json!(null),
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        ),
        (
            "spec.rules.0.http.paths.0.pathType",
            json!("Regex"),
            "spec.rules[0].http.paths[0].pathType: Unsupported value: \"Regex\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"",
        ),
        (
            "spec.rules.0.host",
            json!("192.0.2.1"),
            "spec.rules[0].host: Invalid value: \"192.0.2.1\": must be a DNS name, not an IP address",
        ),
        (
            "spec.rules.0.http.paths",
            json!([]),
            "spec.rules[0].http.paths: Required value",
        ),
        (
            "spec.rules.0.http.paths.0.backend",
            json!({}),
            "spec.rules[0].http.paths[0].backend: Invalid value: \"\": resource or service backend is required",
        ),
        (
            "spec.rules.0.http.paths.0.backend.service.port",
            json!({}),
            "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
        ),
        (
            "spec.rules.0.http.paths.0.backend.service.port",
            json!({ "name": "a", "number": 1 }),
            "spec.rules[0].http.paths[0].backend: Invalid value: \"\": cannot set both port name & port number",
        ),
        (
            "spec.rules.0.http.paths.0.backend.resource",
            json!({ "kind": "x", "name": "y" }),
            "spec.rules[0].http.paths[0].backend: Invalid value: \"\": cannot set both resource and service backends",
        ),
        (
            "metadata.annotations",
            json!({ "kubernetes.io/ingress.class": "x" }),
            "annotations.kubernetes.io/ingress.class: Invalid value: \"x\": must match `ingressClassName` when both are specified",
        ),
    ];
    assert!(refused(&Ingress, &ingress()).is_empty());
    for (field, value, expected) in cases {
        assert_eq!(
            refused(&Ingress, &with(ingress(), field, value)),
            [expected],
            "{path}"
        );
    }
    for host in ["a.example:80", "*.*.example"] {
        let found = refused(&Ingress, &with(ingress(), "spec.rules.0.host", json!(host)));
        assert!(
            found.len() == 1 && found[0].starts_with("spec.rules[0].host: Invalid value"),
            "{found:?}"
        );
    }
}

#[test]
fn an_ingress_keeps_what_older_servers_let_pass() {
    let old = with(ingress(), "spec.tls.0.secretName", json!("Bad_Name"));
    let found = lines(Ingress.validate_update(&old, &old, &context()));
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(refused(&Ingress, &old).len(), 1);
}

#[test]
fn the_table_of_an_ingress_shows_three_hosts() {
    let rules: Vec<Value> = ["a", "b", "c", "d", "e"]
        .map(|host| json!({ "host": host }))
        .into();
    let object = json!({
        "metadata": { "name": "x" },
        "spec": { "rules": rules },
        "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.2" }, { "hostname": "h.example" }] } },
    });
    let row = Ingress.row(&object, context().now);
    let expected = [
        json!("x"),
        json!("<none>"),
        json!("a,b,c + 2 more..."),
        json!("192.0.2.2,h.example"),
        json!("80"),
    ];
    assert_eq!(row.cells[..5], expected);
}

#[test]
fn a_class_of_ingresses_is_refused_in_upstreams_words() {
    let good = json!({
        "metadata": { "name": "x" },
        "spec": { "controller": "example.com/c", "parameters": { "kind": "K", "name": "n" } },
    });
    let mut object = good.clone();
    IngressClass.default(&mut object);
    assert_eq!(object["spec"]["parameters"]["scope"], "Cluster");
    assert!(refused(&IngressClass, &object).is_empty());
    let cases = [
        (
            "spec.controller",
            json!(""),
            "spec.controller: Required value",
        ),
        (
            "spec.controller",
            json!("c"),
            "spec.controller: Invalid value: \"c\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (
            "spec.parameters.kind",
            json!(""),
            "spec.parameters.kind: Required value",
        ),
        (
            "spec.parameters.namespace",
            json!("a"),
            "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
        ),
        (
            "spec.parameters.scope",
            json!("Namespace"),
            "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
        ),
        (
            "spec.parameters.scope",
            json!("World"),
            "spec.parameters.scope: Unsupported value: \"World\": supported values: \"Cluster\", \"Namespace\"",
        ),
    ];
    for (field, value, expected) in cases {
        assert_eq!(
            refused(&IngressClass, &with(object.clone(), field, value)),
            [expected]
        );
    }
    let changed = with(object.clone(), "spec.controller", json!("example.com/d"));
    let expected = "spec.controller: Invalid value: \"example.com/d\": field is immutable";
    assert_eq!(
        lines(IngressClass.validate_update(&changed, &object, &context())),
        [expected]
    );
}

fn policy() -> Value {
    json!({
        "metadata": { "name": "x", "namespace": "default" },
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{ "ipBlock": { "cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"] } }],
                "ports": [{ "protocol": "UDP", "port": 53, "endPort": 60 }],
            }],
        },
    })
}

#[test]
fn a_policy_is_refused_in_upstreams_words() {
    let block = "spec.ingress.0.from.0.ipBlock";
    let cases = [
        (
            "cidr",
            json!("192.0.2.0"),
            "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"192.0.2.0\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        ),
        (
            "cidr",
            json!(""),
            "spec.ingress[0].from[0].ipBlock.cidr: Required value",
        ),
        (
            "except",
            json!(["198.51.100.0/24"]),
            "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"198.51.100.0/24\": must be a strict subset of `cidr`",
        ),
        (
            "except",
            json!(["192.0.2.0/24"]),
            "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"192.0.2.0/24\": must be a strict subset of `cidr`",
        ),
    ];
    assert!(refused(&NetworkPolicy, &policy()).is_empty());
    for (field, value, expected) in cases {
        let object = with(policy(), &format!("{block}.{field}"), value);
        assert_eq!(refused(&NetworkPolicy, &object), [expected]);
    }
    let cases = [
        (
            "spec.policyTypes",
            json!(["Sideways"]),
            "spec.policyTypes[0]: Unsupported value: \"Sideways\": supported values: \"Ingress\", \"Egress\"",
        ),
        (
            "spec.policyTypes",
            json!(["Ingress", "Egress", "Ingress"]),
            "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes",
        ),
        (
            "spec.ingress.0.ports.0.endPort",
            json!(3),
            "spec.ingress[0].ports[0].endPort: Invalid value: 53: must be greater than or equal to `port`",
        ),
        (
            "spec.ingress.0.ports.0.port",
            json!(null),
            "spec.ingress[0].ports[0].endPort: Invalid value: 60: may not be specified when `port` is not specified",
        ),
        (
            "spec.ingress.0.ports.0.port",
            json!("dns"),
            "spec.ingress[0].ports[0].endPort: Invalid value: 60: may not be specified when `port` is non-numeric",
        ),
        (
            "spec.ingress.0.from.0",
            json!({}),
            "spec.ingress[0].from[0]: Required value: must specify a peer",
        ),
        (
            "spec.ingress.0.from.0.podSelector",
            json!({}),
            "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
        ),
    ];
    for (field, value, expected) in cases {
        assert_eq!(
            refused(&NetworkPolicy, &with(policy(), field, value)),
            [expected]
        );
    }
}

#[test]
fn a_policy_is_for_the_directions_that_it_has_rules_of() {
    for (spec, expected) in [
        (json!({ "podSelector": {} }), json!(["Ingress"])),
        (
            json!({ "podSelector": {}, "egress": [{}] }),
            json!(["Ingress", "Egress"]),
        ),
        (
            json!({ "podSelector": {}, "egress": [{}], "policyTypes": ["Egress"] }),
            json!(["Egress"]),
        ),
    ] {
        let mut object = json!({ "metadata": { "name": "x" }, "spec": spec });
        NetworkPolicy.default(&mut object);
        assert_eq!(object["spec"]["policyTypes"], expected);
    }
}

#[test]
fn a_range_of_services_may_only_gain_its_second_family() {
    let object =
        |ranges: Value| json!({ "metadata": { "name": "x" }, "spec": { "cidrs": ranges } });
    let cases = [
        (
            json!([]),
            "spec.cidrs: Required value: at least one CIDR required",
        ),
        (
            json!(["10.0.0.1/8"]),
            "spec.cidrs[0]: Invalid value: \"10.0.0.1/8\": must be in canonical form (\"10.0.0.0/8\")",
        ),
        (
            json!(["10.0.0.0/8", "11.0.0.0/8"]),
            "spec.cidrs: Invalid value: [\"10.0.0.0/8\",\"11.0.0.0/8\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
        ),
        (
            json!(["10.0.0.0/8", "a", "b"]),
            "spec.cidrs: Invalid value: {\"CIDRs\":[\"10.0.0.0/8\",\"a\",\"b\"]}: may only hold up to 2 values",
        ),
    ];
    for (ranges, expected) in cases {
        assert_eq!(refused(&ServiceCidr, &object(ranges)), [expected]);
    }
    let old = object(json!(["10.0.0.0/8"]));
    let update =
        |ranges: Value| lines(ServiceCidr.validate_update(&object(ranges), &old, &context()));
    assert!(update(json!(["10.0.0.0/8", "2001:db8::/64"])).is_empty());
    assert_eq!(
        update(json!(["11.0.0.0/8"])),
        ["spec.cidrs[0]: Invalid value: \"11.0.0.0/8\": field is immutable"]
    );
}
