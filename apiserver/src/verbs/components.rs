//! ComponentStatuses: computed when they are asked for. Of old they told of the components beside the API server; those
//! tell of themselves now, and what is left is etcd.

use std::sync::Arc;

use ferrule_apimachinery::object::{self, Stored};
use ferrule_apimachinery::status::Status;
use serde_json::json;

use super::{Api, Call, Page, Target};

const ETCD: &str = "etcd-0";

impl Api {
    /// The components, or the one that is named.
    pub(super) async fn components(&self, call: &Call, target: &Target) -> Result<Page, Status> {
        if target.resource.plural != "componentstatuses" {
            return Err(Status::method_not_allowed());
        }
        call.warn("v1 ComponentStatus is deprecated in v1.19+");
        let store = &self.0.store;
        let (status, message) = match store.current_revision(call.store_deadline()).await {
            Ok(_) => ("True", "ok".to_owned()),
            Err(error) => ("False", error.to_string()),
        };
        let etcd = json!({
            "metadata": {"name": ETCD},
            "conditions": [{"type": "Healthy", "status": status, "message": message}],
        });
        let bytes = object::canonicalize(etcd, &target.resource);
        let etcd = Stored::parse(&target.resource, bytes, 0, 0).map_err(Status::internal)?;
        let wanted = target.name.is_empty() || target.name == ETCD;
        Ok(Page {
            items: wanted.then(|| Arc::new(etcd)).into_iter().collect(),
            revision: store.revision(),
            continue_token: String::new(),
            remaining: None,
        })
    }
}
