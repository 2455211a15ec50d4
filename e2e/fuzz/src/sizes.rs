//! Objects as large as a request may be: one of their lists or maps holds what fills it.
//!
//! What grows with the square of a list takes minutes here, and milliseconds in every small input.

use ferrule_apimachinery::scheme::Scheme;
use serde_json::{Map, Value};

use crate::input;
use crate::server::{objects, resource_of};

/// Bytes of a large object.
const SIZE: usize = 1 << 20;

/// Each list and map of each object made large: its name, and the object with the byte of its kind.
pub fn large() -> impl Iterator<Item = (String, u8, String)> {
    let scheme = Scheme::builtin();
    objects().into_iter().flat_map(move |object| {
        let resource = resource_of(&scheme, &object).cloned();
        let mut places = Vec::new();
        if resource.is_some() {
            gather(&object, String::new(), &mut places);
        }
        places.into_iter().flat_map(move |place| {
            let object = object.clone();
            let resource = resource.clone();
            [false, true].into_iter().filter_map(move |different| {
                let resource = resource.as_ref()?;
                let mut object = object.clone();
                fill(object.pointer_mut(&place)?, different);
                let kinds = if different { "different" } else { "equal" };
                let name = format!("{} {place}, {kinds}", resource.kind);
                Some((name, input::byte_of(resource), object.to_string()))
            })
        })
    })
}

/// The places of lists and maps that hold something.
fn gather(value: &Value, place: String, places: &mut Vec<String>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(map) => {
            if !map.is_empty() && map.values().all(Value::is_string) {
                places.push(place.clone());
            }
            for (key, inner) in map {
                gather(inner, format!("{place}/{}", escaped(key)), places);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            places.push(place.clone());
            for (index, inner) in items.iter().enumerate() {
                gather(inner, format!("{place}/{index}"), places);
            }
        }
        _ => {}
    }
}

fn fill(value: &mut Value, different: bool) {
    match value {
        Value::Array(items) => {
            let Some(first) = items.first().cloned() else {
                return;
            };
            let count = SIZE / (first.to_string().len() + 8);
            *items = (0..count)
                .map(|number| match different {
                    true => numbered(&first, number),
                    false => first.clone(),
                })
                .collect();
        }
        Value::Object(map) => {
            let Some((key, first)) = map.iter().next().map(|(k, v)| (k.clone(), v.clone())) else {
                return;
            };
            let count = SIZE / (key.len() + first.to_string().len() + 12);
            let entries = (0..count).map(|number| (format!("{key}{number}"), first.clone()));
            *map = entries.collect::<Map<_, _>>();
        }
        _ => {}
    }
}

/// The same with a number in each text, and on top of each number.
fn numbered(value: &Value, number: usize) -> Value {
    match value {
        Value::String(text) => Value::from(format!("{text}{number}")),
        Value::Number(own) => {
            let own = own.as_u64().unwrap_or_default();
            Value::from(own + number as u64 % 30_000)
        }
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, inner)| (key.clone(), numbered(inner, number)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}
