//! `kubectl describe`: each kind's text, aligned at the end.

mod autoscaler;
mod batch;
mod certificate;
pub mod events;
mod generic;
mod ingress;
pub mod meta;
mod network;
mod node;
mod plain;
mod pod;
mod pod_template;
mod policy;
mod quota;
pub mod rbac;
mod storage;
mod volumes;
mod workload;

use std::fmt::Write;

use ferrule_proto::v1::ApiResource;
use serde_json::Value;

use crate::error::Result;
use crate::output::tabs;
use crate::session::Session;

/// Text in levels of indentation; cells are separated by tabs.
#[derive(Default)]
pub struct Text(String);

impl Text {
    /// Adds a line at a level.
    pub fn line(&mut self, level: usize, text: impl AsRef<str>) {
        let _ = writeln!(self.0, "{}{}", "  ".repeat(level), text.as_ref());
    }

    /// Adds `name:<tab>value`.
    pub fn field(&mut self, level: usize, name: &str, value: impl AsRef<str>) {
        self.line(level, format!("{name}:\t{}", value.as_ref()));
    }

    /// The text, aligned.
    pub fn finish(self) -> String {
        tabs::align(&self.0)
    }
}

/// Describes one object.
pub async fn text(
    session: &Session,
    resource: &ApiResource,
    object: &Value,
    show_events: bool,
) -> Result<String> {
    let mut text = Text::default();
    let has_events = match resource.group.as_str() {
        "" => core(session, &mut text, &resource.kind, object).await?,
        "apps" => apps(session, &mut text, &resource.kind, object).await?,
        group => other(session, &mut text, group, &resource.kind, object).await?,
    };
    if has_events && show_events {
        let events = events::of(session, object).await?;
        events::describe(&mut text, &events);
    }
    Ok(text.finish())
}

/// Kinds of the core group; true when their events are shown.
async fn core(session: &Session, text: &mut Text, kind: &str, object: &Value) -> Result<bool> {
    Ok(match kind {
        "Pod" => pod::describe(text, object),
        "ReplicationController" => {
            let pods = workload::controlled_pods(session, object).await?;
            workload::replication_controller(text, object, &pods)
        }
        "Service" => {
            let slices = network::slices(session, object).await?;
            network::service(text, object, &slices)
        }
        "Endpoints" => network::endpoints(text, object),
        "Node" => {
            let pods = node::pods(session, object).await?;
            let lease = node::lease(session, object).await;
            node::describe(text, object, &pods, &lease)
        }
        "Namespace" => {
            let quotas = quota::of_namespace(session, object, "resourcequotas").await?;
            let ranges = quota::of_namespace(session, object, "limitranges").await?;
            plain::namespace(text, object, quotas.as_deref(), ranges.as_deref())
        }
        "ResourceQuota" => quota::resource_quota(text, object),
        "LimitRange" => quota::limit_range(text, object),
        "PersistentVolume" => storage::volume(text, object),
        "PersistentVolumeClaim" => {
            let users = storage::users(session, object).await?;
            storage::claim(text, object, &users)
        }
        "ConfigMap" => plain::config_map(text, object),
        "Secret" => plain::secret(text, object),
        "ServiceAccount" => plain::service_account(text, object),
        _ => generic::describe(text, object),
    })
}

/// Kinds of the group apps.
async fn apps(session: &Session, text: &mut Text, kind: &str, object: &Value) -> Result<bool> {
    Ok(match kind {
        "Deployment" => {
            let sets = workload::replica_sets(session, object).await?;
            workload::deployment(text, object, &sets)
        }
        "ReplicaSet" => {
            let pods = workload::pods(session, object).await?;
            workload::replica_set(text, object, &pods)
        }
        "StatefulSet" => {
            let pods = workload::pods(session, object).await?;
            workload::stateful_set(text, object, &pods)
        }
        "DaemonSet" => {
            let pods = workload::pods(session, object).await?;
            workload::daemon_set(text, object, &pods)
        }
        _ => generic::describe(text, object),
    })
}

/// Kinds of all other groups.
async fn other(
    session: &Session,
    text: &mut Text,
    group: &str,
    kind: &str,
    object: &Value,
) -> Result<bool> {
    Ok(match (group, kind) {
        ("batch", "Job") => batch::job(text, object),
        ("batch", "CronJob") => batch::cron_job(text, object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler::describe(text, object),
        ("policy", "PodDisruptionBudget") => plain::pod_disruption_budget(text, object),
        ("scheduling.k8s.io", "PriorityClass") => plain::priority_class(text, object),
        ("discovery.k8s.io", "EndpointSlice") => network::endpoint_slice(text, object),
        ("networking.k8s.io", "Ingress") => {
            let services = ingress::services(session, object).await?;
            ingress::describe(text, object, &services)
        }
        ("networking.k8s.io", "IngressClass") => ingress::class(text, object),
        ("networking.k8s.io", "NetworkPolicy") => policy::describe(text, object),
        ("networking.k8s.io", "IPAddress") => plain::ip_address(text, object),
        ("networking.k8s.io", "ServiceCIDR") => plain::service_cidr(text, object),
        ("storage.k8s.io", "StorageClass") => storage::storage_class(text, object),
        ("storage.k8s.io", "VolumeAttributesClass") => storage::attributes_class(text, object),
        ("storage.k8s.io", "CSINode") => storage::csi_node(text, object),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => rbac::role(text, object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            rbac::binding(text, object)
        }
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            certificate::describe(text, object)?
        }
        _ => generic::describe(text, object),
    })
}

/// A pod template as it stands in a history: with tabs, not aligned.
pub fn template(template: &Value) -> String {
    let mut text = Text::default();
    pod_template::describe(&mut text, template);
    text.0
}

pub use meta::selector as selector_text;
pub use workload::{controlled as controlled_by, without_hash};

/// A string field; empty when it is absent.
pub fn string<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A list field; empty when it is absent.
pub fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

/// A value as it is read: texts without quotes.
pub fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A list as Go prints it: `[a b]`.
pub fn words(value: &Value) -> String {
    let texts: Vec<String> = value.as_array().into_iter().flatten().map(plain).collect();
    format!("[{}]", texts.join(" "))
}

/// A number, or 0.
pub fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or(0)
}

/// A text, or `<none>`.
pub fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}
