//! Objects in `application/vnd.kubernetes.protobuf`, read and written by the numbers in the schema.
//!
//! ```text
//! "k8s\0"  Unknown { typeMeta = 1 { apiVersion = 1, kind = 2 }, raw = 2 }
//!                                                              └── the object's message
//! ```
//!
//! The messages are those of the schema: the same table that checks JSON has the fields' numbers.
//! What is written is what upstream's servers write, byte for byte: fields in the order of their
//! numbers, and those that are no pointers in Go even when they are empty.

mod form;
mod read;
mod wire;
mod write;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::schema::{Schema, TypeId};
use wire::{Reader, put_bytes, put_head};

pub use write::EncodeError;

/// What every object begins with.
const MAGIC: &[u8] = b"k8s\0";

/// An object in its envelope: what it says that it is, and its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// `apps/v1`; may be empty.
    pub api_version: &'a str,
    /// `Deployment`; may be empty.
    pub kind: &'a str,
    /// The message.
    pub raw: &'a [u8],
}

impl<'a> Unknown<'a> {
    /// Reads the envelope.
    pub fn read(bytes: &'a [u8]) -> Result<Unknown<'a>, String> {
        if bytes.is_empty() {
            return Err("empty data".to_owned());
        }
        let message = bytes.strip_prefix(MAGIC).ok_or(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        )?;
        if message.is_empty() {
            return Err("empty body".to_owned());
        }
        let mut found = Unknown {
            api_version: "",
            kind: "",
            raw: &[],
        };
        for field in Reader(message) {
            match field? {
                (1, meta) => {
                    for field in Reader(meta.bytes()?) {
                        match field? {
                            (1, text) => found.api_version = text.text()?,
                            (2, text) => found.kind = text.text()?,
                            _ => {}
                        }
                    }
                }
                (2, raw) => found.raw = raw.bytes()?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// The envelope with the message inside.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.raw.len() + 64);
        Envelope::new(self.api_version, self.kind).begin(self.raw.len(), &mut out);
        out.extend_from_slice(self.raw);
        out.extend_from_slice(Envelope::END);
        out
    }
}

/// The envelope of a message that is written piece by piece.
#[derive(Clone, Debug)]
pub struct Envelope {
    meta: Vec<u8>,
}

impl Envelope {
    /// What follows the message: no content encoding and no content type.
    pub const END: &'static [u8] = b"\x1a\0\x22\0";

    /// An envelope for an object of this kind.
    pub fn new(api_version: &str, kind: &str) -> Envelope {
        let mut meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
        put_bytes(&mut meta, 1, api_version.as_bytes());
        put_bytes(&mut meta, 2, kind.as_bytes());
        Envelope { meta }
    }

    /// Appends what precedes a message of so many bytes.
    pub fn begin(&self, length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        put_bytes(out, 1, &self.meta);
        put_head(out, 2, length);
    }
}

/// The number of a list's items in its message; its metadata has the number 1.
const ITEMS: u16 = 2;

/// Appends the metadata of a list, given as its message.
pub fn put_list_meta(out: &mut Vec<u8>, meta: &[u8]) {
    put_bytes(out, 1, meta);
}

/// Appends an item of a list, given as its message.
pub fn put_list_item(out: &mut Vec<u8>, item: &[u8]) {
    put_bytes(out, ITEMS, item);
}

/// Bytes of the length before the message in a frame.
pub const FRAME_LENGTH: usize = 4;

/// A watch event as a frame of its own: its length, then the message. `object` is in its envelope.
pub fn watch_frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(object.len() + 8);
    put_bytes(&mut raw, 1, object);
    let mut out = Vec::with_capacity(raw.len() + 24);
    out.extend_from_slice(&[0; FRAME_LENGTH]);
    put_bytes(&mut out, 1, kind.as_bytes());
    put_bytes(&mut out, 2, &raw);
    let length = u32::try_from(out.len() - FRAME_LENGTH).unwrap_or(u32::MAX);
    out[..FRAME_LENGTH].copy_from_slice(&length.to_be_bytes());
    out
}

impl Schema {
    /// The type whose message an object of this `apiVersion` and `kind` is; also of the kinds that
    /// answers have in every group.
    pub fn message_type(&self, api_version: &str, kind: &str) -> Option<TypeId> {
        match api_version {
            "meta.k8s.io/v1" | "meta.k8s.io/v1beta1" => self.type_id(&format!("meta/v1.{kind}")),
            _ => self.object_type(api_version, kind),
        }
    }

    /// Reads a message of the type into a tree. Values are as they arrived: they have yet to be
    /// checked and brought into the form in which they are kept.
    pub fn read_message(&self, id: TypeId, message: &[u8]) -> Result<Value, String> {
        read::object(self, id, message)
    }

    /// The message of an object, given as JSON.
    pub fn write_message(&self, id: TypeId, json: &[u8]) -> Result<Vec<u8>, EncodeError> {
        write::object(self, id, json)
    }

    /// An object of any kind that is known, given as JSON, in its envelope.
    pub fn write_object(&self, json: &[u8]) -> Result<Vec<u8>, EncodeError> {
        let (api_version, kind) = write::type_of(json)?;
        let id = self
            .message_type(&api_version, &kind)
            .ok_or_else(|| EncodeError::unknown(&api_version, &kind))?;
        let raw = self.write_message(id, json)?;
        let unknown = Unknown {
            api_version: &api_version,
            kind: &kind,
            raw: &raw,
        };
        Ok(unknown.write())
    }
}
