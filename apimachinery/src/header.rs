//! The part of an object that is kept parsed: what lists, watches and controllers look at.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::scheme::Resource;
use crate::selector::Labels;
use crate::time::{self, Timestamp};

/// One owner of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OwnerReference {
    /// `apps/v1`.
    pub api_version: Box<str>,
    /// `ReplicaSet`.
    pub kind: Box<str>,
    /// Name of the owner, in the same namespace or cluster-scoped.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Box<str>,
    /// Whether this owner manages the object.
    pub controller: Option<bool>,
    /// Whether the owner's foreground deletion waits for this object.
    pub block_owner_deletion: Option<bool>,
}

impl OwnerReference {
    /// Whether this owner manages the object.
    pub fn is_controller(&self) -> bool {
        self.controller == Some(true)
    }
}

/// Metadata and selectable fields of an object, parsed once from its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.namespace`; empty when cluster-scoped.
    pub namespace: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.ownerReferences`.
    pub owner_references: Box<[OwnerReference]>,
    /// `metadata.finalizers`.
    pub finalizers: Box<[Box<str>]>,
    /// `metadata.creationTimestamp`.
    pub creation_timestamp: Option<Timestamp>,
    /// `metadata.deletionTimestamp`: set while the object is being deleted.
    pub deletion_timestamp: Option<Timestamp>,
    /// `metadata.deletionGracePeriodSeconds`.
    pub deletion_grace_period_seconds: Option<i64>,
    /// `metadata.generation`; 0 when absent.
    pub generation: i64,
    /// Values of the resource's selectable fields, in their order.
    pub fields: Box<[Box<str>]>,
}

impl Header {
    /// Reads the header without building a tree of the rest.
    pub fn parse(resource: &Resource, bytes: &[u8]) -> Result<Header, serde_json::Error> {
        let wanted: Vec<(usize, &str)> = resource
            .selectable_fields
            .iter()
            .enumerate()
            .flat_map(|(i, field)| field.paths.iter().map(move |path| (i, &**path)))
            .collect();
        let mut found = Found {
            metadata: None,
            fields: vec![None; wanted.len()],
        };
        let paths: Vec<(usize, &str)> = wanted.iter().map(|(_, p)| *p).enumerate().collect();
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        Level {
            paths: &paths,
            found: &mut found,
            top: true,
        }
        .deserialize(&mut reader)?;
        reader.end()?;

        let metadata = found.metadata.unwrap_or_default();
        let fields = resource
            .selectable_fields
            .iter()
            .enumerate()
            .map(|(i, field)| {
                wanted
                    .iter()
                    .zip(&found.fields)
                    .find_map(|((index, _), value)| {
                        let value = value.as_deref().filter(|v| !v.is_empty());
                        if *index == i { value } else { None }
                    })
                    .unwrap_or(&field.absent)
                    .into()
            })
            .collect();
        Ok(Header {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            labels: metadata.labels.unwrap_or_default(),
            owner_references: metadata.owner_references.unwrap_or_default(),
            finalizers: metadata.finalizers.unwrap_or_default(),
            creation_timestamp: metadata.creation_timestamp.and_then(|t| t.0),
            deletion_timestamp: metadata.deletion_timestamp.and_then(|t| t.0),
            deletion_grace_period_seconds: metadata.deletion_grace_period_seconds,
            generation: metadata.generation.unwrap_or_default(),
            fields,
        })
    }

    /// The value that a field selector compares; `None` for a field that the resource does not have.
    pub fn field(&self, resource: &Resource, name: &str) -> Option<&str> {
        match name {
            "metadata.name" => Some(&self.name),
            "metadata.namespace" => Some(&self.namespace),
            _ => {
                let index = resource
                    .selectable_fields
                    .iter()
                    .position(|field| field.name == name)?;
                self.fields.get(index).map(|value| &**value)
            }
        }
    }

    /// The owner that manages the object.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|o| o.is_controller())
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

/// A time that counts as absent when it cannot be read.
#[derive(Clone, Copy)]
struct LenientTime(Option<Timestamp>);

impl<'de> Deserialize<'de> for LenientTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(LenientTime(text.and_then(|text| time::parse(&text).ok())))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Box<str>,
    namespace: Box<str>,
    uid: Box<str>,
    labels: Option<Labels>,
    owner_references: Option<Box<[OwnerReference]>>,
    finalizers: Option<Box<[Box<str>]>>,
    creation_timestamp: Option<LenientTime>,
    deletion_timestamp: Option<LenientTime>,
    deletion_grace_period_seconds: Option<i64>,
    generation: Option<i64>,
}

struct Found {
    metadata: Option<Metadata>,
    fields: Vec<Option<Box<str>>>,
}

/// One level of the object: descends only where a wanted path leads.
struct Level<'a, 'p> {
    paths: &'a [(usize, &'p str)],
    found: &'a mut Found,
    top: bool,
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Level<'_, '_> {
    fn leaf(self, text: &str) {
        for (index, rest) in self.paths {
            if rest.is_empty() {
                self.found.fields[*index] = Some(text.into());
            }
        }
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.top && key == "metadata" {
                self.found.metadata = map.next_value::<Option<Metadata>>()?;
                continue;
            }
            let below: Vec<(usize, &str)> = self
                .paths
                .iter()
                .filter_map(|(index, path)| {
                    let rest = path.strip_prefix(&*key)?;
                    if rest.is_empty() {
                        return Some((*index, rest));
                    }
                    Some((*index, rest.strip_prefix('.')?))
                })
                .collect();
            if below.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Level {
                    paths: &below,
                    found: self.found,
                    top: false,
                })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.leaf(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.leaf(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.leaf(&value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.leaf(&value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.leaf(&value.to_string());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::{Scheme, gvr};

    const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"a":"b"},
        "creationTimestamp":"2026-11-21T04:16:40Z","deletionTimestamp":null,"finalizers":["x/y"],
        "generation":2,"labels":{"b":"2","a":"1"},"name":"web","namespace":"default",
        "ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"u1","controller":true}],
        "uid":"u2"},
        "spec":{"containers":[{"name":"c","image":"nodeName"}],"hostNetwork":true,"nodeName":"node\u0031"},
        "status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}]}}"#;

    #[test]
    fn metadata_and_selectable_fields_are_read_from_bytes() {
        let scheme = Scheme::builtin();
        let pods = scheme.get(&gvr::PODS).unwrap();
        let header = Header::parse(pods, POD.as_bytes()).unwrap();
        assert_eq!((&*header.name, &*header.namespace), ("web", "default"));
        assert_eq!(header.labels.get("b"), Some("2"));
        assert_eq!(header.controller().unwrap().name.as_ref(), "rs");
        assert_eq!(header.generation, 2);
        assert_eq!(header.finalizers.len(), 1);
        assert!(header.creation_timestamp.is_some());
        assert!(!header.is_deleting());
        for (field, value) in [
            ("metadata.name", "web"),
            ("spec.nodeName", "node1"),
            ("spec.hostNetwork", "true"),
            ("status.phase", "Running"),
            ("spec.schedulerName", ""),
        ] {
            assert_eq!(header.field(pods, field), Some(value), "{field}");
        }
        assert_eq!(header.field(pods, "spec.other"), None);
    }

    #[test]
    fn absent_values_count_as_the_zero_of_their_type() {
        let scheme = Scheme::builtin();
        let nodes = scheme.get(&gvr::NODES).unwrap();
        let header = Header::parse(nodes, br#"{"metadata":{"name":"n"}}"#).unwrap();
        assert_eq!(header.field(nodes, "spec.unschedulable"), Some("false"));
        let events = scheme.get(&gvr::EVENTS).unwrap();
        let header = Header::parse(events, br#"{"reportingComponent":"k"}"#).unwrap();
        assert_eq!(header.field(events, "source"), Some("k"));
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        let scheme = Scheme::builtin();
        let pods = scheme.get(&gvr::PODS).unwrap();
        for bytes in ["", "{", "{} x", "{\"metadata\":5}"] {
            assert!(Header::parse(pods, bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
