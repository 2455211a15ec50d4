//! From client-side to server-side apply: the annotation in which kubectl kept what it applied last.

use serde_json::{Map, Value};

use super::compare::compare;
use super::conflict::Conflict;
use super::field_set::field_set;
use super::ownership::Ownership;
use super::set::Set;
use super::validate;

/// Where kubectl keeps what it applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Most bytes that annotations may have together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The fields that client-side apply set last and that are still as it set them; `None` when that
/// cannot be told.
pub(super) fn unchanged(rules: &Ownership<'_>, live: &Value) -> Option<Set<'static>> {
    let text = annotation(live)?;
    let last: Value = serde_json::from_str(text).ok()?;
    if last["apiVersion"].as_str() != Some(rules.api_version)
        || validate::problems(rules.schema, rules.id, &last).is_some()
    {
        return None;
    }
    let differing = compare(rules.schema, rules.id, &last, live).all();
    let same = field_set(rules.schema, rules.id, &last).difference(&differing);
    Some(same.into_owned())
}

/// The conflicts about other fields than the allowed ones.
pub(super) fn without<'a>(
    conflicts: Vec<Conflict<'a>>,
    allowed: Option<&Set<'_>>,
) -> Vec<Conflict<'a>> {
    let Some(allowed) = allowed else {
        return conflicts;
    };
    let left = conflicts.into_iter().filter_map(|mut conflict| {
        conflict.fields = conflict.fields.difference(allowed);
        (!conflict.fields.is_empty()).then_some(conflict)
    });
    left.collect()
}

/// Where the object has the annotation, makes it say what was applied now.
pub(super) fn renew(object: &mut Value, config: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut config = config.clone();
    if let Some(Value::Object(annotations)) = config.pointer_mut("/metadata/annotations") {
        annotations.remove(LAST_APPLIED);
    }
    let mut text = escaped(&config);
    text.push('\n');
    let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") else {
        return;
    };
    annotations.insert(LAST_APPLIED.to_owned(), Value::String(text));
    if size(annotations) > MAX_ANNOTATIONS {
        annotations.remove(LAST_APPLIED);
    }
}

fn annotation(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .filter(|text| !text.is_empty())
}

fn size(annotations: &Map<String, Value>) -> usize {
    let sizes = annotations
        .iter()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
    sizes.sum()
}

/// JSON with sorted keys, escaped for HTML as Go does it.
fn escaped(value: &Value) -> String {
    let json = crate::object::to_sorted_json(value);
    let json = String::from_utf8_lossy(&json);
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // These appear in texts only.
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}
