//! Plain counters of the store, for the server's metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counters as they change.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) revision: AtomicI64,
    pub(super) compacted: AtomicI64,
    pub(super) watchers: AtomicU64,
    pub(super) slow_watchers: AtomicU64,
    pub(super) history_bytes: AtomicU64,
    pub(super) reloads: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) revision_requests: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) unknown_outcomes: AtomicU64,
    pub(super) expired_events: AtomicU64,
}

/// What the store has done so far, and where it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// The revision up to which everything is visible.
    pub revision: i64,
    /// The revision up to which this server has compacted etcd.
    pub compacted: i64,
    /// Watches that are open.
    pub watchers: u64,
    /// Watches ended because their consumers were too slow.
    pub slow_watchers: u64,
    /// Bytes of past objects kept.
    pub history_bytes: u64,
    /// Times that everything was loaded anew and all watches were ended.
    pub reloads: u64,
    /// Times that the stream from etcd was opened again.
    pub reconnects: u64,
    /// Requests for the current revision; each may have served many reads.
    pub revision_requests: u64,
    /// Transactions carried out.
    pub commits: u64,
    /// Transactions whose compares did not hold.
    pub conflicts: u64,
    /// Requests to commit whose outcome was not known at first.
    pub unknown_outcomes: u64,
    /// Events removed for their age.
    pub expired_events: u64,
}

impl Counters {
    pub(super) fn read(&self) -> StoreStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreStats {
            revision: self.revision.load(Ordering::Relaxed),
            compacted: self.compacted.load(Ordering::Relaxed),
            watchers: load(&self.watchers),
            slow_watchers: load(&self.slow_watchers),
            history_bytes: load(&self.history_bytes),
            reloads: load(&self.reloads),
            reconnects: load(&self.reconnects),
            revision_requests: load(&self.revision_requests),
            commits: load(&self.commits),
            conflicts: load(&self.conflicts),
            unknown_outcomes: load(&self.unknown_outcomes),
            expired_events: load(&self.expired_events),
        }
    }

    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
