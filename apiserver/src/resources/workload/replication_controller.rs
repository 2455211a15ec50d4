//! Rules of ReplicationControllers, whose selector is a plain map of labels.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::Owner;
use crate::resources::pod::{defaults, validation, warnings};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{Tree, child, fill, set};
use crate::resources::{Context, Rules, ScaleRules, Strategy, meta};

/// Rules of ReplicationControllers.
pub struct ReplicationController;

const OWNER: Owner = Owner {
    selector: "replicationcontroller",
    deadline: "ReplicationController",
};

impl Rules for ReplicationController {
    fn default(&self, object: &mut Value) {
        let labels = object.at("spec").at("template").at("metadata").at("labels");
        let labels = labels.clone();
        let empty = |value: &Value| value.as_object().is_none_or(|map| map.is_empty());
        if let Some(spec) = child(object, "spec") {
            fill(spec, "replicas", 1);
            if !empty(&labels) && empty(spec.at("selector")) {
                set(spec, "selector", labels.clone());
            }
            if spec.has("template")
                && let Some(template) = child(spec, "template")
            {
                defaults::default_template(template);
            }
        }
        if let Some(metadata) = child(object, "metadata")
            && !empty(&labels)
            && empty(metadata.at("labels"))
        {
            set(metadata, "labels", labels);
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
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"));
        out.extend(meta::validate_update(new, old));
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        super::replica_set::validate_status(&mut out, new.at("status"));
        out.into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        warnings::of_workload(new, old)
    }

    fn scale(&self) -> Option<ScaleRules> {
        Some(ScaleRules {
            plain_selector: true,
            ..ScaleRules::WORKLOAD
        })
    }

    fn columns(&self) -> &'static [Column] {
        super::replica_set::COLUMNS
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
            table::labels(spec.at("selector")).into(),
        ]
        .into()
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    out.non_negative(&path.child("minReadySeconds"), spec.int("minReadySeconds"));
    let wanted = spec.map("selector").filter(|labels| !labels.is_empty());
    if wanted.is_none() {
        out.required(&path.child("selector"), "");
    }
    out.non_negative(&path.child("replicas"), spec.int("replicas"));
    let (at, template) = (path.child("template"), spec.at("template"));
    if template.is_null() {
        return out.required(&at, "");
    }
    let own = template.at("metadata").at("labels");
    if wanted.is_some_and(|labels| {
        labels
            .iter()
            .any(|(key, value)| own.get(key) != Some(value))
    }) {
        super::refuse_labels(out, &path, spec);
    }
    validation::validate_template(out, &at, template);
    super::validate_restarts(out, &at, template, OWNER);
}
