//! The patch that `kubectl apply` sends: what was removed since the last apply, and what differs from the live object.

use serde_json::{Map, Value, json};

use super::strategic::{Merge, Rule, no_merge_key, rule, same_type, sort_by_order};
use super::{
    DELETE_FROM_LIST, DIRECTIVE, ELEMENT_ORDER, PatchError, RETAIN_KEYS, go_format, json_merge_diff,
};
use crate::schema::{Kind, Schema, TypeId};

type Object = Map<String, Value>;

/// The strategic merge patch that brings `current` to `modified`, removing what `original` had and
/// `modified` has not. Empty when nothing is to be done.
pub fn three_way(
    schema: &Schema,
    id: TypeId,
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Result<Value, PatchError> {
    let empty = Object::new();
    let map = |value: &'_ Value| value.as_object().cloned().unwrap_or_default();
    let (original, modified, current) = (map(original), map(modified), map(current));
    let kind = Kind::Struct(id);
    let delta = Diff {
        schema,
        additions: true,
        deletions: false,
    }
    .maps(&current, &modified, &kind, false)?;
    let deletions = Diff {
        schema,
        additions: false,
        deletions: true,
    }
    .maps(&original, &modified, &kind, false)?;
    if delta.is_empty() && deletions.is_empty() {
        return Ok(Value::Object(empty));
    }
    let merge = Merge {
        schema,
        into_object: false,
    };
    merge.maps(deletions, delta, &kind).map(Value::Object)
}

/// The same as a JSON merge patch, for kinds without a type in the table.
pub fn three_way_json_merge(original: &Value, modified: &Value, current: &Value) -> Value {
    let mut changes = json_merge_diff(current, modified);
    keep(&mut changes, false);
    let mut deletions = json_merge_diff(original, modified);
    keep(&mut deletions, true);
    overlay(&mut deletions, changes);
    deletions
}

/// Keeps the nulls of a merge patch, or everything but them.
fn keep(patch: &mut Value, nulls: bool) {
    if let Value::Object(map) = patch {
        map.retain(|_, value| match value {
            Value::Object(_) => {
                let was_empty = value.as_object().is_some_and(Map::is_empty);
                keep(value, nulls);
                let is_empty = value.as_object().is_some_and(Map::is_empty);
                !is_empty || (was_empty && !nulls)
            }
            other => other.is_null() == nulls,
        });
    }
}

fn overlay(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                match target.get_mut(&key) {
                    Some(place) => overlay(place, value),
                    None => {
                        target.insert(key, value);
                    }
                }
            }
        }
        (target, patch) => *target = patch,
    }
}

/// Computes a strategic merge patch between two trees.
struct Diff<'s> {
    schema: &'s Schema,
    /// Whether what is new or changed goes into the patch.
    additions: bool,
    /// Whether what is gone goes into the patch.
    deletions: bool,
}

impl Diff<'_> {
    fn maps(
        &self,
        original: &Object,
        modified: &Object,
        kind: &Kind,
        retain_keys: bool,
    ) -> Result<Object, PatchError> {
        let mut patch = Object::new();
        for (key, new) in modified {
            let Some(old) = original.get(key) else {
                if self.additions {
                    patch.insert(key.clone(), new.clone());
                }
                continue;
            };
            if key == DIRECTIVE {
                if old != new {
                    patch.insert(key.clone(), new.clone());
                }
                continue;
            }
            match (old, new) {
                (Value::Object(old_map), Value::Object(new_map)) => {
                    if old == new {
                        continue;
                    }
                    let rule = rule(self.schema, kind, key)?;
                    match rule.kind {
                        Some(kind) if !rule.replace => {
                            let inner = self.maps(old_map, new_map, kind, rule.retain_keys)?;
                            if !inner.is_empty() {
                                patch.insert(key.clone(), Value::Object(inner));
                            }
                        }
                        _ if self.additions => {
                            patch.insert(key.clone(), new.clone());
                        }
                        _ => {}
                    }
                }
                (Value::Array(old_list), Value::Array(new_list)) => {
                    if old == new {
                        continue;
                    }
                    let rule = rule(self.schema, kind, key)?;
                    if rule.merge {
                        self.list(key, old_list, new_list, rule, &mut patch)?;
                    } else if self.additions {
                        patch.insert(key.clone(), new.clone());
                    }
                }
                _ if self.additions && old != new => {
                    patch.insert(key.clone(), new.clone());
                }
                _ => {}
            }
        }
        if self.deletions {
            for key in original.keys().filter(|key| !modified.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
        }
        if retain_keys {
            retain(original, modified, &mut patch);
        }
        Ok(patch)
    }

    /// Puts the difference of two merging lists into the patch, with its parallel lists.
    fn list(
        &self,
        name: &str,
        original: &[Value],
        modified: &[Value],
        rule: Rule<'_>,
        patch: &mut Object,
    ) -> Result<(), PatchError> {
        if original.is_empty() {
            if !modified.is_empty() && self.additions {
                patch.insert(name.to_owned(), Value::Array(modified.to_vec()));
            }
            return Ok(());
        }
        let order = format!("{ELEMENT_ORDER}/{name}");
        if same_type(original.iter().chain(modified))? != "object" {
            let added = without(modified, original);
            let deleted = without(original, modified);
            let order_due =
                (self.deletions && !deleted.is_empty()) || (self.additions && original != modified);
            if self.additions && !added.is_empty() {
                let added = sort_by_order(added, modified, "")?;
                patch.insert(name.to_owned(), Value::Array(added));
            }
            if self.deletions && !deleted.is_empty() {
                patch.insert(format!("{DELETE_FROM_LIST}/{name}"), Value::Array(deleted));
            }
            if order_due {
                patch.insert(order, Value::Array(modified.to_vec()));
            }
            return Ok(());
        }
        let Some(element) = rule.kind.and_then(Kind::element) else {
            return Ok(());
        };
        let (items, deletions) = self.items(original, modified, element, rule)?;
        let mut items = sort_by_order(items, modified, rule.key)?;
        items.extend(deletions);
        let same_order = original.len() == modified.len()
            && original
                .iter()
                .zip(modified)
                .all(|(a, b)| a.get(rule.key) == b.get(rule.key));
        let order_due = (self.additions && !same_order) || !items.is_empty();
        if !items.is_empty() {
            patch.insert(name.to_owned(), Value::Array(items));
        }
        if order_due {
            let keys = modified
                .iter()
                .map(|item| json!({ rule.key: item.get(rule.key) }))
                .collect();
            patch.insert(order, Value::Array(keys));
        }
        Ok(())
    }

    /// Items that changed or are new, and directives to delete those that are gone.
    fn items(
        &self,
        original: &[Value],
        modified: &[Value],
        element: &Kind,
        rule: Rule<'_>,
    ) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
        let old = by_key(original, rule.key)?;
        let new = by_key(modified, rule.key)?;
        let (mut patch, mut deletions) = (Vec::new(), Vec::new());
        let (mut i, mut j) = (0, 0);
        // Both are sorted by key; repeated keys pair up one by one.
        while i < old.len() || j < new.len() {
            match (old.get(i), new.get(j)) {
                (Some((a, old_item)), Some((b, new_item))) if a == b => {
                    if let (Value::Object(o), Value::Object(n)) = (old_item, new_item) {
                        let mut inner = self.maps(o, n, element, rule.retain_keys)?;
                        if !inner.is_empty() {
                            let key = n.get(rule.key).cloned().unwrap_or(Value::Null);
                            inner.insert(rule.key.to_owned(), key);
                            patch.push(Value::Object(inner));
                        }
                    }
                    i += 1;
                    j += 1;
                }
                (old_next, Some((b, new_item))) if old_next.is_none_or(|(a, _)| a > b) => {
                    if self.additions {
                        patch.push((*new_item).clone());
                    }
                    j += 1;
                }
                (Some((_, old_item)), _) => {
                    if self.deletions {
                        let key = old_item.get(rule.key);
                        deletions.push(json!({ rule.key: key, DIRECTIVE: "delete" }));
                    }
                    i += 1;
                }
                (None, _) => break,
            }
        }
        Ok((patch, deletions))
    }
}

/// Items with the text of their key, sorted by it.
fn by_key<'v>(list: &'v [Value], key: &str) -> Result<Vec<(String, &'v Value)>, PatchError> {
    let mut items = Vec::with_capacity(list.len());
    for item in list {
        let name = item.get(key).ok_or_else(|| no_merge_key(item, key))?;
        items.push((go_format(name), item));
    }
    items.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(items)
}

/// Scalars of `list` that `other` has not, each once, sorted by their text.
fn without(list: &[Value], other: &[Value]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for item in list {
        if !other.contains(item) && !out.contains(item) {
            out.push(item.clone());
        }
    }
    out.sort_by_cached_key(go_format);
    out
}

fn retain(original: &Object, modified: &Object, patch: &mut Object) {
    let mut keys: Vec<&String> = modified
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, _)| key)
        .collect();
    let drops = original
        .iter()
        .any(|(key, value)| !value.is_null() && !modified.contains_key(key));
    if !keys.is_empty() && (!patch.is_empty() || drops) {
        keys.sort();
        patch.insert(RETAIN_KEYS.to_owned(), json!(keys));
    }
}
