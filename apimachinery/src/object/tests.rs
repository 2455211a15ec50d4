//! Canonical bytes and spliced versions.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scheme::{Scheme, gvr};

#[test]
fn canonical_bytes_lead_with_type_and_metadata_and_sort_the_rest() {
    let scheme = Scheme::builtin();
    let resource = scheme.get(&gvr::CONFIG_MAPS).unwrap();
    let object = json!({"zoo": 1, "data": {"b": "<&>", "a": [{"y": 1, "x": null}]}, "kind": "Wrong",
        "metadata": {"name": "n", "resourceVersion": "5", "annotations": {"b": "", "a": ""}}});
    assert_eq!(
        canonicalize(object, resource),
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"a":"","b":""},"name":"n"},"data":{"a":[{"x":null,"y":1}],"b":"<&>"},"zoo":1}"#
    );
    assert_eq!(
        canonicalize(Value::Null, resource),
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}"#
    );
}

#[test]
fn a_typical_pod_has_a_header_of_a_few_hundred_bytes() {
    assert!(
        std::mem::size_of::<Header>() <= 208,
        "{}",
        std::mem::size_of::<Header>()
    );
}

#[test]
fn a_version_fits_into_empty_metadata_too() {
    let scheme = Scheme::builtin();
    let resource = scheme.get(&gvr::CONFIG_MAPS).unwrap();
    for text in [
        r#"{"metadata":{}}"#,
        r#"{ "metadata" : { } , "data":{}}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{ }}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"n"}}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata": {"name":"n"}}"#,
        r#"{"apiVersion":"v1\"","kind":",\"metadata\":{","metadata":{"name":"n"}}"#,
    ] {
        let stored = Stored::parse(resource, Bytes::from_static(text.as_bytes()), 7, 3).unwrap();
        let value: Value = serde_json::from_slice(&stored.with_resource_version()).unwrap();
        assert_eq!(value["metadata"]["resourceVersion"], "7");
    }
    assert!(Stored::parse(resource, Bytes::from_static(b"{}"), 1, 1).is_err());
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn splicing_equals_setting_and_serialising(
        name in "[a-z]{1,8}",
        annotation in ".{0,10}",
        data in tree(),
        revision in 1i64..i64::MAX,
    ) {
        let scheme = Scheme::builtin();
        let resource = scheme.get(&gvr::CONFIG_MAPS).unwrap();
        let object = json!({"metadata": {"name": name, "annotations": {"a": annotation}},
            "aaa": {"metadata": {}}, "data": data});
        let bytes = canonicalize(object.clone(), resource);
        let stored = Stored::parse(resource, bytes, revision, 1).unwrap();
        let mut expected = object;
        expected["apiVersion"] = json!("v1");
        expected["kind"] = json!("ConfigMap");
        expected["metadata"]["resourceVersion"] = json!(revision.to_string());
        let spliced: Value = serde_json::from_slice(&stored.with_resource_version()).unwrap();
        prop_assert_eq!(&spliced, &expected);
        prop_assert_eq!(&stored.to_value().unwrap(), &expected);
    }
}

#[test]
fn managed_fields_are_kept_apart_from_the_tree() {
    let scheme = Scheme::builtin();
    let resource = scheme.lookup("", "v1", "configmaps").unwrap();
    let list = r#"[{"manager":"m"}]"#;
    for metadata in [
        json!({"name": "a"}),
        json!({"labels": {"a": "b"}}),
        json!({"labels": {"a": "b"}, "name": "a", "uid": "u"}),
        json!({}),
    ] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        let plain = canonicalize(object.clone(), resource);
        let bytes = canonicalize_managed(object.clone(), resource, Some(list.as_bytes()));
        let mut whole = object.clone();
        whole["metadata"]["managedFields"] = serde_json::from_str(list).unwrap();
        // The same as if they were in the tree.
        assert_eq!(bytes, canonicalize(whole, resource));
        assert_eq!(&*without_managed_fields(&bytes), &*plain);
        assert_eq!(&*without_managed_fields(&plain), &*plain);
        let stored = Stored::parse(resource, bytes, 0, 0).unwrap();
        let (tree, managed) = stored.to_unmanaged().unwrap();
        assert_eq!(tree, object);
        assert_eq!(managed.as_deref(), Some(list.as_bytes()));
    }
    // Only those of the object itself.
    let pod = br#"{"spec":{"metadata":{"managedFields":[]}}}"#;
    assert_eq!(&*without_managed_fields(pod), pod);
    assert_eq!(&*without_managed_fields(b"no JSON"), b"no JSON");
}

#[test]
fn blanks_of_opaque_values_are_remembered_beside_the_object() {
    let scheme = Scheme::builtin();
    let resource = scheme
        .lookup("resource.k8s.io", "v1", "deviceclasses")
        .unwrap();
    let mut object = json!({"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": "a"}, "spec": {}});
    let plain = canonicalize(object.clone(), resource);
    set_spaced(&mut object);
    let spaced = canonicalize(object.clone(), resource);
    let read = |bytes: &Bytes| Stored::parse(resource, bytes.clone(), 7, 7).unwrap();
    assert!(read(&spaced).is_spaced() && !read(&plain).is_spaced());
    assert_eq!(
        read(&spaced).to_value().unwrap(),
        read(&plain).to_value().unwrap()
    );
    assert!(take_spaced(&mut object) && !take_spaced(&mut object));
    assert_eq!(canonicalize(object, resource), plain);
}

#[test]
fn floats_keep_their_value() {
    // The nearest number is found for each, not a neighbour of it.
    for text in ["1.0000000013533281", "0.1", "2.2250738585072014e-308"] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value.as_f64(), text.parse::<f64>().ok(), "{text}");
        assert_eq!(value.to_string(), text);
    }
}
