//! `kubectl describe`: each kind's text, aligned at the end.

pub mod events;
mod meta;
mod network;
mod node;
mod plain;
mod pod;
mod pod_template;
pub mod rbac;
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
    let has_events = match resource.kind.as_str() {
        "Pod" => pod::describe(&mut text, object),
        "Deployment" => {
            let sets = workload::replica_sets(session, object).await?;
            workload::deployment(&mut text, object, &sets)
        }
        "ReplicaSet" => {
            let pods = workload::pods(session, object).await?;
            workload::replica_set(&mut text, object, &pods)
        }
        "Service" => {
            let slices = network::slices(session, object).await?;
            network::service(&mut text, object, &slices)
        }
        "Endpoints" => network::endpoints(&mut text, object),
        "EndpointSlice" => network::endpoint_slice(&mut text, object),
        "Node" => {
            let pods = node::pods(session, object).await?;
            let lease = node::lease(session, object).await;
            node::describe(&mut text, object, &pods, &lease)
        }
        "Namespace" => {
            // Without quotas and limits on the server there is nothing to say about them.
            let resources = session.resources().await?;
            let limits = resources.find("resourcequotas").is_ok();
            plain::namespace(&mut text, object, limits)
        }
        "PodDisruptionBudget" => plain::pod_disruption_budget(&mut text, object),
        "PriorityClass" => plain::priority_class(&mut text, object),
        "IPAddress" => plain::ip_address(&mut text, object),
        "Role" | "ClusterRole" => rbac::role(&mut text, object),
        "RoleBinding" | "ClusterRoleBinding" => rbac::binding(&mut text, object),
        "ConfigMap" => plain::config_map(&mut text, object),
        "Secret" => plain::secret(&mut text, object),
        "ServiceAccount" => plain::service_account(&mut text, object),
        _ => plain::generic(&mut text, object),
    };
    if has_events && show_events {
        let events = events::of(session, object).await?;
        events::describe(&mut text, &events);
    }
    Ok(text.finish())
}

/// A pod template as it stands in a history: with tabs, not aligned.
pub fn template(template: &Value) -> String {
    let mut text = Text::default();
    pod_template::describe(&mut text, template);
    text.0
}

pub use meta::selector as selector_text;
pub use workload::{replica_sets, without_hash};

/// A string field; empty when it is absent.
pub fn string<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A list field; empty when it is absent.
pub fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

/// A number, or 0.
pub fn number(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or(0)
}

/// A text, or `<none>`.
pub fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}
