//! JSON patch (RFC 6902).

use serde_json::{Map, Value};

use super::{PatchError, json_type};
use crate::schema::MAX_DEPTH;

/// Most operations that one patch may have.
const MAX_OPERATIONS: usize = 10_000;

/// Most bytes, in JSON, that the copies of one patch may add.
const MAX_COPIED: usize = 3 << 20;

/// Most values that are looked at, of all that the operations of one patch put somewhere.
const MAX_WALKED: usize = 4_000_000;

/// Applies a list of operations, all or none.
pub fn json_patch(original: Value, patch: &Value) -> Result<Value, PatchError> {
    let refused = |found: &str, wanted: &str| {
        PatchError::BadRequest(format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type {wanted}"
        ))
    };
    let operations = match patch {
        Value::Array(operations) => operations.as_slice(),
        Value::Null => &[],
        other => return Err(refused(json_type(other), "[]handlers.jsonPatchOp")),
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::BadRequest(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    if let Some(other) = operations.iter().find(|o| !o.is_object()) {
        return Err(refused(json_type(other), "handlers.jsonPatchOp"));
    }
    let mut document = original;
    let mut patching = Patching {
        copied: 0,
        walked: 0,
    };
    for operation in operations {
        patching
            .apply(&mut document, operation)
            .ok_or(PatchError::Unprocessable)?;
    }
    Ok(document)
}

/// The places that a list of operations goes through, as nested objects.
pub fn touched(patch: &Value) -> Value {
    let mut places = Value::Object(Map::new());
    let operations = patch.as_array().into_iter().flatten();
    let paths = operations.flat_map(|operation| [&operation["path"], &operation["from"]]);
    for path in paths.filter_map(|path| pointer(path.as_str()?)) {
        let mut place = &mut places;
        for part in &path[..path.len().saturating_sub(1)] {
            place = &mut place[part];
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
        }
    }
    places
}

/// What the operations of one patch use up together.
struct Patching {
    /// Bytes that were copied.
    copied: usize,
    /// Values that were looked at.
    walked: usize,
}

impl Patching {
    /// One operation; `None` when it does not fit.
    fn apply(&mut self, document: &mut Value, operation: &Value) -> Option<()> {
        let text = |name: &str| operation.get(name).and_then(Value::as_str);
        let path = pointer(text("path")?)?;
        let value = || operation.get("value").cloned();
        match text("op")? {
            "add" => self.add(document, &path, value()?),
            "remove" => remove(document, &path).map(drop),
            "replace" => {
                let value = value()?;
                self.check_depth(&value, MAX_DEPTH.checked_sub(path.len())?)?;
                *find(document, &path)? = value;
                Some(())
            }
            "move" => {
                let from = pointer(text("from")?)?;
                // A value cannot move into itself.
                if path.len() > from.len() && path.starts_with(&from) {
                    return None;
                }
                let value = remove(document, &from)?;
                self.add(document, &path, value)
            }
            "copy" => {
                let from = pointer(text("from")?)?;
                let found = find(document, &from)?;
                // Copies of copies grow beyond all bounds in a few operations.
                self.copied += found.to_string().len();
                if self.copied > MAX_COPIED {
                    return None;
                }
                let value = found.clone();
                self.add(document, &path, value)
            }
            "test" => {
                let expected = value().unwrap_or(Value::Null);
                let holds = match find(document, &path) {
                    Some(found) => *found == expected,
                    None => expected.is_null(),
                };
                holds.then_some(())
            }
            _ => None,
        }
    }

    fn add(&mut self, document: &mut Value, path: &[String], value: Value) -> Option<()> {
        self.check_depth(&value, MAX_DEPTH.checked_sub(path.len())?)?;
        let Some((last, parents)) = path.split_last() else {
            *document = value;
            return Some(());
        };
        match find(document, parents)? {
            Value::Object(map) => {
                map.insert(last.clone(), value);
            }
            Value::Array(items) if last == "-" => items.push(value),
            Value::Array(items) => {
                let i = index(last, items.len() + 1)?;
                items.insert(i, value);
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether lists and maps in the value are nested no deeper than `left`.
    fn check_depth(&mut self, value: &Value, left: usize) -> Option<()> {
        self.walked += 1;
        if self.walked > MAX_WALKED {
            return None;
        }
        match value {
            Value::Array(items) => {
                let left = left.checked_sub(1)?;
                items
                    .iter()
                    .try_for_each(|item| self.check_depth(item, left))
            }
            Value::Object(map) => {
                let left = left.checked_sub(1)?;
                map.values()
                    .try_for_each(|inner| self.check_depth(inner, left))
            }
            _ => Some(()),
        }
    }
}

/// The parts of a JSON pointer (RFC 6901), unescaped.
fn pointer(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let rest = text.strip_prefix('/')?;
    Some(
        rest.split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect(),
    )
}

fn index(part: &str, limit: usize) -> Option<usize> {
    // Leading zeros and signs are no index.
    if part.len() > 1 && part.starts_with('0') || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    part.parse().ok().filter(|i| *i < limit)
}

fn find<'v>(document: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(document, |value, part| match value {
        Value::Object(map) => map.get_mut(part),
        Value::Array(items) => {
            let i = index(part, items.len())?;
            items.get_mut(i)
        }
        _ => None,
    })
}

fn remove(document: &mut Value, path: &[String]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    match find(document, parents)? {
        Value::Object(map) => map.remove(last),
        Value::Array(items) => {
            let i = index(last, items.len())?;
            Some(items.remove(i))
        }
        _ => None,
    }
}
