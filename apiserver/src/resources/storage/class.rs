//! Rules of StorageClasses.

use std::collections::{BTreeMap, BTreeSet};

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::{validate_parameters, validate_provisioner};
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::selector::validate_label_name;
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{Tree, fill};
use crate::resources::{Context, Rules, Strategy, meta};

/// Rules of StorageClasses.
pub struct StorageClass;

/// Annotations that make a class the one of claims that name none.
pub const DEFAULT_ANNOTATIONS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];
const RECLAIM: [&str; 2] = ["Delete", "Retain"];
const BINDING: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];
const FIXED: [&str; 4] = [
    "parameters",
    "provisioner",
    "reclaimPolicy",
    "volumeBindingMode",
];

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Provisioner", "What makes the volumes."),
    Column::text(
        "ReclaimPolicy",
        "What becomes of a volume when it is released.",
    ),
    Column::text("VolumeBindingMode", "When volumes are made and bound."),
    Column::text("AllowVolumeExpansion", "Whether volumes can grow."),
    Column::AGE,
];

/// Whether claims that name no class are of this one.
pub fn is_default(class: &Value) -> bool {
    let annotations = class.at("metadata").at("annotations");
    DEFAULT_ANNOTATIONS
        .iter()
        .any(|name| annotations.text(name) == "true")
}

impl Rules for StorageClass {
    fn default(&self, object: &mut Value) {
        fill(object, "reclaimPolicy", "Delete");
        fill(object, "volumeBindingMode", "Immediate");
    }

    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.cluster_wide()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, NameRule::Subdomain);
        validate_provisioner(&mut out, &Path::new("provisioner"), new.text("provisioner"));
        validate_parameters(&mut out, new, true);
        for (name, known) in [("reclaimPolicy", RECLAIM), ("volumeBindingMode", BINDING)] {
            let value = new.text(name);
            let unset = name == "reclaimPolicy" && value.is_empty();
            if !unset && !known.contains(&value) {
                out.unsupported(&Path::new(name), value, &known);
            }
        }
        validate_topologies(&mut out, new.items("allowedTopologies"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        for name in FIXED {
            meta::validate_immutable(&mut out, &Path::new(name), new.at(name), old.at(name));
        }
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let name = match is_default(object) {
            true => format!("{} (default)", object.at("metadata").text("name")).into(),
            false => table::name(object),
        };
        vec![
            name,
            object.text("provisioner").into(),
            object.text("reclaimPolicy").into(),
            object.text("volumeBindingMode").into(),
            object.flag("allowVolumeExpansion").into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_topologies(out: &mut Problems, terms: &[Value]) {
    let mut seen: Vec<BTreeMap<&str, BTreeSet<&str>>> = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        let at = Path::new("allowedTopologies")
            .index(i)
            .child("matchLabelExpressions");
        let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (j, requirement) in term.items("matchLabelExpressions").iter().enumerate() {
            let (at, key) = (at.index(j), requirement.text("key"));
            let values = validate_values(out, &at, requirement);
            validate_label_name(out, &at.child("key"), key);
            if keys.insert(key, values).is_some() {
                out.duplicate(&at.child("key"), key);
            }
        }
        if seen.contains(&keys) {
            out.duplicate(&at, "");
        }
        seen.push(keys);
    }
}

fn validate_values<'a>(
    out: &mut Problems,
    path: &Path,
    requirement: &'a Value,
) -> BTreeSet<&'a str> {
    let (at, values) = (path.child("values"), requirement.items("values"));
    if values.is_empty() {
        out.required(&at, "");
    }
    let mut set = BTreeSet::new();
    for (i, value) in values.iter().enumerate() {
        let value = value.as_str().unwrap_or_default();
        if !set.insert(value) {
            out.duplicate(&at.index(i), value);
        }
    }
    set
}
