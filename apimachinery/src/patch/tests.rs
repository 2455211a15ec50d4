//! Patches do what upstream's do.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::{Schema, TypeId};

fn type_of(name: &str) -> TypeId {
    Schema::builtin().type_id(name).unwrap()
}

fn pod_spec(original: Value, patch: Value) -> Result<Value, PatchError> {
    strategic_merge(
        Schema::builtin(),
        type_of("core/v1.PodSpec"),
        original,
        &patch,
    )
}

#[test]
fn json_patches_apply_in_order_or_not_at_all() {
    let document = json!({"a": {"b/c": [1, 2]}, "d": "x"});
    for (patch, expected) in [
        (
            json!([{"op": "add", "path": "/a/b~1c/-", "value": 3},
                {"op": "add", "path": "/a/b~1c/0", "value": 0},
                {"op": "remove", "path": "/d"}]),
            json!({"a": {"b/c": [0, 1, 2, 3]}}),
        ),
        (
            json!([{"op": "move", "from": "/d", "path": "/e"},
                {"op": "copy", "from": "/e", "path": "/f"},
                {"op": "test", "path": "/f", "value": "x"}]),
            json!({"a": {"b/c": [1, 2]}, "e": "x", "f": "x"}),
        ),
        (json!([]), document.clone()),
        (
            json!([{"op": "replace", "path": "", "value": {}}]),
            json!({}),
        ),
        (
            json!([{"op": "add", "path": "/d", "value": null}]),
            json!({"a": {"b/c": [1, 2]}, "d": null}),
        ),
    ] {
        assert_eq!(json_patch(document.clone(), &patch).unwrap(), expected);
    }
    for patch in [
        json!([{"op": "test", "path": "/d", "value": "y"}]),
        json!([{"op": "remove", "path": "/z"}]),
        json!([{"op": "replace", "path": "/z/y", "value": 1}]),
        json!([{"op": "add", "path": "/a/b~1c/9", "value": 1}]),
        json!([{"op": "frob", "path": "/d"}]),
        json!([{"op": "add", "value": 1}]),
    ] {
        assert_eq!(
            json_patch(document.clone(), &patch),
            Err(PatchError::Unprocessable)
        );
    }
    assert_eq!(
        json_patch(document, &json!({"op": "add"}))
            .unwrap_err()
            .to_string(),
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    );
}

#[test]
fn malformed_patches_are_refused_in_upstream_words() {
    for (form, text, message) in [
        (
            PatchType::Json,
            "[{",
            "error decoding patch: unexpected end of JSON input",
        ),
        (
            PatchType::Merge,
            "spec: {}",
            "error decoding patch: invalid character 's' looking for beginning of value",
        ),
        (PatchType::Strategic, "{", "unexpected end of JSON input"),
    ] {
        assert_eq!(form.read(text.as_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn merge_patches_set_remove_and_replace() {
    let merged = json_merge(
        json!({"a": {"b": 1, "c": 2}, "l": [1]}),
        &json!({"a": {"b": null, "d": {"e": null, "f": 1}}, "l": [2]}),
    );
    assert_eq!(
        merged.unwrap(),
        json!({"a": {"c": 2, "d": {"f": 1}}, "l": [2]})
    );
    assert_eq!(
        json_merge(json!({}), &Value::Null).unwrap_err().to_string(),
        "Invalid JSON Patch"
    );
}

#[test]
fn strategic_patches_merge_lists_by_key() {
    let spec = json!({"containers": [{"name": "c", "image": "n"},
        {"name": "d", "image": "x", "command": ["a", "b"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}],
        "volumes": [{"name": "w", "configMap": {"name": "cm"}}],
        "tolerations": [{"key": "a"}]});
    let containers = |patch: Value| {
        pod_spec(spec.clone(), json!({ "containers": patch })).map(|v| v["containers"].clone())
    };
    assert_eq!(
        containers(json!([{"name": "d", "image": "y", "command": ["z"]}])).unwrap()[1],
        json!({"name": "d", "image": "y", "command": ["z"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})
    );
    assert_eq!(
        containers(json!([{"name": "e", "image": "z"}])).unwrap()[0]["name"],
        "e"
    );
    assert_eq!(
        containers(json!([{"name": "d", "$patch": "delete"}])).unwrap(),
        json!([{"name": "c", "image": "n"}])
    );
    assert_eq!(
        containers(
            json!([{"name": "d", "env": [{"name": "O", "value": "1"}, {"$patch": "replace"}]}])
        )
        .unwrap()[1]["env"],
        json!([{"name": "O", "value": "1"}])
    );
    let ordered = pod_spec(
        spec.clone(),
        json!({"$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
            "containers": [{"name": "c", "image": "n2"}]}),
    )
    .unwrap();
    assert_eq!(ordered["containers"][0]["name"], "d");
    assert_eq!(
        ordered["containers"][1],
        json!({"name": "c", "image": "n2"})
    );
    let volume = pod_spec(
        spec.clone(),
        json!({"volumes": [{"name": "w", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]}),
    )
    .unwrap();
    assert_eq!(
        volume["volumes"],
        json!([{"name": "w", "secret": {"secretName": "s"}}])
    );
    let replaced = pod_spec(
        spec.clone(),
        json!({"tolerations": [{"key": "z"}], "volumes": null}),
    );
    assert_eq!(replaced.unwrap()["tolerations"], json!([{"key": "z"}]));
}

#[test]
fn strategic_patches_handle_lists_of_scalars() {
    let meta = |patch| {
        strategic_merge(
            Schema::builtin(),
            type_of("meta/v1.ObjectMeta"),
            json!({"finalizers": ["a", "b"], "labels": {"x": "1"}}),
            &patch,
        )
        .unwrap()
    };
    assert_eq!(
        meta(json!({"$deleteFromPrimitiveList/finalizers": ["a"]}))["finalizers"],
        json!(["b"])
    );
    assert_eq!(
        meta(json!({"finalizers": ["c"]}))["finalizers"],
        json!(["c", "a", "b"])
    );
    assert_eq!(
        meta(json!({"$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"]}))["finalizers"],
        json!(["c", "a", "b"])
    );
    assert_eq!(
        meta(json!({"labels": {"$patch": "replace", "only": "1"}}))["labels"],
        json!({"only": "1"})
    );
}

#[test]
fn malformed_strategic_patches_are_refused_in_upstream_words() {
    let spec = json!({"containers": [{"name": "c", "image": "n"}, {"name": "d"}]});
    for (patch, message) in [
        (
            json!({"$setElementOrder/containers": [{"name": "d"}], "containers": [{"name": "c", "image": "n3"}]}),
            "The order in patch list:\n[map[image:n3 name:c]]\n doesn't match $setElementOrder list:\n[map[name:d]]\n",
        ),
        (
            json!({"containers": [{"image": "z"}]}),
            "map: map[image:z] does not contain declared merge key: name",
        ),
        (
            json!({"containers": [{"name": "d", "$patch": "explode"}]}),
            "unknown patch type: explode in map: map[$patch:explode name:d]",
        ),
    ] {
        assert_eq!(
            pod_spec(spec.clone(), patch),
            Err(PatchError::Internal(message.to_owned()))
        );
    }
    let strategy = strategic_merge(
        Schema::builtin(),
        type_of("apps/v1.DeploymentSpec"),
        json!({"strategy": {"type": "RollingUpdate"}}),
        &json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": {}}}),
    );
    assert_eq!(
        strategy,
        Err(PatchError::BadRequest(
            "invalid patch format of retainKeys".to_owned()
        ))
    );
}

#[test]
fn apply_sends_what_changed_and_removes_what_it_set_before() {
    let schema = Schema::builtin();
    let id = type_of("apps/v1.Deployment");
    let object = |containers: Value, more: Value| {
        json!({"metadata": {"name": "d", "labels": more},
            "spec": {"template": {"spec": {"containers": containers}}}})
    };
    let original = object(
        json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]),
        json!({"x": "1", "gone": "1"}),
    );
    let current = object(
        json!([{"name": "a", "image": "1", "imagePullPolicy": "Always"},
            {"name": "b", "image": "1"}, {"name": "injected", "image": "s"}]),
        json!({"x": "1", "gone": "1", "theirs": "1"}),
    );
    let modified = object(json!([{"name": "a", "image": "2"}]), json!({"x": "1"}));
    let patch = three_way(schema, id, &original, &modified, &current).unwrap();
    assert_eq!(
        patch,
        json!({"metadata": {"labels": {"gone": null}},
            "spec": {"template": {"spec": {
                "$setElementOrder/containers": [{"name": "a"}],
                "containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}]}}}})
    );
    let merged = strategic_merge(schema, id, current.clone(), &patch).unwrap();
    assert_eq!(
        merged,
        object(
            json!([{"name": "a", "image": "2", "imagePullPolicy": "Always"}, {"name": "injected", "image": "s"}]),
            json!({"x": "1", "theirs": "1"})
        )
    );
    assert_eq!(
        three_way(schema, id, &modified, &modified, &modified).unwrap(),
        json!({})
    );
    let strategy = |kind: &str, more: Value| {
        let mut value = json!({"spec": {"strategy": {"type": kind}}});
        if !more.is_null() {
            value["spec"]["strategy"]["rollingUpdate"] = more;
        }
        value
    };
    let patch = three_way(
        schema,
        id,
        &json!({}),
        &strategy("Recreate", Value::Null),
        &strategy("RollingUpdate", json!({"maxSurge": 1})),
    );
    assert_eq!(
        patch.unwrap(),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    );
}

#[test]
fn kinds_without_a_type_are_applied_by_merge_patch() {
    assert_eq!(
        three_way_json_merge(
            &json!({"a": 1, "b": {"c": 1, "d": 1}}),
            &json!({"a": 2, "b": {"d": 1}, "l": [1]}),
            &json!({"a": 1, "b": {"c": 1, "d": 1, "theirs": 1}, "l": [1]}),
        ),
        json!({"a": 2, "b": {"c": null}})
    );
}

proptest! {
    #[test]
    fn applying_the_three_way_patch_reaches_what_was_asked_for(
        old in prop::collection::btree_map("[a-d]", ("[x-z]", prop::option::of("[p-q]")), 0..4),
        new in prop::collection::btree_map("[a-d]", ("[x-z]", prop::option::of("[p-q]")), 0..4),
        labels in prop::collection::btree_map("[a-c]", "[x-z]", 0..3),
        new_labels in prop::collection::btree_map("[a-c]", "[x-z]", 0..3),
    ) {
        let schema = Schema::builtin();
        let id = type_of("core/v1.Pod");
        let pod = |containers: &std::collections::BTreeMap<String, (String, Option<String>)>, labels: &_| {
            let list: Vec<Value> = containers.iter().map(|(name, (image, dir))| {
                let mut item = json!({"name": name, "image": image});
                if let Some(dir) = dir {
                    item["workingDir"] = json!(dir);
                }
                item
            }).collect();
            json!({"metadata": {"labels": labels}, "spec": {"containers": list}})
        };
        let (old, new) = (pod(&old, &labels), pod(&new, &new_labels));
        let patch = three_way(schema, id, &old, &new, &old).unwrap();
        let reached = strategic_merge(schema, id, old.clone(), &patch).unwrap();
        prop_assert_eq!(&reached, &new);
        let diff = json_merge_diff(&old, &new);
        prop_assert_eq!(&json_merge(old, &diff).unwrap(), &new);
    }
}

#[test]
fn json_patches_that_grow_without_end_are_refused() {
    let object = json!({"data": {"a": "x".repeat(1000)}});
    let doubling: Vec<Value> = (0..40)
        .flat_map(|number| {
            [
                json!({"op": "copy", "from": "/data", "path": "/other"}),
                json!({"op": "move", "from": "/other", "path": format!("/data/{number}")}),
            ]
        })
        .collect();
    let deepening: Vec<Value> = (0..3000)
        .flat_map(|_| {
            [
                json!({"op": "add", "path": "/outer", "value": {}}),
                json!({"op": "move", "from": "/data", "path": "/outer/a"}),
                json!({"op": "move", "from": "/outer", "path": "/data"}),
            ]
        })
        .collect();
    for operations in [doubling, deepening] {
        let few = Value::from(operations[..6].to_vec());
        assert!(json_patch(object.clone(), &few).is_ok());
        let refused = json_patch(object.clone(), &Value::from(operations)).unwrap_err();
        assert_eq!(refused, PatchError::Unprocessable);
    }
}

#[test]
fn long_lists_are_merged_as_fast_as_they_are_read() {
    let schema = Schema::builtin();
    let containers = |image: &str| -> Vec<Value> {
        let numbers = 0..100_000;
        numbers
            .map(|number| json!({"name": format!("c{number}"), "image": image}))
            .collect()
    };
    let finalizers: Vec<String> = (0..100_000).map(|number| format!("f{number}")).collect();
    let original =
        json!({"metadata": {"finalizers": finalizers}, "spec": {"containers": containers("a")}});
    let mut patch =
        json!({"metadata": {"finalizers": finalizers}, "spec": {"containers": containers("b")}});
    let merged = strategic_merge(schema, type_of("core/v1.Pod"), original, &patch);
    assert!(merged == Ok(patch.clone()));
    let deleted = std::mem::take(&mut patch["metadata"]["finalizers"]);
    let delete = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": deleted},
        "spec": {"containers": containers("b").iter().map(|c| json!({"name": c["name"], "$patch": "delete"})).collect::<Vec<_>>()}});
    let left = strategic_merge(schema, type_of("core/v1.Pod"), merged.unwrap(), &delete);
    assert_eq!(
        left,
        Ok(json!({"metadata": {"finalizers": []}, "spec": {"containers": []}}))
    );
}
