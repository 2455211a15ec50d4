//! The hash that names of generated ConfigMaps and Secrets end with.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How many letters it has.
const LENGTH: usize = 10;

/// The hash of a ConfigMap, a Secret or another object with its name.
pub fn of(object: &Value) -> String {
    hash(
        object,
        object["metadata"]["name"].as_str().unwrap_or_default(),
    )
}

/// The same without the name: that of kustomizations.
pub fn of_content(object: &Value) -> String {
    hash(object, "")
}

fn hash(object: &Value, name: &str) -> String {
    let data = object.get("data").cloned().unwrap_or_else(|| json!(""));
    let mut hashed = match object["kind"].as_str() {
        Some("ConfigMap") => json!({"kind": "ConfigMap", "name": name, "data": data}),
        Some("Secret") => {
            let kind = object["type"].as_str().unwrap_or_default();
            json!({"kind": "Secret", "name": name, "type": kind, "data": data})
        }
        _ => return encode(object),
    };
    for field in ["binaryData", "stringData"] {
        let more = object[field].as_object().filter(|map| !map.is_empty());
        if let Some(more) = more {
            hashed[field] = Value::Object(more.clone());
        }
    }
    encode(&hashed)
}

/// Digits of sixteen, of which those that could spell words are replaced.
fn encode(value: &Value) -> String {
    let digest = Sha256::digest(crate::output::objects::compact(value));
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .take(LENGTH)
        .map(|digit| match char::from_digit(u32::from(digit), 16) {
            Some('0') => 'g',
            Some('1') => 'h',
            Some('3') => 'k',
            Some('a') => 'm',
            Some('e') => 't',
            Some(other) => other,
            None => '0',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_upstreams() {
        for (object, expected) in [
            (
                json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}),
                "m4h6ctkgb2",
            ),
            (
                json!({"kind": "Secret", "metadata": {"name": "g"}, "data": {"a": "Yg=="}}),
                "6bmfk69m66",
            ),
        ] {
            assert_eq!(of(&object), expected, "{object}");
        }
        for (object, expected) in [
            (
                json!({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}),
                "4h2mbtbbt6",
            ),
            (
                json!({"kind": "ConfigMap", "metadata": {"name": "c"}}),
                "6ct58987ht",
            ),
            (
                json!({"kind": "Secret", "type": "Opaque", "data": {"p": "cQ=="}}),
                "hb2dth72f6",
            ),
            (
                json!({"kind": "Secret", "type": "Opaque", "data": {}}),
                "46f8b28mk5",
            ),
        ] {
            assert_eq!(of_content(&object), expected, "{object}");
        }
    }
}
