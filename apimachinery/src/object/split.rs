//! Reads an object as a tree without its managedFields, which are as large as the rest and rarely looked at.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::MANAGED_FIELDS;

/// The object without managedFields, and these as the JSON that they are.
pub(super) fn unmanaged(bytes: &Bytes) -> Result<(Value, Option<Bytes>), serde_json::Error> {
    let mut managed = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Level {
        metadata: false,
        managed: &mut managed,
    }
    .deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, managed.map(|raw| bytes.slice_ref(raw.as_bytes()))))
}

/// The object itself, or its metadata.
struct Level<'m, 'de> {
    metadata: bool,
    managed: &'m mut Option<&'de str>,
}

impl<'de> DeserializeSeed<'de> for Level<'_, 'de> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, 'de> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if self.metadata && key == MANAGED_FIELDS {
                let raw: &RawValue = map.next_value()?;
                *self.managed = Some(raw.get()).filter(|raw| *raw != "null");
                continue;
            }
            let value = if !self.metadata && key == "metadata" {
                map.next_value_seed(Level {
                    metadata: true,
                    managed: &mut *self.managed,
                })?
            } else {
                map.next_value()?
            };
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}
