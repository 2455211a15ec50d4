//! Dropping etcd's old history, agreed between API servers through one key.
//!
//! ```text
//!   /ferrule/compaction  {"compacted": 1200, "next": 5600, "at": …}
//!                            │                 └─ becomes `compacted` one interval later
//!                            └─ everything from here on can still be read and watched
//! ```
//! Whoever first replaces the record of the last interval compacts; the others see that they lost
//! and wait for the next turn. Between one and two intervals of history remain, from which an API
//! server that starts takes up its own.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Store;
use super::backend::{Backend, BackendError, Entry};
use super::transaction::{Compare, Txn};

/// The record's key.
const KEY: &str = "/ferrule/compaction";

/// What has been agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// History before this revision has been, or is being, dropped.
    pub(super) compacted: i64,
    /// The revision to drop history before in the next turn.
    pub(super) next: i64,
    /// When the record was written, in seconds since 1970.
    pub(super) at: i64,
}

/// The record and the revision of its last change; nothing when there is none, or none that can
/// be understood.
pub(super) async fn read(backend: &dyn Backend) -> Result<Option<(i64, Record)>, BackendError> {
    let (_, entry) = backend.get(KEY.as_bytes(), 0).await?;
    Ok(entry.map(record_of))
}

fn record_of(entry: Entry) -> (i64, Record) {
    let record = serde_json::from_slice(&entry.value).unwrap_or_else(|error| {
        warn!(%error, "the record of compactions is unreadable and will be replaced");
        Record {
            compacted: 0,
            next: 0,
            at: 0,
        }
    });
    (entry.mod_revision, record)
}

/// Compacts every interval, in turn with other API servers, until `shutdown`.
pub(super) fn start(store: &Store, shutdown: CancellationToken) {
    let Some(interval) = store.inner.options.compaction_interval else {
        return;
    };
    let store = store.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = run(&store, interval) => {}
        }
    });
}

async fn run(store: &Store, interval: Duration) {
    let backend = &*store.inner.backend;
    let mut seen = read(backend).await.ok().flatten();
    loop {
        sleep(until_due(
            seen.as_ref().map(|(_, record)| record.at),
            interval,
        ))
        .await;
        match turn(store, seen.take()).await {
            Ok(record) => seen = record,
            Err(error) => {
                warn!(%error, "cannot compact etcd; will retry");
                sleep(interval.min(Duration::from_secs(10))).await;
                seen = read(backend).await.ok().flatten();
            }
        }
    }
}

/// How long after a record of this age the next turn comes. Clocks may differ between servers.
fn until_due(at: Option<i64>, interval: Duration) -> Duration {
    let Some(at) = at else {
        return interval;
    };
    let age = now().saturating_sub(at).max(0).unsigned_abs();
    // Seconds are coarse against short intervals: at least a part of it is always waited for.
    interval
        .saturating_sub(Duration::from_secs(age))
        .max(interval / 4)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Takes a turn, or learns that another server did; returns the record as it is now.
async fn turn(
    store: &Store,
    seen: Option<(i64, Record)>,
) -> Result<Option<(i64, Record)>, BackendError> {
    let backend = &*store.inner.backend;
    let (compare, compacted) = match seen {
        Some((revision, record)) => (
            Compare::ModRevision(KEY.into(), revision),
            record.next.max(record.compacted),
        ),
        None => (Compare::Absent(KEY.into()), 0),
    };
    let record = Record {
        compacted,
        next: store.revision(),
        at: now(),
    };
    let value =
        serde_json::to_vec(&record).map_err(|error| BackendError::Refused(error.to_string()))?;
    let reply = backend
        .txn(&Txn::new().when(compare).put(KEY, value))
        .await?;
    if !reply.succeeded {
        debug!("another API server compacts etcd");
        return Ok(reply.current.into_iter().flatten().next().map(record_of));
    }
    if compacted > 0 {
        match backend.compact(compacted).await {
            Ok(()) | Err(BackendError::Compacted) => {
                debug!(compacted, "compacted etcd");
                let counter = &store.inner.cache.counters.compacted;
                counter.store(compacted, Ordering::Relaxed);
            }
            // The next turn compacts further anyway.
            Err(error) => warn!(%error, compacted, "etcd did not compact"),
        }
    }
    Ok(Some((reply.head.revision, record)))
}
