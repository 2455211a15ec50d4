//! HorizontalPodAutoscalers in autoscaling/v1, which knows of a target for the CPU alone: the other metrics, the
//! behavior and the conditions travel in annotations.

use ferrule_apimachinery::schema::Schema;
use serde_json::{Value, json};

use crate::resources::conversion::Conversion;
use crate::resources::tree::{self, Tree, child, fill, remove, set};

/// Between autoscaling/v1 and the stored autoscaling/v2.
pub struct V1;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

impl Conversion for V1 {
    fn to_stored(&self, mut object: Value) -> Value {
        let [metrics, current, conditions, behavior] =
            [METRICS, CURRENT, CONDITIONS, BEHAVIOR].map(|name| take_annotation(&mut object, name));
        if let Some(spec) = child(&mut object, "spec") {
            fill(spec, "minReplicas", 1);
            let mut all = metrics.as_ref().map(of_list).unwrap_or_default();
            if let Some(percent) = remove(spec, "targetCPUUtilizationPercentage")
                && !percent.is_null()
            {
                all.push(cpu(percent));
            }
            if all.is_empty() {
                all.push(cpu(super::DEFAULT_CPU_UTILIZATION.into()));
            }
            set(spec, "metrics", all);
            if let Some(behavior) = behavior.filter(|behavior| !tree::is_unset(behavior)) {
                set(spec, "behavior", go_to_json(behavior));
            }
        }
        if let Some(status) = child(&mut object, "status") {
            let percent = remove(status, "currentCPUUtilizationPercentage");
            let reported = percent.filter(|percent| !percent.is_null()).map(|percent| {
                json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}])
            });
            let current = current.map(|list| of_list(&list).into()).or(reported);
            if let Some(current) = current {
                set(status, "currentMetrics", current);
            }
            if let Some(conditions) = conditions {
                set(status, "conditions", conditions);
            }
        }
        object
    }

    fn from_stored(&self, mut object: Value) -> Value {
        for name in [METRICS, CURRENT, CONDITIONS, BEHAVIOR] {
            take_annotation(&mut object, name);
        }
        let mut annotations: Vec<(&str, String)> = Vec::new();
        if let Some(spec) = child(&mut object, "spec") {
            let metrics = remove(spec, "metrics").unwrap_or_default();
            let all = metrics.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(first) = all.iter().find(|metric| is_cpu(metric)) {
                let target = first.at("resource").at("target");
                tree::copy_as(
                    spec,
                    "targetCPUUtilizationPercentage",
                    target,
                    "averageUtilization",
                );
            }
            let shown = |metric: &&Value| is_cpu(metric) && has_utilization(metric, "target");
            let others: Vec<Value> = all.iter().filter(|m| !shown(m)).map(flat).collect();
            if !others.is_empty() {
                annotations.push((METRICS, go_list("MetricSpec", others.iter())));
            }
            if let Some(behavior) = remove(spec, "behavior") {
                annotations.push((BEHAVIOR, go_behavior(&behavior)));
            }
        }
        if let Some(status) = child(&mut object, "status") {
            let metrics = remove(status, "currentMetrics").unwrap_or_default();
            let all = metrics.as_array().map(Vec::as_slice).unwrap_or_default();
            let last = all
                .iter()
                .rfind(|metric| is_cpu(metric) && has_utilization(metric, "current"));
            if let Some(metric) = last {
                let current = metric.at("resource").at("current");
                tree::copy_as(
                    status,
                    "currentCPUUtilizationPercentage",
                    current,
                    "averageUtilization",
                );
            }
            if !all.is_empty() {
                let seen: Vec<Value> = all.iter().map(flat).collect();
                annotations.push((CURRENT, go_list("MetricStatus", seen.iter())));
            }
            let conditions = remove(status, "conditions").unwrap_or_default();
            if let Some(conditions) = conditions.as_array().filter(|list| !list.is_empty()) {
                let text = go_list("HorizontalPodAutoscalerCondition", conditions.iter());
                annotations.push((CONDITIONS, text));
            }
        }
        let metadata = child(&mut object, "metadata");
        if let Some(map) = metadata
            .filter(|_| !annotations.is_empty())
            .and_then(|metadata| child(metadata, "annotations"))
        {
            for (name, value) in annotations {
                set(map, name, value);
            }
        }
        object
    }
}

fn cpu(percent: Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn is_cpu(metric: &Value) -> bool {
    metric.text("type") == "Resource" && metric.at("resource").text("name") == "cpu"
}

fn has_utilization(metric: &Value, part: &str) -> bool {
    metric.at("resource").at(part).has("averageUtilization")
}

/// Takes an annotation away and reads it; one that is no JSON is lost, as upstream loses it.
fn take_annotation(object: &mut Value, name: &str) -> Option<Value> {
    let metadata = object.get_mut("metadata")?;
    let annotations = metadata.get_mut("annotations")?;
    let text = remove(annotations, name)?;
    if annotations.as_object().is_some_and(|map| map.is_empty()) {
        remove(metadata, "annotations");
    }
    serde_json::from_str(text.as_str()?).ok()
}

/// The sources of a metric with the fields of v1 that became groups in v2: the name of the metric with its
/// selector, and what is wanted (`target`) or was seen (`current`).
const SOURCES: &[Source] = &[
    Source {
        name: "object",
        metric: Some(("metricName", "selector")),
        target: &[("targetValue", "value"), ("averageValue", "averageValue")],
        current: &[("currentValue", "value"), ("averageValue", "averageValue")],
        plain: &["targetValue", "currentValue"],
    },
    Source {
        name: "pods",
        metric: Some(("metricName", "selector")),
        target: &[("targetAverageValue", "averageValue")],
        current: &[("currentAverageValue", "averageValue")],
        plain: &["targetAverageValue", "currentAverageValue"],
    },
    Source {
        name: "resource",
        metric: None,
        target: UTILIZATION,
        current: CURRENT_UTILIZATION,
        plain: &["currentAverageValue"],
    },
    Source {
        name: "containerResource",
        metric: None,
        target: UTILIZATION,
        current: CURRENT_UTILIZATION,
        plain: &["currentAverageValue"],
    },
    Source {
        name: "external",
        metric: Some(("metricName", "metricSelector")),
        target: &[
            ("targetValue", "value"),
            ("targetAverageValue", "averageValue"),
        ],
        current: &[
            ("currentValue", "value"),
            ("currentAverageValue", "averageValue"),
        ],
        plain: &["currentValue"],
    },
];

const UTILIZATION: &[(&str, &str)] = &[
    ("targetAverageUtilization", "averageUtilization"),
    ("targetAverageValue", "averageValue"),
];
const CURRENT_UTILIZATION: &[(&str, &str)] = &[
    ("currentAverageUtilization", "averageUtilization"),
    ("currentAverageValue", "averageValue"),
];

struct Source {
    name: &'static str,
    /// Fields of the metric's name and selector.
    metric: Option<(&'static str, &'static str)>,
    /// Fields of v1 with their names in the group.
    target: &'static [(&'static str, &'static str)],
    current: &'static [(&'static str, &'static str)],
    /// Those that are always there in v1.
    plain: &'static [&'static str],
}

impl Source {
    fn of(metric: &Value) -> impl Iterator<Item = &'static Source> {
        SOURCES.iter().filter(|source| metric.has(source.name))
    }
}

/// A metric of v2 as v1 wrote it.
fn flat(metric: &Value) -> Value {
    let mut out = json!({ "type": metric.at("type") });
    for source in Source::of(metric) {
        let grouped = metric.at(source.name);
        let mut flat = json!({});
        for name in ["name", "container"] {
            tree::copy_as(&mut flat, name, grouped, name);
        }
        if let Some((name, selector)) = source.metric {
            set(&mut flat, name, grouped.at("metric").text("name"));
            tree::copy_as(&mut flat, selector, grouped.at("metric"), "selector");
        }
        tree::copy_as(&mut flat, "target", grouped, "describedObject");
        for (group, fields) in [("target", source.target), ("current", source.current)] {
            let values = grouped.at(group);
            for (own, name) in fields {
                tree::copy_as(&mut flat, own, values, name);
                // A plain amount is written as zero.
                if !values.is_null() && source.plain.contains(own) {
                    fill(&mut flat, own, "0");
                }
            }
        }
        set(&mut out, source.name, flat);
    }
    out
}

fn of_list(metrics: &Value) -> Vec<Value> {
    metrics
        .as_array()
        .into_iter()
        .flatten()
        .map(grouped)
        .collect()
}

/// A metric of v1 in the groups of v2.
fn grouped(metric: &Value) -> Value {
    let mut out = json!({ "type": metric.at("type") });
    for source in Source::of(metric) {
        let flat = metric.at(source.name);
        let mut grouped = json!({});
        for name in ["name", "container"] {
            tree::copy_as(&mut grouped, name, flat, name);
        }
        if let Some((name, selector)) = source.metric {
            let mut metric = json!({ "name": flat.text(name) });
            tree::copy_as(&mut metric, "selector", flat, selector);
            set(&mut grouped, "metric", metric);
        }
        tree::copy_as(&mut grouped, "describedObject", flat, "target");
        let seen = source
            .current
            .iter()
            .any(|(own, _)| own.starts_with("current") && flat.has(own));
        let (group, fields) = match seen {
            true => ("current", source.current),
            false => ("target", source.target),
        };
        let mut values = json!({});
        for (own, name) in fields {
            tree::copy_as(&mut values, name, flat, own);
        }
        if group == "target" {
            let kind = target_type(&values);
            set(&mut values, "type", kind);
        }
        set(&mut grouped, group, values);
        set(&mut out, source.name, grouped);
    }
    out
}

/// What kind of target the values are, which v1 did not say.
fn target_type(values: &Value) -> &'static str {
    if values.has("averageUtilization") {
        "Utilization"
    } else if values.has("averageValue") {
        "AverageValue"
    } else {
        "Value"
    }
}

/// The behavior as Go prints upstream's internal type: names in capitals, nothing left out.
fn go_behavior(behavior: &Value) -> String {
    let rules = |name: &str| {
        let rules = behavior.at(name);
        if rules.is_null() {
            return "null".to_owned();
        }
        let policies: Vec<String> = rules.items("policies").iter().map(go_policy).collect();
        format!(
            r#"{{"StabilizationWindowSeconds":{},"SelectPolicy":{},"Policies":[{}],"Tolerance":{}}}"#,
            rules.at("stabilizationWindowSeconds"),
            rules.at("selectPolicy"),
            policies.join(","),
            rules.at("tolerance"),
        )
    };
    let (up, down) = (rules("scaleUp"), rules("scaleDown"));
    format!(r#"{{"ScaleUp":{up},"ScaleDown":{down}}}"#)
}

fn go_policy(policy: &Value) -> String {
    format!(
        r#"{{"Type":{},"Value":{},"PeriodSeconds":{}}}"#,
        policy.at("type"),
        policy.int("value"),
        policy.int("periodSeconds"),
    )
}

/// A list as Go prints its type of autoscaling/v1.
fn go_list<'v>(type_name: &str, items: impl Iterator<Item = &'v Value>) -> String {
    let schema = Schema::builtin();
    let id = schema.type_id(&format!("autoscaling/v1.{type_name}"));
    let text = |item: &Value| match id {
        Some(id) => schema.to_declared_json(item, id),
        None => item.to_string(),
    };
    format!("[{}]", items.map(text).collect::<Vec<_>>().join(","))
}

/// The behavior read back; Go does not mind the case of names.
fn go_to_json(behavior: Value) -> Value {
    match behavior {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                let mut letters = name.chars();
                let first = letters.next().map(|c| c.to_ascii_lowercase());
                let name: String = first.into_iter().chain(letters).collect();
                (name, go_to_json(value))
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(go_to_json).collect(),
        scalar => scalar,
    }
}
