//! Rules of HorizontalPodAutoscalers, in the form of autoscaling/v2.

mod metrics;
#[cfg(test)]
mod tests;
mod v1;
mod validation;

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::problems::Path;
use super::table::{self, Column, Row};
use super::tree::{Tree, child, fill, set};
use super::{Context, Rules, Strategy, meta};

pub use v1::V1;

/// Rules of HorizontalPodAutoscalers.
pub struct HorizontalPodAutoscaler;

/// Percent of the requested CPU that pods are kept at when nothing else is said.
const DEFAULT_CPU_UTILIZATION: i64 = 80;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Reference", "What is scaled."),
    Column::text("Targets", "What was measured, of what is wanted."),
    Column::text("MinPods", "The least number of pods."),
    Column::text("MaxPods", "The greatest number of pods."),
    Column::text("Replicas", "Pods that are there."),
    Column::AGE,
];

impl Rules for HorizontalPodAutoscaler {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill(spec, "minReplicas", 1);
        if spec.items("metrics").is_empty() {
            let target =
                json!({"type": "Utilization", "averageUtilization": DEFAULT_CPU_UTILIZATION});
            let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
            set(spec, "metrics", json!([cpu]));
        }
        if spec.has("behavior")
            && let Some(behavior) = child(spec, "behavior")
        {
            let policy = |kind, value| json!({"type": kind, "value": value, "periodSeconds": 15});
            if let Some(up) = child(behavior, "scaleUp") {
                fill(up, "stabilizationWindowSeconds", 0);
                fill(
                    up,
                    "policies",
                    json!([policy("Pods", 4), policy("Percent", 100)]),
                );
                fill(up, "selectPolicy", "Max");
            }
            if let Some(down) = child(behavior, "scaleDown") {
                fill(down, "policies", json!([policy("Percent", 100)]));
                fill(down, "selectPolicy", "Max");
            }
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::STATUS
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validation::validate_spec(&mut out, new.at("spec"), None);
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validation::validate_spec(&mut out, new.at("spec"), Some(old.at("spec")));
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let path = Path::new("status");
        for name in ["currentReplicas", "desiredReplicas"] {
            out.non_negative(&path.child(name), new.at("status").int(name));
        }
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let scaled = spec.at("scaleTargetRef");
        let least = match spec.opt_int("minReplicas") {
            Some(least) => least.to_string(),
            None => "<unset>".to_owned(),
        };
        vec![
            table::name(object),
            format!("{}/{}", scaled.text("kind"), scaled.text("name")).into(),
            metrics::text(spec.items("metrics"), status.items("currentMetrics")).into(),
            least.into(),
            spec.int("maxReplicas").into(),
            status.int("currentReplicas").into(),
            table::age(object, now),
        ]
        .into()
    }
}

/// The sources that a metric can have, by its type, in the order in which they are looked at.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

/// The field in which a metric of this type has its source.
fn source_of(kind: &str) -> Option<&'static str> {
    SOURCES
        .iter()
        .find(|(name, _)| *name == kind)
        .map(|(_, field)| *field)
}
