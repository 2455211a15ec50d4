//! What every cluster has from the start: four namespaces, two priority classes, the range of the Services'
//! addresses, and the API server as a Service.

use std::net::Ipv4Addr;
use std::time::Duration;

use ferrule_apimachinery::status::Status;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::owners::{SELF, Writes};
use super::{Api, Call, Target, WriteOptions};
use crate::resources::SYSTEM_CLASSES;
use crate::verbs::allocation::World;
use crate::verbs::change::{Current, Step};
use crate::verbs::metadata::metadata;
use crate::verbs::write::Part;

/// Where this API server is found.
#[derive(Clone, Copy, Debug)]
pub struct Advertised {
    /// The address that others reach it at.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
}

/// How long one try may take.
const DEADLINE: Duration = Duration::from_secs(10);

impl Api {
    /// Makes what is missing. Safe to run on every start, and by several servers at once.
    pub async fn bootstrap(&self, advertised: Advertised) -> Result<(), Status> {
        for name in ["kube-system", "kube-public", "kube-node-lease", "default"] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.make("", "namespaces", namespace).await?;
        }
        for (name, value, description) in SYSTEM_CLASSES {
            let class = json!({
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": description,
            });
            self.make("scheduling.k8s.io", "priorityclasses", class)
                .await?;
        }
        self.make_service_range().await?;
        let service_address = self.0.ranges.network.nth(1).to_string();
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": service_address,
                "clusterIPs": [service_address],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "sessionAffinity": "None",
                "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": advertised.port}],
            },
        });
        self.make("", "services", service).await?;
        if advertised.address.is_loopback() {
            return Ok(());
        }
        self.say_presence(advertised).await
    }

    pub(super) fn bootstrap_target(
        &self,
        group: &str,
        plural: &str,
        object: &Value,
    ) -> Result<Target, Status> {
        let resource = self
            .0
            .scheme
            .lookup(group, "v1", plural)
            .ok_or_else(Status::no_such_resource)?;
        let text = |field: &str| {
            let text = object["metadata"][field].as_str();
            text.unwrap_or_default().to_owned()
        };
        Ok(Target {
            resource: resource.clone(),
            namespace: text("namespace"),
            name: text("name"),
            subresource: String::new(),
        })
    }

    /// Makes an object unless it is there.
    pub(super) async fn make(
        &self,
        group: &str,
        plural: &str,
        object: Value,
    ) -> Result<(), Status> {
        let call = Call::internal(Instant::now() + DEADLINE);
        let target = self.bootstrap_target(group, plural, &object)?;
        if self.get_stored(&call, &target, "").await.is_ok() {
            return Ok(());
        }
        let options = WriteOptions {
            field_manager: SELF.to_owned(),
            ..WriteOptions::default()
        };
        match self.create_value(&call, &target, object, &options).await {
            Ok(_) => Ok(()),
            // Another server may have made it: a Service is refused then because its address is taken.
            Err(status) => match self.get_stored(&call, &target, "").await {
                Ok(_) => Ok(()),
                Err(_) => Err(status),
            },
        }
    }

    /// Makes an object, or sets one field of the object that is there.
    pub(super) async fn make_equal(
        &self,
        group: &str,
        plural: &str,
        object: Value,
        field: &str,
    ) -> Result<(), Status> {
        self.make(group, plural, object.clone()).await?;
        let call = Call::internal(Instant::now() + DEADLINE);
        let target = self.bootstrap_target(group, plural, &object)?;
        let mut plan = |current: Option<&Current>, world: &World| {
            let Some(current) = current else {
                return Ok(Step::Keep);
            };
            let mut new = current.value.clone();
            metadata(&mut new).remove("resourceVersion");
            new[field] = object[field].clone();
            self.plan_update(
                &call,
                &target,
                Part::Object,
                new,
                current,
                world,
                Writes::By(SELF),
            )
        };
        self.change(&call, &target, false, &mut plan)
            .await
            .map(drop)
    }
}
