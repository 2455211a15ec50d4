//! HorizontalPodAutoscalers.

use serde_json::Value;

use super::{Text, list, meta, number, plain, string};

/// Describes a HorizontalPodAutoscaler of autoscaling/v2 or v1.
pub fn describe(text: &mut Text, object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    let target = &spec["scaleTargetRef"];
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    meta::created(text, object);
    let (kind, name) = (string(target, "kind"), string(target, "name"));
    text.field(0, "Reference", format!("{kind}/{name}"));
    if string(object, "apiVersion") == "autoscaling/v1" {
        utilization(text, spec, status);
    } else {
        text.line(0, "Metrics:\t( current / target )");
        for (index, metric) in list(spec, "metrics").enumerate() {
            text.line(1, self::metric(metric, &status["currentMetrics"][index]));
        }
    }
    text.field(0, "Min replicas", meta::or_unset(&spec["minReplicas"]));
    text.field(0, "Max replicas", number(spec, "maxReplicas").to_string());
    if spec["behavior"].is_object() {
        text.line(0, "Behavior:");
        direction(text, "Scale Up", &spec["behavior"]["scaleUp"]);
        direction(text, "Scale Down", &spec["behavior"]["scaleDown"]);
    }
    let (current, desired) = (
        number(status, "currentReplicas"),
        number(status, "desiredReplicas"),
    );
    text.line(
        0,
        format!("{kind} pods:\t{current} current / {desired} desired"),
    );
    conditions(text, status);
    true
}

fn utilization(text: &mut Text, spec: &Value, status: &Value) {
    let Some(target) = spec["targetCPUUtilizationPercentage"].as_i64() else {
        return;
    };
    text.field(0, "Target CPU utilization", format!("{target}%"));
    let current = &status["currentCPUUtilizationPercentage"];
    let current = match current.as_i64() {
        Some(current) => current.to_string(),
        None => "<unknown>".to_owned(),
    };
    text.field(0, "Current CPU utilization", format!("{current}%"));
}

/// A metric with its current value and its target.
fn metric(metric: &Value, current: &Value) -> String {
    let kind = string(metric, "type");
    let field = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        other => return format!("<unknown metric type {other:?}>"),
    };
    let (source, current) = (&metric[field], &current[field]["current"]);
    let target = &source["target"];
    let of = |field: &str| match &current[field] {
        Value::Null => "<unknown>".to_owned(),
        value => plain(value),
    };
    let shown = |field: &str| format!("{} / {}", of(field), plain(&target[field]));
    let named = string(&source["metric"], "name");
    let by_average = match kind {
        "Object" => string(target, "type") == "AverageValue",
        _ => !target["averageValue"].is_null(),
    };
    match kind {
        "Pods" => format!("{named:?} on pods:\t{}", shown("averageValue")),
        "External" | "Object" => {
            let object = &source["describedObject"];
            let head = match kind {
                "Object" => format!(
                    "{named:?} on {}/{}",
                    string(object, "kind"),
                    string(object, "name")
                ),
                _ => format!("{named:?}"),
            };
            let (how, field) = match by_average {
                true => ("target average value", "averageValue"),
                false => ("target value", "value"),
            };
            format!("{head} ({how}):\t{}", shown(field))
        }
        _ => {
            let container = match string(source, "container") {
                "" => String::new(),
                container => format!(" of container {container:?}"),
            };
            let head = format!("resource {}{container} on pods", string(source, "name"));
            if by_average {
                return format!("{head}:\t{}", shown("averageValue"));
            }
            let current = match current["averageUtilization"].as_i64() {
                Some(share) => format!("{share}% ({})", of("averageValue")),
                None => "<unknown>".to_owned(),
            };
            let target = match target["averageUtilization"].as_i64() {
                Some(share) => format!("{share}%"),
                None => "<auto>".to_owned(),
            };
            format!("{head}  (as a percentage of request):\t{current} / {target}")
        }
    }
}

fn direction(text: &mut Text, title: &str, rules: &Value) {
    if !rules.is_object() {
        return;
    }
    text.line(1, format!("{title}:"));
    if let Some(seconds) = rules["stabilizationWindowSeconds"].as_i64() {
        text.line(2, format!("Stabilization Window: {seconds} seconds"));
    }
    let mut policies = list(rules, "policies").peekable();
    if policies.peek().is_none() {
        return;
    }
    let select = rules["selectPolicy"].as_str().unwrap_or("Max");
    text.line(2, format!("Select Policy: {select}"));
    text.line(2, "Policies:");
    for policy in policies {
        let (kind, value) = (string(policy, "type"), number(policy, "value"));
        let period = number(policy, "periodSeconds");
        text.line(
            3,
            format!("- Type: {kind}\tValue: {value}\tPeriod: {period} seconds"),
        );
    }
}

fn conditions(text: &mut Text, status: &Value) {
    let mut all = list(status, "conditions").peekable();
    if all.peek().is_none() {
        return;
    }
    text.line(0, "Conditions:");
    text.line(1, "Type\tStatus\tReason\tMessage");
    text.line(1, "----\t------\t------\t-------");
    for own in all {
        let cells = ["type", "status", "reason", "message"].map(|field| string(own, field));
        text.line(1, cells.join("\t"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_of_metric_says_what_is_and_what_shall_be() {
        let cpu = |target: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        for (own, current, expected) in [
            (
                cpu(json!({"type": "Utilization", "averageUtilization": 80})),
                Value::Null,
                "resource cpu on pods  (as a percentage of request):\t<unknown> / 80%",
            ),
            (
                cpu(json!({"type": "Utilization", "averageUtilization": 80})),
                json!({"resource": {"current": {"averageUtilization": 40, "averageValue": "20m"}}}),
                "resource cpu on pods  (as a percentage of request):\t40% (20m) / 80%",
            ),
            (
                cpu(json!({"type": "AverageValue", "averageValue": "500m"})),
                Value::Null,
                "resource cpu on pods:\t<unknown> / 500m",
            ),
            (
                json!({"type": "ContainerResource", "containerResource": {"name": "memory", "container": "app",
                    "target": {"type": "Utilization", "averageUtilization": 60}}}),
                Value::Null,
                "resource memory of container \"app\" on pods  (as a percentage of request):\t<unknown> / 60%",
            ),
            (
                json!({"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}}),
                json!({"pods": {"current": {"averageValue": "7"}}}),
                "\"rps\" on pods:\t7 / 10",
            ),
            (
                json!({"type": "Object", "object": {"metric": {"name": "hits"}, "describedObject": {"kind": "Service", "name": "web"},
                    "target": {"type": "Value", "value": "3k"}}}),
                Value::Null,
                "\"hits\" on Service/web (target value):\t<unknown> / 3k",
            ),
            (
                json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "30"}}}),
                Value::Null,
                "\"queue\" (target average value):\t<unknown> / 30",
            ),
            (
                json!({"type": "Odd"}),
                Value::Null,
                "<unknown metric type \"Odd\">",
            ),
        ] {
            assert_eq!(metric(&own, &current), expected);
        }
    }
}
