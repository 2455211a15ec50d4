//! What the controllers of some pods want: how many pods there should be.

use std::collections::HashMap;

use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_apimachinery::status::Status;
use ferrule_client::{At, Client, Key, Reader, Typed};
use serde::Deserialize;

use crate::objects::meta::{Meta, OwnerReference};
use crate::objects::pod::Pod;
use crate::objects::workload::{Deployment, ReplicaSet};

/// Where controllers are looked up: those that are known in the caches, others by their scale.
pub(super) struct Scales {
    pub(super) deployments: Reader<Typed<Deployment>>,
    pub(super) sets: Reader<Typed<ReplicaSet>>,
}

/// Why it cannot be said how many pods there should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScaleError {
    /// The API server refused, or was not reached.
    #[error("{0}")]
    Status(#[from] Status),
    /// A controller of a kind without a size.
    #[error("{0} does not implement the scale subresource")]
    NoScale(String),
    /// A controller of a kind that does not exist.
    #[error("no matches for kind {kind:?} in version {version:?}")]
    NoKind {
        /// The kind.
        kind: String,
        /// Its group and version.
        version: String,
    },
    /// The controller is gone, or another one has its name.
    #[error("found no controllers for pod {0:?}")]
    NoController(String),
}

/// The sizes of pods' controllers together, and the pods that have none.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) scale: i64,
    pub(super) unmanaged: Vec<String>,
}

impl Scales {
    pub(super) async fn sum(&self, pods: &[&Pod], client: &Client) -> Result<Sum, ScaleError> {
        let mut sizes: HashMap<String, i64> = HashMap::new();
        let mut sum = Sum::default();
        let mut asked = Vec::new();
        for pod in pods {
            let meta = pod.meta();
            let Some(owner) = meta.controller() else {
                sum.unmanaged.push(meta.name.clone());
                continue;
            };
            if asked.contains(&&owner.uid) {
                continue;
            }
            asked.push(&owner.uid);
            let known = self.known(owner, &meta.namespace);
            let found = match known {
                Some(found) => Some(found),
                None => scale_of(owner, &meta.namespace, client).await?,
            };
            let (uid, size) = found.ok_or_else(|| ScaleError::NoController(meta.name.clone()))?;
            sizes.insert(uid, size);
        }
        sum.scale = sizes.values().sum();
        Ok(sum)
    }

    /// The Deployment above a ReplicaSet, or a ReplicaSet that stands alone.
    fn known(&self, owner: &OwnerReference, namespace: &str) -> Option<(String, i64)> {
        if owner.kind != "ReplicaSet" || !owner.api_version.starts_with("apps/") {
            return None;
        }
        let set = self.sets.get(&Key::new(namespace, owner.name.as_str()))?;
        let set: &ReplicaSet = &set.value;
        if set.meta().uid != owner.uid {
            return None;
        }
        match set.meta().controller() {
            Some(above) if above.kind == "Deployment" => {
                let key = Key::new(namespace, above.name.as_str());
                let deployment = self.deployments.get(&key)?;
                let same = deployment.value.meta().uid == above.uid;
                same.then(|| (above.uid.clone(), deployment.value.replicas()))
            }
            _ => Some((owner.uid.clone(), set.replicas())),
        }
    }
}

/// What the scale subresource of a controller says; `None` when the controller is gone.
async fn scale_of(
    owner: &OwnerReference,
    namespace: &str,
    client: &Client,
) -> Result<Option<(String, i64)>, ScaleError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Scale {
        metadata: Meta,
        spec: Size,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Size {
        replicas: i64,
    }
    let resources = client.resources().await?;
    let found = resources.iter().find_map(|own| {
        let gvr = GroupVersionResource::from_parts(&own.group, &own.version, &own.name);
        let same = own.kind == owner.kind && gvr.api_version() == owner.api_version;
        same.then_some(gvr)
    });
    let gvr = found.ok_or_else(|| ScaleError::NoKind {
        kind: owner.kind.clone(),
        version: owner.api_version.clone(),
    })?;
    let group = match &*gvr.group {
        "" => gvr.resource.to_string(),
        group => format!("{}.{group}", gvr.resource),
    };
    let at = At::of(gvr).namespace(namespace).name(&owner.name);
    match client.get(&at.clone().subresource("scale")).await {
        Ok(object) => {
            let scale: Scale = object.parse()?;
            let same = scale.metadata.uid == owner.uid;
            Ok(same.then_some((scale.metadata.uid, scale.spec.replicas)))
        }
        // Either the object is not there, or its kind has no size.
        Err(status) if status.is_not_found() => match client.get(&at).await {
            Ok(_) => Err(ScaleError::NoScale(group)),
            Err(status) if status.is_not_found() => Ok(None),
            Err(status) => Err(status.into()),
        },
        Err(status) => Err(status.into()),
    }
}
