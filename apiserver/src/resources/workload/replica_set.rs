//! Rules of ReplicaSets.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use crate::resources::pod::{defaults, warnings};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row, or_none};
use crate::resources::tree::{Tree, child, fill};
use crate::resources::{Context, Rules, ScaleRules, Strategy, meta, selector};

/// Rules of ReplicaSets.
pub struct ReplicaSet;

pub(super) const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::integer("Desired", "Pods that are wanted."),
    Column::integer("Current", "Pods that are there."),
    Column::integer("Ready", "Pods that are ready."),
    Column::AGE,
    Column::text("Containers", "Names of the template's containers.").wide(),
    Column::text("Images", "Images of the template's containers.").wide(),
    Column::text("Selector", "Which pods belong to it.").wide(),
];

impl Rules for ReplicaSet {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill(spec, "replicas", 1);
        if let Some(template) = child(spec, "template") {
            defaults::default_template(template);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_spec(&mut out, new.at("spec"));
        super::validate_same_selector(&mut out, new, old);
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_status(&mut out, new.at("status"));
        out.into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        warnings::of_workload(new, old)
    }

    fn scale(&self) -> Option<ScaleRules> {
        Some(ScaleRules::WORKLOAD)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let [containers, images] = super::containers_and_images(spec.at("template"));
        vec![
            table::name(object),
            spec.int("replicas").into(),
            status.int("replicas").into(),
            status.int("readyReplicas").into(),
            table::age(object, now),
            containers,
            images,
            or_none(&selector::to_text(spec.at("selector"))).into(),
        ]
        .into()
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    for name in ["replicas", "minReadySeconds"] {
        out.non_negative(&path.child(name), spec.int(name));
    }
    super::validate_selector_and_template(out, &path, spec);
}

pub(super) fn validate_status(out: &mut Problems, status: &Value) {
    let path = Path::new("status");
    let counts = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "observedGeneration",
    ];
    super::validate_counts(out, &path, status, &counts, "fullyLabeledReplicas");
}
