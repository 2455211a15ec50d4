//! Which resource a key of etcd belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use ferrule_apimachinery::scheme::{Resource, Scheme};

/// Position of a resource in the table, and of everything that is kept per resource.
pub(super) type Index = usize;

/// The resources of the scheme by the prefix of their keys.
pub(super) struct Table {
    resources: Vec<Arc<Resource>>,
    prefixes: Vec<String>,
    by_prefix: HashMap<String, Index>,
}

impl Table {
    pub(super) fn new(scheme: &Scheme) -> Self {
        let mut table = Self {
            resources: Vec::new(),
            prefixes: Vec::new(),
            by_prefix: HashMap::new(),
        };
        // Versions of one resource share their keys, and so their cache, in the form that is stored.
        let kept = |resource: &&Arc<Resource>| resource.is_kept() && resource.is_stored_form();
        for resource in scheme.iter().filter(kept) {
            let prefix = prefix(resource);
            table.prefixes.push(prefix.clone());
            table.by_prefix.insert(prefix, table.resources.len());
            table.resources.push(resource.clone());
        }
        table
    }

    pub(super) fn len(&self) -> usize {
        self.resources.len()
    }

    pub(super) fn resource(&self, index: Index) -> &Arc<Resource> {
        &self.resources[index]
    }

    /// What the keys of a resource begin with.
    pub(super) fn prefix(&self, index: Index) -> &str {
        &self.prefixes[index]
    }

    /// The resources of this plural name, in any group.
    pub(super) fn with_plural(&self, plural: &str) -> impl Iterator<Item = Index> {
        (0..self.len()).filter(move |&index| self.resources[index].plural == plural)
    }

    pub(super) fn index_of(&self, resource: &Resource) -> Option<Index> {
        self.by_prefix.get(&prefix(resource)).copied()
    }

    /// The resource of a key, and the rest of the key: `namespace/name` or `name`.
    pub(super) fn locate<'k>(&self, key: &'k str) -> Option<(Index, &'k str)> {
        let rest = key.strip_prefix("/registry/")?;
        let start = key.len() - rest.len();
        let mut slashes = rest.match_indices('/').map(|(at, _)| start + at + 1);
        let (first, second) = (slashes.next()?, slashes.next());
        // `<group>/<plural>/` before `<plural>/`: no core resource is named like a group.
        [second, Some(first)].into_iter().flatten().find_map(|cut| {
            let index = *self.by_prefix.get(&key[..cut])?;
            (cut < key.len()).then(|| (index, &key[cut..]))
        })
    }
}

/// `/registry/<plural>/` or `/registry/<group>/<plural>/`, with the slash at its end.
fn prefix(resource: &Resource) -> String {
    let mut prefix = resource.storage_prefix().to_string();
    if !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}
