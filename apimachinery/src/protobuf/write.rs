//! From JSON to a message, without a tree in between.
//!
//! Contents of fields are gathered in the order of the JSON; when an object ends they are put behind
//! one another in the order of their numbers, with what Go writes for fields that nobody set.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::form::{Form, Item, Message, message};
use super::wire::{put_bytes, put_fixed64, put_head, put_number};
use crate::schema::{Schema, TypeId};
use crate::time;

/// Why an object has no message.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It is no JSON, or of another shape than its type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// There is no message for its kind.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// What it says that it is.
        kind: String,
        /// Of which version.
        api_version: String,
    },
}

impl EncodeError {
    pub(super) fn unknown(api_version: &str, kind: &str) -> EncodeError {
        EncodeError::UnknownKind {
            kind: kind.to_owned(),
            api_version: api_version.to_owned(),
        }
    }
}

/// What an object says that it is: `apiVersion` and `kind`.
pub(super) fn type_of(json: &[u8]) -> Result<(String, String), EncodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct TypeMeta {
        #[serde(default)]
        api_version: String,
        #[serde(default)]
        kind: String,
    }
    let meta: TypeMeta = serde_json::from_slice(json)?;
    Ok((meta.api_version, meta.kind))
}

pub(super) fn object(schema: &Schema, id: TypeId, json: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer {
        schema,
        out: Vec::with_capacity(json.len()),
        parts: Vec::new(),
    };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let form = Form::Message(id);
    writer.seed(&form, 0).deserialize(&mut reader)?;
    reader.end()?;
    Ok(writer.out)
}

/// Puts the parts of a message behind one another at the end of `out`, in which their contents are.
pub(super) fn assemble(message: &Message, mut parts: Vec<Part>, out: &mut Vec<u8>, section: usize) {
    // Stable: the items of a list stay in their order.
    parts.sort_by_key(|part| part.slot);
    put_section(message, &parts, out, section);
}

fn put_section(message: &Message, parts: &[Part], out: &mut Vec<u8>, section: usize) {
    for item in message.order(section) {
        let slot = match *item {
            Item::Slot(slot) => slot,
            Item::Section(section) => {
                let start = out.len();
                put_section(message, parts, out, section);
                wrap(out, start, message.sections[section].tag);
                continue;
            }
        };
        let own = &parts[parts.partition_point(|part| part.slot < slot)..];
        let own = &own[..own.partition_point(|part| part.slot == slot)];
        let declared = &message.slots[slot];
        if own.is_empty() {
            out.extend_from_slice(&declared.zero);
        }
        for part in own {
            part.content.put(declared.tag, out);
        }
    }
}

/// Makes what was written since `start` a field.
fn wrap(out: &mut Vec<u8>, start: usize, tag: u16) {
    let end = out.len();
    put_head(out, tag, end - start);
    let head = out.len() - end;
    out[start..].rotate_right(head);
}

/// What a field holds, once for every item of a list.
pub(super) struct Part {
    slot: usize,
    content: Content,
}

enum Content {
    Number(u64),
    Fixed64(u64),
    /// From where to where in what has been written.
    Bytes(usize, usize),
}

impl Content {
    fn put(&self, tag: u16, out: &mut Vec<u8>) {
        match *self {
            Content::Number(number) => put_number(out, tag, number),
            Content::Fixed64(bits) => put_fixed64(out, tag, bits),
            Content::Bytes(start, end) => {
                put_head(out, tag, end - start);
                out.extend_from_within(start..end);
            }
        }
    }
}

/// What has been written so far.
struct Writer<'s> {
    schema: &'s Schema,
    out: Vec<u8>,
    /// Of the objects that are not complete, the innermost last.
    parts: Vec<Part>,
}

impl<'s> Writer<'s> {
    fn seed<'w>(&'w mut self, form: &'w Form, slot: usize) -> Seed<'w, 's> {
        Seed {
            writer: self,
            form,
            slot,
            null: false,
        }
    }

    /// The same for an item of a list, where null is a value.
    fn item<'w>(&'w mut self, form: &'w Form, slot: usize) -> Seed<'w, 's> {
        let null = true;
        Seed {
            null,
            ..self.seed(form, slot)
        }
    }

    fn push(&mut self, slot: usize, content: Content) {
        self.parts.push(Part { slot, content });
    }

    /// A part of the bytes written since `start`.
    fn push_since(&mut self, slot: usize, start: usize) {
        let end = self.out.len();
        self.push(slot, Content::Bytes(start, end));
    }

    /// Writes an object's message; returns where it starts.
    fn object<'de, A: MapAccess<'de>>(
        &mut self,
        id: TypeId,
        mut map: A,
    ) -> Result<usize, A::Error> {
        let message = message(self.schema, id);
        let (start, first) = (self.out.len(), self.parts.len());
        while let Some(slot) = map.next_key_seed(Name(message))? {
            match slot {
                Some(slot) => {
                    let form = &message.slots[slot].form;
                    map.next_value_seed(self.seed(form, slot))?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let parts = self.parts.split_off(first);
        let end = self.out.len();
        assemble(message, parts, &mut self.out, 0);
        self.out.drain(start..end);
        Ok(start)
    }

    /// Writes an entry of a map.
    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        slot: usize,
        key: &str,
        element: &Form,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let (start, first) = (self.out.len(), self.parts.len());
        map.next_value_seed(self.seed(element, 0))?;
        let values = self.parts.split_off(first);
        let end = self.out.len();
        put_bytes(&mut self.out, 1, key.as_bytes());
        for value in values {
            value.content.put(2, &mut self.out);
        }
        self.out.drain(start..end);
        self.push_since(slot, start);
        Ok(())
    }
}

/// The field that a key of an object names.
struct Name<'m>(&'m Message);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.named(name))
    }
}

/// Writes one value, as a part of the field in `slot`.
struct Seed<'w, 's> {
    writer: &'w mut Writer<'s>,
    form: &'w Form,
    slot: usize,
    /// Whether null is a value of its own.
    null: bool,
}

impl Seed<'_, '_> {
    fn number(self, number: i64) {
        let Seed { writer, slot, .. } = self;
        let start = writer.out.len();
        match self.form {
            Form::Double => writer.push(slot, Content::Fixed64((number as f64).to_bits())),
            Form::Quantity => {
                put_bytes(&mut writer.out, 1, number.to_string().as_bytes());
                writer.push_since(slot, start);
            }
            Form::IntOrString => {
                put_number(&mut writer.out, 1, 0);
                put_number(&mut writer.out, 2, number.cast_unsigned());
                put_bytes(&mut writer.out, 3, b"");
                writer.push_since(slot, start);
            }
            _ => writer.push(slot, Content::Number(number.cast_unsigned())),
        }
    }

    fn text<E: Error>(self, text: &str) -> Result<(), E> {
        let Seed {
            writer, form, slot, ..
        } = self;
        let out = &mut writer.out;
        let start = out.len();
        match form {
            Form::Text => out.extend_from_slice(text.as_bytes()),
            Form::Bytes => {
                // Upstream reads base64 that is broken into lines.
                let unbroken: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
                STANDARD.decode_vec(unbroken, out).map_err(E::custom)?;
            }
            Form::Time => put_time(out, time::truncate(time::parse(text).map_err(E::custom)?)),
            Form::MicroTime => put_time(out, time::parse_micro(text).map_err(E::custom)?),
            Form::Quantity => put_bytes(out, 1, text.as_bytes()),
            Form::Duration => {
                let length = crate::duration::parse_signed(text).map_err(E::custom)?;
                let nanos = i64::try_from(length.as_nanos()).map_err(E::custom)?;
                put_number(out, 1, nanos.cast_unsigned());
            }
            Form::IntOrString => {
                put_number(out, 1, 1);
                put_number(out, 2, 0);
                put_bytes(out, 3, text.as_bytes());
            }
            _ => return Err(E::custom(format_args!("a text where {form:?} belongs"))),
        }
        writer.push_since(slot, start);
        Ok(())
    }

    fn mismatch<E: Error>(&self, found: &str) -> E {
        E::custom(format_args!("{found} where {:?} belongs", self.form))
    }
}

fn put_time(out: &mut Vec<u8>, at: time::Timestamp) {
    let nanos = at.subsec_nanosecond() / 1000 * 1000;
    put_number(out, 1, at.as_second().cast_unsigned());
    put_number(out, 2, i64::from(nanos).cast_unsigned());
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if *self.form != Form::Json {
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw != "null" || self.null {
            let start = self.writer.out.len();
            put_bytes(&mut self.writer.out, 1, raw.as_bytes());
            self.writer.push_since(self.slot, start);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.form {
            Form::Bool => self.writer.push(self.slot, Content::Number(value.into())),
            Form::SchemaOrBool(_) => {
                let start = self.writer.out.len();
                put_number(&mut self.writer.out, 1, value.into());
                self.writer.push_since(self.slot, start);
            }
            _ => return Err(self.mismatch("a bool")),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match self.form {
            Form::Number | Form::Double | Form::Quantity | Form::IntOrString => self.number(value),
            _ => return Err(self.mismatch("a number")),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match self.form {
            Form::Double => {
                let bits = value.to_bits();
                self.writer.push(self.slot, Content::Fixed64(bits));
                Ok(())
            }
            Form::Quantity => self.text(&value.to_string()),
            _ => Err(self.mismatch("a fraction")),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Seed {
            writer, form, slot, ..
        } = self;
        // Some lists are fields of a message of their own.
        let (element, tag) = match form {
            Form::List(element) => {
                while seq.next_element_seed(writer.item(element, slot))?.is_some() {}
                return Ok(());
            }
            Form::Texts => (Form::Text, 1),
            Form::SchemaOrList(id) => (Form::Message(*id), 2),
            Form::SchemaOrTexts(_) => (Form::Text, 2),
            _ => {
                return Err(A::Error::custom(format_args!(
                    "a list where {form:?} belongs"
                )));
            }
        };
        let (start, first) = (writer.out.len(), writer.parts.len());
        while seq.next_element_seed(writer.item(&element, 0))?.is_some() {}
        let items = writer.parts.split_off(first);
        let end = writer.out.len();
        for item in items {
            item.content.put(tag, &mut writer.out);
        }
        writer.out.drain(start..end);
        writer.push_since(slot, start);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Seed {
            writer, form, slot, ..
        } = self;
        match form {
            Form::Map(element) => {
                while let Some(key) = map.next_key::<String>()? {
                    writer.entry(slot, &key, element, &mut map)?;
                }
            }
            Form::Message(id) => {
                let start = writer.object(*id, map)?;
                writer.push_since(slot, start);
            }
            Form::SchemaOrList(id) | Form::SchemaOrTexts(id) => {
                let start = writer.object(*id, map)?;
                wrap(&mut writer.out, start, 1);
                writer.push_since(slot, start);
            }
            Form::SchemaOrBool(id) => {
                let start = writer.out.len();
                // A schema also allows.
                put_number(&mut writer.out, 1, 1);
                let schema = writer.object(*id, map)?;
                wrap(&mut writer.out, schema, 2);
                writer.push_since(slot, start);
            }
            _ => {
                return Err(A::Error::custom(format_args!(
                    "an object where {form:?} belongs"
                )));
            }
        }
        Ok(())
    }
}
