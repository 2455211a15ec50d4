//! The whole table as the sum of what its services contribute, and what a change of some of them changes.
//!
//! A change costs what the changed services have, however many others there are.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::Arc;

use crate::objects::ServiceName;
use crate::ruleset::{Fragment, Key, Settings, Value};
use crate::spread::Chain;

/// All that varies in the table; the rest follows from the settings.
#[derive(Debug, Clone)]
pub struct Ruleset {
    settings: Settings,
    fragments: BTreeMap<ServiceName, Arc<Fragment>>,
    claims: BTreeMap<Key, Claim>,
    chains: BTreeMap<Chain, usize>,
}

/// Which services have an element: nearly always one. The first by name says what it gives.
#[derive(Debug, Clone)]
enum Claim {
    One(ServiceName),
    Several(BTreeSet<ServiceName>),
}

/// What to do: new chains first, then elements out, then elements in, then chains that nothing leads to any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Chains to add.
    pub new_chains: BTreeSet<Chain>,
    /// Elements to remove, in the order of keys; also those whose value changes.
    pub remove: Vec<Key>,
    /// Elements to add, in the order of keys.
    pub add: Vec<(Key, Value)>,
    /// Chains to remove.
    pub old_chains: BTreeSet<Chain>,
}

impl Changes {
    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Ruleset {
    /// A table without services.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            fragments: BTreeMap::new(),
            claims: BTreeMap::new(),
            chains: BTreeMap::new(),
        }
    }

    /// What the flags say.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What each service contributes.
    pub fn fragments(&self) -> &BTreeMap<ServiceName, Arc<Fragment>> {
        &self.fragments
    }

    /// The chains that services share.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> + Clone {
        self.chains.keys()
    }

    /// All elements, in the order of keys.
    pub fn elements(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.range(..)
    }

    /// The elements of a range of keys.
    pub fn range(
        &self,
        keys: impl std::ops::RangeBounds<Key>,
    ) -> impl Iterator<Item = (&Key, &Value)> {
        let claims = self.claims.range(keys);
        claims.filter_map(|(key, claim)| Some((key, self.value_by(key, claim)?)))
    }

    /// What an element gives.
    pub fn value(&self, key: &Key) -> Option<&Value> {
        self.value_by(key, self.claims.get(key)?)
    }

    fn value_by(&self, key: &Key, claim: &Claim) -> Option<&Value> {
        let owner = match claim {
            Claim::One(owner) => owner,
            Claim::Several(owners) => owners.first()?,
        };
        self.fragments.get(owner)?.elements.get(key)
    }

    /// Puts what these services contribute in place of what they did; says what that changes.
    pub fn update(&mut self, changed: BTreeMap<ServiceName, Option<Fragment>>) -> Changes {
        let changed: Vec<_> = changed
            .into_iter()
            .map(|(name, new)| (self.fragments.get(&name).cloned(), name, new.map(Arc::new)))
            .filter(|(old, _, new)| old != new)
            .collect();
        let mut before = BTreeMap::new();
        let mut counts: BTreeMap<Chain, isize> = BTreeMap::new();
        for (old, _, new) in &changed {
            for key in touched(old.as_deref(), new.as_deref()) {
                before
                    .entry(key)
                    .or_insert_with(|| self.value(&key).cloned());
            }
            for (fragment, by) in [(old, -1), (new, 1)] {
                for chain in fragment.iter().flat_map(|fragment| &fragment.chains) {
                    *counts.entry(*chain).or_default() += by;
                }
            }
        }
        for (old, name, new) in changed {
            let empty = BTreeMap::new();
            let elements = |fragment: &Option<Arc<Fragment>>| fragment.clone();
            let (had, has) = (elements(&old), elements(&new));
            let had = had.as_ref().map_or(&empty, |fragment| &fragment.elements);
            let has = has.as_ref().map_or(&empty, |fragment| &fragment.elements);
            for key in had.keys().filter(|key| !has.contains_key(key)) {
                self.release(*key, &name);
            }
            for key in has.keys().filter(|key| !had.contains_key(key)) {
                self.claim(*key, &name);
            }
            match new {
                Some(new) => drop(self.fragments.insert(name, new)),
                None => drop(self.fragments.remove(&name)),
            }
        }
        let mut changes = Changes::default();
        for (key, was) in before {
            let is = self.value(&key);
            if was.as_ref() != is {
                changes.remove.extend(was.map(|_| key));
                changes.add.extend(is.map(|value| (key, value.clone())));
            }
        }
        for (chain, by) in counts {
            self.count(chain, by, &mut changes);
        }
        changes
    }

    fn claim(&mut self, key: Key, name: &ServiceName) {
        match self.claims.entry(key) {
            btree_map::Entry::Vacant(place) => drop(place.insert(Claim::One(name.clone()))),
            btree_map::Entry::Occupied(mut place) => match place.get_mut() {
                Claim::Several(names) => drop(names.insert(name.clone())),
                Claim::One(other) => {
                    let names = BTreeSet::from([other.clone(), name.clone()]);
                    *place.get_mut() = Claim::Several(names);
                }
            },
        }
    }

    fn release(&mut self, key: Key, name: &ServiceName) {
        let btree_map::Entry::Occupied(mut place) = self.claims.entry(key) else {
            return;
        };
        let left = match place.get_mut() {
            Claim::One(_) => None,
            Claim::Several(names) => {
                names.remove(name);
                match names.len() {
                    0 => None,
                    1 => names.pop_first().map(Claim::One),
                    _ => return,
                }
            }
        };
        match left {
            Some(claim) => *place.get_mut() = claim,
            None => drop(place.remove()),
        }
    }

    fn count(&mut self, chain: Chain, by: isize, changes: &mut Changes) {
        let was = self.chains.get(&chain).copied().unwrap_or_default();
        let is = was.saturating_add_signed(by);
        if is == 0 {
            self.chains.remove(&chain);
        } else {
            self.chains.insert(chain, is);
        }
        match (was, is) {
            (0, 1..) => drop(changes.new_chains.insert(chain)),
            (1.., 0) => drop(changes.old_chains.insert(chain)),
            _ => {}
        }
    }
}

/// The keys in which two fragments differ.
fn touched(old: Option<&Fragment>, new: Option<&Fragment>) -> Vec<Key> {
    let value = |fragment: Option<&Fragment>, key: &Key| -> Option<Value> {
        fragment?.elements.get(key).cloned()
    };
    let keys = |fragment: Option<&Fragment>| -> Vec<Key> {
        fragment.map_or_else(Vec::new, |fragment| {
            fragment.elements.keys().copied().collect()
        })
    };
    let mut touched = keys(old);
    touched.extend(keys(new));
    touched.sort_unstable();
    touched.dedup();
    touched.retain(|key| value(old, key) != value(new, key));
    touched
}

#[cfg(test)]
mod tests;
