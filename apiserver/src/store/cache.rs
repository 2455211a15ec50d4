//! Everything that is stored, in memory: the current objects, their past, and who watches them.
//!
//! One task (`feed.rs`) writes here, whole revisions at a time; everybody else reads. Under the
//! lock the objects, the past and the revision always belong together.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::scheme::Resource;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::error;

use super::backend::RawEvent;
use super::by_resource::{ResourceCounters, ResourceStats, add};
use super::dispatch::{Subscribers, Subscription};
use super::error::{StoreError, WatchEnd};
use super::feed::Doubt;
use super::history::{Change, Ledger, Past};
use super::snapshot::{Objects, Snapshot};
use super::stats::Counters;
use super::table::{Index, Table};

/// The state of all resources at one revision, and the way back from there.
struct State {
    /// The cluster whose data this is.
    cluster_id: u64,
    revision: i64,
    objects: Vec<Objects>,
    pasts: Vec<Past>,
    ledger: Ledger,
}

/// All changes of one revision.
pub(super) struct Revision {
    pub(super) revision: i64,
    pub(super) changes: Vec<Parsed>,
}

/// A change that concerns one of our resources.
pub(super) struct Parsed {
    index: Index,
    key: Arc<str>,
    new: Option<Arc<Stored>>,
}

/// See the module.
pub(super) struct Cache {
    pub(super) table: Table,
    history_bytes: usize,
    state: RwLock<State>,
    /// Taken inside the lock of `state` by the writer and by those who subscribe, so that a
    /// subscriber sees exactly the changes after the state that it found.
    subscribers: Vec<Mutex<Subscribers>>,
    /// The revision up to which everything has been applied and handed to the subscribers.
    applied: watch::Sender<i64>,
    pub(super) counters: Arc<Counters>,
    pub(super) by_resource: Vec<ResourceCounters>,
    pub(super) doubt: Doubt,
}

impl Cache {
    pub(super) fn new(table: Table, history_bytes: usize, counters: Arc<Counters>) -> Self {
        let state = State {
            cluster_id: 0,
            revision: 0,
            objects: vec![Objects::default(); table.len()],
            pasts: (0..table.len()).map(|_| Past::starting_at(0)).collect(),
            ledger: Ledger::default(),
        };
        Self {
            history_bytes,
            state: RwLock::new(state),
            subscribers: (0..table.len()).map(|_| Mutex::default()).collect(),
            applied: watch::Sender::new(0),
            by_resource: (0..table.len())
                .map(|_| ResourceCounters::default())
                .collect(),
            table,
            counters,
            doubt: Doubt::default(),
        }
    }

    /// The revision up to which everything is visible.
    pub(super) fn revision(&self) -> i64 {
        *self.applied.borrow()
    }

    /// Whether the data in memory are those of this cluster.
    pub(super) fn is_of(&self, cluster_id: u64) -> bool {
        self.read().cluster_id == cluster_id
    }

    pub(super) fn index_of(&self, resource: &Resource) -> Result<Index, StoreError> {
        self.table
            .index_of(resource)
            .ok_or_else(|| StoreError::UnknownResource(resource.plural.to_string()))
    }

    /// Waits until `revision` is visible; `Err` carries the revision reached at the deadline.
    pub(super) async fn wait_for(&self, revision: i64, deadline: Instant) -> Result<(), i64> {
        let mut applied = self.applied.subscribe();
        match timeout_at(deadline, applied.wait_for(|applied| *applied >= revision)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(self.revision()),
        }
    }

    /// What there is of each resource, and what was counted.
    pub(super) fn stats(&self) -> Vec<ResourceStats> {
        // The sizes are added up without the lock: the maps are cheap to take.
        let objects = self.read().objects.clone();
        objects
            .iter()
            .zip(&self.by_resource)
            .enumerate()
            .map(|(index, (objects, counters))| {
                let bytes = objects.values().map(|object| object.bytes.len() as u64);
                let resource = self.table.resource(index).clone();
                counters.read(resource, objects.len() as u64, bytes.sum())
            })
            .collect()
    }

    /// The current state of a resource.
    pub(super) fn snapshot(&self, index: Index) -> Snapshot {
        let state = self.read();
        Snapshot::new(state.revision, state.objects[index].clone())
    }

    /// The state of a resource at a past revision.
    pub(super) fn snapshot_at(&self, index: Index, revision: i64) -> Result<Snapshot, StoreError> {
        let state = self.read();
        let past = &state.pasts[index];
        if revision > state.revision {
            return Err(StoreError::RevisionTooLarge {
                requested: revision,
                current: state.revision,
            });
        }
        past.state_at(revision, &state.objects[index])
            .map(|objects| Snapshot::new(revision, objects))
            .ok_or(StoreError::Expired {
                requested: revision,
                oldest: past.start(),
            })
    }

    /// Subscribes from the current revision on and returns the state it starts from.
    pub(super) fn subscribe(&self, subscription: &Arc<Subscription>) -> Snapshot {
        let state = self.read();
        self.enlist(subscription);
        Snapshot::new(state.revision, state.objects[subscription.index].clone())
    }

    /// Subscribes from the current revision on and returns it with the changes after `revision`.
    pub(super) fn resume(
        &self,
        subscription: &Arc<Subscription>,
        revision: i64,
    ) -> Result<(i64, Vec<Arc<Change>>), StoreError> {
        let state = self.read();
        let past = &state.pasts[subscription.index];
        if revision < past.start() || revision > state.revision {
            return Err(StoreError::Expired {
                requested: revision,
                oldest: past.start(),
            });
        }
        let missed = past
            .after(revision)
            .filter(|change| subscription.concerns(change))
            .cloned()
            .collect();
        self.enlist(subscription);
        Ok((state.revision, missed))
    }

    /// The revision at which `key` was given exactly `value` after `revision`: `Ok(None)` when it
    /// was not, `Err` when the past does not tell.
    pub(super) fn written(
        &self,
        key: &str,
        value: &[u8],
        revision: i64,
    ) -> Result<Option<i64>, ()> {
        let (index, rest) = self.table.locate(key).ok_or(())?;
        let state = self.read();
        let past = &state.pasts[index];
        let found = past
            .after(revision)
            .filter(|change| *change.key == *rest)
            .find(|change| change.new.as_ref().is_some_and(|new| new.bytes == value))
            .map(|change| change.revision);
        if found.is_none() && past.start() > revision {
            return Err(());
        }
        Ok(found)
    }

    fn enlist(&self, subscription: &Arc<Subscription>) {
        lock(&self.subscribers[subscription.index]).insert(subscription.clone());
        self.counters.watchers.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes a subscriber that nobody reads any more.
    pub(super) fn unsubscribe(&self, subscription: &Subscription) {
        if lock(&self.subscribers[subscription.index]).remove(subscription) {
            self.counters.watchers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Ends every watch.
    pub(super) fn end_watches(&self, end: WatchEnd) {
        for subscribers in &self.subscribers {
            let ended = lock(subscribers).end_all(end);
            self.counters.watchers.fetch_sub(ended, Ordering::Relaxed);
        }
    }

    /// Finds the resource of a change and reads its object, outside of any lock.
    pub(super) fn parse(&self, event: RawEvent) -> Option<Parsed> {
        let key = std::str::from_utf8(&event.key).ok()?;
        let (index, rest) = self.table.locate(key)?;
        let new = event.value.and_then(|value| {
            match Stored::parse(
                self.table.resource(index),
                value,
                event.revision,
                event.create_revision,
            ) {
                Ok(stored) => Some(Arc::new(stored)),
                Err(reason) => {
                    // Not an object any more for those who read: as if it had been removed.
                    error!(key, revision = event.revision, %reason, "etcd holds an unreadable object");
                    add(&self.by_resource[index].unreadable, 1);
                    None
                }
            }
        });
        Some(Parsed {
            index,
            key: rest.into(),
            new,
        })
    }

    /// Drops everything, ends all watches, and starts again from the state at `revision`.
    pub(super) fn replace(
        &self,
        cluster_id: u64,
        revision: i64,
        objects: impl Iterator<Item = Parsed>,
    ) {
        let mut fresh = vec![Objects::default(); self.table.len()];
        for object in objects {
            if let Some(new) = object.new {
                fresh[object.index].insert(object.key, new);
            }
        }
        {
            let mut state = self.write();
            self.end_watches(WatchEnd::Expired);
            *state = State {
                cluster_id,
                revision,
                objects: fresh,
                pasts: (0..self.table.len())
                    .map(|_| Past::starting_at(revision))
                    .collect(),
                ledger: Ledger::default(),
            };
            self.applied.send_replace(revision);
        }
        self.counters.history_bytes.store(0, Ordering::Relaxed);
        self.counters.revision.store(revision, Ordering::Relaxed);
    }

    /// Applies whole revisions, in order.
    pub(super) fn apply(&self, revisions: Vec<Revision>) {
        let Some(last) = revisions.last().map(|revision| revision.revision) else {
            return;
        };
        let mut guard = self.write();
        let state = &mut *guard;
        for Revision { revision, changes } in revisions {
            let mut dispatch: Vec<(Index, Arc<Change>)> = Vec::with_capacity(changes.len());
            for Parsed { index, key, new } in changes {
                add(&self.by_resource[index].received, 1);
                let objects = &mut state.objects[index];
                let before = objects.clone();
                let old = match &new {
                    Some(new) => objects.insert(key.clone(), new.clone()),
                    None => objects.remove(&*key),
                };
                if old.is_none() && new.is_none() {
                    continue;
                }
                let change = Arc::new(Change::new(revision, key, old, new));
                state.ledger.push(
                    &mut state.pasts[index],
                    index,
                    change.clone(),
                    state.revision,
                    &before,
                );
                dispatch.push((index, change));
            }
            state.revision = revision;
            self.dispatch(&dispatch);
        }
        state.ledger.trim(self.history_bytes, &mut state.pasts);
        let history_bytes = state.ledger.bytes() as u64;
        // Published under the lock: a reader that saw this revision finds it in the state, and
        // every subscriber has its changes up to here.
        self.applied.send_replace(last);
        drop(guard);
        let counters = &self.counters;
        counters.revision.store(last, Ordering::Relaxed);
        counters
            .history_bytes
            .store(history_bytes, Ordering::Relaxed);
    }

    fn dispatch(&self, changes: &[(Index, Arc<Change>)]) {
        for (index, change) in changes {
            let counters = &self.by_resource[*index];
            add(&counters.dispatched, 1);
            let slow = lock(&self.subscribers[*index]).dispatch(change);
            if slow > 0 {
                self.counters.watchers.fetch_sub(slow, Ordering::Relaxed);
                self.counters
                    .slow_watchers
                    .fetch_add(slow, Ordering::Relaxed);
                add(&counters.terminated, slow);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(subscribers: &Mutex<Subscribers>) -> std::sync::MutexGuard<'_, Subscribers> {
    subscribers.lock().unwrap_or_else(PoisonError::into_inner)
}
