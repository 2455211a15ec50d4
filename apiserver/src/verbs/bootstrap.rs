//! What every cluster has from the start: four namespaces, two priority classes, and the API server as a
//! Service.

use std::net::Ipv4Addr;
use std::time::Duration;

use ferrule_apimachinery::status::Status;
use serde_json::{Value, json};
use tokio::time::Instant;

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
            self.make("", "namespaces", "", namespace).await?;
        }
        for (name, value, description) in SYSTEM_CLASSES {
            let class = json!({
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": description,
            });
            self.make("scheduling.k8s.io", "priorityclasses", "", class)
                .await?;
        }
        let service_address = self.0.ranges.network.nth(1).to_string();
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kubernetes",
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
        self.make("", "services", "default", service).await?;
        if advertised.address.is_loopback() {
            // Nobody else could use it, and no Endpoints may name it.
            return Ok(());
        }
        let ports = json!([{"name": "https", "port": advertised.port, "protocol": "TCP"}]);
        let address = advertised.address.to_string();
        let endpoints = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": "kubernetes",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
        });
        self.make_equal("", "endpoints", endpoints, "subsets")
            .await?;
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
            "ports": ports,
        });
        self.make_equal("discovery.k8s.io", "endpointslices", slice, "endpoints")
            .await
    }

    fn bootstrap_target(
        &self,
        group: &str,
        plural: &str,
        namespace: &str,
        object: &Value,
    ) -> Result<Target, Status> {
        let resource = self
            .0
            .scheme
            .lookup(group, "v1", plural)
            .ok_or_else(Status::no_such_resource)?;
        Ok(Target {
            resource: resource.clone(),
            namespace: namespace.to_owned(),
            name: object["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            subresource: String::new(),
        })
    }

    /// Makes an object unless it is there.
    async fn make(
        &self,
        group: &str,
        plural: &str,
        namespace: &str,
        object: Value,
    ) -> Result<(), Status> {
        let call = Call::internal(Instant::now() + DEADLINE);
        let target = self.bootstrap_target(group, plural, namespace, &object)?;
        // A Service that is there holds the address that a second one would ask for.
        if self.get_stored(&call, &target, "").await.is_ok() {
            return Ok(());
        }
        match self
            .create_value(&call, &target, object, &WriteOptions::default())
            .await
        {
            Err(status) if status.is_already_exists() => Ok(()),
            result => result.map(drop),
        }
    }

    /// Makes an object in `default`, or sets one field of the object that is there.
    async fn make_equal(
        &self,
        group: &str,
        plural: &str,
        object: Value,
        field: &str,
    ) -> Result<(), Status> {
        self.make(group, plural, "default", object.clone()).await?;
        let call = Call::internal(Instant::now() + DEADLINE);
        let target = self.bootstrap_target(group, plural, "default", &object)?;
        let mut plan = |current: Option<&Current>, world: &World| {
            let Some(current) = current else {
                return Ok(Step::Keep);
            };
            let mut new = current.value.clone();
            metadata(&mut new).remove("resourceVersion");
            new[field] = object[field].clone();
            self.plan_update(&call, &target, Part::Object, new, current, world)
        };
        self.change(&call, &target, false, &mut plan)
            .await
            .map(drop)
    }
}
