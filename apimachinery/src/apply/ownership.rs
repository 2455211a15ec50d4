//! What a write does to the owners of an object's fields, and what an applied configuration does to
//! the object.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::{Comparison, compare, same};
use super::conflict::{Conflict, refusal};
use super::element::Element;
use super::field_set::field_set;
use super::managers::{Identity, Managers, Operation, Owned};
use super::merge::merge;
use super::prune::prune;
use super::reconcile::reconcile;
use super::set::{Node, Set};
use super::{last_applied, validate};
use crate::schema::{Schema, TypeId};
use crate::status::Status;

/// Most managers of updates that are told apart.
const MAX_UPDATERS: usize = 10;
/// Owner of the fields that an object had before anybody's were kept.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The manager that takes over from client-side apply.
const KUBECTL: &str = "kubectl";

/// An object in another version of its kind.
pub trait Versions: Sync {
    /// The object in the version, with the type of that; `None` when the kind has no such version.
    fn convert(&self, object: &Value, api_version: &str) -> Option<(TypeId, Value)>;
}

/// A kind with one version.
#[derive(Clone, Copy, Debug)]
pub struct OneVersion;

impl Versions for OneVersion {
    fn convert(&self, _object: &Value, _api_version: &str) -> Option<(TypeId, Value)> {
        None
    }
}

/// The rules of ownership for one kind in one version, and for one of its subresources.
#[derive(Clone, Copy)]
pub struct Ownership<'s> {
    /// The types.
    pub schema: &'s Schema,
    /// The type of the objects.
    pub id: TypeId,
    /// `apps/v1`.
    pub api_version: &'s str,
    /// `Deployment`.
    pub kind: &'s str,
    /// `""` for the object itself.
    pub subresource: &'s str,
    /// Fields that a write of this subresource cannot set.
    pub reset: &'s [&'s [&'s str]],
    /// The kind's other versions.
    pub versions: &'s dyn Versions,
}

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Name of the manager.
    pub manager: &'a str,
    /// Take what others own.
    pub force: bool,
    /// The time, in RFC 3339.
    pub now: &'a str,
}

/// An object before a write.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// The object, without `metadata.managedFields`.
    pub object: &'a Value,
    /// There is none yet; `object` is an empty one.
    pub absent: bool,
}

/// What an applied configuration made of an object.
#[derive(Debug)]
pub struct Applied {
    /// The object, to be brought into the form in which it is kept.
    pub object: Value,
    /// `metadata.managedFields` as JSON; `None` when nobody owns anything.
    pub managed: Option<Vec<u8>>,
}

/// Fields of an object's metadata that nobody owns.
const UNOWNED_METADATA: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

impl Ownership<'static> {
    /// The rules of a kind of the built-in schema that has one version, and a status that writes of the object
    /// leave alone; `None` when there is no such kind.
    pub fn builtin(api_version: &'static str, kind: &'static str) -> Option<Ownership<'static>> {
        let schema = Schema::builtin();
        Some(Ownership {
            schema,
            id: schema.object_type(api_version, kind)?,
            api_version,
            kind,
            subresource: "",
            reset: &[&["status"]],
            versions: &OneVersion,
        })
    }
}

impl Ownership<'_> {
    /// The managers after a write that was no apply; `None` when it changed nothing of theirs.
    ///
    /// `managed` are the managers before. An object whose owners were not kept so far stays without.
    pub fn update<'a>(
        &self,
        live: Live<'a>,
        new: &'a Value,
        managed: Managers<'a>,
        writer: Writer<'a>,
    ) -> Option<Managers<'a>> {
        if managed.is_empty() && !live.absent {
            return None;
        }
        let comparison = compare(self.schema, self.id, live.object, new);
        self.updated(live.object, new, comparison, managed, writer)
    }

    fn updated<'a>(
        &self,
        live: &'a Value,
        new: &'a Value,
        mut comparison: Comparison<'a>,
        managed: Managers<'a>,
        writer: Writer<'a>,
    ) -> Option<Managers<'a>> {
        comparison.exclude(self.reset);
        let removed = stripped(comparison.removed());
        let own = stripped(comparison.changed());
        if own.is_empty() && removed.is_empty() {
            return None;
        }
        let managed = self.reconciled(managed, live);
        let mut after = self.lose(live, new, &comparison, managed, None).ok()?;
        if !own.is_empty() {
            let identity = self.identity(writer.manager, Operation::Update);
            let before = after.remove(&identity).map(|owned| owned.fields);
            after.insert(
                identity,
                Owned {
                    api_version: Cow::Owned(self.api_version.to_owned()),
                    fields: before.unwrap_or_default().union(own),
                    time: Some(Cow::Borrowed(writer.now)),
                },
            );
        }
        Some(after.capped(MAX_UPDATERS))
    }

    /// The managers as they would be had they been written with this schema.
    fn reconciled<'a>(&self, managed: Managers<'a>, live: &'a Value) -> Managers<'a> {
        let changed: Vec<Option<Set<'a>>> = managed
            .iter()
            .map(|(_, owned)| {
                (owned.api_version == self.api_version)
                    .then(|| reconcile(self.schema, self.id, &owned.fields, live, &managed))?
            })
            .collect();
        if changed.iter().all(Option::is_none) {
            return managed;
        }
        let mut changed = changed.into_iter();
        managed.map_fields(|_, mut owned| {
            if let Some(fields) = changed.next().flatten() {
                owned.fields = fields;
            }
            Some(owned)
        })
    }

    /// The managers without the fields that changed or went. With a `keeper`, which is the manager that
    /// applies and may keep what it has, it is a conflict when another one loses a field.
    fn lose<'a>(
        &self,
        live: &'a Value,
        new: &Value,
        comparison: &Comparison<'_>,
        managed: Managers<'a>,
        keeper: Option<(&Identity<'a>, bool)>,
    ) -> Result<Managers<'a>, Vec<Conflict<'a>>> {
        let mut elsewhere: BTreeMap<String, Option<(Set<'static>, Set<'static>)>> = BTreeMap::new();
        let here = (comparison.changed(), comparison.removed());
        let may_refuse = keeper.is_some_and(|(_, force)| !force);
        let mut conflicts = Vec::new();
        let after = managed.map_fields(|identity, mut owned| {
            if keeper.is_some_and(|(keeper, _)| keeper == identity) {
                return Some(owned);
            }
            let (changed, removed) = if owned.api_version == self.api_version {
                (&here.0, &here.1)
            } else {
                // A version that is no more has no managers.
                let compared = elsewhere
                    .entry(owned.api_version.to_string())
                    .or_insert_with(|| self.compare_in(&owned.api_version, live, new));
                let (changed, removed) = compared.as_ref()?;
                (changed, removed)
            };
            if may_refuse {
                let lost = owned.fields.intersection(changed);
                if !lost.is_empty() {
                    conflicts.push(Conflict {
                        manager: identity.clone(),
                        api_version: owned.api_version.clone(),
                        fields: lost,
                    });
                }
            }
            owned.fields = owned.fields.difference(changed).difference(removed);
            Some(owned)
        });
        if conflicts.is_empty() {
            Ok(after)
        } else {
            Err(conflicts)
        }
    }

    fn compare_in(
        &self,
        api_version: &str,
        live: &Value,
        new: &Value,
    ) -> Option<(Set<'static>, Set<'static>)> {
        let (id, live) = self.versions.convert(live, api_version)?;
        let (_, new) = self.versions.convert(new, api_version)?;
        let mut comparison = compare(self.schema, id, &live, &new);
        comparison.exclude(self.reset);
        Some((
            comparison.changed().into_owned(),
            comparison.removed().into_owned(),
        ))
    }

    fn identity<'a>(&self, manager: &'a str, operation: Operation) -> Identity<'a> {
        let manager = match manager {
            "" => "unknown",
            manager => manager,
        };
        Identity {
            manager: Cow::Borrowed(manager),
            operation,
            api_version: match operation {
                Operation::Apply => Cow::Borrowed(""),
                Operation::Update => Cow::Owned(self.api_version.to_owned()),
            },
            subresource: Cow::Owned(self.subresource.to_owned()),
        }
    }

    /// Lays a configuration over an object: the object with what it says and without what the manager
    /// applied last time, does not apply now and nobody else owns.
    pub fn apply<'a>(
        &self,
        live: Live<'a>,
        config: &'a Value,
        managed: Managers<'a>,
        writer: Writer<'a>,
    ) -> Result<Applied, Status> {
        self.check(config)?;
        let empty = self.schema.empty_object(self.id);
        // Whoever set what is there without being kept is one manager from now on.
        let mut managed = managed;
        if managed.is_empty() && !live.absent {
            let all = compare(self.schema, self.id, &empty, live.object);
            let before = Writer {
                manager: BEFORE_FIRST_APPLY,
                ..writer
            };
            managed = self
                .updated(&empty, live.object, all, managed, before)
                .unwrap_or_default();
        }
        let managed = self.reconciled(managed, live.object);
        let mut outcome = self.apply_once(live, config, &managed, writer);
        if writer.manager == KUBECTL
            && let Err(conflicts) = outcome
        {
            let allowed = last_applied::unchanged(self, live.object);
            let left = last_applied::without(conflicts, allowed.as_ref());
            outcome = if left.is_empty() {
                let forced = Writer {
                    force: true,
                    ..writer
                };
                self.apply_once(live, config, &managed, forced)
            } else {
                Err(left)
            };
        }
        let mut applied = outcome.map_err(refusal)?;
        if writer.manager == KUBECTL {
            last_applied::renew(&mut applied.object, config);
        }
        Ok(applied)
    }

    /// Refuses a configuration that is of another type, or says who owns what.
    fn check(&self, config: &Value) -> Result<(), Status> {
        let text = |field: &str| config[field].as_str().unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if (api_version, kind) != (self.api_version, self.kind) {
            return Err(Status::bad_request(format!(
                "invalid object type: {}",
                group_version_kind(api_version, kind)
            )));
        }
        if config["metadata"]
            .get("managedFields")
            .is_some_and(|sent| !sent.is_null())
        {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        match validate::problems(self.schema, self.id, config) {
            None => Ok(()),
            Some(why) => Err(Status::bare_error(format!(
                "failed to create typed patch object ({}): {why}",
                self.named(config)
            ))),
        }
    }

    /// An object as errors name it: `ns/name; apps/v1, Kind=Deployment`.
    pub fn named(&self, object: &Value) -> String {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        format!(
            "{}/{}; {}",
            text("namespace"),
            text("name"),
            group_version_kind(self.api_version, self.kind)
        )
    }

    fn apply_once<'a>(
        &self,
        live: Live<'a>,
        config: &'a Value,
        managed: &Managers<'a>,
        writer: Writer<'a>,
    ) -> Result<Applied, Vec<Conflict<'a>>> {
        let identity = self.identity(writer.manager, Operation::Apply);
        let merged = merge(self.schema, self.id, live.object, config);
        let fields = self.without_reset(field_set(self.schema, self.id, config));
        let mut managed = managed.clone();
        let last = managed.remove(&identity).map(|owned| Owned {
            fields: self.without_reset(owned.fields),
            ..owned
        });
        let owned = Owned {
            api_version: Cow::Owned(self.api_version.to_owned()),
            fields: fields.clone(),
            time: last.as_ref().and_then(|last| last.time.clone()),
        };
        managed.insert(identity.clone(), owned);
        let object = match last {
            Some(last) if !last.fields.is_empty() => prune(self, merged, &managed, &last),
            _ => merged,
        };
        let mut comparison = compare(self.schema, self.id, live.object, &object);
        comparison.exclude(self.reset);
        let keeper = Some((&identity, writer.force));
        let mut managed = self.lose(live.object, &object, &comparison, managed, keeper)?;
        let unchanged = same(live.object, &object);
        if let Some(mut own) = managed.remove(&identity) {
            own.fields = stripped(own.fields);
            if !unchanged {
                own.time = Some(Cow::Borrowed(writer.now));
            }
            managed.insert(identity, own);
        }
        Ok(Applied {
            managed: managed.to_json(),
            object: if unchanged {
                live.object.clone()
            } else {
                object
            },
        })
    }

    fn without_reset<'a>(&self, mut fields: Set<'a>) -> Set<'a> {
        for path in self.reset {
            fields = fields.recursive_difference(&Set::of_path(path));
        }
        fields
    }
}

/// The fields without those that nobody owns.
fn stripped(fields: Set<'_>) -> Set<'_> {
    let unowned = |node: &Node<'_>, names: &[&str]| matches!(&node.element, Element::Field(name) if names.contains(&&**name));
    let nodes = fields.into_nodes().into_iter().filter_map(|mut node| {
        if unowned(&node, &["apiVersion", "kind"]) {
            return None;
        }
        if unowned(&node, &["metadata"]) {
            node.member = false;
            let below = node.children.into_nodes().into_iter();
            let kept = below.filter(|node| !unowned(node, UNOWNED_METADATA));
            node.children = Set::from_nodes(kept.collect());
        }
        Some(node)
    });
    Set::from_nodes(nodes.collect())
}

/// Group, version and kind as Go prints them; core has no name.
fn group_version_kind(api_version: &str, kind: &str) -> String {
    let core = if api_version.contains('/') { "" } else { "/" };
    format!("{core}{api_version}, Kind={kind}")
}
