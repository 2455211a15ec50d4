//! Rules of PersistentVolumeClaims.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use ferrule_apimachinery::quantity::Quantity;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    CLASS_ANNOTATION, VOLUME_MODES, class_of, short_modes, validate_access_modes,
    validate_positive, validate_size,
};
use crate::resources::meta::NameRule;
use crate::resources::pod::validation::parse_or_zero;
use crate::resources::problems::{Path, Problems};
use crate::resources::selector::validate_label_selector;
use crate::resources::table::{self, Column, Row};
use crate::resources::tree::{self, Tree, child, copy, display, fill, fill_unset, remove, set};
use crate::resources::{Context, Rules, Strategy, diff, go_form, meta};

/// Rules of PersistentVolumeClaims.
pub struct PersistentVolumeClaim;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Status", "Whether it is bound."),
    Column::text("Volume", "Volume that it is bound to."),
    Column::text("Capacity", "Size of the volume."),
    Column::text("Access Modes", "How many may mount it, and how."),
    Column::text("StorageClass", "Class of the volume."),
    Column::text("VolumeAttributesClass", "Class of the volume's attributes."),
    Column::AGE,
    Column::text("VolumeMode", "File system or block device.").wide(),
];

impl Rules for PersistentVolumeClaim {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = child(object, "spec") {
            fill(spec, "volumeMode", "Filesystem");
        }
        if let Some(status) = child(object, "status") {
            fill_unset(status, "phase", "Pending");
        }
    }

    fn strategy(&self) -> Strategy {
        Strategy::STATUS
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        set(new, "status", json!({ "phase": "Pending" }));
        prepare_sources(new, None);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate(new, None).into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        prepare_sources(new, Some(old.at("spec")));
        self.strategy().keep(new, old);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut old = old.clone();
        if let Some(spec) = old.get_mut("spec") {
            copy_sources(spec);
        }
        let mut out = meta::validate_update(new, &old);
        out.extend(validate(new, Some(old.at("spec"))));
        validate_changes(&mut out, new, &old);
        out.into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        let path = Path::new("status");
        for name in ["capacity", "allocatedResources"] {
            for (resource, value) in new.at("status").entries(name) {
                validate_size(&mut out, &path.child(name).key(resource), value);
            }
        }
        out.into_errors()
    }

    fn warnings(&self, new: &Value, _old: Option<&Value>) -> Vec<String> {
        let mut out = Vec::new();
        if new.at("metadata").at("annotations").has(CLASS_ANNOTATION) {
            out.push(format!(
                "metadata.annotations[{CLASS_ANNOTATION}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
            ));
        }
        let requested = new.at("spec").at("resources").at("requests").at("storage");
        if !requested.is_null() && !parse_or_zero(requested).is_whole() {
            let shown = display(requested);
            out.push(format!(
                "spec.resources.requests[storage]: fractional byte value {shown:?} is invalid, must be an integer"
            ));
        }
        out
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let phase = match object.at("metadata").has("deletionTimestamp") {
            true => "Terminating",
            false => status.text("phase"),
        };
        let (capacity, modes) = match spec.text("volumeName") {
            "" => (String::new(), String::new()),
            _ => (
                parse_or_zero(status.at("capacity").at("storage")).to_string(),
                short_modes(status.items("accessModes")),
            ),
        };
        let or_unset = |name: &str| Value::from(spec.opt_text(name).unwrap_or("<unset>"));
        vec![
            table::name(object),
            phase.into(),
            spec.text("volumeName").into(),
            capacity.into(),
            modes.into(),
            class_of(object).into(),
            or_unset("volumeAttributesClassName"),
            table::age(object, now),
            or_unset("volumeMode"),
        ]
        .into()
    }
}

/// Drops sources that mean nothing, and writes what is left in both of its places.
fn prepare_sources(new: &mut Value, old: Option<&Value>) {
    let Some(spec) = child(new, "spec") else {
        return;
    };
    let in_use = |name: &str| old.is_some_and(|old| old.has(name));
    let foreign = !spec.at("dataSourceRef").text("namespace").is_empty();
    if foreign && !in_use("dataSourceRef") {
        remove(spec, "dataSourceRef");
    }
    let known = match (
        spec.at("dataSource").text("apiGroup"),
        spec.at("dataSource").text("kind"),
    ) {
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot") => true,
        _ => in_use("dataSource") || in_use("dataSourceRef"),
    };
    if spec.has("dataSource") && !spec.has("dataSourceRef") && !known {
        remove(spec, "dataSource");
    }
    copy_sources(spec);
}

/// `dataSource` and `dataSourceRef` say the same when only one of them is given.
fn copy_sources(spec: &mut Value) {
    let (source, reference) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    match (source.is_null(), reference.is_null()) {
        (false, true) => {
            let mut reference = source.clone();
            if source.text("apiGroup").is_empty() {
                remove(&mut reference, "apiGroup");
            }
            set(spec, "dataSourceRef", reference);
        }
        (true, false) if reference.text("namespace").is_empty() => {
            let mut source = reference.clone();
            remove(&mut source, "namespace");
            if reference.text("apiGroup").is_empty() {
                remove(&mut source, "apiGroup");
            }
            set(spec, "dataSource", source);
        }
        _ => {}
    }
}

fn validate(object: &Value, old: Option<&Value>) -> Problems {
    let mut out = meta::validate_create(object, true, NameRule::Subdomain);
    validate_spec(&mut out, &Path::new("spec"), object.at("spec"), old);
    out
}

/// The specification of a claim, or of a template of claims.
pub fn validate_spec(out: &mut Problems, path: &Path, spec: &Value, old: Option<&Value>) {
    let (at, modes) = (path.child("accessModes"), spec.items("accessModes"));
    if modes.is_empty() {
        out.required(&at, "at least 1 access mode is required");
    }
    validate_label_selector(out, &path.child("selector"), spec.at("selector"));
    validate_access_modes(out, &at, modes);
    let at = path.child("resources").key("storage");
    match spec.at("resources").at("requests").at("storage") {
        Value::Null => out.required(&at, ""),
        size => validate_positive(out, &at, size),
    }
    if !spec.text("storageClassName").is_empty() {
        out.dns_subdomain(
            &path.child("storageClassName"),
            spec.text("storageClassName"),
        );
    }
    if let Some(mode) = spec.opt_text("volumeMode")
        && !VOLUME_MODES.contains(&mode)
    {
        out.unsupported(&path.child("volumeMode"), mode, &VOLUME_MODES);
    }
    let had_group = |name: &str| old.is_some_and(|old| old.at(name).has("apiGroup"));
    let any_group = had_group("dataSource") || had_group("dataSourceRef");
    for name in ["dataSource", "dataSourceRef"] {
        if spec.has(name) {
            validate_source(out, &path.child(name), spec.at(name), any_group);
        }
    }
    validate_both_sources(out, path, spec.at("dataSource"), spec.at("dataSourceRef"));
    let class = spec.text("volumeAttributesClassName");
    if !class.is_empty() {
        out.dns_subdomain(&path.child("volumeAttributesClassName"), class);
    }
}

fn validate_source(out: &mut Problems, path: &Path, source: &Value, any_group: bool) {
    for name in ["name", "kind"] {
        if source.text(name).is_empty() {
            out.required(&path.child(name), "");
        }
    }
    let (group, kind) = (source.text("apiGroup"), source.text("kind"));
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        out.invalid(path, kind, detail);
    }
    if !group.is_empty() && !any_group {
        out.dns_subdomain(&path.child("apiGroup"), group);
    }
    let namespace = source.text("namespace");
    if !namespace.is_empty() {
        out.invalid_each(
            &path.child("namespace"),
            namespace,
            names::dns1123_label(namespace),
        );
    }
}

fn validate_both_sources(out: &mut Problems, path: &Path, source: &Value, reference: &Value) {
    if source.is_null() || reference.is_null() {
        return;
    }
    let same = ["apiGroup", "kind", "name"]
        .iter()
        .all(|name| source.at(name) == reference.at(name));
    let detail = match reference.text("namespace") {
        "" if same => return,
        "" => "must match dataSourceRef",
        _ => "may not be specified when dataSourceRef.namespace is specified",
    };
    // Upstream shows the path in place of the value.
    out.invalid_raw(path, path.child("dataSource").as_str().to_owned(), detail);
}

fn validate_changes(out: &mut Problems, new: &Value, old: &Value) {
    let (mut after, mut before) = (new.at("spec").clone(), old.at("spec").clone());
    if before.text("volumeName").is_empty() {
        copy(&mut before, &after, "volumeName");
    }
    let annotation = |object: &Value| {
        let annotations = object.at("metadata").at("annotations");
        annotations.opt_text(CLASS_ANNOTATION).map(str::to_owned)
    };
    let (old_class, new_class) = (annotation(old), annotation(new));
    let named = |spec: &Value| spec.opt_text("storageClassName").map(str::to_owned);
    let from_annotation = old_class.is_some()
        && named(&before).is_none()
        && named(&after) == old_class
        && (new_class.is_none() || new_class == old_class);
    if from_annotation {
        remove(&mut after, "storageClassName");
    } else {
        if old_class != new_class {
            let at = Path::new("metadata")
                .child("annotations")
                .key(CLASS_ANNOTATION);
            out.invalid(&at, new_class.unwrap_or_default(), "field is immutable");
        }
        // A claim that has no class yet may be given one.
        if old_class.is_none() && named(&before).is_none() && named(&after).is_some() {
            copy(&mut after, &before, "storageClassName");
        }
    }
    if new.at("status").text("phase") == "Bound" && after.at("resources").has("requests") {
        let size = before.at("resources").at("requests").at("storage").clone();
        after["resources"]["requests"]["storage"] = size;
    }
    copy(&mut after, &before, "volumeAttributesClassName");
    if !tree::same(&after, &before) {
        let print = |spec: &Value| go_form::indented("PersistentVolumeClaimSpec", spec);
        let difference = diff::unified(&print(&before), &print(&after));
        let detail = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{difference}"
        );
        out.forbidden(&Path::new("spec"), &detail);
    }
    validate_shrinking(out, new, old);
    let (new, old) = (new.at("spec"), old.at("spec"));
    let mode = "volumeMode";
    meta::validate_immutable(out, &Path::new(mode), new.at(mode), old.at(mode));
    let class = "volumeAttributesClassName";
    let lost = match (old.opt_text(class), new.opt_text(class)) {
        (Some(_), None) => "nil",
        (Some(before), Some("")) if !before.is_empty() => "an empty string",
        _ => return,
    };
    let detail = format!("update from non-nil value to {lost} is forbidden");
    out.forbidden(&Path::new("spec").child(class), &detail);
}

/// A request may shrink after an expansion that failed, but not to what there is already.
fn validate_shrinking(out: &mut Problems, new: &Value, old: &Value) {
    let request = |object: &Value| -> Quantity {
        parse_or_zero(
            object
                .at("spec")
                .at("resources")
                .at("requests")
                .at("storage"),
        )
    };
    let there = parse_or_zero(old.at("status").at("capacity").at("storage"));
    if request(new) < request(old) && request(new) <= there {
        let at = Path::new("spec")
            .child("resources")
            .child("requests")
            .child("storage");
        out.forbidden(&at, "field can not be less than status.capacity");
    }
}
