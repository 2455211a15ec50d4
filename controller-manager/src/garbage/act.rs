//! Carries out what is planned for an object, on its live state.

use ferrule_apimachinery::status::Status;
use ferrule_client::controller::Error;
use ferrule_client::{At, Client, DeleteOptions, Key, Patch, Propagation, Writes};
use ferrule_proto::v1;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::Collector;
use super::graph::Uid;
use super::plan::{self, Plan};
use crate::manager::unless_gone;
use crate::objects::meta::OwnerReference;

/// What the API server says of an object now.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Live {
    pub(super) uid: String,
    resource_version: String,
    pub(super) deletion_timestamp: Option<Timestamp>,
    pub(super) finalizers: Vec<String>,
    pub(super) owner_references: Vec<OwnerReference>,
}

impl Live {
    /// Whether it is being deleted and waits for its dependents.
    pub(super) fn waits(&self) -> bool {
        self.deletion_timestamp.is_some() && self.finalizers.iter().any(|f| f == plan::FOREGROUND)
    }

    fn without_finalizer(&self, name: &str) -> Patch {
        let left: Vec<&String> = self.finalizers.iter().filter(|own| *own != name).collect();
        Patch::Merge(
            json!({"metadata": {"resourceVersion": self.resource_version, "finalizers": left}}),
        )
    }

    fn with_owners(&self, owners: &[OwnerReference]) -> Patch {
        Patch::Merge(json!({
            "metadata": {"resourceVersion": self.resource_version, "ownerReferences": owners},
        }))
    }
}

/// Reads an object's metadata from the API server.
pub(super) async fn live(client: &Client, at: &At) -> Result<Option<Live>, Status> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Object {
        metadata: Live,
    }
    match client.get_in(at, v1::Form::Metadata).await {
        Ok(object) => Ok(Some(object.parse::<Object>()?.metadata)),
        Err(status) if status.is_not_found() => Ok(None),
        Err(status) => Err(status),
    }
}

impl Collector {
    pub(super) async fn carry_out(
        &self,
        at: &At,
        uid: &str,
        live: &Live,
        plan: Plan,
        writes: &Writes,
    ) -> Result<(), Error> {
        match plan {
            Plan::Nothing => {}
            Plan::Delete(propagation) => {
                delete(at, uid, propagation, &live.resource_version, writes).await?;
            }
            Plan::UnblockAndDelete => {
                let mut owners = live.owner_references.clone();
                owners
                    .iter_mut()
                    .filter(|owner| owner.block_owner_deletion.is_some())
                    .for_each(|owner| owner.block_owner_deletion = Some(false));
                let patched = writes.patch(at, &live.with_owners(&owners)).await?;
                let version = patched.revision.to_string();
                delete(at, uid, Propagation::Foreground, &version, writes).await?;
            }
            Plan::Disown(gone) => {
                let mut left = live.owner_references.clone();
                left.retain(|owner| !gone.contains(&owner.uid));
                unless_gone(writes.patch(at, &live.with_owners(&left)).await)?;
            }
            Plan::WaitForDependents => {
                let blocking = self.graph().blocking(uid);
                blocking
                    .into_iter()
                    .for_each(|dependent| self.queue.add(Key::cluster(dependent)));
            }
            Plan::OrphanDependents => {
                let dependents = self.graph().dependents(uid);
                for dependent in dependents {
                    self.disown(&dependent, uid, writes).await?;
                }
                let patch = live.without_finalizer(plan::ORPHAN);
                unless_gone(writes.patch(at, &patch).await)?;
            }
            Plan::RemoveFinalizer(name) => {
                unless_gone(writes.patch(at, &live.without_finalizer(name)).await)?;
            }
        }
        Ok(())
    }

    /// Removes one owner from a dependent.
    async fn disown(&self, dependent: &Uid, owner: &str, writes: &Writes) -> Result<(), Error> {
        let entry = self.graph().get(dependent).cloned();
        let Some(entry) = entry else { return Ok(()) };
        let Some(source) = &entry.source else {
            return Ok(());
        };
        let at = At::of(source.gvr.clone())
            .namespace(&*entry.key.namespace)
            .name(&*entry.key.name);
        let Some(live) = live(writes.client(), &at).await? else {
            return Ok(());
        };
        let mut left = live.owner_references.clone();
        left.retain(|own| own.uid != owner);
        if *live.uid == **dependent && left.len() < live.owner_references.len() {
            unless_gone(writes.patch(&at, &live.with_owners(&left)).await)?;
        }
        Ok(())
    }
}

async fn delete(
    at: &At,
    uid: &str,
    propagation: Propagation,
    version: &str,
    writes: &Writes,
) -> Result<(), Status> {
    let options = DeleteOptions {
        propagation: Some(propagation),
        resource_version: Some(version.to_owned()),
        ..DeleteOptions::only_uid(uid)
    };
    tracing::debug!(object = %at.name, resource = %at.gvr.resource, "collecting");
    unless_gone(writes.delete(at, &options).await)
}
