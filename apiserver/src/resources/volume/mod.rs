//! Rules of PersistentVolumes and of the claims on them.

mod claim;
mod persistent;
mod source;
mod spec;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use claim::PersistentVolumeClaim;
pub use persistent::PersistentVolume;
pub use spec::validate_inline;

use super::pod::validation::parse_or_zero;
use super::problems::{Path, Problems};
use super::tree::Tree;

/// Where the class of a volume or claim was named before there was a field for it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// Modes in the order and the short form of tables.
const SHORT_MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

/// Access modes as a table shows them.
fn short_modes(modes: &[Value]) -> String {
    let shown = SHORT_MODES
        .iter()
        .filter(|(mode, _)| modes.iter().any(|own| own == mode));
    let shown: Vec<&str> = shown.map(|(_, short)| *short).collect();
    shown.join(",")
}

/// The class that an object names, in either place.
fn class_of(object: &Value) -> &str {
    let annotation = object
        .at("metadata")
        .at("annotations")
        .opt_text(CLASS_ANNOTATION);
    annotation.unwrap_or_else(|| object.at("spec").text("storageClassName"))
}

fn validate_access_modes(out: &mut Problems, path: &Path, modes: &[Value]) {
    let mut others = false;
    for mode in modes {
        let mode = mode.as_str().unwrap_or_default();
        if !ACCESS_MODES.contains(&mode) {
            out.unsupported(path, mode, &ACCESS_MODES);
        } else {
            others |= mode != "ReadWriteOncePod";
        }
    }
    if others && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        out.forbidden(path, "may not use ReadWriteOncePod with other access modes");
    }
}

/// A size must be more than nothing.
fn validate_positive(out: &mut Problems, path: &Path, value: &Value) {
    let quantity = parse_or_zero(value);
    if quantity.signum() <= 0 {
        out.invalid(path, quantity.to_string(), "must be greater than zero");
    }
}

/// A size must not be less than nothing.
fn validate_size(out: &mut Problems, path: &Path, value: &Value) {
    let quantity = parse_or_zero(value);
    if quantity.signum() < 0 {
        out.invalid(path, quantity.value(), "must be a valid resource quantity");
    }
}
