//! The store: every object in memory, beside etcd, which alone is durable.
//!
//! ```text
//!   commit ────────────── transaction ─────────────▶ etcd
//!                                                      │ one watch over the whole key space,
//!   read ◀─ Snapshot ─┐                                │ whole revisions in order
//!                     ├── cache: objects + past ◀── feed
//!   watch ◀─ Watcher ─┘        (imbl)
//! ```
//!
//! A write is an etcd transaction. Every change of every key comes back through one watch, and is
//! applied a revision at a time. A consistent read asks etcd only for its current revision, and
//! waits until the watch has brought it. Snapshots are persistent maps: taking one costs nothing,
//! and pages of a LIST walk the state of one revision while writes go on. Watches get their first
//! state and all later changes from the same place, so that nothing lies between.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrule_apimachinery::scheme::{Resource, Scheme};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub mod backend;
mod by_resource;
mod cache;
mod commit;
mod compaction;
mod dispatch;
mod error;
mod etcd;
mod expiry;
mod feed;
mod history;
mod members;
mod metered;
mod options;
mod revision;
mod snapshot;
mod stats;
mod table;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;

pub use by_resource::ResourceStats;
pub use dispatch::{Event, EventKind, WatchFilter};
pub use error::{CommitError, StoreError, WatchEnd};
pub use etcd::Etcd;
pub use metered::EtcdMetrics;
pub use options::{EtcdTls, StoreOptions};
pub use snapshot::Snapshot;
pub use stats::StoreStats;
pub use transaction::{Committed, Compare, Txn};
pub use watch::{WatchBatch, WatchFrom, Watcher};

use backend::Backend;
use cache::Cache;
use metered::Metered;
use revision::CurrentRevision;
use stats::Counters;
use table::Table;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAt {
    /// Whatever is in memory; works without etcd.
    Any,
    /// At least everything that was committed before the read began.
    Latest,
    /// At least this revision.
    AtLeast(i64),
    /// This revision exactly.
    Exact(i64),
}

/// Objects in memory beside etcd. A clone is another handle on the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
    current: CurrentRevision,
    options: StoreOptions,
}

impl Store {
    /// Connects to etcd, retrying until it answers, and returns once everything is loaded and the
    /// revision that was current then is visible. Background work ends with `shutdown`.
    pub async fn open(
        options: StoreOptions,
        scheme: Arc<Scheme>,
        shutdown: CancellationToken,
    ) -> Result<Store, StoreError> {
        let metered = Metered::new(Etcd::new(&options)?, options.metrics.clone(), &scheme);
        Self::open_on(Arc::new(metered), options, scheme, shutdown).await
    }

    /// As [`Store::open`], on any backend.
    pub async fn open_on(
        backend: Arc<dyn Backend>,
        options: StoreOptions,
        scheme: Arc<Scheme>,
        shutdown: CancellationToken,
    ) -> Result<Store, StoreError> {
        let counters = Arc::new(Counters::default());
        let cache = Arc::new(Cache::new(
            Table::new(&scheme),
            options.history_bytes,
            counters,
        ));
        let ready = feed::start(
            backend.clone(),
            cache.clone(),
            options.clone(),
            shutdown.clone(),
        );
        if ready.await.is_err() {
            return Err(StoreError::Unavailable("the store is shutting down".into()));
        }
        let current = CurrentRevision::new(backend.clone(), cache.clone());
        let store = Store {
            inner: Arc::new(Inner {
                backend,
                cache,
                current,
                options,
            }),
        };
        compaction::start(&store, shutdown.clone());
        expiry::start(&store, shutdown);
        Ok(store)
    }

    /// The state of a resource.
    pub async fn read(
        &self,
        resource: &Resource,
        at: ReadAt,
        deadline: Instant,
    ) -> Result<Snapshot, StoreError> {
        let cache = &self.inner.cache;
        let index = cache.index_of(resource)?;
        let counters = &cache.by_resource[index];
        match at {
            ReadAt::Any => {}
            ReadAt::Latest => {
                let waited = |took| counters.waited(took);
                let fresh = self.wait_for_latest(deadline, waited).await;
                counters.consistent(fresh.is_ok());
                fresh?;
            }
            ReadAt::AtLeast(revision) | ReadAt::Exact(revision) => {
                let began = Instant::now();
                let reached = self.wait_for(revision, deadline).await;
                counters.waited(began.elapsed());
                reached?;
            }
        }
        match at {
            ReadAt::Exact(revision) => cache.snapshot_at(index, revision),
            _ => Ok(cache.snapshot(index)),
        }
    }

    /// Counts a list that was served, and how many objects were looked at for it.
    pub fn listed(&self, resource: &Resource, fetched: usize, returned: usize) {
        let cache = &self.inner.cache;
        if let Ok(index) = cache.index_of(resource) {
            cache.by_resource[index].listed(fetched, returned);
        }
    }

    /// The revision up to which everything is visible in memory.
    pub fn revision(&self) -> i64 {
        self.inner.cache.revision()
    }

    /// etcd's current revision. One request serves all callers that arrived before it was sent.
    pub async fn current_revision(&self, deadline: Instant) -> Result<i64, StoreError> {
        self.inner.current.get(deadline).await
    }

    /// Waits until everything that is committed now is visible, and returns that revision's number.
    pub async fn wait_for_current(&self, deadline: Instant) -> Result<i64, StoreError> {
        self.wait_for_latest(deadline, |_| {}).await?;
        Ok(self.revision())
    }

    /// Waits until `revision` is visible. A revision that etcd has not reached itself is an error
    /// at once: nobody can have got it from here.
    pub async fn wait_for(&self, revision: i64, deadline: Instant) -> Result<(), StoreError> {
        let cache = &self.inner.cache;
        if revision <= cache.revision() {
            return Ok(());
        }
        let too_large = |current| StoreError::RevisionTooLarge {
            requested: revision,
            current,
        };
        // A moment for what is on its way, so that waiting for one's own write asks nothing.
        let moment = deadline.min(Instant::now() + Duration::from_millis(50));
        if cache.wait_for(revision, moment).await.is_ok() {
            return Ok(());
        }
        let current = self.current_revision(deadline).await?;
        if current < revision {
            return Err(too_large(current));
        }
        cache.wait_for(revision, deadline).await.map_err(too_large)
    }

    /// `waited` is told how long the changes took to come.
    async fn wait_for_latest(
        &self,
        deadline: Instant,
        waited: impl FnOnce(Duration),
    ) -> Result<(), StoreError> {
        let revision = self.current_revision(deadline).await?;
        let began = Instant::now();
        let reached = self.inner.cache.wait_for(revision, deadline).await;
        waited(began.elapsed());
        reached.map_err(|reached| {
            StoreError::Unavailable(format!(
                "the changes up to revision {revision} have not arrived in time (at {reached})"
            ))
        })
    }

    /// Carries out a transaction. When an answer is lost, the same transaction is sent again until
    /// its outcome is known or the deadline has passed.
    pub async fn commit(&self, txn: Txn, deadline: Instant) -> Result<Committed, CommitError> {
        commit::commit(&*self.inner.backend, &self.inner.cache, &txn, deadline).await
    }

    /// One key of etcd as it is now, with its revision; for own records outside of `/registry/`.
    pub async fn get_key(
        &self,
        key: &str,
        deadline: Instant,
    ) -> Result<Option<(Bytes, i64)>, StoreError> {
        let read = self.inner.backend.get(key.as_bytes(), 0);
        match tokio::time::timeout_at(deadline, read).await {
            Ok(Ok((_, entry))) => Ok(entry.map(|entry| (entry.value, entry.mod_revision))),
            Ok(Err(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(_) => Err(StoreError::Unavailable(
                "etcd did not answer in time".into(),
            )),
        }
    }

    /// Watches a resource. With [`WatchFrom::After`] a revision that is not yet visible here is
    /// waited for; one that etcd has never reached is expired, because its history is not ours.
    pub async fn watch(
        &self,
        resource: &Resource,
        filter: WatchFilter,
        from: WatchFrom,
        deadline: Instant,
    ) -> Result<Watcher, StoreError> {
        if let WatchFrom::After(revision) = from {
            match self.wait_for(revision, deadline).await {
                Err(StoreError::RevisionTooLarge { requested, current }) => {
                    return Err(StoreError::Expired {
                        requested,
                        oldest: current,
                    });
                }
                other => other?,
            }
        }
        Watcher::open(
            &self.inner.cache,
            &self.inner.options,
            resource,
            filter,
            from,
        )
    }

    /// What there is of each resource, as far as is visible, and what was counted of it. Looks at every
    /// object.
    pub fn stats_by_resource(&self) -> Vec<ResourceStats> {
        self.inner.cache.stats()
    }

    /// Counters for metrics.
    pub fn stats(&self) -> StoreStats {
        self.inner.cache.counters.read()
    }
}
