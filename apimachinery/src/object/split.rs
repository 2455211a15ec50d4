//! Reads an object as a tree without its managedFields, which are as large as the rest and rarely looked at.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
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

/// JSON of an object without managedFields, for those who have no use for them.
pub fn without_managed_fields(json: &[u8]) -> Cow<'_, [u8]> {
    const KEY: &[u8] = b"\"managedFields\":";
    let mut managed = None;
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = Skim {
        metadata: false,
        managed: &mut managed,
    }
    .deserialize(&mut reader);
    let (Ok(()), Some(raw)) = (found, managed) else {
        return Cow::Borrowed(json);
    };
    // The raw value borrows from `json`: the distance of the two is its offset.
    let value = raw.as_ptr() as usize - json.as_ptr() as usize;
    let Some(start) = value
        .checked_sub(KEY.len())
        .filter(|at| json[*at..].starts_with(KEY))
    else {
        return Cow::Borrowed(json);
    };
    let (mut start, mut end) = (start, value + raw.len());
    if json.get(end) == Some(&b',') {
        end += 1;
    } else if start > 0 && json[start - 1] == b',' {
        start -= 1;
    }
    Cow::Owned([&json[..start], &json[end..]].concat())
}

/// Finds managedFields without keeping anything else.
struct Skim<'m, 'de> {
    metadata: bool,
    managed: &'m mut Option<&'de str>,
}

impl<'de> DeserializeSeed<'de> for Skim<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Skim<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            if self.metadata && key == MANAGED_FIELDS {
                let raw: &RawValue = map.next_value()?;
                *self.managed = Some(raw.get());
            } else if !self.metadata && key == "metadata" {
                map.next_value_seed(Skim {
                    metadata: true,
                    managed: &mut *self.managed,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
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
