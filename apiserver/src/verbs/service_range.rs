//! The ServiceCIDR `kubernetes`: the range of the Services' addresses as this server was told it. It is made
//! again when somebody removes it.

use std::time::Duration;

use ferrule_apimachinery::status::Status;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::apply::Configuration;
use super::metadata::{seconds, value_of};
use super::write::Part;
use super::{Api, Call, WriteOptions};

const GROUP: &str = "networking.k8s.io";
const MANAGER: &str = "kubernetes-service-cidr-controller";

/// As often as upstream's controller looks after it.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// How long one round may take.
const DEADLINE: Duration = Duration::from_secs(10);

impl Api {
    /// Makes the range again whenever it is missing, looking once in an interval, until `shutdown`.
    pub async fn keep_service_range(&self, interval: Duration, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            if let Err(status) = self.make_service_range().await {
                tracing::warn!(%status, "cannot make the default ServiceCIDR");
            }
        }
    }

    /// One round. The range is ready when it says what this server was told; its finalizer keeps it as long
    /// as addresses of it are in use, which is always.
    pub(super) async fn make_service_range(&self) -> Result<(), Status> {
        let mut range = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {
                "name": "kubernetes",
                "finalizers": ["networking.k8s.io/service-cidr-finalizer"],
            },
            "spec": {"cidrs": [self.0.ranges.network.to_string()]},
        });
        self.make(GROUP, "servicecidrs", range.clone()).await?;
        let call = Call::internal(Instant::now() + DEADLINE);
        let mut target = self.bootstrap_target(GROUP, "servicecidrs", &range)?;
        let there = value_of(&*self.get_stored(&call, &target, "").await?)?;
        if !waits_for_its_condition(&there, &range["spec"]) {
            return Ok(());
        }
        range["metadata"] = json!({"name": "kubernetes"});
        range["status"] = json!({"conditions": [{
            "type": "Ready",
            "status": "True",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": seconds(Timestamp::now()),
        }]});
        if let Some(applied) = range.as_object_mut() {
            applied.remove("spec");
        }
        let config = Configuration::read(range.to_string().as_bytes())?;
        let options = WriteOptions {
            field_manager: MANAGER.to_owned(),
            force: Some(true),
            ..WriteOptions::default()
        };
        target.subresource = "status".to_owned();
        self.apply(&call, &target, Part::Status, &config, &options)
            .await
            .map(drop)
    }
}

/// Whether nobody has said yet that the range is ready, or is not. Of one that goes, or says something else
/// than this server was told, nothing is said.
fn waits_for_its_condition(range: &Value, spec: &Value) -> bool {
    let conditions = range["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let is_said = conditions
        .any(|condition| condition["type"] == "Ready" && condition["status"] != "Unknown");
    range["metadata"]["deletionTimestamp"].is_null() && range["spec"] == *spec && !is_said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_set_where_there_is_none() {
        let spec = json!({"cidrs": ["10.96.0.0/16"]});
        let with = |status: &str| json!({"spec": spec, "status": {"conditions": [{"type": "Ready", "status": status}]}});
        for (range, expected) in [
            (json!({"spec": spec}), true),
            (with("Unknown"), true),
            (with("True"), false),
            (with("False"), false),
            (json!({"spec": {"cidrs": ["10.0.0.0/16"]}}), false),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}),
                false,
            ),
        ] {
            assert_eq!(waits_for_its_condition(&range, &spec), expected, "{range}");
        }
    }
}
