//! The controller runtime: workers that reconcile one key at a time and read their own writes.
//!
//! A controller that wrote is not called for the same key again before its readers have seen
//! those revisions; after an unknown outcome (a time-out) they must first reach the server's
//! current revision. That replaces expectations with a time-out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_apimachinery::status::{Reason, Status};
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::client::{At, Client, DeleteOptions, ListOptions, Object, Patch, WriteOptions};
use crate::informer::{Key, Reader};
use crate::queue::Queue;

/// How long a worker waits for its own writes before it tries again later.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a key could not be reconciled.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// When a key is looked at again, besides when something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Only when something changes.
    Done,
    /// After this time.
    After(Duration),
}

/// What a controller adds to the runtime.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    /// The name in logs, metrics and introspection.
    fn name(&self) -> &'static str;

    /// Observes, plans and acts for one key. Writes go through `writes`.
    async fn reconcile(&self, key: &Key, writes: &Writes) -> Result<Next, Error>;
}

#[derive(Clone)]
enum Written {
    At(GroupVersionResource, i64),
    /// The server did not say what became of it.
    Unknown(GroupVersionResource),
}

/// The writes of one reconciliation, made through a client and remembered.
pub struct Writes {
    client: Client,
    log: Mutex<Vec<Written>>,
}

impl Writes {
    /// Nothing written yet.
    pub fn new(client: Client) -> Writes {
        Writes {
            client,
            log: Mutex::default(),
        }
    }

    /// The client, for reads.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Creates an object.
    pub async fn create(&self, at: &At, object: impl Into<Bytes>) -> Result<Object, Status> {
        let result = self
            .client
            .create(at, object, &WriteOptions::default())
            .await;
        self.note(at, result)
    }

    /// Changes an object.
    pub async fn patch(&self, at: &At, patch: &Patch) -> Result<Object, Status> {
        let result = self.client.patch(at, patch, &WriteOptions::default()).await;
        self.note(at, result)
    }

    /// Deletes an object.
    pub async fn delete(&self, at: &At, options: &DeleteOptions) -> Result<Object, Status> {
        let result = self.client.delete(at, options).await;
        self.note(at, result)
    }

    fn note(&self, at: &At, result: Result<Object, Status>) -> Result<Object, Status> {
        let written = match &result {
            Ok(object) if object.revision > 0 => Some(Written::At(at.gvr.clone(), object.revision)),
            Err(status) if unknown(status) => Some(Written::Unknown(at.gvr.clone())),
            _ => None,
        };
        if let Some(written) = written {
            self.log
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .push(written);
        }
        result
    }

    fn take(&self) -> Vec<Written> {
        std::mem::take(
            &mut self
                .log
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }
}

/// Whether a failed write may have been stored all the same.
fn unknown(status: &Status) -> bool {
    matches!(
        status.reason,
        Reason::Timeout
            | Reason::ServiceUnavailable
            | Reason::ServerTimeout
            | Reason::InternalError
    )
}

type Wait = Box<dyn Fn(i64) -> BoxFuture<'static, ()> + Send + Sync>;

/// The caches that a controller plans from, by resource.
#[derive(Default)]
pub struct Readers(HashMap<GroupVersionResource, Wait>);

impl Readers {
    /// Adds one.
    pub fn with<T: Send + Sync + 'static>(mut self, reader: &Reader<T>) -> Readers {
        let own = reader.clone();
        let wait = move |revision| -> BoxFuture<'static, ()> {
            let own = own.clone();
            Box::pin(async move { own.wait_for(revision).await })
        };
        self.0.insert(reader.gvr().clone(), Box::new(wait));
        self
    }

    async fn all_synced(&self) {
        for wait in self.0.values() {
            wait(1).await;
        }
    }

    /// Waits until what was written can be read.
    async fn caught_up(&self, client: &Client, written: &[Written]) -> Result<(), Status> {
        for entry in written {
            let (gvr, revision) = match entry {
                Written::At(gvr, revision) => (gvr, *revision),
                Written::Unknown(gvr) => {
                    let options = ListOptions {
                        limit: 1,
                        ..ListOptions::default()
                    };
                    (
                        gvr,
                        client.list(&At::of(gvr.clone()), &options).await?.revision,
                    )
                }
            };
            let Some(wait) = self.0.get(gvr) else {
                continue;
            };
            if tokio::time::timeout(BARRIER_TIMEOUT, wait(revision))
                .await
                .is_err()
            {
                let what = format!(
                    "the cache of {} has not reached revision {revision}",
                    gvr.resource
                );
                return Err(Status::timeout(what, 0));
            }
        }
        Ok(())
    }
}

/// What a controller has done, for introspection and metrics.
#[derive(Default)]
pub struct Stats {
    /// Reconciliations that went well.
    pub reconciled: AtomicU64,
    /// Reconciliations that failed.
    pub failed: AtomicU64,
    /// The last failure: its time, its key, its message.
    pub last_error: Mutex<Option<(Timestamp, Key, String)>>,
}

/// Runs `workers` workers over a queue until `shutdown`; begins when all readers are complete.
pub async fn run_controller(
    controller: Arc<dyn Controller>,
    client: Client,
    queue: Queue,
    readers: Readers,
    workers: usize,
    stats: Arc<Stats>,
    shutdown: CancellationToken,
) {
    tokio::select! {
        () = shutdown.cancelled() => return,
        () = readers.all_synced() => {}
    }
    tracing::info!(
        controller = controller.name(),
        "caches are complete; starting {workers} workers"
    );
    let runtime = Arc::new(Runtime {
        controller,
        client,
        queue: queue.clone(),
        readers,
        stats,
        unseen: Mutex::default(),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers.max(1) {
        let runtime = runtime.clone();
        tasks.spawn(async move {
            while let Some(key) = runtime.queue.next().await {
                runtime.work(&key).await;
                runtime.queue.done(&key);
            }
        });
    }
    shutdown.cancelled().await;
    queue.close();
    // A reconciliation under way may finish; every step of it is safe to leave out, though.
    let _ = tokio::time::timeout(Duration::from_secs(3), async {
        while tasks.join_next().await.is_some() {}
    })
    .await;
}

struct Runtime {
    controller: Arc<dyn Controller>,
    client: Client,
    queue: Queue,
    readers: Readers,
    stats: Arc<Stats>,
    unseen: Mutex<HashMap<Key, Vec<Written>>>,
}

impl Runtime {
    async fn work(&self, key: &Key) {
        let name = self.controller.name();
        let result = self.reconcile(key).await;
        match result {
            Ok(next) => {
                self.queue.forget(key);
                self.stats.reconciled.fetch_add(1, Ordering::Relaxed);
                if let Next::After(delay) = next {
                    self.queue.add_after(key.clone(), delay);
                }
            }
            Err(error) => {
                tracing::debug!(controller = name, %key, %error, "reconciliation failed");
                self.stats.failed.fetch_add(1, Ordering::Relaxed);
                let mut last = self
                    .stats
                    .last_error
                    .lock()
                    .unwrap_or_else(|p| p.into_inner());
                *last = Some((Timestamp::now(), key.clone(), error.to_string()));
                drop(last);
                self.queue.retry(key.clone());
            }
        }
    }

    async fn reconcile(&self, key: &Key) -> Result<Next, Error> {
        let unseen = self.unseen().get(key).cloned();
        if let Some(unseen) = unseen {
            self.readers.caught_up(&self.client, &unseen).await?;
            self.unseen().remove(key);
        }
        let writes = Writes::new(self.client.clone());
        let result = self.controller.reconcile(key, &writes).await;
        let written = writes.take();
        if !written.is_empty() {
            self.unseen().insert(key.clone(), written);
        }
        result
    }

    fn unseen(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Vec<Written>>> {
        self.unseen
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
