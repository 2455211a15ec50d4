//! What is counted of each resource, for the server's metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferrule_apimachinery::scheme::Resource;
use ferrule_component_base::metrics::LockFreeHistogram;

/// Upstream's buckets for the time until the cache is fresh enough, in seconds.
const WAITS: [f64; 13] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0,
];

/// Counters of one resource as they change.
pub(super) struct ResourceCounters {
    /// Changes that etcd told of.
    pub(super) received: AtomicU64,
    /// Those that were handed to the watchers, whoever they are.
    pub(super) dispatched: AtomicU64,
    /// Events that watches began with.
    pub(super) initial: AtomicU64,
    /// Watches ended for being too slow.
    pub(super) terminated: AtomicU64,
    /// Objects that could not be read.
    pub(super) unreadable: AtomicU64,
    fresh: AtomicU64,
    stale: AtomicU64,
    waits: LockFreeHistogram,
    lists: AtomicU64,
    fetched: AtomicU64,
    returned: AtomicU64,
}

/// What was counted of one resource.
#[derive(Clone, Debug)]
pub struct ResourceStats {
    /// The resource.
    pub resource: Arc<Resource>,
    /// How many objects there are.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Changes that etcd told of.
    pub received: u64,
    /// Those that were handed to the watchers.
    pub dispatched: u64,
    /// Events that watches began with.
    pub initial: u64,
    /// Watches ended for being too slow.
    pub terminated: u64,
    /// Objects that could not be read.
    pub unreadable: u64,
    /// Reads of what is current that were served.
    pub fresh: u64,
    /// Those for which the cache was not fresh in time.
    pub stale: u64,
    /// How long reads waited for the cache.
    pub waits: LockFreeHistogram,
    /// Lists.
    pub lists: u64,
    /// Objects looked at for them.
    pub fetched: u64,
    /// Objects listed.
    pub returned: u64,
}

impl Default for ResourceCounters {
    fn default() -> Self {
        ResourceCounters {
            received: AtomicU64::default(),
            dispatched: AtomicU64::default(),
            initial: AtomicU64::default(),
            terminated: AtomicU64::default(),
            unreadable: AtomicU64::default(),
            fresh: AtomicU64::default(),
            stale: AtomicU64::default(),
            waits: LockFreeHistogram::new(&WAITS),
            lists: AtomicU64::default(),
            fetched: AtomicU64::default(),
            returned: AtomicU64::default(),
        }
    }
}

impl ResourceCounters {
    /// Counts a read that waited for the cache so long.
    pub(super) fn waited(&self, waited: Duration) {
        self.waits.observe(waited.as_secs_f64());
    }

    /// Counts a read of what is current, served or not.
    pub(super) fn consistent(&self, served: bool) {
        let counter = if served { &self.fresh } else { &self.stale };
        add(counter, 1);
    }

    /// Counts a list.
    pub(super) fn listed(&self, fetched: usize, returned: usize) {
        add(&self.lists, 1);
        add(&self.fetched, fetched as u64);
        add(&self.returned, returned as u64);
    }

    pub(super) fn read(&self, resource: Arc<Resource>, objects: u64, bytes: u64) -> ResourceStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ResourceStats {
            resource,
            objects,
            bytes,
            received: load(&self.received),
            dispatched: load(&self.dispatched),
            initial: load(&self.initial),
            terminated: load(&self.terminated),
            unreadable: load(&self.unreadable),
            fresh: load(&self.fresh),
            stale: load(&self.stale),
            waits: self.waits.clone(),
            lists: load(&self.lists),
            fetched: load(&self.fetched),
            returned: load(&self.returned),
        }
    }
}

/// Adds to a counter that nothing else depends on.
pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}
