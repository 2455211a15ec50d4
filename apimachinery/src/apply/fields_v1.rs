//! FieldsV1: a set of fields as a JSON tree of `f:`, `k:`, `v:` and `i:` keys; `.` is the parent itself.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::element::Element;
use super::set::{Node, Set};

/// How deep a set may be: as deep as JSON may be.
const MAX_DEPTH: usize = 128;

impl<'a> Set<'a> {
    /// Reads FieldsV1.
    pub fn parse(json: &'a str) -> Result<Set<'a>, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let found = Level(MAX_DEPTH).deserialize(&mut reader)?;
        reader.end()?;
        Ok(found.children)
    }

    /// Appends FieldsV1.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.write_level(out, &mut Vec::new());
    }

    fn write_level(&self, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        out.push(b'{');
        self.write_nodes(out, scratch);
        out.push(b'}');
    }

    fn write_nodes(&self, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        for (i, node) in self.nodes().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            node.element.write_json(out, scratch);
            out.push(b':');
            if node.member && !node.children.is_empty() {
                out.extend_from_slice(b"{\".\":{},");
                node.children.write_nodes(out, scratch);
                out.push(b'}');
            } else {
                node.children.write_level(out, scratch);
            }
        }
    }

    /// FieldsV1 as text.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// What a map of FieldsV1 says about the step that leads to it.
struct Found<'a> {
    children: Set<'a>,
    member: bool,
}

struct Level(usize);

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let depth = self
            .0
            .checked_sub(1)
            .ok_or_else(|| A::Error::custom("fields are nested too deeply"))?;
        let mut nodes = Vec::new();
        let mut member = false;
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if key == "." {
                member = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Some(element) = Element::parse(key).map_err(A::Error::custom)? else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let found = map.next_value_seed(Level(depth))?;
            nodes.push(Node {
                element,
                member: found.member,
                children: found.children,
            });
        }
        let children = Set::from_nodes(nodes);
        Ok(Found {
            member: member || children.is_empty(),
            children,
        })
    }
}

/// A key that borrows where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
