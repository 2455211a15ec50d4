//! Removing Events that nobody has updated for a while, one by one.
//!
//! No leases: a lease that expires deletes thousands of keys in one revision, and its clock starts
//! anew when etcd's leader changes. An Event's own times say how old it is.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Store;
use super::error::CommitError;
use super::stats::Counters;
use super::transaction::Txn;

/// Events looked at without letting other work run.
const STRIDE: usize = 100;

/// Removes old Events until `shutdown`.
pub(super) fn start(store: &Store, shutdown: CancellationToken) {
    let Some(ttl) = store.inner.options.event_ttl else {
        return;
    };
    let store = store.clone();
    let every = (ttl / 4).clamp(Duration::from_millis(100), Duration::from_secs(60));
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = async {
                loop {
                    sleep(every).await;
                    sweep(&store, ttl).await;
                }
            } => {}
        }
    });
}

async fn sweep(store: &Store, ttl: Duration) {
    let cache = &store.inner.cache;
    let Ok(oldest) = Timestamp::now().checked_sub(ttl) else {
        return;
    };
    for index in cache.table.with_plural("events") {
        let snapshot = cache.snapshot(index);
        let mut old: Vec<(Arc<str>, i64)> = Vec::new();
        for (at, (key, event)) in snapshot.iter().enumerate() {
            if last_seen(&event.bytes).is_some_and(|seen| seen < oldest) {
                old.push((key.clone(), event.revision));
            }
            if at % STRIDE == STRIDE - 1 {
                tokio::task::yield_now().await;
            }
        }
        for (key, revision) in old {
            let key = format!("{}{key}", cache.table.prefix(index));
            let deadline = Instant::now() + store.inner.options.request_timeout;
            match store
                .commit(Txn::new().remove(key, revision), deadline)
                .await
            {
                Ok(_) => Counters::count(&cache.counters.expired_events),
                // Updated, or removed by another API server.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => {
                    warn!(%error, "cannot remove old events; will retry");
                    return;
                }
            }
        }
        debug!(events = snapshot.len(), "looked for old events");
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Times<'a> {
    #[serde(borrow, default)]
    metadata: Created<'a>,
    #[serde(borrow, default)]
    last_timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    deprecated_last_timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    series: Option<Series<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    #[serde(borrow, default)]
    creation_timestamp: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series<'a> {
    #[serde(borrow, default)]
    last_observed_time: Option<Cow<'a, str>>,
}

/// The latest time that an Event tells of; nothing when it tells of none.
fn last_seen(bytes: &[u8]) -> Option<Timestamp> {
    let times: Times<'_> = serde_json::from_slice(bytes).ok()?;
    [
        times.metadata.creation_timestamp,
        times.last_timestamp,
        times.deprecated_last_timestamp,
        times.event_time,
        times.series.and_then(|series| series.last_observed_time),
    ]
    .into_iter()
    .flatten()
    .filter_map(|time| time.parse().ok())
    .max()
}
