//! Owners of a field that a subresource of another kind shows: `spec.replicas` and its Scale.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::managers::{Identity, Managers, Operation, Owned};
use super::set::Set;

/// `autoscaling/v1`, the version of every Scale.
pub const SCALE_VERSION: &str = "autoscaling/v1";
/// Where a Scale has what it sets.
const IN_SCALE: &[&str] = &["spec", "replicas"];

/// The field of an object that its Scale sets.
#[derive(Clone, Copy, Debug)]
pub struct ScaledField<'s> {
    /// The version of the object: `apps/v1`.
    pub api_version: &'s str,
    /// `spec`, `replicas`.
    pub path: &'s [&'s str],
}

impl ScaledField<'_> {
    /// The managers of the Scale: those who own the field.
    pub fn to_scale<'a>(&self, parent: &Managers<'a>) -> Managers<'a> {
        let mut scale = Managers::default();
        for (identity, owned) in parent.iter() {
            if owned.api_version != self.api_version || !owned.fields.has_path(self.path) {
                continue;
            }
            let identity = Identity {
                api_version: match identity.operation {
                    Operation::Apply => identity.api_version.clone(),
                    Operation::Update => Cow::Borrowed(SCALE_VERSION),
                },
                ..identity.clone()
            };
            let owned = Owned {
                api_version: Cow::Borrowed(SCALE_VERSION),
                fields: Set::of_path(IN_SCALE),
                time: owned.time.clone(),
            };
            scale.insert(identity, owned);
        }
        scale
    }

    /// The managers of the object after those of its Scale have become `scale`.
    ///
    /// The field is taken from managers that do not have it in the Scale any more; who has it only
    /// there gets an entry, without a time.
    pub fn to_parent<'a>(&self, parent: Managers<'a>, scale: &Managers<'a>) -> Managers<'a> {
        let mut left: BTreeMap<Identity<'a>, ()> = scale
            .iter()
            .filter(|(_, owned)| owned.fields.has_path(IN_SCALE))
            .map(|(identity, _)| (self.in_parent(identity), ()))
            .collect();
        let mut after = parent.map_fields(|identity, mut owned| {
            if owned.api_version == self.api_version
                && owned.fields.has_path(self.path)
                && left.remove(identity).is_none()
            {
                owned.fields = owned.fields.difference(&Set::of_path(self.path));
            }
            Some(owned)
        });
        for identity in left.into_keys() {
            let path = Set::of_path(self.path).into_owned();
            let fields = match after.remove(&identity) {
                Some(owned) => owned.fields.union(path),
                None => path,
            };
            let owned = Owned {
                api_version: Cow::Owned(self.api_version.to_owned()),
                fields,
                time: None,
            };
            after.insert(identity, owned);
        }
        after
    }

    fn in_parent<'a>(&self, identity: &Identity<'a>) -> Identity<'a> {
        Identity {
            api_version: match identity.operation {
                Operation::Apply => identity.api_version.clone(),
                Operation::Update => Cow::Owned(self.api_version.to_owned()),
            },
            ..identity.clone()
        }
    }
}
