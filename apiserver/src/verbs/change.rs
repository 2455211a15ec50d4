//! The loop under every write: plan on the cache, commit, plan again after a conflict.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use ferrule_apimachinery::object::{self, Stored};
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::allocation::World;
use super::effects::Effects;
use super::metadata::{split, with_version};
use super::{Answer, Api, Call, Target, epoch, errors, owners};
use crate::admission::{self, NamespaceState};
use crate::store::{CommitError, Compare, ReadAt, Txn};

/// The object as it is stored.
pub(super) struct Current {
    /// As the cache has it.
    pub stored: Arc<Stored>,
    /// As clients see it, with its resourceVersion but without managedFields.
    pub value: Value,
    /// The managedFields, as JSON.
    pub managed: Option<Bytes>,
}

/// What a plan wants done.
pub(super) enum Step {
    /// Nothing.
    Keep,
    /// Store this.
    Put(Value, Effects),
    /// Remove the object; the answer shows it like this.
    Remove(Value, Effects),
}

/// What was done.
pub(super) enum Outcome {
    Kept(Arc<Stored>),
    Put(Answer),
    Removed(Answer),
}

impl Outcome {
    pub fn answer(self) -> Answer {
        match self {
            Outcome::Kept(stored) => {
                Answer::object(stored.with_resource_version(), stored.revision)
            }
            Outcome::Put(answer) | Outcome::Removed(answer) => answer,
        }
    }
}

/// A plan: from the current object, if there is one, to what is to be done.
pub(super) type Plan<'a> =
    &'a mut (dyn FnMut(Option<&Current>, &World) -> Result<Step, Status> + Send);

impl Api {
    /// Plans and commits until the plan's picture of the object was the real one.
    ///
    /// The first plan is made on the cache as it is; a refusal, nothing to do, or what nobody will commit is
    /// believed only when the cache has reached what was current after the request came.
    pub(super) async fn change(
        &self,
        call: &Call,
        target: &Target,
        dry_run: bool,
        plan: Plan<'_>,
    ) -> Result<Outcome, Status> {
        let resource = &target.resource;
        let mut consistent = false;
        // Who owns which field takes as much room as the fields.
        let mut with_owners = true;
        let mut taken = HashSet::new();
        loop {
            let world = self.world(call, resource, &taken).await?;
            let snapshot = self.read(resource, ReadAt::Any, call).await?;
            let current = match snapshot.get(&target.namespace, &target.name) {
                Some(stored) => {
                    let (value, managed) = split(&stored)?;
                    Some(Current {
                        stored,
                        value,
                        managed,
                    })
                }
                None => None,
            };
            let planned = match plan(current.as_ref(), &world) {
                Ok(Step::Put(value, effects)) => Ok(Some((value, effects, false))),
                Ok(Step::Remove(value, effects)) => Ok(Some((value, effects, true))),
                Ok(Step::Keep) => Ok(None),
                Err(status) => Err(status),
            };
            let planned = planned.map(|change| {
                change.and_then(|(mut value, effects, removed)| {
                    if effects.spaced {
                        object::set_spaced(&mut value);
                    }
                    let managed = owners::after(&effects.owners, current.as_ref(), &value);
                    let managed = managed.filter(|_| with_owners);
                    let form = self.stored_form(resource);
                    if let Some(id) = self.schema().type_id(&form.schema_type) {
                        self.schema().forget_empty(&mut value, id);
                    }
                    let bytes = object::canonicalize_managed(value, form, managed.as_deref());
                    let same = |current: &Current| !removed && current.stored.bytes == bytes;
                    let unchanged = current.as_ref().is_some_and(same);
                    (!unchanged).then_some((bytes, effects, removed))
                })
            });
            if !consistent && (dry_run || !matches!(planned, Ok(Some(_)))) {
                let reached = self.0.store.wait_for_current(call.store_deadline()).await;
                reached.map_err(errors::of_store)?;
                consistent = true;
                continue;
            }
            let Some((bytes, effects, removed)) = planned? else {
                return match current {
                    Some(current) => Ok(Outcome::Kept(current.stored)),
                    None => Err(errors::not_found(resource, &target.name)),
                };
            };
            let revision = current.as_ref().map(|current| current.stored.revision);
            if dry_run {
                return Ok(outcome(bytes, revision.unwrap_or_default(), removed));
            }
            let put = (!removed).then(|| bytes.clone());
            let txn = transaction(call, target, revision, put, effects);
            let keys = txn.compare.iter().map(|compare| compare.key().to_owned());
            let compared: Vec<String> = keys.collect();
            match self.0.store.commit(txn, call.store_deadline()).await {
                Ok(committed) => {
                    if is_read_by_admission(resource) {
                        // Best effort: the write is done, seen here or not.
                        let deadline = call.store_deadline();
                        let _ = self.0.store.wait_for(committed.revision, deadline).await;
                    }
                    return Ok(outcome(bytes, committed.revision, removed));
                }
                Err(CommitError::Conflict { revision, failed }) => {
                    if call.epoch.is_some() && failed.contains(&EPOCH_COMPARE) {
                        return Err(errors::epoch_over(resource, &target.name));
                    }
                    let others = failed.into_iter().filter(|index| *index > 0);
                    taken.extend(others.filter_map(|index| compared.get(index).cloned()));
                    let reached = self.0.store.wait_for(revision, call.store_deadline()).await;
                    reached.map_err(errors::of_store)?;
                    consistent = true;
                }
                Err(CommitError::TooLarge(_)) if with_owners && !removed => with_owners = false,
                Err(error) => return Err(errors::of_commit(&error)),
            }
            if Instant::now() >= call.deadline {
                return Err(errors::modified(resource, &target.name));
            }
        }
    }

    /// What else a write sees besides its own object.
    async fn world(
        &self,
        call: &Call,
        resource: &Resource,
        taken: &HashSet<String>,
    ) -> Result<World, Status> {
        let scheme = &self.0.scheme;
        let mut world = World {
            now: Timestamp::now(),
            namespaces: None,
            addresses: None,
            services: None,
            classes: None,
            default_classes: None,
            taken: taken.clone(),
            seed: rand::random(),
        };
        if resource.namespaced
            && let Some(namespaces) = scheme.lookup("", "v1", "namespaces")
        {
            world.namespaces = Some(self.read(namespaces, ReadAt::Any, call).await?);
        }
        if resource.group.is_empty() && resource.plural == "services" {
            if let Some(addresses) = scheme.lookup("networking.k8s.io", "v1", "ipaddresses") {
                world.addresses = Some(self.read(addresses, ReadAt::Any, call).await?);
            }
            world.services = Some(self.read(resource, ReadAt::Any, call).await?);
        }
        let default_classes = match (resource.group.as_ref(), resource.plural.as_ref()) {
            ("", "persistentvolumeclaims") => {
                scheme.lookup("storage.k8s.io", "v1", "storageclasses")
            }
            ("networking.k8s.io", "ingresses") => {
                scheme.lookup("networking.k8s.io", "v1", "ingressclasses")
            }
            _ => None,
        };
        if let Some(classes) = default_classes {
            world.default_classes = Some(self.read(classes, ReadAt::Any, call).await?);
        }
        let classes = scheme.lookup("scheduling.k8s.io", "v1", "priorityclasses");
        if let Some(classes) = classes
            && (is_pods(resource) || resource.gvr() == classes.gvr())
        {
            world.classes = Some(self.read(classes, ReadAt::Any, call).await?);
        }
        Ok(world)
    }

    /// That the namespace takes new objects, as a condition of the transaction that makes one: an
    /// object never appears in a namespace whose deletion has begun.
    pub(super) fn namespace_condition(
        &self,
        target: &Target,
        world: &World,
    ) -> Result<Option<Compare>, Status> {
        let (Some(namespaces), Some(resource)) = (
            &world.namespaces,
            self.0.scheme.lookup("", "v1", "namespaces"),
        ) else {
            return Ok(None);
        };
        let found = namespaces.get("", &target.namespace);
        let state = match &found {
            None => NamespaceState::Missing,
            Some(stored) if stored.header.deletion_timestamp.is_some() => {
                NamespaceState::Terminating
            }
            Some(_) => NamespaceState::Active,
        };
        admission::check_namespace(state, &target.resource, &target.namespace, &target.name)?;
        Ok(found.map(|stored| {
            Compare::ModRevision(resource.key("", &target.namespace), stored.revision)
        }))
    }

    /// What the write changes besides its object; a Service is given its addresses and ports here.
    pub(super) fn effects(
        &self,
        target: &Target,
        old: Option<&Value>,
        new: Option<&mut Value>,
        world: &World,
    ) -> Result<Effects, Status> {
        match (
            target.resource.group.as_ref(),
            target.resource.plural.as_ref(),
        ) {
            ("", "services") => self.0.ranges.allocate(target, old, new, world),
            ("coordination.k8s.io", "leases") => {
                let key = epoch::key(&target.namespace, &target.name);
                let mut effects = Effects::default();
                match new {
                    None => effects.delete.push(key),
                    Some(new) => {
                        let epoch = epoch::of_lease(new);
                        if old.is_none_or(|old| epoch::of_lease(old) != epoch) {
                            effects.put.push((key, Bytes::from(epoch)));
                        }
                    }
                }
                Ok(effects)
            }
            _ => Ok(Effects::default()),
        }
    }
}

/// Whether the writes of other resources depend on it without a word: who has made a default class
/// finds it on the next pod.
fn is_read_by_admission(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_ref(), resource.plural.as_ref()),
        ("scheduling.k8s.io", "priorityclasses")
            | ("storage.k8s.io", "storageclasses")
            | ("networking.k8s.io", "ingressclasses")
    )
}

fn is_pods(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "pods"
}

/// Where the leader's epoch stands among a transaction's compares.
const EPOCH_COMPARE: usize = 1;

fn transaction(
    call: &Call,
    target: &Target,
    revision: Option<i64>,
    bytes: Option<Bytes>,
    effects: Effects,
) -> Txn {
    let key = target.key();
    let mut txn = Txn::new().when(match revision {
        Some(revision) => Compare::ModRevision(key.clone(), revision),
        None => Compare::Absent(key.clone()),
    });
    if let Some(epoch) = &call.epoch {
        txn = txn.when(epoch.compare());
    }
    txn = match bytes {
        Some(bytes) => txn.put(key, bytes),
        None => txn.delete(key),
    };
    effects.add_to(&mut txn);
    txn
}

fn outcome(bytes: Bytes, revision: i64, removed: bool) -> Outcome {
    let bytes = if revision == 0 {
        bytes
    } else {
        with_version(&bytes, revision)
    };
    let answer = Answer::object(bytes, revision);
    if removed {
        Outcome::Removed(answer)
    } else {
        Outcome::Put(answer)
    }
}
