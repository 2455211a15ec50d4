//! What is refused and filled in, in upstream's words.

use serde_json::{Value, json};

use super::*;
use crate::resources::Rules;
use crate::resources::tests::{context, lines, with};

fn refused(rules: &dyn Rules, object: &Value) -> Vec<String> {
    lines(rules.validate_create(object, &context()))
}

fn changed(rules: &dyn Rules, new: &Value, old: &Value) -> Vec<String> {
    lines(rules.validate_update(new, old, &context()))
}

fn class() -> Value {
    let mut object = json!({ "metadata": { "name": "x" }, "provisioner": "example.com/p" });
    StorageClass.default(&mut object);
    object
}

#[test]
fn a_class_is_refused_in_upstreams_words() {
    let term =
        |values: Value| json!([{ "matchLabelExpressions": [{ "key": "zone", "values": values }] }]);
    let cases: [(&str, Value, &[&str]); 7] = [
        ("provisioner", json!("example.com/q"), &[]),
        ("provisioner", json!(""), &["provisioner: Required value"]),
        (
            "reclaimPolicy",
            json!("Burn"),
            &[
                "reclaimPolicy: Unsupported value: \"Burn\": supported values: \"Delete\", \"Retain\"",
            ],
        ),
        (
            "volumeBindingMode",
            json!("Later"),
            &[
                "volumeBindingMode: Unsupported value: \"Later\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ],
        ),
        (
            "parameters",
            json!({ "": "x" }),
            &["parameters: Invalid value: \"\": field can not be empty."],
        ),
        (
            "allowedTopologies",
            term(json!([])),
            &["allowedTopologies[0].matchLabelExpressions[0].values: Required value"],
        ),
        (
            "allowedTopologies",
            term(json!(["a", "a"])),
            &["allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: \"a\""],
        ),
    ];
    for (field, value, expected) in cases {
        assert_eq!(
            refused(&StorageClass, &with(class(), field, value)),
            expected
        );
    }
}

#[test]
fn what_a_class_makes_is_fixed() {
    let old = with(class(), "parameters", json!({ "type": "ssd" }));
    let mut new = with(class(), "reclaimPolicy", json!("Retain"));
    new["provisioner"] = json!("example.com/z");
    let expected = [
        "parameters: Invalid value: null: field is immutable",
        "provisioner: Invalid value: \"example.com/z\": field is immutable",
        "reclaimPolicy: Invalid value: \"Retain\": field is immutable",
    ];
    assert_eq!(changed(&StorageClass, &new, &old), expected);
    let grown = with(class(), "allowVolumeExpansion", json!(true));
    assert!(changed(&StorageClass, &grown, &class()).is_empty());
}

#[test]
fn the_default_class_says_so_in_its_table() {
    let annotations = json!({ "storageclass.kubernetes.io/is-default-class": "true" });
    let object = with(class(), "metadata.annotations", annotations);
    assert_eq!(
        StorageClass.row(&object, context().now).cells[0],
        "x (default)"
    );
}

#[test]
fn a_driver_is_filled_in_and_warned_of() {
    let mut object = json!({ "metadata": { "name": "d.example.com" }, "spec": {} });
    CsiDriver.default(&mut object);
    let expected = json!({
        "attachRequired": true, "podInfoOnMount": false, "storageCapacity": false, "requiresRepublish": false,
        "seLinuxMount": false, "fsGroupPolicy": "ReadWriteOnceWithFSType", "volumeLifecycleModes": ["Persistent"],
    });
    assert_eq!(object["spec"], expected);
    assert!(
        refused(&CsiDriver, &object).is_empty() && CsiDriver.warnings(&object, None).is_empty()
    );
    let object = with(
        object,
        "spec.tokenRequests",
        json!([{ "audience": "a", "expirationSeconds": 5 }, { "audience": "a" }]),
    );
    assert_eq!(CsiDriver.warnings(&object, None).len(), 1);
    assert!(CsiDriver.warnings(&object, Some(&object)).is_empty());
    let expected = [
        "spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
        "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
    ];
    assert_eq!(refused(&CsiDriver, &object), expected);
}

#[test]
fn the_drivers_of_a_node_are_unique_and_fixed() {
    let driver =
        |name: &str, id: &str| json!({ "name": name, "nodeID": id, "topologyKeys": ["a"] });
    let object =
        |drivers: Value| json!({ "metadata": { "name": "n" }, "spec": { "drivers": drivers } });
    let old = object(json!([driver("d", "1")]));
    assert!(refused(&CsiNode, &old).is_empty());
    let twice = object(json!([driver("d", "1"), driver("d", "")]));
    let expected = [
        "spec.drivers[1].nodeID: Required value",
        "spec.drivers[1].name: Duplicate value: \"d\"",
    ];
    assert_eq!(refused(&CsiNode, &twice), expected);
    let new = object(json!([driver("d", "2"), driver("e", "1")]));
    let expected = "spec.drivers: Invalid value: {\"Name\":\"d\",\"NodeID\":\"2\",\"TopologyKeys\":[\"a\"],\"Allocatable\":null}: field is immutable";
    assert_eq!(changed(&CsiNode, &new, &old), [expected]);
    let more = with(
        old.clone(),
        "spec.drivers.0.allocatable",
        json!({ "count": 3 }),
    );
    assert!(changed(&CsiNode, &more, &old).is_empty());
}

#[test]
fn an_attachment_is_of_one_volume_and_fixed() {
    let object = |source: Value| {
        json!({
            "metadata": { "name": "x" },
            "spec": { "attacher": "d.example.com", "nodeName": "n", "source": source },
        })
    };
    let old = object(json!({ "persistentVolumeName": "pv" }));
    assert!(refused(&VolumeAttachment, &old).is_empty());
    let expected = "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    assert_eq!(refused(&VolumeAttachment, &object(json!({}))), [expected]);
    let new = object(json!({ "persistentVolumeName": "other" }));
    let expected = "spec: Invalid value: {\"Attacher\":\"d.example.com\",\"Source\":{\"PersistentVolumeName\":\"other\",\"InlineVolumeSpec\":null},\"NodeName\":\"n\"}: field is immutable";
    assert_eq!(changed(&VolumeAttachment, &new, &old), [expected]);
    let inline = json!({ "inlineVolumeSpec": { "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/x" } } });
    let expected = "spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes";
    assert_eq!(refused(&VolumeAttachment, &object(inline)), [expected]);
}

#[test]
fn a_class_of_attributes_has_some_and_keeps_them() {
    let old =
        json!({ "metadata": { "name": "x" }, "driverName": "d", "parameters": { "iops": "1" } });
    assert!(refused(&VolumeAttributesClass, &old).is_empty());
    let expected = "parameters: Required value: must contain at least one key/value pair";
    assert_eq!(
        refused(
            &VolumeAttributesClass,
            &with(old.clone(), "parameters", json!({}))
        ),
        [expected]
    );
    let new = with(old.clone(), "parameters", json!({ "iops": "2" }));
    assert_eq!(
        changed(&VolumeAttributesClass, &new, &old),
        ["parameters: Forbidden: updates to parameters are forbidden."]
    );
}

#[test]
fn what_a_capacity_is_about_is_fixed() {
    let old = json!({ "metadata": { "name": "x", "namespace": "default" }, "storageClassName": "s", "capacity": "1Gi" });
    assert!(refused(&CsiStorageCapacity, &old).is_empty());
    let expected = "capacity: Invalid value: \"-1\": must be greater than or equal to 0";
    assert_eq!(
        refused(
            &CsiStorageCapacity,
            &with(old.clone(), "capacity", json!("-1"))
        ),
        [expected]
    );
    let new = with(
        old.clone(),
        "nodeTopology",
        json!({ "matchLabels": { "a": "b" } }),
    );
    let expected =
        "nodeTopology: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: field is immutable";
    assert_eq!(changed(&CsiStorageCapacity, &new, &old), [expected]);
}
