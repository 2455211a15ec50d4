//! The rules of Deployments and ReplicaSets, in tables.

use serde_json::{Value, json};

use super::{Deployment, ReplicaSet};
use crate::resources::Rules;
use crate::resources::tests::{context, lines, with};

fn workload(rules: &dyn Rules) -> Value {
    let mut object = json!({
        "metadata": { "name": "w", "namespace": "default", "generation": 1 },
        "spec": {
            "selector": { "matchLabels": { "app": "a" } },
            "template": {
                "metadata": { "labels": { "app": "a" } },
                "spec": { "containers": [{ "name": "c", "image": "nginx:1" }] },
            },
        },
    });
    rules.default(&mut object);
    object
}

#[test]
fn a_deployment_rolls_by_quarters_unless_it_says_otherwise() {
    let spec = &workload(&Deployment)["spec"];
    let strategy = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } });
    assert_eq!(spec["strategy"], strategy);
    for (name, value) in [
        ("replicas", 1),
        ("revisionHistoryLimit", 10),
        ("progressDeadlineSeconds", 600),
    ] {
        assert_eq!(spec[name], value, "{name}");
    }
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");
    assert!(
        spec["template"]["spec"].get("enableServiceLinks").is_none(),
        "that is for pods alone"
    );
}

#[test]
fn a_bad_specification_is_told_in_upstreams_words() {
    let mismatch = "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`";
    let cases: [(&str, Value, &[&str]); 11] = [
        (
            "spec.selector",
            json!({ "matchLabels": { "app": "b" } }),
            &[mismatch],
        ),
        (
            "spec.selector",
            json!(null),
            &["spec.selector: Required value", mismatch],
        ),
        (
            "spec.selector",
            json!({}),
            &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
        ),
        (
            "spec.replicas",
            json!(-1),
            &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            "spec.selector.matchExpressions",
            json!([{ "key": "a", "operator": "Eq", "values": ["b"] }]),
            &[
                "spec.selector.matchExpressions[0].operator: Invalid value: \"Eq\": not a valid selector operator",
                "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"a\"},\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Eq\",\"values\":[\"b\"]}]}: invalid label selector",
            ],
        ),
        (
            "spec.strategy",
            json!({ "type": "Slow" }),
            &[
                "spec.strategy: Unsupported value: {\"Type\":\"Slow\",\"RollingUpdate\":null}: supported values: \"Recreate\", \"RollingUpdate\"",
            ],
        ),
        (
            "spec.strategy.type",
            json!("Recreate"),
            &[
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        ),
        (
            "spec.strategy.rollingUpdate",
            json!({ "maxSurge": 0, "maxUnavailable": "0%" }),
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
            ],
        ),
        (
            "spec.strategy.rollingUpdate.maxUnavailable",
            json!("120%"),
            &[
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"120%\": must not be greater than 100%",
            ],
        ),
        (
            "spec.minReadySeconds",
            json!(600),
            &[
                "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
            ],
        ),
        (
            "spec.template.spec.restartPolicy",
            json!("Never"),
            &[
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ],
        ),
    ];
    for (path, value, expected) in cases {
        let object = with(workload(&Deployment), path, value);
        assert_eq!(
            lines(Deployment.validate_create(&object, &context())),
            expected,
            "{path}"
        );
    }
}

#[test]
fn a_selector_never_changes() {
    let expected =
        "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"z\"}}: field is immutable";
    for rules in [&Deployment as &dyn Rules, &ReplicaSet] {
        let old = workload(rules);
        let new = with(old.clone(), "spec.selector.matchLabels.app", json!("z"));
        let new = with(new, "spec.template.metadata.labels.app", json!("z"));
        assert_eq!(
            lines(rules.validate_update(&new, &old, &context())),
            [expected]
        );
    }
}

#[test]
fn annotations_raise_the_generation_of_deployments_only() {
    for (rules, expected) in [(&Deployment as &dyn Rules, 2), (&ReplicaSet, 1)] {
        let old = workload(rules);
        let mut new = with(old.clone(), "metadata.annotations", json!({ "a": "b" }));
        rules.prepare_update(&mut new, &old, &context());
        assert_eq!(new["metadata"]["generation"], expected);
    }
}

#[test]
fn a_status_counts_no_more_pods_than_there_are() {
    let old = workload(&Deployment);
    let new = with(
        old.clone(),
        "status",
        json!({ "replicas": 1, "readyReplicas": 4 }),
    );
    let expected = "status.readyReplicas: Invalid value: 4: cannot be greater than status.replicas";
    assert_eq!(
        lines(Deployment.validate_status(&new, &old, &context())),
        [expected]
    );
}

#[test]
fn rows_count_pods() {
    let status =
        json!({ "replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1 });
    let deployment = with(
        with(workload(&Deployment), "status", status),
        "spec.replicas",
        json!(3),
    );
    let row = Deployment.row(&deployment, context().now).cells;
    assert_eq!(row[..4], [json!("w"), json!("2/3"), json!(3), json!(1)]);
    assert_eq!(row[5..], [json!("c"), json!("nginx:1"), json!("app=a")]);
    let row = ReplicaSet.row(&deployment, context().now).cells;
    assert_eq!(row[..4], [json!("w"), json!(3), json!(3), json!(2)]);
}

#[test]
fn what_a_controller_writes_into_annotations_stays() {
    let revision =
        json!({ "deployment.kubernetes.io/revision": "7", "kubernetes.io/change-cause": "why" });
    for rules in [&Deployment as &dyn Rules, &ReplicaSet] {
        let old = with(workload(rules), "metadata.annotations", revision.clone());
        let mut new = with(old.clone(), "spec.replicas", json!(5));
        rules.default(&mut new);
        rules.prepare_update(&mut new, &old, &context());
        assert_eq!(new["metadata"]["annotations"], revision);
        assert_eq!(new["metadata"]["generation"], 2);
        assert!(rules.validate_update(&new, &old, &context()).is_empty());
        let mut status = with(
            old.clone(),
            "status",
            json!({ "replicas": 1, "observedGeneration": 1 }),
        );
        rules.prepare_status(&mut status, &old, &context());
        assert_eq!(status["metadata"], old["metadata"]);
    }
}

#[test]
fn an_earlier_template_comes_back_as_a_change_of_the_specification() {
    let first = workload(&Deployment);
    let image = "spec.template.spec.containers.0.image";
    let mut second = with(first.clone(), image, json!("nginx:2"));
    Deployment.prepare_update(&mut second, &first, &context());
    let mut back = second.clone();
    back["spec"]["template"] = first["spec"]["template"].clone();
    Deployment.prepare_update(&mut back, &second, &context());
    assert_eq!(back["metadata"]["generation"], 3);
    assert_eq!(back["spec"], first["spec"]);
    assert!(
        Deployment
            .validate_update(&back, &second, &context())
            .is_empty()
    );
}

#[test]
fn a_deployment_may_keep_no_history_and_pause() {
    let object = with(workload(&Deployment), "spec.revisionHistoryLimit", json!(0));
    let mut object = with(object, "spec.paused", json!(true));
    Deployment.default(&mut object);
    assert_eq!(object["spec"]["revisionHistoryLimit"], 0);
    assert!(Deployment.validate_create(&object, &context()).is_empty());
    let object = with(object, "spec.revisionHistoryLimit", json!(-1));
    assert_eq!(
        lines(Deployment.validate_create(&object, &context())),
        ["spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"]
    );
}
