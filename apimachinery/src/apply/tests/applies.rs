//! Server-side apply: what the object and its owners become, and what is refused.

use serde_json::{Value, json};

use super::{Object, config_map};
use crate::status::Status;

fn data(object: &Object) -> Value {
    object
        .value
        .as_ref()
        .map_or(Value::Null, |value| value["data"].clone())
}

fn two_owners() -> Object {
    Object::absent("ConfigMap")
        .applied("one", config_map(json!({"x": "1", "y": "2"})), false)
        .expect("a create")
}

#[test]
fn an_apply_owns_what_it_names() {
    let made = two_owners();
    assert_eq!(data(&made), json!({"x": "1", "y": "2"}));
    assert_eq!(
        made.owners(),
        json!({"one Apply": {"f:data": {"f:x": {}, "f:y": {}}}})
    );
    let again = made
        .applied("one", config_map(json!({"x": "1", "y": "2"})), false)
        .unwrap();
    assert_eq!(again.managed, made.managed);
}

#[test]
fn an_apply_shares_equal_values_and_is_refused_others() {
    let made = two_owners();
    let shared = made
        .applied("two", config_map(json!({"x": "1"})), false)
        .unwrap();
    assert_eq!(
        shared.owners(),
        json!({
            "one Apply": {"f:data": {"f:x": {}, "f:y": {}}},
            // It changed nothing.
            "two Apply (no time)": {"f:data": {"f:x": {}}},
        })
    );
    let refused = shared
        .applied("three", config_map(json!({"x": "9"})), false)
        .unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.x\nconflicts with \"two\":\n- .data.x"
    );
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let causes = refused.details.unwrap().causes;
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].message, "conflict with \"one\"");
    assert_eq!(causes[0].field, ".data.x");
    let forced = shared
        .applied("three", config_map(json!({"x": "9"})), true)
        .unwrap();
    assert_eq!(
        forced.owners(),
        json!({"one Apply": {"f:data": {"f:y": {}}}, "three Apply": {"f:data": {"f:x": {}}}})
    );
}

#[test]
fn what_is_no_longer_applied_goes_unless_another_owns_it() {
    let made = two_owners();
    let dropped = made
        .applied("one", config_map(json!({"x": "1"})), false)
        .unwrap();
    assert_eq!(data(&dropped), json!({"x": "1"}));
    let shared = made
        .applied("two", config_map(json!({"x": "1"})), false)
        .unwrap();
    let given_up = shared
        .applied("one", config_map(Value::Null), false)
        .unwrap();
    assert_eq!(data(&given_up), json!({"x": "1"}));
    assert_eq!(
        given_up.owners()["two Apply (no time)"],
        json!({"f:data": {"f:x": {}}})
    );
    let none = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let last = made.applied("one", none, false).unwrap();
    assert_eq!(last.value.unwrap().get("data"), None);
    assert_eq!(last.managed, b"[]");
    // What an update set stays.
    let updated = made.updated("u", config_map(json!({"x": "1", "y": "2", "z": "3"})));
    let left = updated
        .applied("one", config_map(json!({})), false)
        .unwrap();
    assert_eq!(data(&left), json!({"z": "3"}));
}

#[test]
fn what_was_there_before_has_an_owner_of_its_own() {
    let before = Object {
        rules: "ConfigMap",
        value: Some(config_map(json!({"u": "1"}))),
        managed: b"[]".to_vec(),
    };
    let after = before
        .applied("one", config_map(json!({"k": "v"})), false)
        .unwrap();
    assert_eq!(
        after.owners(),
        json!({
            "before-first-apply Update": {"f:data": {".": {}, "f:u": {}}},
            "one Apply": {"f:data": {"f:k": {}}},
        })
    );
    let refused = before
        .applied("one", config_map(json!({"u": "2"})), false)
        .unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.u"
    );
}

#[test]
fn kubectl_takes_over_what_it_applied_from_the_client() {
    let last = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"1","b":"2"}}"#;
    let mut object = config_map(json!({"a": "1", "b": "2"}));
    object["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    let made = Object::absent("ConfigMap").updated("kubectl-client-side-apply", object);
    let config = config_map(json!({"a": "2"}));
    // Anybody else has a conflict.
    assert!(made.applied("other", config.clone(), false).is_err());
    let after = made.applied("kubectl", config.clone(), false).unwrap();
    assert_eq!(data(&after), json!({"a": "2", "b": "2"}));
    let annotation = &after.value.as_ref().unwrap()["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert_eq!(
        annotation,
        "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n"
    );
    assert_eq!(
        after.owners()["kubectl Apply"],
        json!({"f:data": {"f:a": {}}})
    );
    // What somebody changed since is a conflict for kubectl too.
    let mut drifted = made.value.clone().unwrap();
    drifted["data"]["a"] = json!("5");
    let drifted = made.updated("hand", drifted);
    let refused = drifted.applied("kubectl", config, false).unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"hand\" using v1: .data.a"
    );
}

fn deployment(spec: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": spec}},
    })
}

#[test]
fn lists_with_keys_are_merged_item_by_item() {
    let env = |names: &[&str]| -> Value {
        names
            .iter()
            .map(|name| json!({"name": name, "value": "1"}))
            .collect()
    };
    let container = |names: &[&str]| json!({"name": "c", "env": env(names)});
    let names = |object: &Object| -> Vec<String> {
        let containers = &object.value.as_ref().unwrap()["spec"]["template"]["spec"]["containers"];
        let env = containers[0]["env"].as_array().cloned().unwrap_or_default();
        env.iter()
            .map(|var| var["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let one = Object::absent("Deployment")
        .applied(
            "one",
            deployment(json!({"containers": [container(&["A", "B"])]})),
            false,
        )
        .unwrap();
    let two = one
        .applied(
            "two",
            deployment(json!({"containers": [container(&["C"]), {"name": "side"}]})),
            false,
        )
        .unwrap();
    assert_eq!(names(&two), ["A", "B", "C"]);
    // The order is that of the configuration; what only the object has keeps its place.
    for (applied, expected) in [
        (vec!["B", "A"], vec!["B", "C", "A"]),
        (vec!["B"], vec!["B", "C"]),
        (vec!["N", "A", "B"], vec!["N", "A", "B", "C"]),
        (vec!["A", "N", "B"], vec!["A", "N", "B", "C"]),
        (vec![], vec!["C"]),
    ] {
        let config = deployment(json!({"containers": [container(&applied)]}));
        let after = two.applied("one", config, false).unwrap();
        assert_eq!(names(&after), expected, "{applied:?}");
    }
    // A manager that drops its container leaves the one that both have.
    let dropped = two.applied("two", deployment(json!({})), false).unwrap();
    let containers = &dropped.value.as_ref().unwrap()["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().map(Vec::len), Some(1));
    assert_eq!(names(&dropped), ["A", "B"]);
}

#[test]
fn sets_are_merged_value_by_value() {
    let finalizers = |values: Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "finalizers": values},
        })
    };
    let one = Object::absent("ConfigMap")
        .applied("one", finalizers(json!(["a.example/x"])), false)
        .unwrap();
    let two = one
        .applied("two", finalizers(json!(["b.example/y"])), false)
        .unwrap();
    let of = |object: &Object| object.value.as_ref().unwrap()["metadata"]["finalizers"].clone();
    assert_eq!(of(&two), json!(["a.example/x", "b.example/y"]));
    assert_eq!(
        two.owners()["two Apply"],
        json!({"f:metadata": {"f:finalizers": {"v:\"b.example/y\"": {}}}})
    );
    let dropped = two.applied("one", finalizers(Value::Null), false).unwrap();
    assert_eq!(of(&dropped), json!(["b.example/y"]));
}

#[test]
fn a_value_that_is_one_is_replaced_as_a_whole() {
    let selector = |labels: Value| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": labels}},
        })
    };
    let one = Object::absent("Deployment")
        .applied("one", selector(json!({"a": "1", "b": "2"})), false)
        .unwrap();
    let refused = one
        .applied("two", selector(json!({"a": "1"})), false)
        .unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"one\": .spec.selector"
    );
    let after = one
        .applied("one", selector(json!({"a": "1"})), false)
        .unwrap();
    assert_eq!(
        after.value.unwrap()["spec"]["selector"],
        json!({"matchLabels": {"a": "1"}})
    );
}

#[test]
fn a_missing_key_takes_its_default() {
    let service = |port: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"ports": [port]},
        })
    };
    let made = Object::absent("Service")
        .applied("one", service(json!({"port": 80})), false)
        .unwrap();
    assert_eq!(
        made.owners()["one Apply"]["f:spec"]["f:ports"],
        json!({"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}})
    );
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_in_upstreams_words() {
    let typed =
        |why: &str| format!("failed to create typed patch object (/a; /v1, Kind=ConfigMap): {why}");
    let with = |field: &str, value: Value| {
        let mut config = config_map(json!({}));
        config[field] = value;
        config
    };
    let pod = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    let of_pod =
        |why: &str| format!("failed to create typed patch object (/p; /v1, Kind=Pod): {why}");
    for (kind, config, code, message) in [
        (
            "ConfigMap",
            json!({"metadata": {"name": "a"}}),
            400,
            "invalid object type: /, Kind=".to_owned(),
        ),
        (
            "ConfigMap",
            with("kind", json!("Secret")),
            400,
            "invalid object type: /v1, Kind=Secret".to_owned(),
        ),
        (
            "ConfigMap",
            with("apiVersion", json!("apps/v1")),
            400,
            "invalid object type: apps/v1, Kind=ConfigMap".to_owned(),
        ),
        (
            "ConfigMap",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"managedFields": []}}),
            400,
            "metadata.managedFields must be nil".to_owned(),
        ),
        (
            "ConfigMap",
            with("dta", json!({})),
            500,
            typed(".dta: field not declared in schema"),
        ),
        (
            "ConfigMap",
            with("data", json!(["x"])),
            500,
            typed(".data: expected map, got &{[x]}"),
        ),
        (
            "ConfigMap",
            with("data", json!({"a": 1})),
            500,
            typed(".data.a: expected string, got &value.valueUnstructured{Value:1}"),
        ),
        (
            "ConfigMap",
            with("immutable", json!("x")),
            500,
            typed(".immutable: expected boolean, got &{x}"),
        ),
        (
            "Pod",
            pod(json!({"containers": [{"name": "c"}, {"name": "c"}]})),
            500,
            of_pod(".spec.containers: duplicate entries for key [name=\"c\"]"),
        ),
        (
            "Pod",
            pod(json!({"containers": [{"image": "c"}]})),
            500,
            of_pod(
                ".spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)",
            ),
        ),
        (
            "Pod",
            pod(json!({"priority": "x", "hostNetwork": 1})),
            500,
            of_pod(
                "errors:\n  .spec.hostNetwork: expected boolean, got &{1}\n  .spec.priority: expected numeric (int or float), got string",
            ),
        ),
        (
            "Pod",
            pod(json!({"containers": {"name": "c"}})),
            500,
            of_pod(".spec.containers: expected list, got &{map[name:c]}"),
        ),
    ] {
        let refused: Status = Object::absent(kind)
            .applied("m", config, false)
            .unwrap_err();
        assert_eq!((refused.code, refused.message), (code, message));
    }
}
