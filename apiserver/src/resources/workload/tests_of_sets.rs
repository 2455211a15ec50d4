//! The rules of StatefulSets, DaemonSets, ReplicationControllers, and of records, in tables.

use serde_json::{Value, json};

use super::{ControllerRevision, DaemonSet, PodTemplate, ReplicationController, StatefulSet};
use crate::resources::Rules;
use crate::resources::tests::{context, lines, with};

fn workload(rules: &dyn Rules) -> Value {
    let mut object = json!({
        "metadata": {"name": "w", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
            },
        },
    });
    rules.default(&mut object);
    rules.prepare_create(&mut object, &context());
    object
}

fn check(rules: &dyn Rules, object: Value, cases: &[(&str, Value, &[&str])]) {
    assert_eq!(
        lines(rules.validate_create(&object, &context())),
        Vec::<String>::new()
    );
    for (path, value, expected) in cases {
        let changed = with(object.clone(), path, value.clone());
        let found = lines(rules.validate_create(&changed, &context()));
        assert_eq!(found, *expected, "{path}");
    }
}

#[test]
fn a_bad_stateful_set_is_told_in_upstreams_words() {
    let object = workload(&StatefulSet);
    assert_eq!(
        object["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    );
    assert_eq!(object["spec"]["podManagementPolicy"], "OrderedReady");
    check(
        &StatefulSet,
        object,
        &[
            (
                "spec.podManagementPolicy",
                json!("Any"),
                &[
                    "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
                ],
            ),
            (
                "spec.updateStrategy",
                json!({"type": "OnDelete", "rollingUpdate": {"partition": 1}}),
                &[
                    "spec.updateStrategy.rollingUpdate: Invalid value: {\"Partition\":1,\"MaxUnavailable\":null}: only allowed for updateStrategy 'RollingUpdate'",
                ],
            ),
            (
                "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
                json!("Burn"),
                &[
                    "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Burn\": supported values: \"Retain\", \"Delete\"",
                ],
            ),
            (
                "spec.ordinals",
                json!({"start": -1}),
                &["spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"],
            ),
            (
                "spec.template.spec.activeDeadlineSeconds",
                json!(5),
                &[
                    "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported",
                ],
            ),
            (
                "spec.template.spec.containers.0.volumeMounts",
                json!([{"name": "data", "mountPath": "/data"}]),
                &["spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\""],
            ),
        ],
    );
    let mut claimed = workload(&StatefulSet);
    claimed["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}}]);
    StatefulSet.default(&mut claimed);
    assert_eq!(
        claimed["spec"]["volumeClaimTemplates"][0]["status"]["phase"],
        "Pending"
    );
    let mounts = json!([{"name": "data", "mountPath": "/data"}]);
    let claimed = with(
        claimed,
        "spec.template.spec.containers.0.volumeMounts",
        mounts,
    );
    assert!(StatefulSet.validate_create(&claimed, &context()).is_empty());
}

#[test]
fn little_of_a_stateful_set_changes() {
    let old = workload(&StatefulSet);
    for (path, value, good) in [
        ("spec.replicas", json!(3), true),
        ("spec.revisionHistoryLimit", json!(-1), true),
        ("spec.serviceName", json!("z"), false),
        ("spec.podManagementPolicy", json!("Parallel"), false),
    ] {
        let new = with(old.clone(), path, value);
        let found = lines(StatefulSet.validate_update(&new, &old, &context()));
        let expected = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
            'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        assert_eq!(found, if good { vec![] } else { vec![expected] }, "{path}");
    }
}

#[test]
fn a_bad_daemon_set_is_told_in_upstreams_words() {
    let object = workload(&DaemonSet);
    let annotations = json!({"deprecated.daemonset.template.generation": "1"});
    assert_eq!(object["metadata"]["annotations"], annotations);
    let rolling = "spec.updateStrategy.rollingUpdate";
    check(
        &DaemonSet,
        object,
        &[
            (
                "spec.updateStrategy",
                json!({"type": "Never"}),
                &[
                    "spec.updateStrategy: Unsupported value: {\"Type\":\"Never\",\"RollingUpdate\":null}: supported values: \"RollingUpdate\", \"OnDelete\"",
                ],
            ),
            (
                &format!("{rolling}.maxUnavailable"),
                json!(0),
                &[
                    "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
                ],
            ),
            (
                &format!("{rolling}.maxSurge"),
                json!(1),
                &[
                    "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
                ],
            ),
            (
                "spec.selector",
                json!({}),
                &["spec.selector: Invalid value: {}: empty selector is invalid for daemonset"],
            ),
        ],
    );
}

#[test]
fn a_daemon_set_counts_the_changes_of_its_template() {
    let old = workload(&DaemonSet);
    let mut new = with(old.clone(), "spec.minReadySeconds", json!(5));
    DaemonSet.prepare_update(&mut new, &old, &context());
    let count = |object: &Value| {
        object["metadata"]["annotations"]["deprecated.daemonset.template.generation"].clone()
    };
    assert_eq!(
        (count(&new), &new["metadata"]["generation"]),
        (json!("1"), &json!(2))
    );
    let old = new;
    let mut new = with(
        old.clone(),
        "spec.template.spec.containers.0.image",
        json!("z"),
    );
    DaemonSet.prepare_update(&mut new, &old, &context());
    assert_eq!(
        (count(&new), &new["metadata"]["generation"]),
        (json!("2"), &json!(3))
    );
}

#[test]
fn a_replication_controller_selects_by_the_labels_of_its_template() {
    let mut object = json!({"metadata": {"name": "w", "namespace": "default"}, "spec": {"template": {
        "metadata": {"labels": {"app": "rc"}}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}}});
    ReplicationController.default(&mut object);
    assert_eq!(object["spec"]["selector"], json!({"app": "rc"}));
    assert_eq!(object["metadata"]["labels"], json!({"app": "rc"}));
    check(
        &ReplicationController,
        object,
        &[
            (
                "spec.selector",
                json!({"app": "z"}),
                &[
                    "spec.template.metadata.labels: Invalid value: {\"app\":\"rc\"}: `selector` does not match template `labels`",
                ],
            ),
            (
                "spec.template",
                Value::Null,
                &["spec.template: Required value"],
            ),
            (
                "spec.template.spec.restartPolicy",
                json!("Never"),
                &[
                    "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                ],
            ),
            (
                "spec.replicas",
                json!(-1),
                &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
            ),
        ],
    );
}

#[test]
fn records_are_checked() {
    let revision = json!({"metadata": {"name": "r", "namespace": "default", "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1", "controller": true}]},
        "data": {"a": 1}, "revision": 2});
    assert!(
        ControllerRevision
            .validate_create(&revision, &context())
            .is_empty()
    );
    let row = ControllerRevision.row(&revision, context().now);
    assert_eq!(
        row.cells[..3],
        [json!("r"), json!("daemonset.apps/d"), json!(2)]
    );
    let new = with(revision.clone(), "data.a", json!(2));
    let found = lines(ControllerRevision.validate_update(&new, &revision, &context()));
    assert_eq!(
        found,
        ["data: Invalid value: {\"a\":2}: field is immutable"]
    );
    let mut empty = revision;
    empty["data"] = Value::Null;
    let found = lines(ControllerRevision.validate_create(&empty, &context()));
    assert_eq!(found, ["data: Required value: data is mandatory"]);

    let mut template = json!({"metadata": {"name": "t", "namespace": "default"}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}});
    PodTemplate.default(&mut template);
    assert!(
        PodTemplate
            .validate_create(&template, &context())
            .is_empty()
    );
    let row = PodTemplate.row(&template, context().now);
    assert_eq!(
        row.cells,
        [json!("t"), json!("c"), json!("nginx:1"), json!("a=b")]
    );
}
