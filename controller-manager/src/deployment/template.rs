//! Pod templates of a Deployment: whether two are equal, and the hash in a ReplicaSet's name.

use serde_json::Value;

use crate::objects::workload::{POD_TEMPLATE_HASH, Template};

/// The template as a tree in which equal templates are equal: without the hash label and without
/// fields that are null.
pub fn normal(template: &Template) -> Value {
    let mut tree = template.tree();
    if let Some(labels) = tree
        .pointer_mut("/metadata/labels")
        .and_then(Value::as_object_mut)
    {
        labels.remove(POD_TEMPLATE_HASH);
    }
    strip_nulls(&mut tree);
    tree
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// A hash of a normal template, in letters that are safe in names and spell no words.
///
/// It is stable over restarts and versions of this program: FNV-1a of the canonical JSON. A
/// ReplicaSet is found again by comparing templates, though, never by its hash.
pub fn hash(normal: &Value, collisions: Option<i64>) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hasher = Fnv(0x811c_9dc5);
    hasher.value(normal);
    if let Some(collisions) = collisions {
        hasher.bytes(&collisions.to_le_bytes());
    }
    let digits = hasher.0.to_string();
    digits
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}

struct Fnv(u32);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    /// Maps count in the order of their keys, whatever order the tree keeps.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort();
                self.bytes(b"{");
                for key in keys {
                    self.bytes(key.as_bytes());
                    self.bytes(&[0]);
                    self.value(&map[key]);
                }
                self.bytes(b"}");
            }
            Value::Array(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.value(item));
                self.bytes(b"]");
            }
            scalar => {
                self.bytes(scalar.to_string().as_bytes());
                self.bytes(&[0]);
            }
        }
    }
}
