//! Whether a claim or a volume is in use, and what follows for its finalizer.

use crate::objects::meta::HasMeta;
use crate::objects::pod::{ClaimVolume, Pod};
use crate::objects::volume::Protected;

/// The finalizer of claims.
pub const CLAIM: &str = "kubernetes.io/pvc-protection";
/// The finalizer of volumes.
pub const VOLUME: &str = "kubernetes.io/pv-protection";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is as it should be.
    Nothing,
    /// It was made without the finalizer, which it gets.
    Protect,
    /// Nobody uses it: the finalizer goes.
    Release,
}

/// Whether anything may have to be done: it goes and is held, or stays and is not.
pub fn concerns(object: &Protected, finalizer: &str) -> bool {
    let held = object
        .metadata
        .finalizers
        .iter()
        .any(|own| own == finalizer);
    object.meta().is_deleting() == held
}

/// What follows when the object is in use, or is not.
pub fn plan(object: &Protected, finalizer: &str, in_use: bool) -> Plan {
    match (concerns(object, finalizer), object.meta().is_deleting()) {
        (true, true) if !in_use => Plan::Release,
        (true, false) => Plan::Protect,
        _ => Plan::Nothing,
    }
}

/// Whether a volume is in use.
pub fn is_bound(volume: &Protected) -> bool {
    volume.status.phase == "Bound"
}

/// Whether a pod uses a claim. One without a node does not: no kubelet starts a pod whose claim goes.
pub fn uses(pod: &Pod, claim: &Protected) -> bool {
    let (own, meta) = (pod.meta(), claim.meta());
    let named = |volume: &ClaimVolume| match volume {
        ClaimVolume::Named(name) => *name == meta.name,
        // A claim of that name may be another's, which the pod cannot use.
        ClaimVolume::Ephemeral(_) => {
            !pod.is_shut_down()
                && volume.claim_name(pod) == meta.name
                && meta.is_controlled_by(&own.uid)
        }
    };
    !pod.spec.node_name.is_empty()
        && own.namespace == meta.namespace
        && pod.spec.volumes.iter().any(named)
}
