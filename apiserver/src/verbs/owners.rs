//! Who owns which field after a write: `metadata.managedFields`.
//!
//! The owners are worked out between the defaults and admission, as upstream does it: what admission
//! and allocation add belongs to nobody.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use ferrule_apimachinery::apply::{Live, Managers, Ownership, Versions, Writer};
use ferrule_apimachinery::schema::{Schema, TypeId};
use ferrule_apimachinery::scheme::{Resource, split_api_version};
use ferrule_apimachinery::status::Status;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::change::Current;
use super::effects::Owners;
use super::metadata::{metadata, seconds};
use super::{Api, Call, Target, WriteOptions};
use crate::resources;

/// The manager of what the server itself writes.
pub(super) const SELF: &str = "kube-apiserver";

/// Whose a write's fields are.
#[derive(Clone, Copy)]
pub(super) enum Writes<'a> {
    /// This manager gets what the write changes.
    By(&'a str),
    /// The owners are known already, as JSON.
    Known(Option<&'a Bytes>),
    /// The owners stay who they are.
    Unowned,
}

/// The manager of a call's fields.
pub(super) fn manager<'a>(call: &'a Call, options: &'a WriteOptions) -> &'a str {
    match options.field_manager.as_str() {
        "" if call.internal => SELF,
        "" => &call.agent,
        given => given,
    }
}

/// What a client sent as managedFields; the object has none afterwards.
pub(super) fn take_sent(object: &mut Value) -> Option<Value> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    metadata
        .remove("managedFields")
        .filter(|sent| !sent.is_null())
}

/// The managedFields to store. Times alone are no change.
pub(super) fn after(owners: &Owners, current: Option<&Current>, new: &Value) -> Option<Bytes> {
    let before = current.and_then(|current| current.managed.as_ref());
    let Owners::Now(now) = owners else {
        return before.cloned();
    };
    if let (Some(current), Some(old), Some(now)) = (current, before, now)
        && old != now
        && same_but_version(new, &current.value)
        && let (Ok(a), Ok(b)) = (Managers::parse(old), Managers::parse(now))
        && a.same_fields(&b)
    {
        return before.cloned();
    }
    now.clone()
}

/// Whether two trees differ in nothing but their resourceVersion.
fn same_but_version(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else {
        return false;
    };
    let metadata = |map: &Map<String, Value>| -> Vec<(String, Value)> {
        let metadata = map.get("metadata").and_then(Value::as_object);
        let entries = metadata.into_iter().flatten();
        entries
            .filter(|(key, _)| *key != "resourceVersion")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    a.len() == b.len()
        && a.iter()
            .filter(|(key, _)| *key != "metadata")
            .all(|(key, value)| b.get(key) == Some(value))
        && metadata(a) == metadata(b)
}

/// The versions of a kind.
pub(super) struct KindVersions<'a> {
    api: &'a Api,
    resource: &'a Arc<Resource>,
}

impl Versions for KindVersions<'_> {
    fn convert(&self, object: &Value, api_version: &str) -> Option<(TypeId, Value)> {
        let (group, version) = split_api_version(api_version);
        let scheme = self.api.scheme();
        let other = scheme.lookup(group, version, &self.resource.plural)?;
        let own = split_api_version(object["apiVersion"].as_str()?);
        let own = scheme.lookup(own.0, own.1, &self.resource.plural)?;
        let stored = self.api.to_stored(own, object.clone()).ok()?;
        let shown = self.api.from_stored(other, stored).ok()?;
        Some((self.api.schema().type_id(&other.schema_type)?, shown))
    }
}

/// What the rules of ownership of a target need.
pub(super) struct Rules<'a> {
    schema: &'a Schema,
    id: TypeId,
    api_version: String,
    kind: &'a str,
    subresource: &'a str,
    reset: &'static [&'static [&'static str]],
    versions: KindVersions<'a>,
}

impl Rules<'_> {
    pub fn ownership(&self) -> Ownership<'_> {
        Ownership {
            schema: self.schema,
            id: self.id,
            api_version: &self.api_version,
            kind: self.kind,
            subresource: self.subresource,
            reset: self.reset,
            versions: &self.versions,
        }
    }

    /// An object of the type that nobody filled in.
    pub fn empty(&self) -> Value {
        self.schema.empty_object(self.id)
    }
}

impl Api {
    /// The rules of ownership of the target's kind and subresource.
    pub(super) fn ownership<'a>(&'a self, target: &'a Target) -> Result<Rules<'a>, Status> {
        let resource = &target.resource;
        let id = self.schema().type_id(&resource.schema_type);
        Ok(Rules {
            schema: self.schema(),
            id: id.ok_or_else(|| Status::internal(format!("no type {}", resource.schema_type)))?,
            api_version: resource.api_version(),
            kind: &resource.kind,
            subresource: &target.subresource,
            reset: resources::rules_for(resource).reset_fields(&target.subresource),
            versions: KindVersions {
                api: self,
                resource,
            },
        })
    }

    /// The owners after a write of `new`; `sent` is what the client said about them.
    pub(super) fn owners(
        &self,
        target: &Target,
        current: Option<&Current>,
        new: &Value,
        sent: Option<Value>,
        writes: Writes<'_>,
        now: Timestamp,
    ) -> Result<Owners, Status> {
        let name = match writes {
            Writes::Unowned => return Ok(Owners::AsBefore),
            Writes::Known(managed) => return Ok(Owners::Now(managed.cloned())),
            Writes::By(name) => name,
        };
        let sent = sent.filter(|_| target.subresource.is_empty());
        let sent = match sent {
            Some(sent) if is_reset(&sent) => Some(Sent::Reset),
            sent => sent.map(|sent| Sent::List(sent.to_string())),
        };
        let live = current.and_then(|current| current.managed.as_deref());
        let (managed, own_list) = match &sent {
            Some(Sent::Reset) => (Managers::default(), true),
            Some(Sent::List(list)) => match Managers::parse(list.as_bytes()) {
                Ok(managed) if !managed.is_empty() => (managed, true),
                _ => (read_or_none(live), false),
            },
            None => (read_or_none(live), false),
        };
        let rules = self.ownership(target)?;
        let resource = &target.resource;
        // Fields are those of the client's version.
        let shown = |object: &Value| self.from_stored(resource, object.clone());
        let object = match current {
            None => Cow::Owned(rules.empty()),
            Some(current) if resource.is_stored_form() => Cow::Borrowed(&current.value),
            Some(current) => Cow::Owned(shown(&current.value)?),
        };
        let new = match resource.is_stored_form() {
            true => Cow::Borrowed(new),
            false => Cow::Owned(shown(new)?),
        };
        let now = seconds(now);
        let writer = Writer {
            manager: name,
            force: false,
            now: &now,
        };
        // Those that the client sent are kept even when its write changes nothing of theirs.
        let given = own_list.then(|| managed.to_json());
        let live = Live {
            object: &object,
            absent: current.is_none(),
        };
        let after = rules.ownership().update(live, &new, managed, writer);
        let after = after.map(|after| after.to_json());
        Ok(match after.or(given) {
            Some(json) => Owners::Now(json.map(Bytes::from)),
            None => Owners::AsBefore,
        })
    }
}

/// What a client sent as managedFields.
enum Sent {
    /// Nobody shall own anything.
    Reset,
    /// A list, as JSON.
    List(String),
}

/// An empty list, or a list with one empty entry.
fn is_reset(sent: &Value) -> bool {
    match sent.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// The managers of a list; those that cannot be read count as none.
pub(super) fn read_or_none(json: Option<&[u8]>) -> Managers<'_> {
    json.and_then(|json| Managers::parse(json).ok())
        .unwrap_or_default()
}

/// The object with its managedFields, as clients see it.
pub(super) fn whole(current: &Current) -> Value {
    let mut value = current.value.clone();
    let managed = current.managed.as_deref();
    if let Some(managed) = managed.and_then(|json| serde_json::from_slice::<Value>(json).ok()) {
        metadata(&mut value).insert("managedFields".to_owned(), managed);
    }
    value
}
