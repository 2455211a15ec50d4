//! The rules and the two versions of HorizontalPodAutoscalers, in tables.

use serde_json::{Value, json};

use super::{HorizontalPodAutoscaler, V1};
use crate::resources::Rules;
use crate::resources::conversion::Conversion;
use crate::resources::tests::{context, lines, with};

fn autoscaler() -> Value {
    let mut object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "x", "namespace": "default"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    HorizontalPodAutoscaler.default(&mut object);
    object
}

#[test]
fn the_cpu_is_measured_when_nothing_else_is_said() {
    let object = autoscaler();
    assert_eq!(object["spec"]["minReplicas"], 1);
    let target = &object["spec"]["metrics"][0]["resource"]["target"];
    assert_eq!(
        *target,
        json!({"type": "Utilization", "averageUtilization": 80})
    );
    assert_eq!(
        lines(HorizontalPodAutoscaler.validate_create(&object, &context())),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_wrong_is_told_in_upstream_words() {
    let cases = [
        (
            "spec.maxReplicas",
            json!(0),
            vec![
                "spec.maxReplicas: Required value: must be set and greater than 0",
                "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            ],
        ),
        (
            "spec.minReplicas",
            json!(0),
            vec![
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
            ],
        ),
        (
            "spec.scaleTargetRef.apiVersion",
            json!(""),
            vec![
                "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
            ],
        ),
        (
            "spec.scaleTargetRef.name",
            json!("a/b"),
            vec!["spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'"],
        ),
        (
            "spec.metrics",
            json!([{"type": "Pods", "resource": {"name": "cpu",
            "target": {"type": "Value", "value": "0", "averageUtilization": 1}}}]),
            vec![
                "spec.metrics[0].resource.target.value: Invalid value: \"0\": must be positive",
                "spec.metrics[0].pods: Required value: must populate information for the given metric source",
            ],
        ),
        (
            "spec.behavior",
            json!({"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 9999}]}}),
            vec![
                "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 9999: must be less than or equal to 1800",
            ],
        ),
    ];
    for (path, value, expected) in cases {
        let object = with(autoscaler(), path, value);
        let found = HorizontalPodAutoscaler.validate_create(&object, &context());
        assert_eq!(lines(found), expected, "{path}");
    }
}

#[test]
fn v1_keeps_in_annotations_what_it_has_no_fields_for() {
    let metrics = json!([
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
        {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "50"}}},
    ]);
    let mut stored = with(autoscaler(), "spec.metrics", metrics);
    stored["spec"]["behavior"] =
        json!({"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}]}});
    HorizontalPodAutoscaler.default(&mut stored);
    stored["status"] = json!({"currentReplicas": 1, "desiredReplicas": 1,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 5, "averageValue": "1m"}}}],
        "conditions": [{"type": "AbleToScale", "status": "True"}]});

    let shown = V1.from_stored(stored.clone());
    assert_eq!(shown["spec"]["targetCPUUtilizationPercentage"], 60);
    assert_eq!(shown["status"]["currentCPUUtilizationPercentage"], 5);
    assert!(shown["spec"].get("metrics").is_none());
    let annotations = &shown["metadata"]["annotations"];
    assert_eq!(
        annotations["autoscaling.alpha.kubernetes.io/metrics"],
        r#"[{"type":"Pods","pods":{"metricName":"rps","targetAverageValue":"50"}}]"#
    );
    assert_eq!(
        annotations["autoscaling.alpha.kubernetes.io/behavior"],
        concat!(
            r#"{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15},"#,
            r#"{"Type":"Percent","Value":100,"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":{"StabilizationWindowSeconds":null,"#,
            r#""SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":30}],"Tolerance":null}}"#
        )
    );

    let mut again = V1.to_stored(shown);
    // The metric of the CPU comes last, as upstream puts it.
    again["spec"]["metrics"].as_array_mut().unwrap().reverse();
    assert_eq!(again, stored);
}

#[test]
fn v1_alone_targets_the_cpu() {
    let object = json!({"metadata": {"name": "x"}, "spec": {"maxReplicas": 3}});
    let stored = V1.to_stored(object);
    assert_eq!(
        stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
        80
    );
    assert_eq!(stored["spec"]["minReplicas"], 1);
    assert_eq!(
        V1.from_stored(stored)["spec"]["targetCPUUtilizationPercentage"],
        80
    );
}

#[test]
fn a_row_shows_two_metrics_and_counts_the_rest() {
    let metrics = json!([
        {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "100Mi"}}},
        {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "50"}}},
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
    ]);
    let mut object = with(autoscaler(), "spec.metrics", metrics);
    object["status"] = json!({"currentMetrics": [{"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "80Mi"}}}]});
    let row = HorizontalPodAutoscaler.row(&object, context().now);
    assert_eq!(
        row.cells[1..6],
        [
            json!("Deployment/web"),
            json!("memory: 80Mi/100Mi, <unknown>/50 + 1 more..."),
            json!("1"),
            json!(3),
            json!(0)
        ]
    );
}
