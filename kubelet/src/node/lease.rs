//! The node's lease: a small object, renewed often, by which others see that the node lives.

use std::sync::Arc;
use std::time::Duration;

use ferrule_apimachinery::Status;
use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, Patch, WriteOptions};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use rand::Rng;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::context::Kubelet;

const NAMESPACE: &str = "kube-node-lease";

/// The longest pause while the lease has no owner.
const UNOWNED: Duration = Duration::from_secs(1);

/// Renews the lease every `interval`, until `shutdown`. It counts as lost after `duration`.
pub async fn run(
    kubelet: Arc<Kubelet>,
    interval: Duration,
    duration: Duration,
    shutdown: CancellationToken,
) {
    let name = kubelet.config.node.clone();
    let mut owned = false;
    let mut failures = 0;
    loop {
        let pause = match renew(&kubelet.client, &name, duration, &mut owned).await {
            Ok(()) => {
                failures = 0;
                // Until the node is registered, and its lease has an owner to go with, ask soon again.
                let interval = if owned {
                    interval
                } else {
                    interval.min(UNOWNED)
                };
                interval.mul_f64(rand::rng().random_range(0.96..1.04))
            }
            Err(status) => {
                failures += 1;
                tracing::warn!(%status, "cannot renew the node's lease");
                Duration::from_millis(200 << failures.min(5)).min(interval)
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn renew(
    client: &Client,
    node: &str,
    duration: Duration,
    owned: &mut bool,
) -> Result<(), Status> {
    let at = At::of(gvr::LEASES).namespace(NAMESPACE).name(node);
    let spec = json!({
        "holderIdentity": node,
        "leaseDurationSeconds": duration.as_secs(),
        "renewTime": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
    });
    // The owner lets the garbage collector remove the lease with its node.
    let owner = if *owned {
        None
    } else {
        owner(client, node).await?
    };
    let mut patch = json!({"spec": spec});
    if let Some(owner) = &owner {
        patch["metadata"] = json!({"ownerReferences": [owner]});
    }
    match client
        .patch(&at, &Patch::Merge(patch), &WriteOptions::default())
        .await
    {
        Ok(object) => {
            let lease: Lease = object.parse()?;
            *owned = lease
                .metadata
                .owner_references
                .is_some_and(|owners| !owners.is_empty());
            Ok(())
        }
        Err(status) if status.code == 404 => {
            let mut metadata = json!({"name": node, "namespace": NAMESPACE});
            if let Some(owner) = &owner {
                metadata["ownerReferences"] = json!([owner]);
            }
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": metadata,
                "spec": spec,
            });
            let collection = At::of(gvr::LEASES).namespace(NAMESPACE);
            client
                .create(&collection, lease.to_string(), &WriteOptions::default())
                .await?;
            *owned = owner.is_some();
            Ok(())
        }
        Err(status) => Err(status),
    }
}

async fn owner(client: &Client, node: &str) -> Result<Option<Value>, Status> {
    match client.get(&At::of(gvr::NODES).name(node)).await {
        Ok(object) => {
            let node: Node = object.parse()?;
            let (name, uid) = (node.metadata.name, node.metadata.uid);
            Ok(Some(
                json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}),
            ))
        }
        // Not registered yet: the lease says that we live all the same.
        Err(status) if status.code == 404 => Ok(None),
        Err(status) => Err(status),
    }
}
