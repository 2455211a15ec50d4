//! Short texts: selectors, quantities, names, times, and every text inside of an object.

use std::sync::LazyLock;

use ferrule_apimachinery::names;
use ferrule_apimachinery::quantity::Quantity;
use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::scheme::Scheme;
use ferrule_apimachinery::selector::{FieldSelector, LabelSelector, Labels};
use ferrule_apimachinery::{duration, time};
use serde_json::{Value, json};

use super::objects;
use crate::server::{self, resource_of};

/// A selector of labels or of fields.
pub fn selectors(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(selector) = LabelSelector::parse(text) {
        let written = selector.to_string();
        assert_eq!(
            LabelSelector::parse(&written),
            Ok(selector.clone()),
            "{written}"
        );
        let labels = json!({"app": "web", "tier": "front", "size": "5"});
        selector.matches(&Labels::from_value(Some(&labels)));
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        let written = selector.to_string();
        assert_eq!(
            FieldSelector::parse(&written),
            Ok(selector.clone()),
            "{written}"
        );
        selector.matches(|_| Some("a"));
    }
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && let Ok(selector) = LabelSelector::from_value(Some(&value))
    {
        let _ = selector.to_string();
    }
}

/// One amount, or two with a blank between them.
pub fn quantities(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (first, second) = text.split_once(' ').unwrap_or((text, "1"));
    let Ok(first) = Quantity::parse(first) else {
        return;
    };
    let written = first.to_string();
    assert_eq!(Quantity::parse(&written), Ok(first), "{written}");
    assert_eq!(
        Quantity::parse(&written).map(|again| again.to_string()),
        Ok(written)
    );
    let (_, _, _) = (first.value(), first.milli(), first.signum());
    let _ = (-first).to_string();
    if let Ok(second) = Quantity::parse(second) {
        let (sum, difference) = (first + second, first - second);
        // What is read has a limit, which the sum of two may pass.
        let limit = Quantity::parse(&i64::MAX.to_string()).expect("an amount");
        for amount in [sum, difference] {
            let written = amount.to_string();
            let within = amount.clamp(-limit, limit);
            assert_eq!(Quantity::parse(&written), Ok(within), "{written}");
        }
        assert_eq!(first < second, second > first);
        assert_eq!(sum, second + first);
    }
}

/// A place of a text in an object.
struct Slot {
    object: usize,
    pointer: String,
}

/// The objects, and the places of all their texts and numbers.
static SLOTS: LazyLock<(Vec<Value>, Vec<Slot>)> = LazyLock::new(|| {
    let objects = server::objects();
    let mut slots = Vec::new();
    for (object, value) in objects.iter().enumerate() {
        let mut found = Vec::new();
        leaves(value, String::new(), &mut found);
        slots.extend(found.into_iter().map(|pointer| Slot { object, pointer }));
    }
    (objects, slots)
});

fn leaves(value: &Value, pointer: String, found: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| leaves(inner, format!("{pointer}/{}", escaped(key)), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, inner)| leaves(inner, format!("{pointer}/{index}"), found)),
        _ if matches!(pointer.as_str(), "/apiVersion" | "/kind") => {}
        _ => found.push(pointer),
    }
}

/// How many places there are for texts.
pub fn slots() -> usize {
    SLOTS.1.len()
}

/// Two bytes that choose a place in one of the objects, and a text for it.
pub fn words(data: &[u8]) {
    let Some((slot, text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    for check in [
        names::dns1123_label,
        names::dns1123_subdomain,
        names::dns1035_label,
        names::qualified_name,
        names::label_value,
        names::wildcard_dns1123_subdomain,
        names::port_name,
        names::config_map_key,
        names::env_var_name,
        names::relaxed_env_var_name,
        names::path_segment,
    ] {
        check(text);
    }
    let _ = names::generate_name(text, [1, 2, 3, 4, 5]);
    if let Ok(at) = time::parse(text) {
        assert!(time::parse(&time::format(at)).is_ok());
    }
    if let Ok(at) = time::parse_micro(text) {
        assert!(time::parse_micro(&time::format_micro(at)).is_ok());
    }
    if let Ok(length) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::format(length)), Ok(length));
    }
    let _ = duration::parse_signed(text);

    let (objects, slots) = &*SLOTS;
    let slot = &slots[usize::from(u16::from_le_bytes(*slot)) % slots.len()];
    let mut object = objects[slot.object].clone();
    if let Some(place) = object.pointer_mut(&slot.pointer) {
        // A number or a list of numbers stands for itself; everything else is a text.
        *place = match serde_json::from_str(text) {
            Ok(value @ (Value::Number(_) | Value::Array(_) | Value::Null)) => value,
            _ => text.into(),
        };
    }
    let scheme = Scheme::builtin();
    let schema = Schema::builtin();
    let Some(resource) = resource_of(&scheme, &object) else {
        return;
    };
    if let Some(id) = schema.type_id(&resource.schema_type)
        && let Ok(decoded) = schema.decode_value(object, id)
    {
        objects::judge(resource, id, decoded.value);
    }
}
