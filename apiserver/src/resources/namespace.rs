//! Rules of Namespaces.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::meta::{self, NameRule};
use super::problems::{Path, Problems};
use super::table::{self, Column, Row};
use super::tree::{Tree, child, copy, fill_unset, set};
use super::{Context, Rules, Strategy};

/// Rules of Namespaces.
pub struct Namespace;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Status", "Whether the namespace lives or is going away."),
    Column::AGE,
];

impl Rules for Namespace {
    fn default(&self, object: &mut Value) {
        let name = object.at("metadata").text("name").to_owned();
        if !name.is_empty()
            && let Some(labels) = child(object, "metadata").and_then(|meta| child(meta, "labels"))
        {
            set(labels, "kubernetes.io/metadata.name", name);
        }
        if let Some(status) = child(object, "status") {
            fill_unset(status, "phase", "Active");
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::STATUS.cluster_wide()
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        self.default(new);
        set(new, "status", json!({ "phase": "Active" }));
        let Some(spec) = child(new, "spec") else {
            return;
        };
        let mut finalizers = spec.items("finalizers").to_vec();
        if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
            finalizers.push(json!("kubernetes"));
        }
        set(spec, "finalizers", finalizers);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, false, NameRule::Label);
        validate_finalizers(&mut out, new);
        out.into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        // Finalizers of the specification change through the subresource `finalize` alone.
        copy(new, old, "spec");
        self.strategy().keep(new, old);
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let (phase, path) = (
            new.at("status").text("phase"),
            Path::new("status").child("Phase"),
        );
        let deleted = new.at("metadata").has("deletionTimestamp");
        if !deleted && phase != "Active" {
            out.invalid(
                &path,
                phase,
                "may only be 'Active' if `deletionTimestamp` is empty",
            );
        } else if deleted && phase != "Terminating" {
            out.invalid(
                &path,
                phase,
                "may only be 'Terminating' if `deletionTimestamp` is not empty",
            );
        }
        out.into_errors()
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let phase = object.at("status").text("phase").into();
        vec![table::name(object), phase, table::age(object, now)].into()
    }
}

fn validate_finalizers(out: &mut Problems, namespace: &Value) {
    let path = Path::new("spec").child("finalizers");
    for finalizer in namespace.at("spec").items("finalizers") {
        let finalizer = finalizer.as_str().unwrap_or_default();
        out.qualified_name(&path, finalizer);
        meta::validate_kubernetes_finalizer(out, &path, finalizer);
    }
}
