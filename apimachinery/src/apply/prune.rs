//! Takes away what a manager applied last time, does not apply now, and nobody else owns.

use std::collections::BTreeMap;

use serde_json::Value;

use super::field_set::{field_set, with_named_fields};
use super::managers::{Managers, Owned};
use super::ownership::Ownership;
use super::remove::remove;
use super::set::Set;
use crate::schema::TypeId;

/// An object in one of its kind's versions.
#[derive(Clone)]
struct Versioned<'v> {
    id: TypeId,
    api_version: &'v str,
    object: Value,
}

/// The merged object without what went out of the manager's configuration. `last` is what it owned
/// before; `managed` has what it owns now.
pub(super) fn prune(
    rules: &Ownership<'_>,
    merged: Value,
    managed: &Managers<'_>,
    last: &Owned<'_>,
) -> Value {
    let whole = Versioned {
        id: rules.id,
        api_version: rules.api_version,
        object: merged,
    };
    match pruned(rules, &whole, managed, last) {
        Some(object) => object,
        // The last version is no more: there is nothing to compare with.
        None => whole.object,
    }
}

fn pruned(
    rules: &Ownership<'_>,
    whole: &Versioned<'_>,
    managed: &Managers<'_>,
    last: &Owned<'_>,
) -> Option<Value> {
    let merged = whole.in_version(rules, &last.api_version)?;
    let last_fields = merged.named(rules, last.fields.clone());
    let without_last = merged.without(rules, &last_fields);
    let kept = add_back_owned(rules, &merged, without_last, managed);
    let kept = kept.in_version(rules, &last.api_version)?;
    let gone = merged
        .fields(rules)
        .difference(&kept.fields(rules))
        .intersection(&last_fields);
    let left = merged.without(rules, &gone);
    left.in_version(rules, whole.api_version)
        .map(|left| left.object)
}

/// The pruned object with everything that somebody owns.
fn add_back_owned<'v>(
    rules: &Ownership<'_>,
    merged: &Versioned<'v>,
    pruned: Versioned<'v>,
    managed: &'v Managers<'_>,
) -> Versioned<'v> {
    let mut owned: BTreeMap<&'v str, Set<'_>> = BTreeMap::new();
    for (_, manager) in managed.iter() {
        let fields = owned.entry(&*manager.api_version).or_default();
        *fields = std::mem::take(fields).union(manager.fields.clone());
    }
    let (mut merged, mut pruned) = (merged.clone(), pruned);
    // What conversion needs must not be missing: the version at hand comes first.
    let here = owned.remove_entry(merged.api_version);
    for (version, fields) in here.into_iter().chain(owned) {
        let (Some(whole), Some(part)) = (
            merged.in_version(rules, version),
            pruned.in_version(rules, version),
        ) else {
            continue;
        };
        let kept = part
            .fields(rules)
            .union(whole.named(rules, fields).into_owned());
        let gone = whole.fields(rules).difference(&kept);
        pruned = whole.without(rules, &gone);
        merged = whole;
    }
    pruned
}

impl<'v> Versioned<'v> {
    fn in_version<'w>(&self, rules: &Ownership<'_>, api_version: &'w str) -> Option<Versioned<'w>> {
        let (id, object) = if api_version == self.api_version {
            (self.id, self.object.clone())
        } else if api_version == rules.api_version {
            let (_, object) = rules.versions.convert(&self.object, api_version)?;
            (rules.id, object)
        } else {
            rules.versions.convert(&self.object, api_version)?
        };
        Some(Versioned {
            id,
            api_version,
            object,
        })
    }

    fn named<'a>(&self, rules: &Ownership<'_>, fields: Set<'a>) -> Set<'a> {
        with_named_fields(rules.schema, self.id, fields)
    }

    fn fields(&self, rules: &Ownership<'_>) -> Set<'_> {
        self.named(rules, field_set(rules.schema, self.id, &self.object))
    }

    fn without(&self, rules: &Ownership<'_>, fields: &Set<'_>) -> Versioned<'v> {
        Versioned {
            object: remove(rules.schema, self.id, &self.object, fields),
            ..*self
        }
    }
}
