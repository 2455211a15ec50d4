//! Bodies in `application/vnd.kubernetes.protobuf`, as typed clients send them, read into trees.
//!
//! ```text
//! "k8s\0"  Unknown { typeMeta = 1 { apiVersion = 1, kind = 2 }, raw = 2 }
//!                                                              └── the object's message
//! ```
//!
//! The messages are those of the schema: the same table that checks JSON has the fields' numbers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrule_apimachinery::schema::{Field, Kind, Schema, TypeId};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Messages may be nested so deep.
const DEPTH: usize = 64;

/// A body: what it says that it is, and its object's message.
pub(super) struct Unknown<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub raw: &'a [u8],
}

/// Reads the envelope.
pub(super) fn unknown(bytes: &[u8]) -> Result<Unknown<'_>, String> {
    let message = bytes.strip_prefix(MAGIC).ok_or(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    )?;
    let mut found = Unknown {
        api_version: "",
        kind: "",
        raw: &[],
    };
    for field in Reader(message) {
        match field? {
            (1, Wire::Bytes(meta)) => {
                for field in Reader(meta) {
                    match field? {
                        (1, Wire::Bytes(text)) => found.api_version = utf8(text)?,
                        (2, Wire::Bytes(text)) => found.kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(raw)) => found.raw = raw,
            _ => {}
        }
    }
    Ok(found)
}

/// Reads a message of the type.
pub(super) fn object(schema: &Schema, id: TypeId, message: &[u8]) -> Result<Value, String> {
    let mut object = Map::new();
    read_into(schema, id, message, &mut object, DEPTH)?;
    Ok(Value::Object(object))
}

fn read_into(
    schema: &Schema,
    id: TypeId,
    message: &[u8],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    let depth = depth.checked_sub(1).ok_or("proto: nested too deep")?;
    let ty = schema.get(id);
    for field in Reader(message) {
        let (number, wire) = field?;
        if let Some(known) = ty
            .fields
            .iter()
            .find(|field| field.proto_tag != 0 && u64::from(field.proto_tag) == number)
        {
            set(schema, known, wire, object, depth)?;
        } else if let Some((_, inlined)) =
            ty.inlined.iter().find(|(tag, _)| u64::from(*tag) == number)
        {
            read_into(schema, *inlined, wire.bytes()?, object, depth)?;
        }
    }
    Ok(())
}

fn set(
    schema: &Schema,
    field: &Field,
    wire: Wire<'_>,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), String> {
    match &field.kind {
        Kind::List(element) => {
            let list = object
                .entry(field.name)
                .or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(list) = list else {
                return Ok(());
            };
            let number = matches!(**element, Kind::Int32 | Kind::Int64 | Kind::Bool);
            match wire {
                // Packed.
                Wire::Bytes(mut packed) if number => {
                    while !packed.is_empty() {
                        let (one, rest) = varint(packed)?;
                        packed = rest;
                        list.push(value(schema, element, "", Wire::Varint(one), depth)?);
                    }
                }
                wire => list.push(value(schema, element, "", wire, depth)?),
            }
        }
        Kind::Map(element) => {
            let (mut key, mut found) = ("", Value::Null);
            for entry in Reader(wire.bytes()?) {
                match entry? {
                    (1, wire) => key = utf8(wire.bytes()?)?,
                    (2, wire) => found = value(schema, element, "", wire, depth)?,
                    _ => {}
                }
            }
            if found.is_null() && **element == Kind::Text {
                found = "".into();
            }
            let map = object
                .entry(field.name)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = map {
                map.insert(key.to_owned(), found);
            }
        }
        kind => {
            let found = value(schema, kind, &field.go_type, wire, depth)?;
            object.insert(field.name.to_owned(), found);
        }
    }
    Ok(())
}

fn value(
    schema: &Schema,
    kind: &Kind,
    go_type: &str,
    wire: Wire<'_>,
    depth: usize,
) -> Result<Value, String> {
    Ok(match kind {
        Kind::Bool => Value::Bool(wire.number()? != 0),
        // Negative numbers are written with 64 bits.
        Kind::Int32 | Kind::Int64 => Value::from(wire.number()?.cast_signed()),
        Kind::Float64 => match wire {
            Wire::Fixed64(bits) => Value::from(f64::from_bits(bits)),
            _ => return Err("proto: wrong wireType".to_owned()),
        },
        Kind::Text if go_type.ends_with(".Duration") => {
            let nanos = first(wire.bytes()?, 1)?.map_or(Ok(0), |wire| wire.number())?;
            // Whole and fractional seconds are one of Go's notations.
            format!("{}s", nanos.cast_signed() as f64 / 1e9).into()
        }
        Kind::Text => utf8(wire.bytes()?)?.into(),
        Kind::Bytes => STANDARD.encode(wire.bytes()?).into(),
        Kind::Time | Kind::MicroTime => time(kind, wire.bytes()?)?,
        Kind::Quantity => match first(wire.bytes()?, 1)? {
            Some(text) => utf8(text.bytes()?)?.into(),
            None => "0".into(),
        },
        Kind::IntOrString => int_or_string(wire.bytes()?)?,
        Kind::Any => match first(wire.bytes()?, 1)? {
            Some(raw) => serde_json::from_slice(raw.bytes()?).map_err(|error| error.to_string())?,
            None => Value::Null,
        },
        Kind::Struct(id) => {
            let mut object = Map::new();
            read_into(schema, *id, wire.bytes()?, &mut object, depth)?;
            Value::Object(object)
        }
        Kind::List(_) | Kind::Map(_) => return Err("proto: a list within a list".to_owned()),
    })
}

fn time(kind: &Kind, message: &[u8]) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Reader(message) {
        match field? {
            (1, wire) => seconds = wire.number()?.cast_signed(),
            (2, wire) => nanos = wire.number()?.cast_signed(),
            _ => {}
        }
    }
    if seconds == 0 && nanos == 0 {
        return Ok(Value::Null);
    }
    let nanos = i32::try_from(nanos).map_err(|error| error.to_string())?;
    let time = Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    Ok(if *kind == Kind::MicroTime {
        ferrule_apimachinery::time::format_micro(time).into()
    } else {
        ferrule_apimachinery::time::format(time).into()
    })
}

fn int_or_string(message: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    for field in Reader(message) {
        match field? {
            (1, wire) => is_text = wire.number()? == 1,
            (2, wire) => number = wire.number()?.cast_signed(),
            (3, wire) => text = utf8(wire.bytes()?)?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

/// The first field with this number.
fn first(message: &[u8], number: u64) -> Result<Option<Wire<'_>>, String> {
    for field in Reader(message) {
        let (own, wire) = field?;
        if own == number {
            return Ok(Some(wire));
        }
    }
    Ok(None)
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

/// The value of a field, as the wire has it.
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn number(self) -> Result<u64, String> {
        match self {
            Wire::Varint(number) => Ok(number),
            _ => Err("proto: wrong wireType".to_owned()),
        }
    }

    fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err("proto: wrong wireType".to_owned()),
        }
    }
}

/// The fields of a message, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(u64, Wire<'a>), String> {
        let (tag, rest) = varint(self.0)?;
        let (wire, rest) = match tag & 7 {
            0 => {
                let (number, rest) = varint(rest)?;
                (Wire::Varint(number), rest)
            }
            1 => {
                let (bits, rest) = rest.split_first_chunk::<8>().ok_or_else(eof)?;
                (Wire::Fixed64(u64::from_le_bytes(*bits)), rest)
            }
            2 => {
                let (length, rest) = varint(rest)?;
                let length = usize::try_from(length).map_err(|_| eof())?;
                let (bytes, rest) = rest.split_at_checked(length).ok_or_else(eof)?;
                (Wire::Bytes(bytes), rest)
            }
            5 => (Wire::Fixed32, rest.get(4..).ok_or_else(eof)?),
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        self.0 = rest;
        Ok((tag >> 3, wire))
    }
}

fn eof() -> String {
    "unexpected EOF".to_owned()
}

fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), String> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((number, &bytes[index + 1..]));
        }
    }
    Err(eof())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let tag = u16::from(number) << 3 | 2;
        let mut out = match tag {
            0..0x80 => vec![tag as u8],
            _ => vec![tag as u8 | 0x80, (tag >> 7) as u8],
        };
        out.push(u8::try_from(bytes.len()).unwrap());
        out.extend_from_slice(bytes);
        out
    }

    #[test]
    fn an_object_with_an_inlined_source_is_read() {
        let schema = Schema::builtin();
        let id = schema.type_id("core/v1.Volume").unwrap();
        let source = field(19, &field(1, &field(1, b"settings")));
        let message = [field(1, b"v"), field(2, &source)].concat();
        assert_eq!(
            object(schema, id, &message).unwrap(),
            json!({"name": "v", "configMap": {"name": "settings"}})
        );
    }

    #[test]
    fn the_envelope_says_what_is_inside() {
        let meta = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
        let body = [MAGIC, &field(1, &meta), &field(2, b"\x12\x00")].concat();
        let found = unknown(&body).unwrap();
        assert_eq!(
            (found.api_version, found.kind, found.raw),
            ("v1", "ConfigMap", &b"\x12\x00"[..])
        );
        assert!(unknown(b"{}").is_err());
        assert!(unknown(b"k8s\0\x0a\xff").is_err());
    }
}
