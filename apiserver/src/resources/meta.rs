//! Rules of `metadata` that hold for every kind.

use ferrule_apimachinery::field::quote;
use ferrule_apimachinery::names;
use serde_json::Value;

use super::problems::{Path, Problems};
use super::tree::{self, Tree};
use super::{format, go_form, selector};

const IMMUTABLE: &str = "field is immutable";
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// What the names of a kind must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// A DNS-1123 subdomain, the usual rule.
    Subdomain,
    /// A DNS-1123 label.
    Label,
    /// Anything that can stand in a path.
    PathSegment,
    /// An IP address in canonical form.
    IpAddress,
    /// Anything.
    Any,
}

impl NameRule {
    /// What is wrong with a name; a prefix of generated names may end in a dash.
    pub fn check(self, name: &str, prefix: bool) -> Vec<String> {
        let masked;
        let checked = if prefix && name.ends_with('-') {
            masked = format!("{}a", &name[..name.len() - 1]);
            masked.as_str()
        } else {
            name
        };
        match self {
            NameRule::Subdomain => names::dns1123_subdomain(checked),
            NameRule::Label => names::dns1123_label(checked),
            NameRule::PathSegment => format::path_segment(name),
            NameRule::IpAddress => ip_address_name(name),
            NameRule::Any => Vec::new(),
        }
    }
}

fn ip_address_name(name: &str) -> Vec<String> {
    match name.parse::<std::net::IpAddr>() {
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        Ok(address) if address.to_string() != name => {
            vec![format!("must be in canonical form (\"{address}\")")]
        }
        Ok(_) => Vec::new(),
    }
}

/// Problems of a new object's metadata.
pub fn validate_create(new: &Value, namespaced: bool, rule: NameRule) -> Problems {
    let (meta, path) = (new.at("metadata"), Path::new("metadata"));
    let mut out = Problems::default();
    let prefix = meta.text("generateName");
    if !prefix.is_empty() {
        out.invalid_each(
            &path.child("generateName"),
            prefix,
            rule.check(prefix, true),
        );
    }
    let name = meta.text("name");
    if name.is_empty() {
        out.required(&path.child("name"), "name or generateName is required");
    } else {
        out.invalid_each(&path.child("name"), name, rule.check(name, false));
    }
    let namespace = meta.text("namespace");
    if !namespaced && !namespace.is_empty() {
        out.forbidden(&path.child("namespace"), "not allowed on this type");
    } else if namespaced && namespace.is_empty() {
        out.required(&path.child("namespace"), "");
    } else if namespaced {
        out.invalid_each(
            &path.child("namespace"),
            namespace,
            names::dns1123_label(namespace),
        );
    }
    validate_contents(&mut out, &path, meta);
    validate_kubernetes_finalizers(&mut out, &path, meta);
    out
}

fn validate_contents(out: &mut Problems, path: &Path, meta: &Value) {
    if meta.int("generation") < 0 {
        out.invalid(
            &path.child("generation"),
            meta.int("generation"),
            "must be greater than or equal to 0",
        );
    }
    selector::validate_labels(out, &path.child("labels"), meta.at("labels"));
    validate_annotations(out, &path.child("annotations"), meta.at("annotations"));
    validate_owners(out, &path.child("ownerReferences"), meta);
    validate_finalizers(out, &path.child("finalizers"), meta);
}

/// A map of annotations.
pub fn validate_annotations(out: &mut Problems, path: &Path, annotations: &Value) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        out.invalid_each(
            path,
            key.as_str(),
            names::qualified_name(&key.to_lowercase()),
        );
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATION_BYTES {
        out.too_long(path, MAX_ANNOTATION_BYTES);
    }
}

fn validate_owners(out: &mut Problems, path: &Path, meta: &Value) {
    let owners = meta.items("ownerReferences");
    let mut controller: Option<String> = None;
    for owner in owners {
        let version = owner.text("apiVersion");
        if version.is_empty() || version.matches('/').count() > 1 {
            out.invalid(
                &path.child("apiVersion"),
                version,
                "version must not be empty",
            );
        }
        for name in ["kind", "name", "uid"] {
            if owner.text(name).is_empty() {
                out.invalid(&path.child(name), "", "must not be empty");
            }
        }
        if version == "v1" && owner.text("kind") == "Event" {
            out.invalid_raw(
                path,
                owner_form(owner),
                "/v1, Kind=Event is disallowed from being an owner",
            );
        }
        if !owner.flag("controller") {
            continue;
        }
        let this = format!("{}/{}", owner.text("kind"), owner.text("name"));
        match &controller {
            None => controller = Some(this),
            Some(first) => {
                let shown: Vec<String> = owners.iter().map(owner_form).collect();
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                out.invalid_raw(path, format!("[{}]", shown.join(",")), &detail);
            }
        }
    }
}

fn owner_form(owner: &Value) -> String {
    let fields: Vec<String> = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ]
    .iter()
    .filter(|name| owner.has(name))
    .map(|name| format!("\"{name}\":{}", owner.at(name)))
    .collect();
    format!("{{{}}}", fields.join(","))
}

fn validate_finalizers(out: &mut Problems, path: &Path, meta: &Value) {
    let finalizers = meta.items("finalizers");
    for finalizer in finalizers {
        let finalizer = finalizer.as_str().unwrap_or_default();
        out.invalid_each(path, finalizer, names::qualified_name(finalizer));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        out.invalid(
            path,
            meta.at("finalizers"),
            "finalizer orphan and foregroundDeletion cannot be both set",
        );
    }
}

fn validate_kubernetes_finalizers(out: &mut Problems, path: &Path, meta: &Value) {
    for (i, finalizer) in meta.items("finalizers").iter().enumerate() {
        validate_kubernetes_finalizer(
            out,
            &path.child("finalizers").index(i),
            finalizer.as_str().unwrap_or_default(),
        );
    }
}

/// A finalizer without a domain must be one of the few known ones.
pub fn validate_kubernetes_finalizer(out: &mut Problems, path: &Path, finalizer: &str) {
    if !finalizer.contains('/')
        && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion")
    {
        out.invalid(
            path,
            finalizer,
            "name is neither a standard finalizer name nor is it fully qualified",
        );
    }
}

/// Problems of a changed object's metadata.
///
/// Upstream looks at them for every kind and then again with the kind's own rules: each is told twice.
pub fn validate_update(new: &Value, old: &Value) -> Problems {
    let (new, old) = (new.at("metadata"), old.at("metadata"));
    let mut out = Problems::default();
    for _ in 0..2 {
        validate_change(&mut out, new, old);
    }
    validate_kubernetes_finalizers(&mut out, &Path::new("metadata"), new);
    out
}

/// The same, for kinds whose own rules do not look a second time.
pub fn validate_update_once(new: &Value, old: &Value) -> Problems {
    let mut out = Problems::default();
    validate_change(&mut out, new.at("metadata"), old.at("metadata"));
    out
}

fn validate_change(out: &mut Problems, new: &Value, old: &Value) {
    let path = Path::new("metadata");
    if old.has("deletionTimestamp") {
        validate_no_new_finalizers(out, &path.child("finalizers"), new, old);
    }
    if new.int("generation") < old.int("generation") {
        out.invalid(
            &path.child("generation"),
            new.int("generation"),
            "must not be decremented",
        );
    }
    for name in ["name", "namespace", "uid"] {
        if new.text(name) != old.text(name) {
            out.invalid(&path.child(name), new.text(name), IMMUTABLE);
        }
    }
    for name in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        if new.at(name) != old.at(name) {
            out.invalid(&path.child(name), new.at(name), IMMUTABLE);
        }
    }
    selector::validate_labels(out, &path.child("labels"), new.at("labels"));
    validate_annotations(out, &path.child("annotations"), new.at("annotations"));
    validate_owners(out, &path.child("ownerReferences"), new);
}

fn validate_no_new_finalizers(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let before = old.items("finalizers");
    let mut added: Vec<&str> = new
        .items("finalizers")
        .iter()
        .filter(|name| !before.contains(name))
        .filter_map(Value::as_str)
        .collect();
    added.sort_unstable();
    added.dedup();
    if !added.is_empty() {
        let listed: Vec<String> = added.iter().map(|name| quote(name)).collect();
        let listed = listed.join(", ");
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
        );
        out.forbidden(path, &detail);
    }
}

/// Adds a problem when a field changed that never may.
pub fn validate_immutable(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    if !tree::same(new, old) {
        out.invalid(path, new, IMMUTABLE);
    }
}

/// The same for a label selector, which is shown in its own form.
pub fn validate_immutable_selector(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    if !tree::same(new, old) {
        out.invalid_raw(path, go_form::label_selector(new), IMMUTABLE);
    }
}

/// Sets the generation of a new object.
pub fn first_generation(new: &mut Value) {
    if let Some(meta) = tree::child(new, "metadata") {
        tree::set(meta, "generation", 1);
    }
}

/// Keeps the generation, or raises it by one when the object `changed`.
pub fn next_generation(new: &mut Value, old: &Value, changed: bool) {
    let before = old.at("metadata").opt_int("generation");
    let Some(meta) = tree::child(new, "metadata") else {
        return;
    };
    match (before, changed) {
        (None, false) => {
            tree::remove(meta, "generation");
        }
        (before, changed) => tree::set(
            meta,
            "generation",
            before.unwrap_or_default() + i64::from(changed),
        ),
    }
}

/// Makes everything but metadata and status what it was. A write of a status may change metadata too, labels say.
pub fn keep_all_but_status(new: &mut Value, old: &Value) {
    let (Some(fields), Some(before)) = (new.as_object_mut(), old.as_object()) else {
        return;
    };
    let kept = |name: &str| !matches!(name, "metadata" | "status" | "apiVersion" | "kind");
    fields.retain(|name, _| !kept(name) || before.contains_key(name));
    for (name, value) in before.iter().filter(|(name, _)| kept(name)) {
        fields.insert(name.clone(), value.clone());
    }
    next_generation(new, old, false);
}
