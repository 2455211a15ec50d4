//! Informers: a cache of projections that follows a collection.
//!
//! ```text
//!   watch(sendInitialEvents) ──> present objects ... initial_events_end ──> synced
//!        ^                          └─ later: changes, progress marks
//!        │ connection lost: resume after the last revision
//!        └ 410 Expired: the present state again, told as differences to the cache
//! ```
//!
//! An informer is written by one task; [`Reader`]s only read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, RwLock};
use std::time::Duration;

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::scheme::{GroupVersionResource, Resource, Scheme};
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_proto::v1::EventType;
use futures::StreamExt;
use rand::Rng;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use crate::cached::{Cached, Change, Key, Projection, Typed};
use crate::client::{At, Batch, Client, WatchOptions};

/// The longest pause before another try.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
type Handler<T> = Box<dyn Fn(&Change<T>) + Send + Sync>;
type Objects<T> = BTreeMap<Key, Arc<Cached<T>>>;

struct Shared<T> {
    gvr: GroupVersionResource,
    objects: RwLock<Objects<T>>,
    /// Held while a change is applied and told, so that a new handler misses and repeats nothing.
    handlers: Mutex<Vec<Handler<T>>>,
    /// 0 until the first complete state.
    revision: watch::Sender<i64>,
    lists: AtomicU64,
}

/// Reads a cache. Clones share it.
pub struct Reader<T>(Arc<Shared<T>>);

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Reader(self.0.clone())
    }
}

impl<T: Send + Sync + 'static> Reader<T> {
    /// The resource that is followed.
    pub fn gvr(&self) -> &GroupVersionResource {
        &self.0.gvr
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<Cached<T>>> {
        self.read().get(key).cloned()
    }

    /// All objects, in the order of their keys.
    pub fn list(&self) -> Vec<Arc<Cached<T>>> {
        self.read().values().cloned().collect()
    }

    /// The objects of one namespace, in the order of their names.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<Cached<T>>> {
        let first = Key::new(namespace, "");
        self.read()
            .range(first..)
            .take_while(|(key, _)| &*key.namespace == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything up to this revision has been seen; 0 before the first complete state.
    pub fn revision(&self) -> i64 {
        *self.0.revision.borrow()
    }

    /// How often the whole state was taken: once, and again each time that a watch could not be resumed.
    pub fn lists(&self) -> u64 {
        self.0.lists.load(Ordering::Relaxed)
    }

    /// Whether the cache has been complete once.
    pub fn synced(&self) -> bool {
        self.revision() > 0
    }

    /// Waits until the cache is complete.
    pub async fn wait_synced(&self) {
        self.wait_for(1).await;
    }

    /// Waits until everything up to `revision` has been seen.
    pub async fn wait_for(&self, revision: i64) {
        let mut seen = self.0.revision.subscribe();
        // The sender lives in `self`, so this cannot end early.
        let _ = seen.wait_for(|seen| *seen >= revision).await;
    }

    /// Calls `handler` with every present object as added, then with every change, in order.
    /// It runs in the informer's task: it should be quick, and must not wait.
    pub fn on_change(&self, handler: impl Fn(&Change<T>) + Send + Sync + 'static) {
        let mut handlers = self
            .0
            .handlers
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        for object in self.list() {
            handler(&Change::Added(object));
        }
        handlers.push(Box::new(handler));
    }

    /// The present objects as added, then every change, in order.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Change<T>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.on_change(move |change| drop(sender.send(change.clone())));
        receiver
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Objects<T>> {
        self.0
            .objects
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An informer that is being put together.
pub struct Informer<T> {
    client: Client,
    gvr: GroupVersionResource,
    resource: Arc<Resource>,
    at: At,
    options: WatchOptions,
    handlers: Vec<Handler<T>>,
}

impl<T: Projection> Informer<T> {
    /// Follows a resource in all namespaces.
    pub fn builder(client: &Client, gvr: GroupVersionResource) -> Informer<T> {
        Informer {
            client: client.clone(),
            resource: resource(&gvr),
            at: At::of(gvr.clone()),
            gvr,
            options: WatchOptions::default(),
            handlers: Vec::new(),
        }
    }

    /// Only one namespace.
    pub fn namespace(mut self, namespace: &str) -> Informer<T> {
        self.at = self.at.namespace(namespace);
        self
    }

    /// Only objects whose labels match.
    pub fn label_selector(mut self, selector: &str) -> Informer<T> {
        self.options.label_selector = selector.to_owned();
        self
    }

    /// Only objects whose fields match.
    pub fn field_selector(mut self, selector: &str) -> Informer<T> {
        self.options.field_selector = selector.to_owned();
        self
    }

    /// As [`Reader::on_change`], from the first object on.
    pub fn on_change(
        mut self,
        handler: impl Fn(&Change<T>) + Send + Sync + 'static,
    ) -> Informer<T> {
        self.handlers.push(Box::new(handler));
        self
    }

    /// Starts to follow, until `shutdown`.
    pub fn start(self, shutdown: CancellationToken) -> Reader<T> {
        let shared = Arc::new(Shared {
            gvr: self.gvr,
            objects: RwLock::default(),
            handlers: Mutex::new(self.handlers),
            revision: watch::Sender::new(0),
            lists: AtomicU64::new(0),
        });
        let mut options = self.options;
        options.form = Default::default();
        let follower = Follower {
            client: self.client,
            resource: self.resource,
            at: self.at,
            options,
            cache: shared.clone(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = follower.follow() => {}
            }
        });
        Reader(shared)
    }
}

/// The row of a resource; one without selectable fields for those that the scheme does not know.
fn resource(gvr: &GroupVersionResource) -> Arc<Resource> {
    static BUILTIN: LazyLock<Scheme> = LazyLock::new(Scheme::builtin);
    BUILTIN.get(gvr).cloned().unwrap_or_default()
}

struct Follower<T> {
    client: Client,
    resource: Arc<Resource>,
    at: At,
    options: WatchOptions,
    cache: Arc<Shared<T>>,
}

impl<T: Projection> Follower<T> {
    async fn follow(self) {
        let mut pause = Duration::from_millis(50);
        loop {
            let before = *self.cache.revision.borrow();
            let error = self.watch_once(before).await.err();
            if *self.cache.revision.borrow() > before {
                pause = Duration::from_millis(50);
            }
            if let Some(status) = error {
                let resource = &self.cache.gvr.resource;
                if matches!(status.reason, Reason::Expired | Reason::Gone) {
                    tracing::info!(%resource, "the watch is too old; listing again");
                    if self.relist().await.is_ok() {
                        continue;
                    }
                } else {
                    tracing::debug!(%resource, error = %status, "the watch ended");
                }
            }
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            tokio::time::sleep(jittered).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One watch: from the beginning when nothing is known, else after `revision`.
    async fn watch_once(&self, revision: i64) -> Result<(), Status> {
        if revision == 0 {
            return self.relist().await;
        }
        let options = WatchOptions {
            resource_version: revision.to_string(),
            ..self.options.clone()
        };
        let mut batches = self.client.watch(&self.at, &options).await?;
        while let Some(batch) = batches.next().await {
            self.apply(batch?);
        }
        Ok(())
    }

    /// The whole present state, then its changes, in one watch.
    async fn relist(&self) -> Result<(), Status> {
        let options = WatchOptions {
            send_initial_events: true,
            ..self.options.clone()
        };
        let mut batches = self.client.watch(&self.at, &options).await?;
        let mut present = Some(Objects::new());
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let Some(objects) = &mut present else {
                self.apply(batch);
                continue;
            };
            for change in &batch.changes {
                let Some(object) = self.project(&change.object, change.revision) else {
                    continue;
                };
                match change.kind {
                    EventType::EventDeleted => objects.remove(&object.key()),
                    _ => objects.insert(object.key(), object),
                };
            }
            if batch.initial_events_end {
                self.replace(present.take().unwrap_or_default(), batch.revision);
            }
        }
        Ok(())
    }

    fn project(&self, json: &[u8], revision: i64) -> Option<Arc<Cached<T>>> {
        let header = Header::parse(&self.resource, json);
        let projected = header
            .map_err(|error| error.to_string())
            .and_then(|header| {
                let value = T::project(&header, json).map_err(|error| error.to_string())?;
                Ok(Arc::new(Cached {
                    header,
                    revision,
                    value,
                }))
            });
        match projected {
            Ok(object) => Some(object),
            Err(error) => {
                // Nothing to retry: the object is left out until it changes.
                tracing::error!(resource = %self.cache.gvr.resource, %error, "an object cannot be read");
                None
            }
        }
    }

    fn apply(&self, batch: Batch) {
        let handlers = self
            .cache
            .handlers
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        for change in &batch.changes {
            let Some(object) = self.project(&change.object, change.revision) else {
                continue;
            };
            let key = object.key();
            let change = {
                let mut objects = self
                    .cache
                    .objects
                    .write()
                    .unwrap_or_else(|p| p.into_inner());
                if change.kind == EventType::EventDeleted {
                    objects.remove(&key).map(|_| Change::Deleted(object))
                } else {
                    Some(match objects.insert(key, object.clone()) {
                        None => Change::Added(object),
                        Some(old) => Change::Modified { old, new: object },
                    })
                }
            };
            if let Some(change) = change {
                handlers.iter().for_each(|handler| handler(&change));
            }
        }
        drop(handlers);
        self.seen(batch.revision);
    }

    /// Takes a whole state, and tells how it differs from the last one.
    fn replace(&self, present: Objects<T>, revision: i64) {
        let handlers = self
            .cache
            .handlers
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = {
            let mut objects = self
                .cache
                .objects
                .write()
                .unwrap_or_else(|p| p.into_inner());
            std::mem::replace(&mut *objects, present.clone())
        };
        let tell = |change: Change<T>| handlers.iter().for_each(|handler| handler(&change));
        for (key, old) in &before {
            match present.get(key) {
                Some(new) if new.header.uid == old.header.uid => {}
                _ => tell(Change::Deleted(old.clone())),
            }
        }
        for (key, new) in present {
            match before.get(&key) {
                Some(old) if old.header.uid == new.header.uid => {
                    if old.revision != new.revision {
                        tell(Change::Modified {
                            old: old.clone(),
                            new,
                        });
                    }
                }
                _ => tell(Change::Added(new)),
            }
        }
        drop(handlers);
        self.cache.lists.fetch_add(1, Ordering::Relaxed);
        // After a restore of the store the revision may be lower than before.
        self.cache.revision.send_replace(revision.max(1));
    }

    fn seen(&self, revision: i64) {
        self.cache.revision.send_if_modified(|seen| {
            let newer = revision > *seen;
            *seen = revision.max(*seen);
            newer
        });
    }
}
