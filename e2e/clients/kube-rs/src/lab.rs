//! What the checks share: a client, and a namespace of one's own.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::core::Status;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

/// Longer than anything here takes; what is not there by then will not come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A revision that the server has never reached is of another history: 410, as for one that it has
/// forgotten.
pub const NEVER: &str = "999999999999";

/// A client and a namespace.
#[derive(Clone)]
pub struct Lab {
    pub client: Client,
    pub namespace: String,
}

impl Lab {
    /// Makes a namespace, and waits until pods can be made in it.
    pub async fn new(client: Client) -> anyhow::Result<Lab> {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let wanted = Namespace {
            metadata: ObjectMeta {
                generate_name: Some("kube-rs-".into()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let made = namespaces.create(&PostParams::default(), &wanted).await?;
        let lab = Lab {
            client,
            namespace: made.name_any(),
        };
        let accounts: Api<ServiceAccount> = lab.api();
        let account = await_condition(accounts, "default", conditions::is_created());
        soon("the default service account is made", account).await??;
        Ok(lab)
    }

    /// Removes the namespace, without waiting for that.
    pub async fn leave(self) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await?;
        Ok(())
    }

    /// The namespace's objects of a kind.
    pub fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a ConfigMap with a label and one entry.
    pub async fn config_map(
        &self,
        name: &str,
        group: &str,
        value: &str,
    ) -> anyhow::Result<ConfigMap> {
        let made = config_map(name, group, value);
        Ok(self.api().create(&PostParams::default(), &made).await?)
    }
}

/// A ConfigMap with the label `group` and the entry `key`.
pub fn config_map(name: &str, group: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([("group".into(), group.into())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("key".into(), value.into())])),
        ..ConfigMap::default()
    }
}

/// The entry `key` of a ConfigMap.
pub fn value(map: &ConfigMap) -> &str {
    map.data
        .as_ref()
        .and_then(|data| data.get("key"))
        .map_or("", String::as_str)
}

/// A Deployment as a manifest says it.
pub fn deployment(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "web",
                    "image": "registry.example/web:1",
                    "ports": [{"containerPort": 80}],
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                }]},
            },
        },
    })
}

/// Waits for something with patience.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, future)
        .await
        .with_context(|| format!("did not come true within {} s: {what}", PATIENCE.as_secs()))
}

/// Asks again until the answer is something.
pub async fn eventually<T>(
    what: &str,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let asked = async {
        loop {
            if let Some(found) = probe().await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(what, asked).await?
}

/// The next item of a stream that does not end here.
pub async fn next<T, E: std::error::Error + Send + Sync + 'static>(
    stream: &mut (impl Stream<Item = Result<T, E>> + Unpin),
) -> anyhow::Result<T> {
    let item = soon("the next event", stream.next()).await?;
    Ok(item.context("the stream ended")??)
}

/// What the server answered to a request that must be refused.
pub fn refusal<T: Debug>(
    answer: kube::Result<T>,
    code: u16,
    reason: &str,
) -> anyhow::Result<Box<Status>> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == code && status.reason == reason => {
            Ok(status)
        }
        other => bail!("expected {code} {reason}, and not {other:?}"),
    }
}
