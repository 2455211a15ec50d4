//! Which objects a workload owns: what its selector chooses and nobody else manages.
//!
//! ```text
//!  an object changes ──> the workload that manages it, or all that choose it, are looked at
//!  claims (pure) ──────> own │ adopt: is the owner still alive? ──> patch │ release ──> patch
//! ```

use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_apimachinery::status::Status;
use ferrule_client::{At, Change, Client, Key, Patch, Queue, Reader, Typed, Writes};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::manager::unless_gone;
use crate::objects::meta::{HasMeta, Meta, OwnerReference};
use crate::objects::selector::Selector;
use crate::objects::workload::Workload;

/// What becomes of the objects that a workload might own.
#[derive(Debug, Default, PartialEq)]
pub struct Claims {
    /// Objects that it manages.
    pub own: Vec<usize>,
    /// Objects without a manager that it should take.
    pub adopt: Vec<usize>,
    /// Objects that it manages though they no longer match.
    pub release: Vec<usize>,
}

/// Sorts objects, named by their place, into claims. A workload that is being deleted takes and
/// gives nothing.
pub fn claims<'a>(
    owner: &Meta,
    selector: &Selector,
    objects: impl IntoIterator<Item = &'a Meta>,
) -> Claims {
    let mut claims = Claims::default();
    for (place, object) in objects.into_iter().enumerate() {
        let matches = selector.matches(&object.labels);
        match object.controller() {
            Some(manager) if manager.uid != owner.uid => {}
            Some(_) if matches || owner.is_deleting() => claims.own.push(place),
            Some(_) => claims.release.push(place),
            None if matches && !owner.is_deleting() && !object.is_deleting() => {
                claims.adopt.push(place)
            }
            None => {}
        }
    }
    claims
}

impl Claims {
    /// Leaves the ownership of these objects as it is.
    pub fn leave(&mut self, keeps: impl Fn(usize) -> bool) {
        self.adopt.retain(|place| !keeps(*place));
        self.release.retain(|place| !keeps(*place));
    }

    /// Makes ownership so; false when something had to change, which the caches have to show
    /// before anything is planned.
    pub async fn settle<W: Workload>(
        &self,
        owner: &W,
        kept: &GroupVersionResource,
        objects: &[&Meta],
        writes: &Writes,
    ) -> Result<bool, Status> {
        if self.adopt.is_empty() && self.release.is_empty() {
            return Ok(true);
        }
        let meta = owner.meta();
        if !self.adopt.is_empty() {
            check_alive(writes.client(), &W::at(meta), meta).await?;
        }
        let reference = OwnerReference::controller(W::API_VERSION, W::KIND, meta);
        let adopt = self
            .adopt
            .iter()
            .map(|p| (*p, adopt(objects[*p], &reference)));
        let release = self
            .release
            .iter()
            .map(|p| (*p, release(objects[*p], meta)));
        for (place, patch) in adopt.chain(release) {
            let object = objects[place];
            let at = At::of(kept.clone())
                .namespace(&object.namespace)
                .name(&object.name);
            unless_gone(writes.patch(&at, &Patch::Strategic(patch)).await)?;
        }
        Ok(false)
    }
}

/// Adds the workloads that manage, managed or might take an object when it changes.
pub fn enqueue_for<W: Workload, T: HasMeta>(
    objects: &Reader<Typed<T>>,
    workloads: &Reader<Typed<W>>,
    queue: &Queue,
) {
    let (workloads, queue) = (workloads.clone(), queue.clone());
    let add = move |object: &Meta| match object.controller() {
        Some(owner) if owner.kind == W::KIND => {
            queue.add(Key::new(object.namespace.as_str(), owner.name.as_str()));
        }
        Some(_) => {}
        None => {
            for workload in workloads.in_namespace(&object.namespace) {
                if workload.value.selector().matches(&object.labels) {
                    queue.add(workload.key());
                }
            }
        }
    };
    objects.on_change(move |change| {
        if let Change::Modified { old, .. } = change {
            add(old.value.meta());
        }
        add(change.object().value.meta());
    });
}

/// Makes sure that an owner still is what the cache shows before it takes anything: the cache may
/// not have seen yet that it is being deleted, or is another object of the same name.
async fn check_alive(client: &Client, at: &At, owner: &Meta) -> Result<(), Status> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Present {
        metadata: Meta,
    }
    let present = client.get(at).await?.parse::<Present>()?.metadata;
    if present.uid != owner.uid || present.is_deleting() {
        let why = format!("{} is being deleted or was replaced", owner.name);
        return Err(Status::conflict(
            &at.gvr.group,
            &at.gvr.resource,
            &owner.name,
            why,
        ));
    }
    Ok(())
}

/// The strategic merge patch that takes an object.
fn adopt(object: &Meta, owner: &OwnerReference) -> Value {
    json!({"metadata": {"uid": object.uid, "ownerReferences": [owner]}})
}

/// The strategic merge patch that gives an object up.
fn release(object: &Meta, owner: &Meta) -> Value {
    json!({"metadata": {
        "uid": object.uid,
        "ownerReferences": [{"$patch": "delete", "uid": owner.uid}],
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, labels: &[(&str, &str)], controller: Option<&str>) -> Meta {
        let owner = controller.map(|uid| OwnerReference {
            uid: uid.to_owned(),
            controller: Some(true),
            ..OwnerReference::default()
        });
        Meta {
            name: name.to_owned(),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            owner_references: owner.into_iter().collect(),
            ..Meta::default()
        }
    }

    #[test]
    fn only_matching_objects_without_a_manager_are_adopted() {
        let selector: Selector =
            serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
        let owner = Meta {
            uid: "me".to_owned(),
            ..Meta::default()
        };
        let objects = [
            object("own", &[("app", "web")], Some("me")),
            object("orphan", &[("app", "web")], None),
            object("relabelled", &[("app", "other")], Some("me")),
            object("foreign", &[("app", "web")], Some("you")),
            object("unrelated", &[("app", "other")], None),
        ];
        let expected = Claims {
            own: vec![0],
            adopt: vec![1],
            release: vec![2],
        };
        assert_eq!(claims(&owner, &selector, &objects), expected);
    }

    #[test]
    fn a_workload_that_is_being_deleted_keeps_what_it_has_and_takes_nothing() {
        let selector: Selector =
            serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
        let owner = Meta {
            uid: "me".to_owned(),
            deletion_timestamp: Some(jiff::Timestamp::UNIX_EPOCH),
            ..Meta::default()
        };
        let objects = [
            object("relabelled", &[], Some("me")),
            object("orphan", &[("app", "web")], None),
        ];
        assert_eq!(claims(&owner, &selector, &objects).own, vec![0]);
        assert_eq!(
            claims(&owner, &selector, &objects).adopt,
            Vec::<usize>::new()
        );
    }
}
