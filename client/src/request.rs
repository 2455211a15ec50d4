//! What requests say and what answers hold.

use bytes::Bytes;
use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_apimachinery::status::Status;
use ferrule_proto::v1;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A resource, a collection of it or one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Group, version and plural.
    pub gvr: GroupVersionResource,
    /// `""`: all namespaces, or cluster-scoped.
    pub namespace: String,
    /// `""`: the collection.
    pub name: String,
    /// `""`: the object itself.
    pub subresource: String,
}

impl At {
    /// The resource in all namespaces.
    pub fn of(gvr: GroupVersionResource) -> At {
        At {
            gvr,
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        }
    }

    /// In one namespace.
    pub fn namespace(mut self, namespace: impl Into<String>) -> At {
        self.namespace = namespace.into();
        self
    }

    /// One object.
    pub fn name(mut self, name: impl Into<String>) -> At {
        self.name = name.into();
        self
    }

    /// A subresource of the object.
    pub fn subresource(mut self, subresource: impl Into<String>) -> At {
        self.subresource = subresource.into();
        self
    }

    pub(crate) fn wire(&self) -> Option<v1::ResourceRef> {
        Some(v1::ResourceRef {
            group: self.gvr.group.to_string(),
            version: self.gvr.version.to_string(),
            resource: self.gvr.resource.to_string(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            subresource: self.subresource.clone(),
        })
    }
}

/// An object as the server answered it.
#[derive(Clone, Debug)]
pub struct Object {
    /// JSON, with its resourceVersion.
    pub bytes: Bytes,
    /// The revision of the object, or of its deletion; 0 when nothing is stored.
    pub revision: i64,
    /// An update that made the object.
    pub created: bool,
}

impl Object {
    /// The object as a type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Status> {
        parse(&self.bytes)
    }
}

impl From<v1::ObjectResponse> for Object {
    fn from(response: v1::ObjectResponse) -> Object {
        Object {
            bytes: response.object,
            revision: response.revision,
            created: response.created,
        }
    }
}

/// JSON bytes as a type; what does not fit is an internal error that says so.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Status> {
    serde_json::from_slice(bytes)
        .map_err(|error| Status::internal(format!("the server's answer cannot be read: {error}")))
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// A label selector, in text.
    pub label_selector: String,
    /// A field selector, in text.
    pub field_selector: String,
    /// Objects a page; 0 is no limit.
    pub limit: i64,
    /// Where the last page ended.
    pub continue_token: String,
    /// `""` is the most recent state, `"0"` any.
    pub resource_version: String,
    /// The shape of the answer.
    pub form: v1::Form,
}

/// A page of objects.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Each object as JSON; empty in the form Table.
    pub items: Vec<Bytes>,
    /// The Table as JSON, in that form.
    pub table: Bytes,
    /// The revision of the list.
    pub revision: i64,
    /// Where to go on; `""` at the end.
    pub continue_token: String,
    /// How many objects come after this page, where known.
    pub remaining: Option<i64>,
}

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// A label selector, in text.
    pub label_selector: String,
    /// A field selector, in text.
    pub field_selector: String,
    /// The revision after which to begin; `""` for the present state first.
    pub resource_version: String,
    /// Send the present state first, then a batch with `initial_events_end`.
    pub send_initial_events: bool,
    /// The shape of the objects.
    pub form: v1::Form,
}

/// One change in a watch.
#[derive(Clone, Debug)]
pub struct Change {
    /// Added, modified or deleted.
    pub kind: v1::EventType,
    /// The revision of the change.
    pub revision: i64,
    /// The object as JSON.
    pub object: Bytes,
}

/// Changes up to and including a revision.
#[derive(Clone, Debug)]
pub struct Batch {
    /// In the order of their revisions.
    pub changes: Vec<Change>,
    /// Everything up to here has been seen.
    pub revision: i64,
    /// The present state is complete with this batch.
    pub initial_events_end: bool,
}

/// How a write is made.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Do everything but store.
    pub dry_run: bool,
    /// Who writes, for managedFields.
    pub field_manager: String,
    /// `""`, `Ignore`, `Warn` or `Strict`.
    pub field_validation: String,
    /// The shape of the answer.
    pub form: v1::Form,
}

impl WriteOptions {
    pub(crate) fn wire(&self) -> Option<v1::WriteOptions> {
        Some(v1::WriteOptions {
            dry_run: self.dry_run,
            field_manager: self.field_manager.clone(),
            field_validation: self.field_validation.clone(),
        })
    }
}

/// A change to an object.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 7396.
    Merge(Value),
    /// Kubernetes' own, by the schema's merge keys.
    Strategic(Value),
    /// RFC 6902.
    Json(Value),
    /// Server-side apply: what the manager wants of the object.
    Apply {
        /// The object, as far as the manager has an opinion on it.
        object: Value,
        /// Take fields over that belong to others.
        force: bool,
    },
}

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The object first, the dependents by the garbage collector.
    Background,
    /// The dependents first.
    Foreground,
    /// The dependents stay.
    Orphan,
}

/// How an object is deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds; `None` is the object's own.
    pub grace_period_seconds: Option<i64>,
    /// What becomes of the dependents; `None` is the resource's default.
    pub propagation: Option<Propagation>,
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only in this state.
    pub resource_version: Option<String>,
    /// Do everything but delete.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Only the object with this uid.
    pub fn only_uid(uid: impl Into<String>) -> DeleteOptions {
        DeleteOptions {
            uid: Some(uid.into()),
            ..DeleteOptions::default()
        }
    }

    pub(crate) fn wire(&self) -> Bytes {
        let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = self.grace_period_seconds {
            options["gracePeriodSeconds"] = json!(seconds);
        }
        if let Some(propagation) = self.propagation {
            options["propagationPolicy"] = json!(format!("{propagation:?}"));
        }
        if let Some(uid) = &self.uid {
            options["preconditions"]["uid"] = json!(uid);
        }
        if let Some(version) = &self.resource_version {
            options["preconditions"]["resourceVersion"] = json!(version);
        }
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        Bytes::from(options.to_string())
    }
}
