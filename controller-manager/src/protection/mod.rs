//! Claims and volumes that are in use: their finalizers are taken away when nobody uses them any more.
//!
//! | object | finalizer | in use |
//! |---|---|---|
//! | PersistentVolumeClaim | `kubernetes.io/pvc-protection` | a pod with a node names it |
//! | PersistentVolume | `kubernetes.io/pv-protection` | it is bound |

mod claims;
pub mod plan;
#[cfg(test)]
mod tests;
mod volumes;

use ferrule_apimachinery::status::Status;
use ferrule_client::{At, Patch, Writes};
use serde_json::json;

use crate::manager::{Manager, unless_gone};
use crate::objects::meta::HasMeta;
use crate::objects::volume::Protected;
use plan::Plan;

/// Starts both controllers.
pub fn start(manager: &Manager) {
    claims::start(manager);
    volumes::start(manager);
}

async fn carry_out(
    plan: Plan,
    at: &At,
    object: &Protected,
    finalizer: &str,
    writes: &Writes,
) -> Result<(), Status> {
    let mut finalizers = object.metadata.finalizers.clone();
    match plan {
        Plan::Nothing => return Ok(()),
        Plan::Protect => finalizers.push(finalizer.to_owned()),
        Plan::Release => finalizers.retain(|own| own != finalizer),
    }
    let meta = object.meta();
    let patch =
        json!({"metadata": {"resourceVersion": meta.resource_version, "finalizers": finalizers}});
    unless_gone(writes.patch(at, &Patch::Merge(patch)).await)
}
