//! Rules of DaemonSets.

use ferrule_apimachinery::field::{BadValue, FieldError};
use jiff::Timestamp;
use serde_json::Value;

use super::Owner;
use crate::resources::pod::{defaults, validation, warnings};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row, or_none};
use crate::resources::tree::{self, Tree, child, copy, fill, fill_unset, set};
use crate::resources::{Context, Rules, Strategy, format::number, go_form, meta, selector};

/// Rules of DaemonSets.
pub struct DaemonSet;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::integer("Desired", "Nodes that should run the pod."),
    Column::integer("Current", "Nodes that should and do run the pod."),
    Column::integer("Ready", "Nodes whose pod is ready."),
    Column::integer(
        "Up-to-date",
        "Nodes whose pod is made from the current template.",
    ),
    Column::integer(
        "Available",
        "Nodes whose pod has been ready for long enough.",
    ),
    Column::text("Node Selector", "Labels of the nodes that are meant."),
    Column::AGE,
    Column::text("Containers", "Names of the template's containers.").wide(),
    Column::text("Images", "Images of the template's containers.").wide(),
    Column::text("Selector", "Which pods belong to it.").wide(),
];

const OWNER: Owner = Owner {
    selector: "daemonset",
    deadline: "DaemonSet",
};

/// Counts the changes of the template, of old for clients of versions that are gone.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

impl Rules for DaemonSet {
    fn default(&self, object: &mut Value) {
        // Whoever writes the object without the annotation owns it; its count is set later.
        let annotations = child(object, "metadata").and_then(|meta| child(meta, "annotations"));
        if let Some(annotations) = annotations {
            fill(annotations, TEMPLATE_GENERATION, "0");
        }
        let Some(spec) = child(object, "spec") else {
            return;
        };
        if let Some(update) = child(spec, "updateStrategy") {
            fill_unset(update, "type", "RollingUpdate");
            if update.text("type") == "RollingUpdate"
                && let Some(rolling) = child(update, "rollingUpdate")
            {
                fill(rolling, "maxUnavailable", 1);
                fill(rolling, "maxSurge", 0);
            }
        }
        fill(spec, "revisionHistoryLimit", 10);
        if let Some(template) = child(spec, "template") {
            defaults::default_template(template);
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        self.strategy().begin(new);
        set_template_generation(new, 1);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"));
        out.into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        copy(new, old, "status");
        let (after, before) = (new.at("spec"), old.at("spec"));
        let changed = !tree::same(after, before);
        let template = !tree::same(after.at("template"), before.at("template"));
        set_template_generation(new, template_generation(old) + i64::from(template));
        meta::next_generation(new, old, changed);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"));
        out.extend(meta::validate_update(new, old));
        validate_spec(&mut out, new.at("spec"));
        super::validate_same_selector(&mut out, new, old);
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let (path, status) = (Path::new("status"), new.at("status"));
        for name in [
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        ] {
            out.non_negative(&path.child(name), status.int(name));
        }
        super::validate_collisions(&mut out, &path, status, old.at("status"));
        out.into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        warnings::of_workload(new, old)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let [containers, images] = super::containers_and_images(spec.at("template"));
        vec![
            table::name(object),
            status.int("desiredNumberScheduled").into(),
            status.int("currentNumberScheduled").into(),
            status.int("numberReady").into(),
            status.int("updatedNumberScheduled").into(),
            status.int("numberAvailable").into(),
            table::labels(spec.at("template").at("spec").at("nodeSelector")).into(),
            table::age(object, now),
            containers,
            images,
            or_none(&selector::to_text(spec.at("selector"))).into(),
        ]
        .into()
    }
}

fn template_generation(object: &Value) -> i64 {
    let annotations = object.at("metadata").at("annotations");
    annotations
        .text(TEMPLATE_GENERATION)
        .parse()
        .unwrap_or_default()
}

/// What clients say of it is not listened to.
fn set_template_generation(object: &mut Value, generation: i64) {
    if let Some(metadata) = child(object, "metadata")
        && let Some(annotations) = child(metadata, "annotations")
    {
        set(annotations, TEMPLATE_GENERATION, generation.to_string());
    }
}

fn validate_spec(out: &mut Problems, spec: &Value) {
    let path = Path::new("spec");
    let (at, labels) = (path.child("selector"), spec.at("selector"));
    selector::validate_label_selector(out, &at, labels);
    if selector::is_usable(labels) && !selector::matches(labels, template_labels(spec)) {
        super::refuse_labels(out, &path, spec);
    }
    super::refuse_empty(out, &at, labels, OWNER);
    let (at, template) = (path.child("template"), spec.at("template"));
    validation::validate_template(out, &at, template);
    super::validate_restarts(out, &at, template, OWNER);
    out.non_negative(&path.child("minReadySeconds"), spec.int("minReadySeconds"));
    validate_update_strategy(
        out,
        &path.child("updateStrategy"),
        spec.at("updateStrategy"),
    );
    out.non_negative(
        &path.child("revisionHistoryLimit"),
        spec.int("revisionHistoryLimit"),
    );
}

fn template_labels(spec: &Value) -> &Value {
    spec.at("template").at("metadata").at("labels")
}

fn validate_update_strategy(out: &mut Problems, path: &Path, update: &Value) {
    let (at, rolling) = (path.child("rollingUpdate"), update.at("rollingUpdate"));
    match update.text("type") {
        "OnDelete" => {}
        "RollingUpdate" if rolling.is_null() => out.required(&at, ""),
        "RollingUpdate" => validate_rolling(out, &at, rolling),
        _ => {
            let shown = BadValue::Raw(go_form::compact("DaemonSetUpdateStrategy", update));
            out.unsupported(path, shown, &["RollingUpdate", "OnDelete"]);
        }
    }
}

fn validate_rolling(out: &mut Problems, path: &Path, rolling: &Value) {
    let names = ["maxUnavailable", "maxSurge"];
    for name in names {
        out.count_or_percent(&path.child(name), rolling.at(name));
    }
    for name in names {
        out.at_most_all(&path.child(name), rolling.at(name));
    }
    let [unavailable, surge] = names.map(|name| number(rolling.at(name)) != 0);
    if unavailable && surge {
        let detail = "may not be set when maxUnavailable is non-zero";
        out.invalid(&path.child("maxSurge"), rolling.at("maxSurge"), detail);
    }
    if !unavailable && !surge {
        let detail = "cannot be 0 when maxSurge is 0";
        out.required(&path.child("maxUnavailable"), detail);
    }
}
