//! Patches of the three forms.

use ferrule_apimachinery::patch::{self, PatchType};
use ferrule_apimachinery::schema::Schema;
use serde_json::Value;

use super::objects;
use crate::input;

/// A first byte that chooses a kind, an object, and a list of operations.
pub fn json_patch(data: &[u8]) {
    patched(PatchType::Json, data);
}

/// A first byte that chooses a kind, an object, and a patch.
pub fn merge_patch(data: &[u8]) {
    patched(PatchType::Merge, data);
    let [original, patch] = input::documents(data.get(1..).unwrap_or_default());
    if let Ok(once) = patch::json_merge(original.clone(), &patch) {
        let twice = patch::json_merge(once.clone(), &patch);
        assert_eq!(twice.as_ref(), Ok(&once), "patched twice");
        let difference = patch::json_merge_diff(&original, &once);
        if original.is_object() && !has_null(&once) {
            assert_eq!(patch::json_merge(original, &difference), Ok(once));
        }
    }
}

/// A first byte that chooses a kind, an object, a patch, and another object.
pub fn strategic_merge_patch(data: &[u8]) {
    patched(PatchType::Strategic, data);
    let Some((_, id, rest)) = input::row(data) else {
        return;
    };
    let schema = Schema::builtin();
    let [original, modified, current] = input::documents(rest);
    if let Ok(patch) = patch::three_way(schema, id, &original, &modified, &current) {
        let _ = patch::strategic_merge(schema, id, current.clone(), &patch);
    }
    let _ = patch::three_way_json_merge(&original, &modified, &current);
}

fn patched(form: PatchType, data: &[u8]) {
    let Some((resource, id, rest)) = input::row(data) else {
        return;
    };
    let _ = form.read(rest);
    let schema = Schema::builtin();
    let [original, patch] = input::documents(rest);
    let Ok(patched) = form.apply(schema, id, original, &patch) else {
        return;
    };
    if let Ok(decoded) = schema.decode_value(patched, id) {
        objects::judge(resource, id, decoded.value);
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}
