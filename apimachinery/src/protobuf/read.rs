//! From a message to a tree.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::form::{Form, Message, Slot, message};
use super::wire::{Reader, Wire, first, varint};
use crate::schema::{Schema, TypeId};

/// Messages may be nested so deep.
const DEPTH: usize = 64;

/// Reads a message of the type.
pub(super) fn object(schema: &Schema, id: TypeId, bytes: &[u8]) -> Result<Value, String> {
    Read { schema }.object(id, bytes, DEPTH)
}

struct Read<'s> {
    schema: &'s Schema,
}

impl Read<'_> {
    fn object(&self, id: TypeId, bytes: &[u8], depth: usize) -> Result<Value, String> {
        let mut object = Map::new();
        let message = message(self.schema, id);
        self.section(message, 0, bytes, &mut object, depth)?;
        Ok(Value::Object(object))
    }

    fn section(
        &self,
        message: &Message,
        section: usize,
        bytes: &[u8],
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), String> {
        let depth = depth.checked_sub(1).ok_or("proto: nested too deep")?;
        for field in Reader(bytes) {
            let (number, wire) = field?;
            if let Some(slot) = message.numbered(section, number) {
                self.set(slot, wire, object, depth)?;
            } else if let Some(inlined) = message.inlined(section, number) {
                self.section(message, inlined, wire.bytes()?, object, depth)?;
            }
        }
        Ok(())
    }

    fn set(
        &self,
        slot: &Slot,
        wire: Wire<'_>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), String> {
        match &slot.form {
            Form::List(element) => {
                let list = object
                    .entry(slot.name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    self.push(element, wire, list, depth)?;
                }
            }
            Form::Map(element) => {
                let (mut key, mut found) = ("", Value::Null);
                for entry in Reader(wire.bytes()?) {
                    match entry? {
                        (1, wire) => key = wire.text()?,
                        (2, wire) => found = self.value(element, wire, depth)?,
                        _ => {}
                    }
                }
                // An encoder may leave out what is empty.
                match **element {
                    Form::Text if found.is_null() => found = "".into(),
                    Form::Texts if found.is_null() => found = Value::Array(Vec::new()),
                    _ => {}
                }
                let map = object
                    .entry(slot.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    map.insert(key.to_owned(), found);
                }
            }
            form => {
                let found = self.value(form, wire, depth)?;
                object.insert(slot.name.to_owned(), found);
            }
        }
        Ok(())
    }

    /// An item of a list, or many where they are numbers in one piece.
    fn push(
        &self,
        element: &Form,
        wire: Wire<'_>,
        list: &mut Vec<Value>,
        depth: usize,
    ) -> Result<(), String> {
        match wire {
            Wire::Bytes(mut packed) if matches!(element, Form::Number | Form::Bool) => {
                while !packed.is_empty() {
                    let (one, rest) = varint(packed)?;
                    packed = rest;
                    list.push(self.value(element, Wire::Varint(one), depth)?);
                }
            }
            wire => list.push(self.value(element, wire, depth)?),
        }
        Ok(())
    }

    fn value(&self, form: &Form, wire: Wire<'_>, depth: usize) -> Result<Value, String> {
        Ok(match form {
            Form::Bool => Value::Bool(wire.number()? != 0),
            // Negative numbers are written with 64 bits.
            Form::Number => Value::from(wire.number()?.cast_signed()),
            Form::Double => match wire {
                Wire::Fixed64(bits) => Value::from(f64::from_bits(bits)),
                _ => return Err("proto: wrong wireType".to_owned()),
            },
            Form::Duration => {
                let nanos = first(wire.bytes()?, 1)?.map_or(Ok(0), Wire::number)?;
                duration(nanos.cast_signed()).into()
            }
            Form::Text => wire.text()?.into(),
            Form::Bytes => STANDARD.encode(wire.bytes()?).into(),
            Form::Time | Form::MicroTime => time(form, wire.bytes()?)?,
            Form::Quantity => match first(wire.bytes()?, 1)? {
                Some(text) => text.text()?.into(),
                None => "0".into(),
            },
            Form::IntOrString => int_or_string(wire.bytes()?)?,
            Form::Json => json(wire.bytes()?)?,
            Form::Texts => self.items(wire.bytes()?, 1, |text| Ok(text.text()?.into()))?,
            Form::Message(id) => self.object(*id, wire.bytes()?, depth)?,
            Form::SchemaOrBool(id) => {
                let bytes = wire.bytes()?;
                match first(bytes, 2)? {
                    Some(schema) => self.nested_schema(*id, schema.bytes()?, depth)?,
                    None => Value::Bool(first(bytes, 1)?.map_or(Ok(0), Wire::number)? != 0),
                }
            }
            Form::SchemaOrList(id) => {
                let bytes = wire.bytes()?;
                match first(bytes, 1)? {
                    Some(schema) => self.nested_schema(*id, schema.bytes()?, depth)?,
                    None => self.items(bytes, 2, |schema| {
                        self.nested_schema(*id, schema.bytes()?, depth)
                    })?,
                }
            }
            Form::SchemaOrTexts(id) => {
                let bytes = wire.bytes()?;
                match first(bytes, 1)? {
                    Some(schema) => self.nested_schema(*id, schema.bytes()?, depth)?,
                    None => self.items(bytes, 2, |text| Ok(text.text()?.into()))?,
                }
            }
            Form::List(_) | Form::Map(_) => return Err("proto: a list within a list".to_owned()),
        })
    }

    /// A schema within a schema, as it is kept: the type of the outer one does not look into it.
    fn nested_schema(&self, id: TypeId, bytes: &[u8], depth: usize) -> Result<Value, String> {
        let found = self.object(id, bytes, depth)?;
        let decoded = self.schema.decode_value(found, id);
        decoded.map(|it| it.value).map_err(|why| why.to_string())
    }

    /// The list that a message holds under one number.
    fn items<'a>(
        &self,
        bytes: &'a [u8],
        number: u64,
        read: impl Fn(Wire<'a>) -> Result<Value, String>,
    ) -> Result<Value, String> {
        let mut items = Vec::new();
        for field in Reader(bytes) {
            let (own, wire) = field?;
            if own == number {
                items.push(read(wire)?);
            }
        }
        Ok(Value::Array(items))
    }
}

fn json(message: &[u8]) -> Result<Value, String> {
    match first(message, 1)? {
        Some(raw) => match raw.bytes()? {
            b"" => Ok(Value::Null),
            raw => serde_json::from_slice(raw).map_err(|error| error.to_string()),
        },
        None => Ok(Value::Null),
    }
}

fn duration(nanos: i64) -> String {
    let length = crate::duration::format(std::time::Duration::from_nanos(nanos.unsigned_abs()));
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{length}")
}

/// Only an empty message is no time: one of zeros is the first second of 1970.
fn time(form: &Form, message: &[u8]) -> Result<Value, String> {
    if message.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Reader(message) {
        match field? {
            (1, wire) => seconds = wire.number()?.cast_signed(),
            (2, wire) => nanos = wire.number()?.cast_signed(),
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).map_err(|error| error.to_string())?;
    let time = Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    Ok(if *form == Form::MicroTime {
        crate::time::format_micro(time).into()
    } else {
        crate::time::format(time).into()
    })
}

fn int_or_string(message: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    for field in Reader(message) {
        match field? {
            (1, wire) => is_text = wire.number()? == 1,
            (2, wire) => number = wire.number()?.cast_signed(),
            (3, wire) => text = wire.text()?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}
