//! An object at rest: canonical bytes with a parsed header, and a resourceVersion spliced in on the way out.
//!
//! Canonical bytes begin with `apiVersion`, `kind` and `metadata`; every other
//! key is sorted; `metadata.resourceVersion` is absent, for it is etcd's
//! revision. It is inserted right behind the brace that opens `metadata`.

pub mod meta;
mod split;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::header::Header;
use crate::scheme::Resource;
pub use split::without_managed_fields;

/// A key among the metadata of a tree that says that opaque values of the object were sent with blanks, which
/// upstream counts as content. Canonical bytes say it with a blank of their own before the last brace.
const SPACED: &str = "\0spaced";

/// Notes that opaque values of the object were sent with blanks.
pub fn set_spaced(object: &mut Value) {
    meta::metadata_mut(object).insert(SPACED.to_owned(), Value::Bool(true));
}

/// Whether opaque values of the object were sent with blanks; the tree does not say so afterwards.
pub fn take_spaced(object: &mut Value) -> bool {
    meta::metadata_mut(object).remove(SPACED).is_some()
}

/// The owners of an object's fields: in a tree they are left out, and stay JSON.
const MANAGED_FIELDS: &str = "managedFields";

/// The canonical bytes of a tree. `apiVersion` and `kind` are the resource's.
pub fn canonicalize(object: Value, resource: &Resource) -> Bytes {
    canonicalize_managed(object, resource, None)
}

/// The canonical bytes of a tree with these managedFields, a JSON list, in place of its own.
pub fn canonicalize_managed(object: Value, resource: &Resource, managed: Option<&[u8]>) -> Bytes {
    let mut object = match object {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    object.remove("apiVersion");
    object.remove("kind");
    let mut metadata = object.remove("metadata").unwrap_or(Value::Null);
    let mut spaced = false;
    if let Value::Object(map) = &mut metadata {
        map.remove("resourceVersion");
        spaced = map.remove(SPACED).is_some();
    } else {
        metadata = Value::Object(Map::new());
    }
    let mut out = Vec::with_capacity(1024 + managed.map_or(0, <[u8]>::len));
    out.extend_from_slice(b"{\"apiVersion\":");
    write_text(&mut out, &resource.api_version());
    out.extend_from_slice(b",\"kind\":");
    write_text(&mut out, &resource.kind);
    out.extend_from_slice(b",\"metadata\":");
    match (managed, &metadata) {
        (Some(managed), Value::Object(metadata)) => write_managed(&mut out, metadata, managed),
        _ => write_sorted(&mut out, &metadata),
    }
    for (key, value) in sorted(&object) {
        out.push(b',');
        write_text(&mut out, key);
        out.push(b':');
        write_sorted(&mut out, value);
    }
    out.extend_from_slice(if spaced { b" }" } else { b"}" });
    Bytes::from(out)
}

/// Metadata with managedFields that are JSON already, where they belong among the sorted keys.
fn write_managed(out: &mut Vec<u8>, metadata: &Map<String, Value>, managed: &[u8]) {
    let mut managed = Some(managed);
    let mut first = true;
    let mut key = |out: &mut Vec<u8>, key: &str| {
        out.push(if std::mem::take(&mut first) {
            b'{'
        } else {
            b','
        });
        write_text(out, key);
        out.push(b':');
    };
    for (name, value) in sorted(metadata) {
        if name.as_str() >= MANAGED_FIELDS
            && let Some(managed) = managed.take()
        {
            key(out, MANAGED_FIELDS);
            out.extend_from_slice(managed);
        }
        if name != MANAGED_FIELDS {
            key(out, name);
            write_sorted(out, value);
        }
    }
    if let Some(managed) = managed {
        key(out, MANAGED_FIELDS);
        out.extend_from_slice(managed);
    }
    out.push(b'}');
}

/// JSON of a tree with the keys of every map sorted.
pub fn to_sorted_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_sorted(&mut out, value);
    out
}

/// Entries by key, whatever order the map itself keeps.
pub(crate) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    entries
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn write_sorted(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(map) => {
            out.push(b'{');
            for (i, (key, value)) in sorted(map).into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_text(out, key);
                out.push(b':');
                write_sorted(out, value);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_sorted(out, item);
            }
            out.push(b']');
        }
        scalar => {
            let _ = serde_json::to_writer(out, scalar);
        }
    }
}

/// An object as caches keep it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What lists, watches and controllers look at.
    pub header: Header,
    /// Canonical bytes, without resourceVersion.
    pub bytes: Bytes,
    /// Where in the bytes the resourceVersion belongs.
    pub splice: u32,
    /// etcd's revision of the last change.
    pub revision: i64,
    /// etcd's revision of the creation.
    pub create_revision: i64,
}

impl Stored {
    /// Reads what etcd holds.
    pub fn parse(
        resource: &Resource,
        bytes: Bytes,
        revision: i64,
        create_revision: i64,
    ) -> Result<Stored, serde_json::Error> {
        let header = Header::parse(resource, &bytes)?;
        let splice = splice_offset(&bytes)?;
        Ok(Stored {
            header,
            bytes,
            splice,
            revision,
            create_revision,
        })
    }

    /// The object with its revision as resourceVersion; nothing is parsed.
    pub fn with_resource_version(&self) -> Bytes {
        self.at_revision(self.revision)
    }

    /// The object with another revision as resourceVersion: the last state of a deleted one. There is
    /// room behind it for the new line that ends an answer.
    pub fn at_revision(&self, revision: i64) -> Bytes {
        let mut out = Vec::with_capacity(self.bytes.len() + LONGEST_VERSION + 1);
        self.write_at_revision(revision, &mut out);
        Bytes::from(out)
    }

    /// Whether opaque values of the object were sent with blanks.
    pub fn is_spaced(&self) -> bool {
        self.bytes.ends_with(b" }")
    }

    /// Appends the object with `revision` as resourceVersion, as a list does.
    pub fn write_at_revision(&self, revision: i64, out: &mut Vec<u8>) {
        splice(&self.bytes, self.splice as usize, revision, out);
    }

    /// The object as a tree with its resourceVersion but without managedFields, and these as JSON.
    pub fn to_unmanaged(&self) -> Result<(Value, Option<Bytes>), serde_json::Error> {
        let (mut value, managed) = split::unmanaged(&self.bytes)?;
        meta::set_resource_version(&mut value, self.revision);
        Ok((value, managed))
    }

    /// The whole object as a tree, with its resourceVersion.
    pub fn to_value(&self) -> Result<Value, serde_json::Error> {
        let mut value: Value = serde_json::from_slice(&self.bytes)?;
        meta::set_resource_version(&mut value, self.revision);
        Ok(value)
    }
}

/// Bytes of the longest resourceVersion with its key and a comma.
const LONGEST_VERSION: usize = "\"resourceVersion\":\"9223372036854775807\",".len();

/// Appends canonical bytes with a resourceVersion at `offset`; without one where the revision is 0, for
/// what is not stored.
pub fn splice(bytes: &[u8], offset: usize, revision: i64, out: &mut Vec<u8>) {
    if revision == 0 {
        out.extend_from_slice(bytes);
        return;
    }
    let (head, tail) = bytes.split_at(offset.min(bytes.len()));
    out.extend_from_slice(head);
    out.extend_from_slice(b"\"resourceVersion\":\"");
    out.extend_from_slice(revision.to_string().as_bytes());
    out.push(b'"');
    if tail.first() != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(tail);
}

/// Where a resourceVersion can be inserted: right behind the brace of `metadata`.
pub fn splice_offset(bytes: &[u8]) -> Result<u32, serde_json::Error> {
    use serde::de::Error;

    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    if let Some(offset) = canonical_offset(bytes) {
        return Ok(offset);
    }
    let outer: Outer<'_> = serde_json::from_slice(bytes)?;
    let raw = outer.metadata.get();
    if !raw.starts_with('{') {
        return Err(serde_json::Error::custom("metadata is no object"));
    }
    // The raw value borrows from `bytes`: the distance of the two is its offset.
    let start = raw.as_ptr() as usize - bytes.as_ptr() as usize;
    let mut offset = start + 1;
    // An empty object may hold blanks; splice right before its closing brace.
    while raw.len() > 2 && bytes.get(offset).is_some_and(u8::is_ascii_whitespace) {
        offset += 1;
    }
    u32::try_from(offset).map_err(serde_json::Error::custom)
}

/// The same, found without reading the rest, where the bytes begin as canonical ones do.
fn canonical_offset(bytes: &[u8]) -> Option<u32> {
    let mut rest = bytes;
    for key in ["{\"apiVersion\":\"", "\"kind\":\""] {
        rest = rest.strip_prefix(key.as_bytes())?;
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        rest = rest[end..].strip_prefix(b"\",")?;
    }
    rest = rest.strip_prefix(b"\"metadata\":{")?;
    // What lies between the brace and the first key, or the end, is found the slow way.
    matches!(rest.first(), Some(b'"' | b'}'))
        .then(|| u32::try_from(bytes.len() - rest.len()).ok())
        .flatten()
}
