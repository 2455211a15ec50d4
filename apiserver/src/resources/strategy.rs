//! What most kinds do to a new or changed object before it is validated.

use serde_json::Value;

use super::meta;
use super::tree::{self, copy, set};

/// A new object has the first generation, and the status that the server gives it.
pub fn begin(new: &mut Value, status: Value) {
    set(new, "status", status);
    meta::first_generation(new);
}

/// A changed object keeps its status; its generation rises when anything but metadata changed.
pub fn keep_status(new: &mut Value, old: &Value) {
    copy(new, old, "status");
    raise_generation(new, old);
}

/// The generation rises when anything but metadata and status changed.
pub fn raise_generation(new: &mut Value, old: &Value) {
    let changed = !tree::same(&contents(new), &contents(old));
    meta::next_generation(new, old, changed);
}

fn contents(object: &Value) -> Value {
    let mut object = object.clone();
    for name in ["apiVersion", "kind", "metadata", "status"] {
        tree::remove(&mut object, name);
    }
    object
}
