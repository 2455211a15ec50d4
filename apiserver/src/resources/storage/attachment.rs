//! Rules of VolumeAttachments.

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::validate_driver_name;
use crate::resources::meta::NameRule;
use crate::resources::problems::{Path, Problems};
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{self, Tree};
use crate::resources::{Context, Rules, Strategy, format, go_form, meta, volume};

/// Rules of VolumeAttachments.
pub struct VolumeAttachment;

const MAX_METADATA: usize = 256 * 1024;
const MAX_MESSAGE: usize = 1024;
const ONE_OF: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column {
        format: "name",
        ..Column::text("Attacher", "CSI driver that attaches it.")
    },
    Column::text("PV", "The volume."),
    Column::text("Node", "The node."),
    Column {
        kind: "boolean",
        ..Column::text("Attached", "Whether it is attached.")
    },
    Column::AGE,
];

impl Rules for VolumeAttachment {
    fn reset_fields(&self, subresource: &str) -> &'static [&'static [&'static str]] {
        match subresource {
            "" => &[&["status"]],
            "status" => &[&["metadata"], &["spec"]],
            _ => &[],
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::STATUS.cluster_wide().conditional()
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = validate(new);
        let (path, spec) = (Path::new("spec"), new.at("spec"));
        validate_driver_name(&mut out, &path.child("attacher"), spec.text("attacher"));
        if let Some(name) = spec.at("source").opt_text("persistentVolumeName") {
            let at = path.child("source").child("persistentVolumeName");
            out.dns_subdomain(&at, name);
        }
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update_once(new, old);
        out.extend(validate(new));
        if !tree::same(new.at("spec"), old.at("spec")) {
            let shown = go_form::compact("VolumeAttachmentSpec", new.at("spec"));
            out.invalid_raw(&Path::new("spec"), shown, "field is immutable");
        }
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, context: &Context<'_>) -> Vec<FieldError> {
        self.validate_update(new, old, context)
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let spec = object.at("spec");
        vec![
            table::name(object),
            spec.text("attacher").into(),
            spec.at("source").text("persistentVolumeName").into(),
            spec.text("nodeName").into(),
            object.at("status").flag("attached").into(),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, false, NameRule::Subdomain);
    let (path, spec) = (Path::new("spec"), object.at("spec"));
    if spec.text("attacher").is_empty() {
        out.required(&path.child("attacher"), "");
    }
    let (at, source) = (path.child("source"), spec.at("source"));
    let inline = source.at("inlineVolumeSpec");
    match (inline.is_null(), source.opt_text("persistentVolumeName")) {
        (true, None) => out.required(&at, ONE_OF),
        (false, Some(_)) => out.forbidden(&at, ONE_OF),
        (true, Some("")) => {
            let detail = "must specify non empty persistentVolumeName";
            out.required(&at.child("persistentVolumeName"), detail);
        }
        (true, Some(_)) => {}
        (false, None) => volume::validate_inline(&mut out, &at.child("inlineVolumeSpec"), inline),
    }
    out.dns_subdomain(&path.child("nodeName"), spec.text("nodeName"));
    validate_status(&mut out, &Path::new("status"), object.at("status"));
    out
}

fn validate_status(out: &mut Problems, path: &Path, status: &Value) {
    let entries = status.entries("attachmentMetadata");
    let size: usize = entries
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > MAX_METADATA {
        out.too_long(&path.child("attachmentMetadata"), MAX_METADATA);
    }
    for name in ["attachError", "detachError"] {
        let (at, error) = (path.child(name), status.at(name));
        if error.text("message").len() > MAX_MESSAGE {
            out.too_long(&at.child("message"), MAX_METADATA);
        }
        if let Some(code) = error.opt_int("errorCode")
            && code < 0
        {
            let detail = format::inclusive_range(0, i64::from(i32::MAX));
            out.invalid(&at.child("errorCode"), code, &detail);
        }
    }
}
