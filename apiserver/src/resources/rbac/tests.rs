//! What is refused and filled in, in upstream's words.

use serde_json::{Value, json};

use super::*;
use crate::resources::Rules;
use crate::resources::tests::{context, lines, with};

const OF_A_NAMESPACE: Binding = Binding { namespaced: true };
const OF_THE_CLUSTER: Binding = Binding { namespaced: false };

fn refused(rules: &dyn Rules, object: &Value) -> Vec<String> {
    lines(rules.validate_create(object, &context()))
}

fn role(rule: Value) -> Value {
    json!({ "metadata": { "name": "system:x", "namespace": "default" }, "rules": [rule] })
}

#[test]
fn a_role_is_refused_in_upstreams_words() {
    let urls = "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs";
    let both = "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs";
    let cases: [(Value, &[&str]); 6] = [
        (
            json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }),
            &[],
        ),
        (
            json!({ "apiGroups": [""], "resources": ["pods"] }),
            &["rules[0].verbs: Required value: verbs must contain at least one value"],
        ),
        (
            json!({ "resources": ["pods"], "verbs": ["get"] }),
            &[
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            ],
        ),
        (
            json!({ "apiGroups": [""], "verbs": ["get"] }),
            &[
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ],
        ),
        (
            json!({ "nonResourceURLs": ["/x"], "verbs": ["get"] }),
            &[urls],
        ),
        (
            json!({ "apiGroups": [""], "resources": ["pods"], "nonResourceURLs": ["/x"], "verbs": ["get"] }),
            &[urls, both],
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(refused(&Role, &role(rule)), expected);
    }
}

#[test]
fn a_cluster_role_may_be_for_paths_and_made_of_others() {
    let mut object = role(json!({ "nonResourceURLs": ["/x"], "verbs": ["get"] }));
    object["metadata"] = json!({ "name": "x" });
    assert!(refused(&ClusterRole, &object).is_empty());
    object["aggregationRule"] = json!({});
    let expected = "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil";
    assert_eq!(refused(&ClusterRole, &object), [expected]);
}

fn binding() -> Value {
    let mut object = json!({
        "metadata": { "name": "x", "namespace": "default" },
        "subjects": [{ "kind": "User", "name": "a" }, { "kind": "ServiceAccount", "name": "robot" }],
        "roleRef": { "kind": "ClusterRole", "name": "view" },
    });
    OF_A_NAMESPACE.default(&mut object);
    object
}

#[test]
fn a_binding_is_of_the_group_of_roles_unless_it_says_otherwise() {
    let object = binding();
    assert_eq!(object["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(
        object["subjects"][0]["apiGroup"],
        "rbac.authorization.k8s.io"
    );
    assert_eq!(object["subjects"][1].get("apiGroup"), None);
}

#[test]
fn a_binding_is_refused_in_upstreams_words() {
    let cases: [(&str, Value, &[&str]); 6] = [
        ("roleRef.kind", json!("ClusterRole"), &[]),
        (
            "roleRef.kind",
            json!("Thing"),
            &[
                "roleRef.kind: Unsupported value: \"Thing\": supported values: \"Role\", \"ClusterRole\"",
            ],
        ),
        ("roleRef.name", json!(""), &["roleRef.name: Required value"]),
        (
            "roleRef.apiGroup",
            json!("example.com"),
            &[
                "roleRef.apiGroup: Unsupported value: \"example.com\": supported values: \"rbac.authorization.k8s.io\"",
            ],
        ),
        (
            "subjects.0.kind",
            json!("Robot"),
            &[
                "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
            ],
        ),
        (
            "subjects.0.name",
            json!(""),
            &["subjects[0].name: Required value"],
        ),
    ];
    for (field, value, expected) in cases {
        assert_eq!(
            refused(&OF_A_NAMESPACE, &with(binding(), field, value)),
            expected
        );
    }
    let mut cluster = binding();
    cluster["metadata"] = json!({ "name": "x" });
    assert_eq!(
        refused(&OF_THE_CLUSTER, &cluster),
        ["subjects[1].namespace: Required value"]
    );
}

#[test]
fn the_role_of_a_binding_is_fixed() {
    let new = with(binding(), "roleRef.name", json!("edit"));
    let expected = "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"edit\"}: cannot change roleRef";
    assert_eq!(
        lines(OF_A_NAMESPACE.validate_update(&new, &binding(), &context())),
        [expected]
    );
}

#[test]
fn the_table_of_a_binding_sorts_its_subjects_by_kind() {
    let row = OF_A_NAMESPACE.row(&binding(), context().now);
    assert_eq!(row.cells[1], "ClusterRole/view");
    assert_eq!(row.cells[3..], [json!("a"), json!(""), json!("/robot")]);
}
