//! Objects between the version that a client speaks and the one that is stored.
//!
//! ```text
//!  body ─ decode ─▶ client's version ─ to_stored ─▶ rules, admission, etcd, cache
//!                                                              │
//!  answer ◀─ Table, metadata, bytes ◀─ client's version ◀─ shown
//! ```
//!
//! For most resources both are the same, and nothing is done. An event is converted once for all watches.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use ferrule_apimachinery::object::{self, Stored};
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::selector::{FieldRequirement, FieldSelector};
use ferrule_apimachinery::status::Status;
use serde_json::Value;

use super::metadata::{split, with_version};
use super::{Answer, Api};
use crate::resources::conversion::conversion_for;

/// Events' objects that are remembered.
const REMEMBERED: usize = 512;

/// Objects of recent events in the versions in which they are not stored.
#[derive(Default)]
pub(super) struct Converted(Mutex<Recent>);

/// Version, key and revision.
type Name = (String, String, i64);

#[derive(Default)]
struct Recent {
    made: HashMap<Name, Arc<Stored>>,
    order: VecDeque<Name>,
}

impl Converted {
    fn get_or_make(
        &self,
        name: Name,
        make: impl FnOnce() -> Result<Stored, Status>,
    ) -> Result<Arc<Stored>, Status> {
        let lock = || {
            self.0
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
        };
        if let Some(stored) = lock().made.get(&name) {
            return Ok(stored.clone());
        }
        let stored = Arc::new(make()?);
        let mut recent = lock();
        if recent.made.insert(name.clone(), stored.clone()).is_none() {
            recent.order.push_back(name);
        }
        while recent.order.len() > REMEMBERED {
            if let Some(oldest) = recent.order.pop_front() {
                recent.made.remove(&oldest);
            }
        }
        Ok(stored)
    }
}

impl Api {
    /// The resource as which objects of `resource` are stored.
    pub(super) fn stored_form<'a>(&'a self, resource: &'a Arc<Resource>) -> &'a Arc<Resource> {
        self.0.scheme.stored_form(resource)
    }

    /// An object of the client's version as it is stored.
    pub(super) fn to_stored(
        &self,
        resource: &Arc<Resource>,
        object: Value,
    ) -> Result<Value, Status> {
        match conversion_for(resource) {
            None => Ok(object),
            Some(conversion) => {
                self.written(self.stored_form(resource), conversion.to_stored(object))
            }
        }
    }

    /// A stored object in the client's version.
    #[allow(
        clippy::wrong_self_convention,
        reason = "the receiver is the API, not what is converted"
    )]
    pub(super) fn from_stored(&self, resource: &Resource, object: Value) -> Result<Value, Status> {
        match conversion_for(resource) {
            None => Ok(object),
            Some(conversion) => self.written(resource, conversion.from_stored(object)),
        }
    }

    /// An object as the schema writes the resource's kind.
    fn written(&self, resource: &Resource, mut object: Value) -> Result<Value, Status> {
        object["apiVersion"] = resource.api_version().into();
        object["kind"] = resource.kind.as_ref().into();
        let id = self.schema().type_id(&resource.schema_type);
        let id = id.ok_or_else(|| Status::internal(format!("no type {}", resource.schema_type)))?;
        let decoded = self.schema().decode_value(object, id);
        decoded.map(|decoded| decoded.value).map_err(|why| {
            Status::internal(format!("{} cannot be converted: {why}", resource.gvr()))
        })
    }

    /// An answer in the client's version.
    pub(super) fn shown(&self, resource: &Resource, answer: Answer) -> Result<Answer, Status> {
        if resource.is_stored_form() || !answer.is_object {
            return Ok(answer);
        }
        let object = serde_json::from_slice(&answer.bytes).map_err(Status::internal)?;
        let bytes = object::canonicalize(self.from_stored(resource, object)?, resource);
        let bytes = match answer.revision {
            0 => bytes,
            revision => with_version(&bytes, revision),
        };
        Ok(Answer { bytes, ..answer })
    }

    /// A stored object in the client's version, with the header that it has.
    pub(super) fn shown_stored(
        &self,
        resource: &Resource,
        stored: &Stored,
    ) -> Result<Stored, Status> {
        let (value, managed) = split(stored)?;
        let shown = self.from_stored(resource, value)?;
        let bytes = object::canonicalize_managed(shown, resource, managed.as_deref());
        let splice = object::splice_offset(&bytes).map_err(Status::internal)?;
        Ok(Stored {
            header: stored.header.clone(),
            bytes,
            splice,
            revision: stored.revision,
            create_revision: stored.create_revision,
        })
    }

    /// The object of an event in the client's version, made once for all watches.
    pub(super) fn shown_event(
        &self,
        resource: &Resource,
        stored: &Arc<Stored>,
    ) -> Result<Arc<Stored>, Status> {
        if resource.is_stored_form() {
            return Ok(stored.clone());
        }
        let header = &stored.header;
        let name = (
            resource.api_version(),
            resource.key(&header.namespace, &header.name),
            stored.revision,
        );
        let make = || self.shown_stored(resource, stored);
        self.0.converted.get_or_make(name, make)
    }
}

/// A selector of the client's version in the names of the stored one.
pub(super) fn stored_fields(resource: &Resource, fields: FieldSelector) -> FieldSelector {
    if resource.is_stored_form() {
        return fields;
    }
    let renamed = fields.requirements().iter().map(|requirement| {
        let own = |field: &&ferrule_apimachinery::scheme::SelectableField| {
            field.name == *requirement.field
        };
        FieldRequirement {
            field: match resource.selectable_fields.iter().find(own) {
                Some(field) => field.stored.as_ref().into(),
                None => requirement.field.clone(),
            },
            ..requirement.clone()
        }
    });
    renamed.collect()
}
