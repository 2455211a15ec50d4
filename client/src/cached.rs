//! Objects in a cache: their keys, what is kept of them, and how they change.

use std::fmt;
use std::sync::Arc;

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::object::without_managed_fields;
use serde::de::DeserializeOwned;

/// The name of an object within its resource.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `""` for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// A namespaced object.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Key {
        Key {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// A cluster-scoped object.
    pub fn cluster(name: impl Into<Arc<str>>) -> Key {
        Key::new("", name)
    }

    /// The key of an object.
    pub fn of(header: &Header) -> Key {
        Key::new(header.namespace.as_ref(), header.name.as_ref())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            return f.write_str(&self.name);
        }
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a consumer keeps of an object, besides its header.
pub trait Projection: Send + Sync + Sized + 'static {
    /// Takes what is needed from the object's JSON.
    fn project(header: &Header, json: &[u8]) -> Result<Self, serde_json::Error>;
}

/// The header alone.
impl Projection for () {
    fn project(_: &Header, _: &[u8]) -> Result<(), serde_json::Error> {
        Ok(())
    }
}

/// Any type that can be read from the JSON: a small one of the consumer's own, or a whole typed
/// object where a consumer truly needs all of it.
#[derive(Clone, Debug, Default)]
pub struct Typed<T>(pub T);

impl<T: DeserializeOwned + Send + Sync + 'static> Projection for Typed<T> {
    fn project(_: &Header, json: &[u8]) -> Result<Self, serde_json::Error> {
        // Nobody here has a use for managedFields, which would be as large as the rest.
        serde_json::from_slice(&without_managed_fields(json)).map(Typed)
    }
}

impl<T> std::ops::Deref for Typed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// An object in the cache.
#[derive(Debug)]
pub struct Cached<T> {
    /// Names, labels, owners.
    pub header: Header,
    /// The object's resourceVersion.
    pub revision: i64,
    /// What the consumer keeps.
    pub value: T,
}

impl<T> Cached<T> {
    /// The key of the object.
    pub fn key(&self) -> Key {
        Key::of(&self.header)
    }
}

/// A change of the cache.
#[derive(Debug)]
pub enum Change<T> {
    /// The object is new.
    Added(Arc<Cached<T>>),
    /// The object was there before.
    Modified {
        /// As it was.
        old: Arc<Cached<T>>,
        /// As it is.
        new: Arc<Cached<T>>,
    },
    /// The object is gone; its last state.
    Deleted(Arc<Cached<T>>),
}

impl<T> Change<T> {
    /// The object after the change, or as it was before its deletion.
    pub fn object(&self) -> &Arc<Cached<T>> {
        match self {
            Change::Added(object)
            | Change::Deleted(object)
            | Change::Modified { new: object, .. } => object,
        }
    }

    /// The key of the object.
    pub fn key(&self) -> Key {
        self.object().key()
    }
}

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        match self {
            Change::Added(object) => Change::Added(object.clone()),
            Change::Modified { old, new } => Change::Modified {
                old: old.clone(),
                new: new.clone(),
            },
            Change::Deleted(object) => Change::Deleted(object.clone()),
        }
    }
}
