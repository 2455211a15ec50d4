//! Rules of Deployments.

use ferrule_apimachinery::field::{BadValue, FieldError};
use jiff::Timestamp;
use serde_json::Value;

use crate::resources::pod::{defaults, warnings};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{self, Tree, child, copy, fill, fill_unset};
use crate::resources::{
    Context, Rules, ScaleRules, Strategy, format::number, go_form, meta, selector,
};

/// Rules of Deployments.
pub struct Deployment;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Ready", "Pods that are ready, of those wanted."),
    Column::text("Up-to-date", "Pods made from the current template."),
    Column::text("Available", "Pods that have been ready for long enough."),
    Column::AGE,
    Column::text("Containers", "Names of the template's containers.").wide(),
    Column::text("Images", "Images of the template's containers.").wide(),
    Column::text("Selector", "Which pods belong to it.").wide(),
];

impl Rules for Deployment {
    fn reset_fields(&self, subresource: &str) -> &'static [&'static [&'static str]] {
        match subresource {
            "" => &[&["status"]],
            "status" => &[&["spec"], &["metadata", "labels"]],
            _ => &[],
        }
    }

    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill(spec, "replicas", 1);
        fill(spec, "revisionHistoryLimit", 10);
        fill(spec, "progressDeadlineSeconds", 600);
        if let Some(strategy) = child(spec, "strategy") {
            fill_unset(strategy, "type", "RollingUpdate");
            if strategy.text("type") == "RollingUpdate"
                && let Some(rolling) = child(strategy, "rollingUpdate")
            {
                fill(rolling, "maxUnavailable", "25%");
                fill(rolling, "maxSurge", "25%");
            }
        }
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

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        copy(new, old, "status");
        let annotations = |object: &Value| object.at("metadata").at("annotations").clone();
        let changed = !tree::same(new.at("spec"), old.at("spec"))
            || !tree::same(&annotations(new), &annotations(old));
        meta::next_generation(new, old, changed);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_spec(&mut out, new.at("spec"));
        super::validate_same_selector(&mut out, new, old);
        out.into_errors()
    }

    fn prepare_status(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        meta::keep_all_but_status(new, old);
        if let Some(meta) = child(new, "metadata") {
            copy(meta, old.at("metadata"), "labels");
        }
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_status(&mut out, new.at("status"), old.at("status"));
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
            format!("{}/{}", status.int("readyReplicas"), spec.int("replicas")).into(),
            status.int("updatedReplicas").into(),
            status.int("availableReplicas").into(),
            table::age(object, now),
            containers,
            images,
            selector::to_text(spec.at("selector")).into(),
        ]
        .into()
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    out.non_negative(&path.child("replicas"), spec.int("replicas"));
    super::validate_selector_and_template(out, &path, spec);
    validate_strategy(out, &path.child("strategy"), spec.at("strategy"));
    let ready = spec.int("minReadySeconds");
    out.non_negative(&path.child("minReadySeconds"), ready);
    if let Some(limit) = spec.opt_int("revisionHistoryLimit") {
        out.non_negative(&path.child("revisionHistoryLimit"), limit);
    }
    if let Some(deadline) = spec.opt_int("progressDeadlineSeconds") {
        let at = path.child("progressDeadlineSeconds");
        out.non_negative(&at, deadline);
        if deadline <= ready {
            out.invalid(&at, deadline, "must be greater than minReadySeconds");
        }
    }
}

fn validate_strategy(out: &mut Problems, path: &Path, strategy: &Value) {
    let (at, rolling) = (path.child("rollingUpdate"), strategy.at("rollingUpdate"));
    match strategy.text("type") {
        "Recreate" if !rolling.is_null() => {
            out.forbidden(
                &at,
                "may not be specified when strategy `type` is 'Recreate'",
            );
        }
        "Recreate" => {}
        "RollingUpdate" if rolling.is_null() => {
            out.required(&at, "this should be defaulted and never be nil");
        }
        "RollingUpdate" => validate_rolling(out, &at, rolling),
        _ => {
            let shown = BadValue::Raw(go_form::compact("DeploymentStrategy", strategy));
            out.unsupported(path, shown, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn validate_rolling(out: &mut Problems, path: &Path, rolling: &Value) {
    let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    for (name, value) in [("maxUnavailable", unavailable), ("maxSurge", surge)] {
        out.count_or_percent(&path.child(name), value);
    }
    let at = path.child("maxUnavailable");
    if number(unavailable) == 0 && number(surge) == 0 {
        out.invalid(&at, unavailable, "may not be 0 when `maxSurge` is 0");
    }
    out.at_most_all(&at, unavailable);
}

fn validate_status(out: &mut Problems, status: &Value, old: &Value) {
    let path = Path::new("status");
    let counts = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    super::validate_counts(out, &path, status, &counts, "updatedReplicas");
    super::validate_collisions(out, &path, status, old);
}
