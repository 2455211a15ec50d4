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

fn volume() -> Value {
    let mut object = json!({
        "metadata": { "name": "x" },
        "spec": { "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/data" } },
    });
    PersistentVolume.default(&mut object);
    object
}

#[test]
fn a_volume_is_refused_in_upstreams_words() {
    let policy = "spec.persistentVolumeReclaimPolicy";
    let cases: [(&str, Value, &[&str]); 9] = [
        (policy, json!("Delete"), &[]),
        (
            "spec.capacity",
            json!(null),
            &[
                "spec.capacity: Required value",
                "spec.capacity: Unsupported value: null: supported values: \"storage\"",
            ],
        ),
        (
            "spec.capacity.storage",
            json!("0"),
            &["spec.capacity[storage]: Invalid value: \"0\": must be greater than zero"],
        ),
        (
            "spec.hostPath",
            json!(null),
            &["spec: Required value: must specify a volume type"],
        ),
        (
            "spec.nfs",
            json!({ "server": "s", "path": "/p" }),
            &["spec.nfs: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            policy,
            json!("Burn"),
            &[
                "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Burn\": supported values: \"Delete\", \"Recycle\", \"Retain\"",
            ],
        ),
        (
            "spec.accessModes",
            json!([]),
            &["spec.accessModes: Required value"],
        ),
        (
            "spec.hostPath.path",
            json!("/a/../b"),
            &["spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"],
        ),
        (
            "spec.volumeMode",
            json!("Tape"),
            &[
                "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
            ],
        ),
    ];
    for (field, value, expected) in cases {
        assert_eq!(
            refused(&PersistentVolume, &with(volume(), field, value)),
            expected,
            "{field}"
        );
    }
    let root = with(
        with(volume(), "spec.hostPath.path", json!("/")),
        policy,
        json!("Recycle"),
    );
    let expected = "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'";
    assert_eq!(refused(&PersistentVolume, &root), [expected]);
    assert_eq!(PersistentVolume.warnings(&root, None).len(), 1);
}

#[test]
fn every_source_says_what_it_lacks() {
    let cases: [(&str, Value, &[&str]); 8] = [
        (
            "local",
            json!({ "path": "/d" }),
            &["spec.nodeAffinity: Required value: Local volume requires node affinity"],
        ),
        (
            "csi",
            json!({ "driver": "d" }),
            &["spec.csi.volumeHandle: Required value"],
        ),
        (
            "iscsi",
            json!({ "targetPortal": "p", "iqn": "x", "lun": 0 }),
            &["spec.iscsi.iqn: Invalid value: \"x\": must be valid format"],
        ),
        (
            "iscsi",
            json!({ "targetPortal": "p", "iqn": "iqn.2001-04.com.example:disk", "lun": 256 }),
            &["spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive"],
        ),
        (
            "fc",
            json!({ "targetWWNs": ["a"] }),
            &["spec.fc.lun: Required value: lun is required if targetWWNs is specified"],
        ),
        (
            "flocker",
            json!({}),
            &["spec.flocker: Required value: one of datasetName and datasetUUID is required"],
        ),
        (
            "flexVolume",
            json!({ "driver": "d", "options": { "a.k8s.io/b": "c" } }),
            &[
                "spec.flexVolume.options[a.k8s.io/b]: Invalid value: \"a.k8s.io/b\": kubernetes.io and k8s.io namespaces are reserved",
            ],
        ),
        (
            "quobyte",
            json!({ "registry": "r", "volume": "v" }),
            &[
                "spec.quobyte.registry: Invalid value: \"r\": must be a host:port pair or multiple pairs separated by commas",
            ],
        ),
    ];
    for (kind, source, expected) in cases {
        let object = with(
            with(volume(), "spec.hostPath", json!(null)),
            &format!("spec.{kind}"),
            source,
        );
        assert_eq!(refused(&PersistentVolume, &object), expected, "{kind}");
    }
}

#[test]
fn the_source_and_the_place_of_a_volume_are_fixed() {
    let new = with(volume(), "spec.hostPath.path", json!("/other"));
    let expected = "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n@@ -2,7 +2,7 @@\n  \"GCEPersistentDisk\": null,\n  \"AWSElasticBlockStore\": null,\n  \"HostPath\": {\n-  \"Path\": \"/data\",\n+  \"Path\": \"/other\",\n   \"Type\": \"\"\n  },\n  \"Glusterfs\": null,\n";
    assert_eq!(changed(&PersistentVolume, &new, &volume()), [expected]);
    let affinity = |key: &str| json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [{ "key": key, "operator": "Exists" }] }] } });
    let old = with(
        volume(),
        "spec.nodeAffinity",
        affinity("beta.kubernetes.io/os"),
    );
    assert!(
        changed(
            &PersistentVolume,
            &with(
                old.clone(),
                "spec.nodeAffinity",
                affinity("kubernetes.io/os")
            ),
            &old
        )
        .is_empty()
    );
    let expected = "nodeAffinity: Invalid value: null: field is immutable, except for updating from beta label to GA";
    assert_eq!(changed(&PersistentVolume, &volume(), &old), [expected]);
}

#[test]
fn a_phase_that_changes_has_a_new_time() {
    let old = with(
        volume(),
        "status",
        json!({ "phase": "Pending", "lastPhaseTransitionTime": "2025-01-01T00:00:00Z" }),
    );
    let mut new = with(old.clone(), "status.phase", json!("Bound"));
    PersistentVolume.prepare_status(&mut new, &old, &context());
    assert_eq!(
        new["status"]["lastPhaseTransitionTime"],
        "2026-01-01T00:00:00Z"
    );
}

fn claim() -> Value {
    let mut object = json!({
        "metadata": { "name": "x", "namespace": "default" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    PersistentVolumeClaim.default(&mut object);
    object
}

#[test]
fn a_claim_is_refused_in_upstreams_words() {
    let cases: [(&str, Value, &[&str]); 8] = [
        ("spec.storageClassName", json!(""), &[]),
        (
            "spec.accessModes",
            json!([]),
            &["spec.accessModes: Required value: at least 1 access mode is required"],
        ),
        (
            "spec.accessModes",
            json!(["Sometimes"]),
            &[
                "spec.accessModes: Unsupported value: \"Sometimes\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            ],
        ),
        (
            "spec.accessModes",
            json!(["ReadWriteOncePod", "ReadWriteOnce"]),
            &["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
        ),
        (
            "spec.resources",
            json!({}),
            &["spec.resources[storage]: Required value"],
        ),
        (
            "spec.resources.requests.storage",
            json!("-1Gi"),
            &["spec.resources[storage]: Invalid value: \"-1Gi\": must be greater than zero"],
        ),
        (
            "spec.dataSourceRef",
            json!({ "kind": "K", "name": "n" }),
            &[
                "spec.dataSourceRef: Invalid value: \"K\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            ],
        ),
        (
            "spec.volumeMode",
            json!("Tape"),
            &[
                "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
            ],
        ),
    ];
    for (field, value, expected) in cases {
        assert_eq!(
            refused(&PersistentVolumeClaim, &with(claim(), field, value)),
            expected,
            "{field}"
        );
    }
}

#[test]
fn only_a_bound_claim_can_grow_and_none_can_change() {
    let size = "spec.resources.requests.storage";
    let grown = changed(
        &PersistentVolumeClaim,
        &with(claim(), size, json!("9Gi")),
        &claim(),
    );
    let expected = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n@@ -6,7 +6,7 @@\n  \"Resources\": {\n   \"Limits\": null,\n   \"Requests\": {\n-   \"storage\": \"1Gi\"\n+   \"storage\": \"9Gi\"\n   }\n  },\n  \"VolumeName\": \"\",\n";
    assert_eq!(grown, [expected]);
    let bound = with(
        claim(),
        "status",
        json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } }),
    );
    assert!(
        changed(
            &PersistentVolumeClaim,
            &with(bound.clone(), size, json!("9Gi")),
            &bound
        )
        .is_empty()
    );
    let expected =
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity";
    assert_eq!(
        changed(
            &PersistentVolumeClaim,
            &with(bound.clone(), size, json!("1Mi")),
            &bound
        ),
        [expected]
    );
    assert!(
        changed(
            &PersistentVolumeClaim,
            &with(claim(), "spec.volumeName", json!("pv")),
            &claim()
        )
        .is_empty()
    );
    assert!(
        changed(
            &PersistentVolumeClaim,
            &with(claim(), "spec.storageClassName", json!("s")),
            &claim()
        )
        .is_empty()
    );
}

#[test]
fn the_source_of_a_claim_stands_in_both_places() {
    let source = json!({ "kind": "PersistentVolumeClaim", "name": "other" });
    for (given, made) in [
        ("dataSource", "dataSourceRef"),
        ("dataSourceRef", "dataSource"),
    ] {
        let mut object = with(claim(), &format!("spec.{given}"), source.clone());
        PersistentVolumeClaim.prepare_create(&mut object, &context());
        assert_eq!(object["spec"][made], source);
    }
    let mut object = with(
        claim(),
        "spec.dataSource",
        json!({ "kind": "Rubbish", "name": "x" }),
    );
    PersistentVolumeClaim.prepare_create(&mut object, &context());
    assert_eq!(object["spec"].get("dataSource"), None);
}
