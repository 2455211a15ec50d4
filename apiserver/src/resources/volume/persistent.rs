//! Rules of PersistentVolumes.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{CLASS_ANNOTATION, class_of, short_modes, source, spec};
use crate::resources::meta::NameRule;
use crate::resources::pod::defaults::default_source;
use crate::resources::pod::validation::parse_or_zero;
use crate::resources::pod::warnings::{OLD_VOLUMES, old_label};
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{self, Tree, child, fill, fill_unset, remove, set};
use crate::resources::{Context, Rules, Strategy, diff, go_form, meta};

/// Rules of PersistentVolumes.
pub struct PersistentVolume;

const MOUNT_ANNOTATION: &str = "volume.beta.kubernetes.io/mount-options";

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Capacity", "Size of the volume."),
    Column::text("Access Modes", "How many may mount it, and how."),
    Column::text(
        "Reclaim Policy",
        "What becomes of it when its claim is gone.",
    ),
    Column::text("Status", "Whether it is bound."),
    Column::text("Claim", "Claim that it is bound to."),
    Column::text("StorageClass", "Class of the volume."),
    Column::text("VolumeAttributesClass", "Class of its attributes."),
    Column::text("Reason", "Why it is in its phase."),
    Column::AGE,
    Column::text("VolumeMode", "File system or block device.").wide(),
];

impl Rules for PersistentVolume {
    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        fill_unset(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(spec, "volumeMode", "Filesystem");
        default_source(spec);
        if let Some(status) = child(object, "status") {
            fill_unset(status, "phase", "Pending");
        }
    }

    fn prepare_create(&self, new: &mut Value, context: &Context<'_>) {
        let status = json!({ "phase": "Pending", "lastPhaseTransitionTime": seconds(context) });
        set(new, "status", status);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate(new).into_errors()
    }

    fn strategy(&self) -> Strategy {
        Strategy::STATUS.cluster_wide()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        out.extend(validate(new));
        validate_changes(&mut out, new.at("spec"), old.at("spec"));
        out.into_errors()
    }

    fn prepare_status(&self, new: &mut Value, old: &Value, context: &Context<'_>) {
        meta::keep_all_but_status(new, old);
        let (after, before) = (new.at("status"), old.at("status"));
        let time = "lastPhaseTransitionTime";
        let moved = after.text("phase") != before.text("phase");
        let told = after.has(time) && after.at(time) != before.at(time);
        if moved
            && !told
            && let Some(status) = child(new, "status")
        {
            set(status, time, seconds(context));
        }
    }

    fn warnings(&self, new: &Value, _old: Option<&Value>) -> Vec<String> {
        warnings(new)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let claim = match spec.at("claimRef") {
            Value::Null => String::new(),
            claim => format!("{}/{}", claim.text("namespace"), claim.text("name")),
        };
        let phase = match object.at("metadata").has("deletionTimestamp") {
            true => "Terminating",
            false => status.text("phase"),
        };
        let or_unset = |name: &str| Value::from(spec.opt_text(name).unwrap_or("<unset>"));
        vec![
            table::name(object),
            parse_or_zero(spec.at("capacity").at("storage"))
                .to_string()
                .into(),
            short_modes(spec.items("accessModes")).into(),
            spec.text("persistentVolumeReclaimPolicy").into(),
            phase.into(),
            claim.into(),
            class_of(object).into(),
            or_unset("volumeAttributesClassName"),
            status.text("reason").into(),
            table::age(object, now),
            or_unset("volumeMode"),
        ]
        .into()
    }
}

fn seconds(context: &Context<'_>) -> String {
    context.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn validate(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, false, NameRule::Subdomain);
    let name = object.at("metadata").text("name");
    spec::validate(&mut out, &Path::new("spec"), object.at("spec"), name);
    out
}

/// The source alone, as upstream's types have it.
fn source_of(spec: &Value) -> Value {
    let there = source::kinds().filter_map(|kind| Some((kind.to_owned(), spec.get(kind)?.clone())));
    Value::Object(there.collect::<Map<_, _>>())
}

fn validate_changes(out: &mut Problems, new: &Value, old: &Value) {
    let (mut after, before) = (source_of(new), source_of(old));
    // The secret for growing may be named later.
    let secret = "controllerExpandSecretRef";
    if before.has("csi")
        && !before.at("csi").has(secret)
        && let Some(csi) = after.get_mut("csi")
    {
        remove(csi, secret);
    }
    if !tree::same(&after, &before) {
        let print = |source: &Value| go_form::indented("PersistentVolumeSource", source);
        let difference = diff::unified(&print(&before), &print(&after));
        let detail =
            format!("spec.persistentvolumesource is immutable after creation\n{difference}");
        out.forbidden(&Path::new("spec").child("persistentvolumesource"), &detail);
    }
    let mode = "volumeMode";
    meta::validate_immutable(out, &Path::new(mode), new.at(mode), old.at(mode));
    let affinity = "nodeAffinity";
    if old.has(affinity) && !tree::same(&renamed(new.at(affinity)), &renamed(old.at(affinity))) {
        let shown = match new.at(affinity) {
            Value::Null => "null".to_owned(),
            given => go_form::compact("VolumeNodeAffinity", given),
        };
        let detail = "field is immutable, except for updating from beta label to GA";
        out.invalid_raw(&Path::new(affinity), shown, detail);
    }
    let class = "volumeAttributesClassName";
    if old.has(class) && !new.has(class) {
        let detail = "update from non-nil value to nil is forbidden";
        out.forbidden(&Path::new("spec").child(class), detail);
    }
}

/// An affinity with the labels of old under their names of today.
fn renamed(affinity: &Value) -> Value {
    const NAMES: [(&str, &str); 5] = [
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        (
            "failure-domain.beta.kubernetes.io/zone",
            "topology.kubernetes.io/zone",
        ),
        (
            "failure-domain.beta.kubernetes.io/region",
            "topology.kubernetes.io/region",
        ),
        (
            "beta.kubernetes.io/instance-type",
            "node.kubernetes.io/instance-type",
        ),
    ];
    let mut affinity = affinity.clone();
    let Some(required) = affinity.get_mut("required") else {
        return affinity;
    };
    for term in tree::items_mut(required, "nodeSelectorTerms") {
        for requirement in tree::items_mut(term, "matchExpressions") {
            let key = requirement.text("key");
            if let Some((_, name)) = NAMES.iter().find(|(old, _)| *old == key) {
                set(requirement, "key", *name);
            }
        }
    }
    affinity
}

fn warnings(object: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let (spec, annotations) = (object.at("spec"), object.at("metadata").at("annotations"));
    for (name, since, field) in [
        (CLASS_ANNOTATION, "v1.8", "storageClassName"),
        (MOUNT_ANNOTATION, "v1.31", "mountOptions"),
    ] {
        if annotations.has(name) {
            out.push(format!(
                "metadata.annotations[{name}]: deprecated since {since}; use {field:?} attribute instead"
            ));
        }
    }
    if spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
        out.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .to_owned(),
        );
    }
    let terms = spec
        .at("nodeAffinity")
        .at("required")
        .items("nodeSelectorTerms");
    for (i, term) in terms.iter().enumerate() {
        for (j, requirement) in term.items("matchExpressions").iter().enumerate() {
            let key = requirement.text("key");
            if let Some(message) = old_label(key) {
                out.push(format!(
                    "spec.nodeAffinity.required.nodeSelectorTerms[{i}].matchExpressions[{j}].key: {key} is {message}"
                ));
            }
        }
    }
    let old = OLD_VOLUMES
        .iter()
        .filter(|(kind, ..)| *kind != "gitRepo" && spec.has(kind));
    out.extend(old.map(|(_, shown, message)| format!("spec.{shown}: {message}")));
    out
}
