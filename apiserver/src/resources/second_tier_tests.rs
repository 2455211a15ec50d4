//! Kinds that are served by schema, with defaults and columns of their own.

use ferrule_apimachinery::scheme::Scheme;
use serde_json::{Value, json};

use super::tests::{context, lines};
use super::{Context, rules_for};

fn rules(group: &str, plural: &str) -> &'static dyn super::Rules {
    rules_for(Scheme::builtin().lookup(group, "v1", plural).unwrap())
}

#[test]
fn what_is_left_out_is_filled_in() {
    let cases = [
        (
            "flowcontrol.apiserver.k8s.io",
            "flowschemas",
            json!({ "spec": {} }),
            json!({ "spec": { "matchingPrecedence": 1000 } }),
        ),
        (
            "flowcontrol.apiserver.k8s.io",
            "prioritylevelconfigurations",
            json!({ "spec": { "limited": { "limitResponse": { "queuing": {} } } } }),
            json!({ "spec": { "limited": {
                "nominalConcurrencyShares": 30, "lendablePercent": 0,
                "limitResponse": { "queuing": { "queues": 64, "handSize": 8, "queueLengthLimit": 50 } },
            } } }),
        ),
        (
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations",
            json!({ "webhooks": [{ "clientConfig": { "service": {} }, "rules": [{}] }] }),
            json!({ "webhooks": [{
                "clientConfig": { "service": { "port": 443 } }, "rules": [{ "scope": "*" }], "failurePolicy": "Fail",
                "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "timeoutSeconds": 10,
            }] }),
        ),
        (
            "admissionregistration.k8s.io",
            "validatingadmissionpolicies",
            json!({ "spec": { "matchConstraints": { "resourceRules": [{}] } } }),
            json!({ "spec": { "failurePolicy": "Fail", "matchConstraints": {
                "resourceRules": [{ "scope": "*" }], "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
            } } }),
        ),
        (
            "resource.k8s.io",
            "resourceclaims",
            json!({ "spec": { "devices": { "requests": [{ "exactly": {} }] } } }),
            json!({ "spec": { "devices": { "requests": [{ "exactly": { "allocationMode": "ExactCount", "count": 1 } }] } } }),
        ),
        (
            "apiregistration.k8s.io",
            "apiservices",
            json!({ "spec": { "service": {} } }),
            json!({ "spec": { "service": { "port": 443 } } }),
        ),
    ];
    for (group, plural, mut given, expected) in cases {
        rules(group, plural).default(&mut given);
        assert_eq!(given, expected, "{plural}");
    }
}

/// Group, plural, an object, and cells of its row by the names of their columns.
type Shown<'a> = (&'a str, &'a str, Value, &'a [(&'a str, Value)]);

#[test]
fn tables_have_the_columns_of_upstream() {
    let cases: [Shown<'_>; 6] = [
        (
            "flowcontrol.apiserver.k8s.io",
            "flowschemas",
            json!({ "spec": { "matchingPrecedence": 5, "priorityLevelConfiguration": { "name": "p" } } }),
            &[
                ("PriorityLevel", json!("p")),
                ("MatchingPrecedence", json!(5)),
                ("DistinguisherMethod", json!("<none>")),
                ("MissingPL", json!("?")),
            ],
        ),
        (
            "flowcontrol.apiserver.k8s.io",
            "prioritylevelconfigurations",
            json!({ "spec": { "type": "Exempt" } }),
            &[
                ("Type", json!("Exempt")),
                ("NominalConcurrencyShares", json!("<none>")),
                ("Queues", json!("<none>")),
            ],
        ),
        (
            "admissionregistration.k8s.io",
            "validatingadmissionpolicybindings",
            json!({ "spec": { "policyName": "p", "paramRef": { "name": "n" } } }),
            &[("PolicyName", json!("p")), ("ParamRef", json!("*/n"))],
        ),
        (
            "admissionregistration.k8s.io",
            "mutatingadmissionpolicies",
            json!({ "spec": { "mutations": [{}], "paramKind": { "apiVersion": "v1", "kind": "ConfigMap" } } }),
            &[
                ("Mutations", json!(1)),
                ("ParamKind", json!("v1/ConfigMap")),
            ],
        ),
        (
            "resource.k8s.io",
            "resourceclaims",
            json!({ "status": { "allocation": {}, "reservedFor": [{}] } }),
            &[("State", json!("allocated,reserved"))],
        ),
        (
            "apiregistration.k8s.io",
            "apiservices",
            json!({ "spec": { "service": { "namespace": "a", "name": "b" } }, "status": { "conditions": [
                { "type": "Available", "status": "False", "reason": "Missing" },
            ] } }),
            &[
                ("Service", json!("a/b")),
                ("Available", json!("False (Missing)")),
            ],
        ),
    ];
    for (group, plural, object, expected) in cases {
        let rules = rules(group, plural);
        let row = rules.row(&object, context().now);
        for (name, cell) in expected {
            let at = rules
                .columns()
                .iter()
                .position(|column| column.name == *name);
            assert_eq!(&row.cells[at.unwrap()], cell, "{plural} {name}");
        }
    }
}

#[test]
fn the_pool_of_a_slice_is_fixed() {
    let slice = |pool: &str| json!({ "metadata": { "name": "x" }, "spec": { "driver": "d", "nodeName": "n", "pool": { "name": pool } } });
    let rules = rules("resource.k8s.io", "resourceslices");
    let found = lines(rules.validate_update(&slice("b"), &slice("a"), &context()));
    assert_eq!(
        found,
        ["spec.pool.name: Invalid value: \"b\": field is immutable"]
    );
}

#[test]
fn blanks_inside_of_the_parameters_of_a_class_are_content() {
    let rules = rules("resource.k8s.io", "deviceclasses");
    let class = |parameters: &str| {
        format!(
            r#"{{"metadata": {{"name": "x"}}, "spec": {{"config": [{{}}, {{"opaque": {{"parameters": {parameters}}}}}]}}}}"#
        )
    };
    for (parameters, spaced) in [
        (r#"{"a":1}"#, false),
        (r#"{"a": 1}"#, true),
        (r#"{"a b":"c \" d\\"}"#, false),
        (r#"{"a":"\\" }"#, true),
        ("7", false),
    ] {
        assert_eq!(
            rules.is_spaced(class(parameters).as_bytes()),
            spaced,
            "{parameters}"
        );
    }
    let old = json!({ "metadata": { "name": "x", "generation": 4 }, "spec": {} });
    for respaced in [false, true] {
        let mut new = old.clone();
        let context = Context {
            respaced,
            ..context()
        };
        rules.prepare_update(&mut new, &old, &context);
        assert_eq!(new["metadata"]["generation"], 4 + i64::from(respaced));
    }
}
