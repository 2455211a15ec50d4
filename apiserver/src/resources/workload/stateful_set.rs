//! Rules of StatefulSets.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Owner;
use crate::resources::pod::{defaults, validation, warnings};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{self, Tree, child, copy, fill, fill_unset, items_mut, set};
use crate::resources::{
    Context, Rules, ScaleRules, Strategy, format::number, go_form, meta, selector,
};

/// Rules of StatefulSets.
pub struct StatefulSet;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Ready", "Pods that are ready, of those wanted."),
    Column::AGE,
    Column::text("Containers", "Names of the template's containers.").wide(),
    Column::text("Images", "Images of the template's containers.").wide(),
];

const OWNER: Owner = Owner {
    selector: "statefulset",
    deadline: "StatefulSet",
};

/// The fields of the specification that may change, in the words of the refusal of the others.
const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

impl Rules for StatefulSet {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill_unset(spec, "podManagementPolicy", "OrderedReady");
        if let Some(update) = child(spec, "updateStrategy") {
            fill_unset(update, "type", "RollingUpdate");
            if update.text("type") == "RollingUpdate"
                && let Some(rolling) = child(update, "rollingUpdate")
            {
                fill(rolling, "partition", 0);
            }
        }
        if let Some(policy) = child(spec, "persistentVolumeClaimRetentionPolicy") {
            fill_unset(policy, "whenDeleted", "Retain");
            fill_unset(policy, "whenScaled", "Retain");
        }
        fill(spec, "replicas", 1);
        fill(spec, "revisionHistoryLimit", 10);
        if let Some(template) = child(spec, "template") {
            defaults::default_template(template);
        }
        for claim in items_mut(spec, "volumeClaimTemplates") {
            set(claim, "apiVersion", "v1");
            set(claim, "kind", "PersistentVolumeClaim");
            if let Some(spec) = child(claim, "spec") {
                fill(spec, "volumeMode", "Filesystem");
            }
            if let Some(status) = child(claim, "status") {
                fill_unset(status, "phase", "Pending");
            }
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        self.strategy().begin(new);
        drop_max_unavailable(new, &Value::Null);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_spec(&mut out, new.at("spec"), &Value::Null);
        out.into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        drop_max_unavailable(new, old);
        self.strategy().keep(new, old);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let (after, before) = (new.at("spec"), old.at("spec"));
        validate_spec(&mut out, after, before);
        let mut rest = after.clone();
        for name in CHANGEABLE {
            copy(&mut rest, before, name);
        }
        if !tree::same(&rest, before) {
            let named = CHANGEABLE.map(|name| format!("'{name}'"));
            let [others @ .., last] = &named;
            let detail = format!(
                "updates to statefulset spec for fields other than {} and {last} are forbidden",
                others.join(", ")
            );
            out.forbidden(&Path::new("spec"), &detail);
        }
        out.into_errors()
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
            table::age(object, now),
            containers,
            images,
        ]
        .into()
    }
}

/// A field that upstream's server does not know yet is dropped, unless it was there before.
fn drop_max_unavailable(new: &mut Value, old: &Value) {
    fn rolling(object: &Value) -> &Value {
        object.at("spec").at("updateStrategy").at("rollingUpdate")
    }
    if rolling(old).has("maxUnavailable") || !rolling(new).has("maxUnavailable") {
        return;
    }
    if let Some(rolling) = new.pointer_mut("/spec/updateStrategy/rollingUpdate") {
        tree::remove(rolling, "maxUnavailable");
    }
}

fn validate_spec(out: &mut Problems, spec: &Value, old: &Value) {
    let path = Path::new("spec");
    let at = path.child("podManagementPolicy");
    match spec.text("podManagementPolicy") {
        "" => out.required(&at, ""),
        "OrderedReady" | "Parallel" => {}
        other => out.invalid(&at, other, "must be 'OrderedReady' or 'Parallel'"),
    }
    validate_update_strategy(
        out,
        &path.child("updateStrategy"),
        spec.at("updateStrategy"),
    );
    let (at, policy) = (
        path.child("persistentVolumeClaimRetentionPolicy"),
        spec.at("persistentVolumeClaimRetentionPolicy"),
    );
    for name in ["whenDeleted", "whenScaled"] {
        let known = ["Retain", "Delete"];
        if !policy.is_null() && !known.contains(&policy.text(name)) {
            out.unsupported(&at.child(name), policy.text(name), &known);
        }
    }
    for name in ["replicas", "minReadySeconds"] {
        out.non_negative(&path.child(name), spec.int(name));
    }
    out.non_negative(
        &path.child("ordinals").child("start"),
        spec.at("ordinals").int("start"),
    );
    let (at, labels) = (path.child("selector"), spec.at("selector"));
    if labels.is_null() {
        out.required(&at, "");
    } else {
        selector::validate_label_selector(out, &at, labels);
        super::refuse_empty(out, &at, labels, OWNER);
    }
    if !selector::is_usable(labels) {
        out.invalid_raw(&at, go_form::label_selector(labels), "");
    } else {
        super::validate_match(out, &path, spec);
        if !tree::same(spec.at("template"), old.at("template")) {
            validation::validate_template(out, &path.child("template"), &with_claims(spec));
        }
    }
    super::validate_restarts(out, &path.child("template"), spec.at("template"), OWNER);
    let service = spec.text("serviceName");
    if !service.is_empty() && service != old.text("serviceName") {
        out.dns_label(&path.child("serviceName"), service);
    }
}

/// The template with a volume for each claim, as the pods have them.
fn with_claims(spec: &Value) -> Value {
    let mut template = spec.at("template").clone();
    let claims = spec.items("volumeClaimTemplates").iter();
    let claims: Vec<&str> = claims
        .map(|claim| claim.at("metadata").text("name"))
        .filter(|name| !name.is_empty())
        .collect();
    if let Some(pod) = child(&mut template, "spec") {
        // A claim takes the place of a volume of the same name.
        let own = pod.items("volumes").iter();
        let own = own.filter(|volume| !claims.contains(&volume.text("name")));
        let claimed = claims
            .iter()
            .map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        let volumes: Vec<Value> = own.cloned().chain(claimed).collect();
        if !volumes.is_empty() {
            set(pod, "volumes", volumes);
        }
    }
    template
}

fn validate_update_strategy(out: &mut Problems, path: &Path, update: &Value) {
    let (at, rolling) = (path.child("rollingUpdate"), update.at("rollingUpdate"));
    match update.text("type") {
        "" => out.required(path, ""),
        "OnDelete" if !rolling.is_null() => {
            let shown = go_form::compact("RollingUpdateStatefulSetStrategy", rolling);
            out.invalid_raw(
                &at,
                shown,
                "only allowed for updateStrategy 'RollingUpdate'",
            );
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            out.non_negative(&at.child("partition"), rolling.int("partition"));
            let (at, most) = (at.child("maxUnavailable"), rolling.at("maxUnavailable"));
            if !most.is_null() {
                out.count_or_percent(&at, most);
                if number(most) == 0 {
                    out.invalid(&at, most, "cannot be 0");
                }
                out.at_most_all(&at, most);
            }
        }
        _ => {
            let shown = go_form::compact("StatefulSetUpdateStrategy", update);
            out.invalid_raw(path, shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

fn validate_status(out: &mut Problems, status: &Value, old: &Value) {
    let path = Path::new("status");
    for name in [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ] {
        out.non_negative(&path.child(name), status.int(name));
    }
    for name in [
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
    ] {
        if status.int(name) > status.int("replicas") {
            let detail = "cannot be greater than status.replicas";
            out.invalid(&path.child(name), status.int(name), detail);
        }
    }
    let available = status.int("availableReplicas");
    if available > status.int("readyReplicas") {
        let detail = "cannot be greater than status.readyReplicas";
        out.invalid(&path.child("availableReplicas"), available, detail);
    }
    super::validate_collisions(out, &path, status, old);
}
