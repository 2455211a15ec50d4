//! Rules of PodDisruptionBudgets, which say how many pods may be evicted at once.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::problems::{Path, Problems};
use super::table::{self, Column, Row};
use super::tree::{Tree, display};
use super::{Context, Rules, Strategy, conditions, go_form, meta, selector};

/// Rules of PodDisruptionBudgets.
pub struct PodDisruptionBudget;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text(
        "Min Available",
        "Pods that must stay, as a number or a percentage.",
    ),
    Column::text(
        "Max Unavailable",
        "Pods that may be missing, as a number or a percentage.",
    ),
    Column::integer("Allowed Disruptions", "Pods that may be evicted now."),
    Column::AGE,
];

/// The counts that are shown even when they are zero.
const COUNTS: [&str; 4] = [
    "disruptionsAllowed",
    "currentHealthy",
    "desiredHealthy",
    "expectedPods",
];

impl Rules for PodDisruptionBudget {
    fn strategy(&self) -> Strategy {
        Strategy::BOTH.conditional()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        let (path, status) = (Path::new("status"), new.at("status"));
        conditions::validate(
            &mut out,
            &path.child("conditions"),
            status.items("conditions"),
        );
        for name in COUNTS {
            out.non_negative(&path.child(name), status.int(name));
        }
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let limit = |name: &str| match object.at("spec").at(name) {
            Value::Null => Value::from("N/A"),
            limit => display(limit).into(),
        };
        vec![
            table::name(object),
            limit("minAvailable"),
            limit("maxUnavailable"),
            object.at("status").int("disruptionsAllowed").into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    if spec.has("minAvailable") && spec.has("maxUnavailable") {
        let shown = go_form::compact("PodDisruptionBudgetSpec", spec);
        let detail = "minAvailable and maxUnavailable cannot be both set";
        out.invalid_raw(&path, shown, detail);
    }
    for name in ["minAvailable", "maxUnavailable"] {
        if spec.has(name) {
            out.count_or_percent(&path.child(name), spec.at(name));
            out.at_most_all(&path.child(name), spec.at(name));
        }
    }
    selector::validate_label_selector(out, &path.child("selector"), spec.at("selector"));
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    if let Some(policy) = spec.opt_text("unhealthyPodEvictionPolicy")
        && !policies.contains(&policy)
    {
        out.unsupported(&path.child("unhealthyPodEvictionPolicy"), policy, &policies);
    }
}
