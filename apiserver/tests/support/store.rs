//! What the tests of the store share: opening it, writing pods, reading watches.

#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrule_apimachinery::scheme::{GroupVersionResource, Resource, Scheme, gvr};
use ferrule_apimachinery::selector::{FieldSelector, LabelSelector};
use ferrule_apiserver::store::backend::Backend;
use ferrule_apiserver::store::{
    CommitError, EventKind, ReadAt, Snapshot, Store, StoreError, StoreOptions, Txn, WatchEnd,
    WatchFilter, WatchFrom, Watcher,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// An open store that is shut down when dropped.
pub struct Opened {
    pub store: Store,
    pub scheme: Arc<Scheme>,
    _shutdown: DropGuard,
}

/// Settings for tests: nothing happens by itself, and waiting is short.
pub fn options(endpoint: &str) -> StoreOptions {
    StoreOptions {
        compaction_interval: None,
        event_ttl: None,
        request_timeout: Duration::from_secs(2),
        progress_interval: Duration::from_millis(100),
        idle_check: Duration::from_millis(500),
        ..StoreOptions::new([endpoint])
    }
}

pub async fn open(options: StoreOptions) -> Opened {
    let shutdown = CancellationToken::new();
    let scheme = Arc::new(Scheme::builtin());
    let store = Store::open(options, scheme.clone(), shutdown.clone());
    Opened {
        store: store.await.expect("the store opens"),
        scheme,
        _shutdown: shutdown.drop_guard(),
    }
}

pub async fn open_on(backend: Arc<dyn Backend>, options: StoreOptions) -> Opened {
    let shutdown = CancellationToken::new();
    let scheme = Arc::new(Scheme::builtin());
    let store = Store::open_on(backend, options, scheme.clone(), shutdown.clone());
    Opened {
        store: store.await.expect("the store opens"),
        scheme,
        _shutdown: shutdown.drop_guard(),
    }
}

pub fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_millis(700)
}

/// A pod named `name` in `default`, with a label `app` and perhaps a node.
pub fn pod(name: &str, app: &str, node: &str) -> Bytes {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": format!("uid-{name}"),
            "labels": {"app": app},
        },
    });
    if !node.is_empty() {
        pod["spec"] = json!({"nodeName": node});
    }
    bytes(&pod)
}

pub fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

impl Opened {
    pub fn resource(&self, gvr: &GroupVersionResource) -> Arc<Resource> {
        self.scheme.get(gvr).expect("a built-in resource").clone()
    }

    pub fn pods(&self) -> Arc<Resource> {
        self.resource(&gvr::PODS)
    }

    pub async fn create(&self, name: &str, app: &str, node: &str) -> i64 {
        let txn = Txn::new().create(self.pods().key("default", name), pod(name, app, node));
        self.commit(txn).await.expect("the pod is created")
    }

    pub async fn update(&self, name: &str, revision: i64, app: &str, node: &str) -> i64 {
        let key = self.pods().key("default", name);
        let txn = Txn::new().update(key, revision, pod(name, app, node));
        self.commit(txn).await.expect("the pod is updated")
    }

    pub async fn remove(&self, name: &str, revision: i64) -> i64 {
        let txn = Txn::new().remove(self.pods().key("default", name), revision);
        self.commit(txn).await.expect("the pod is removed")
    }

    pub async fn commit(&self, txn: Txn) -> Result<i64, CommitError> {
        self.store
            .commit(txn, deadline())
            .await
            .map(|committed| committed.revision)
    }

    pub async fn read(&self, at: ReadAt) -> Snapshot {
        let read = self.try_read(at, deadline()).await;
        read.expect("the pods can be read")
    }

    pub async fn try_read(&self, at: ReadAt, deadline: Instant) -> Result<Snapshot, StoreError> {
        self.store.read(&self.pods(), at, deadline).await
    }

    pub async fn watch(&self, filter: WatchFilter, from: WatchFrom) -> Watcher {
        let watch = self.try_watch(filter, from).await;
        watch.expect("the pods can be watched")
    }

    pub async fn try_watch(
        &self,
        filter: WatchFilter,
        from: WatchFrom,
    ) -> Result<Watcher, StoreError> {
        let pods = self.pods();
        self.store.watch(&pods, filter, from, deadline()).await
    }
}

pub fn everything() -> WatchFilter {
    WatchFilter::default()
}

pub fn by_label(selector: &str) -> WatchFilter {
    WatchFilter {
        labels: LabelSelector::parse(selector).expect("a label selector"),
        ..WatchFilter::default()
    }
}

pub fn by_field(selector: &str) -> WatchFilter {
    WatchFilter {
        fields: FieldSelector::parse(selector).expect("a field selector"),
        ..WatchFilter::default()
    }
}

/// An event in short: what happened to whom, at which revision.
pub type Seen = (EventKind, String, i64);

/// Reads a watch until it has shown everything up to `revision`.
pub async fn seen_until(watcher: &mut Watcher, revision: i64) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        let batch = tokio::time::timeout(Duration::from_secs(10), watcher.next())
            .await
            .expect("the watch goes on")
            .expect("the watch does not end");
        for event in &batch.events {
            seen.push((
                event.kind,
                event.object.header.name.to_string(),
                event.revision,
            ));
        }
        if batch.revision >= revision {
            return seen;
        }
    }
}

/// Reads a watch until it ends.
pub async fn end_of(watcher: &mut Watcher) -> WatchEnd {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(15), watcher.next());
        match next.await.expect("the watch ends") {
            Ok(_) => {}
            Err(end) => return end,
        }
    }
}

/// The names of the pods in a snapshot, in its order.
pub fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot
        .iter()
        .map(|(_, pod)| pod.header.name.to_string())
        .collect()
}
