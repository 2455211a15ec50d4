//! What the tests of the verbs share: the verbs over a store on a real etcd, and short calls of them.

#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use ferrule_apimachinery::scheme::Scheme;
use ferrule_apimachinery::status::Status;
use ferrule_apiserver::admission::TolerationSeconds;
use ferrule_apiserver::store::{Store, StoreOptions};
use ferrule_apiserver::verbs::allocation::Ranges;
use ferrule_apiserver::verbs::bootstrap::Advertised;
use ferrule_apiserver::verbs::connect::Kubelets;
use ferrule_apiserver::verbs::{
    Api, ApiOptions, Body, Call, DeleteOptions, Epoch, ListOptions, Patch, Target, WriteOptions,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// An API server without its fronts. Ends when dropped.
pub struct Server {
    pub api: Api,
    _shutdown: DropGuard,
}

/// One server on the etcd at `endpoint`, with the objects that every cluster has.
pub async fn server(endpoint: &str) -> Server {
    server_with(endpoint, Kubelets::default()).await
}

/// The same, which reaches its kubelets like this.
pub async fn server_with(endpoint: &str, kubelets: Kubelets) -> Server {
    let shutdown = CancellationToken::new();
    let scheme = Arc::new(Scheme::builtin());
    let options = StoreOptions {
        compaction_interval: None,
        event_ttl: None,
        progress_interval: Duration::from_millis(100),
        ..StoreOptions::new([endpoint])
    };
    let store = Store::open(options, scheme.clone(), shutdown.clone())
        .await
        .expect("the store opens");
    let addresses = scheme
        .lookup("networking.k8s.io", "v1", "ipaddresses")
        .expect("IPAddress exists");
    let options = ApiOptions {
        ranges: Ranges {
            network: "10.96.0.0/16".parse().expect("a network"),
            ports: 30000..=32767,
            addresses: addresses.clone(),
        },
        kubelets,
        tolerations: TolerationSeconds::default(),
    };
    let api = Api::new(store, scheme, options);
    let advertised = Advertised {
        address: [192, 0, 2, 1].into(),
        port: 6443,
    };
    api.bootstrap(advertised)
        .await
        .expect("the first objects are made");
    Server {
        api,
        _shutdown: shutdown.drop_guard(),
    }
}

pub fn call() -> Call {
    Call::internal(Instant::now() + Duration::from_secs(20))
}

impl Server {
    /// `pods/web`, `deployments.apps/web`, `pods/web/status`; in the namespace `default` where there is one.
    pub fn target(&self, text: &str) -> Target {
        let mut parts = text.split('/');
        let resource = parts.next().unwrap_or_default();
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let resource = self
            .api
            .scheme()
            .lookup(group, "v1", plural)
            .expect("the resource exists");
        Target {
            namespace: if resource.namespaced {
                "default".to_owned()
            } else {
                String::new()
            },
            resource: resource.clone(),
            name: parts.next().unwrap_or_default().to_owned(),
            subresource: parts.next().unwrap_or_default().to_owned(),
        }
    }

    pub async fn create(&self, target: &str, object: Value) -> Result<Value, Status> {
        self.create_with(&call(), target, object, &WriteOptions::default())
            .await
    }

    pub async fn create_with(
        &self,
        call: &Call,
        target: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        let body = object.to_string();
        let target = self.target(target);
        let answer = self
            .api
            .create(call, &target, Body::json(body.as_bytes()), options)
            .await?;
        Ok(parse(&answer.bytes))
    }

    pub async fn get(&self, target: &str) -> Result<Value, Status> {
        Ok(parse(
            &self.api.get(&call(), &self.target(target), "").await?.bytes,
        ))
    }

    pub async fn update(&self, target: &str, object: &Value) -> Result<Value, Status> {
        self.update_in(None, target, object).await
    }

    pub async fn update_in(
        &self,
        epoch: Option<Epoch>,
        target: &str,
        object: &Value,
    ) -> Result<Value, Status> {
        let mut call = call();
        call.epoch = epoch;
        let body = object.to_string();
        let body = Body::json(body.as_bytes());
        let options = WriteOptions::default();
        Ok(parse(
            &self
                .api
                .update(&call, &self.target(target), body, &options)
                .await?
                .bytes,
        ))
    }

    pub async fn merge(&self, target: &str, patch: Value) -> Result<Value, Status> {
        let patch = Patch::Merge(patch).into();
        let options = WriteOptions::default();
        Ok(parse(
            &self
                .api
                .patch(&call(), &self.target(target), &patch, &options)
                .await?
                .bytes,
        ))
    }

    pub async fn delete(&self, target: &str, options: Value) -> Result<Value, Status> {
        let options = DeleteOptions::read(&options)?;
        Ok(parse(
            &self
                .api
                .delete(&call(), &self.target(target), &options)
                .await?
                .bytes,
        ))
    }

    pub async fn list(&self, target: &str, options: &ListOptions) -> Result<Vec<Value>, Status> {
        let page = self
            .api
            .list(&call(), &self.target(target), options)
            .await?;
        Ok(page
            .items
            .iter()
            .map(|stored| parse(&stored.with_resource_version()))
            .collect())
    }
}

pub fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("an answer is JSON")
}

pub fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": "0"}})
}

pub fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "busybox"}]},
    })
}

pub fn service(name: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": kind, "selector": {"app": "web"}, "ports": [{"port": 80}]},
    })
}

pub fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
}
