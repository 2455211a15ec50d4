//! One resource as it was at one revision: immutable, and cheap to take and to keep.

use std::ops::Bound;
use std::sync::Arc;

use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::scheme::Resource;
use imbl::OrdMap;

use super::dispatch::WatchFilter;

/// Objects by `namespace/name`, or `name` where there are no namespaces.
pub(super) type Objects = OrdMap<Arc<str>, Arc<Stored>>;

/// All objects of a resource at one revision. A clone shares everything.
#[derive(Clone)]
pub struct Snapshot {
    /// The revision whose state this is.
    pub revision: i64,
    objects: Objects,
}

impl Snapshot {
    pub(super) fn new(revision: i64, objects: Objects) -> Self {
        Self { revision, objects }
    }

    /// One object; `namespace` is empty for resources without namespaces.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        self.objects.get(&*key(namespace, name)).cloned()
    }

    /// How many objects there are in all namespaces.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// All objects with their keys, in the order of the keys, which is the order of a LIST.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Stored>)> {
        self.objects.iter()
    }

    /// Objects of one namespace (all of them for `None`) whose keys come after `after`
    /// (a key as yielded by these iterators; the first page has `None`).
    pub fn iter_from<'s>(
        &'s self,
        namespace: Option<&str>,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'s Arc<str>, &'s Arc<Stored>)> + use<'s> {
        let prefix = namespace.map(|namespace| format!("{namespace}/"));
        let start = match (&prefix, after) {
            (Some(prefix), Some(after)) if after < prefix.as_str() => {
                Bound::Included(prefix.clone())
            }
            (_, Some(after)) => Bound::Excluded(after.to_owned()),
            (Some(prefix), None) => Bound::Included(prefix.clone()),
            (None, None) => Bound::Unbounded,
        };
        let bounds = (start.as_ref().map(String::as_str), Bound::<&str>::Unbounded);
        self.objects
            .range::<_, str>(bounds)
            .take_while(move |(key, _)| {
                prefix
                    .as_ref()
                    .is_none_or(|prefix| key.starts_with(prefix.as_str()))
            })
    }

    /// Objects that may be selected, looked for where the filter says, after `after` as in
    /// [`Snapshot::iter_from`]; that of a name is found without a walk over the others.
    pub fn candidates<'s>(
        &'s self,
        resource: &Resource,
        filter: &WatchFilter,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'s Arc<str>, &'s Arc<Stored>)> + use<'s> {
        let only = filter.key(resource);
        let walk = match only {
            Some(_) => None,
            None => Some(self.iter_from(filter.namespace.as_deref(), after)),
        };
        let found = only
            .and_then(|key| self.objects.get_key_value(&*key))
            .filter(|(key, _)| after.is_none_or(|after| &***key > after));
        found.into_iter().chain(walk.into_iter().flatten())
    }
}

/// The key of an object within its resource.
pub(super) fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}
