//! The one writer of the cache: loads everything, then follows the one watch over all keys.
//!
//! ```text
//!          ┌────────────── history lost: end all watches ──────────────┐
//!          ▼                                                           │
//!   start ──▶ load at a revision ──▶ same history? ──▶ watch from the next revision
//!                                         ▲                            │
//!                                         └─── stream broken, stalled ─┘
//! ```
//! The history is lost when etcd has compacted what we still need, when it is another cluster,
//! when its revision went backwards, or when our last change is not in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::backend::{Backend, BackendError, Entry, Head, RawEvent, WatchStream};
use super::cache::{Cache, Parsed, Revision};
use super::compaction;
use super::error::WatchEnd;
use super::options::StoreOptions;
use super::stats::Counters;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(2);
/// How long the stream may be silent while etcd is known to be ahead of it.
const STALLED: Duration = Duration::from_secs(1);

/// What others know about etcd that makes the feed look again.
#[derive(Default)]
pub(super) struct Doubt {
    expected: AtomicI64,
    raised: Notify,
}

impl Doubt {
    /// etcd has reached this revision: the stream should bring it soon.
    pub(super) fn expect(&self, revision: i64) {
        self.expected.fetch_max(revision, Ordering::Relaxed);
    }

    /// etcd gave an answer that does not belong to the history in memory.
    pub(super) fn raise(&self) {
        self.raised.notify_one();
    }
}

/// Starts the feed. The receiver is answered once everything that existed at the start is visible.
pub(super) fn start(
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
    options: StoreOptions,
    shutdown: CancellationToken,
) -> oneshot::Receiver<()> {
    let (ready, receive) = oneshot::channel();
    let feed = Feed {
        backend,
        cache,
        options,
        cluster_id: 0,
        witness: None,
        target: 0,
        ready: Some(ready),
    };
    tokio::spawn(async move {
        let cache = feed.cache.clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = feed.run() => {}
        }
        cache.end_watches(WatchEnd::Shutdown);
    });
    receive
}

struct Feed {
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
    options: StoreOptions,
    cluster_id: u64,
    witness: Option<Witness>,
    /// The revision that makes the store ready.
    target: i64,
    ready: Option<oneshot::Sender<()>>,
}

/// A change that must be found again in the history of a cluster that claims to be the same.
struct Witness {
    key: Bytes,
    value: Option<Bytes>,
    revision: i64,
}

/// Why a stream is no longer read.
enum Interrupted {
    /// What is in memory can be continued by another stream.
    Broken(String),
    /// It cannot.
    Lost(&'static str),
}

impl From<BackendError> for Interrupted {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Compacted => {
                Interrupted::Lost("etcd has compacted changes that were not seen")
            }
            BackendError::Future => Interrupted::Lost("etcd's revision went backwards"),
            other => Interrupted::Broken(other.to_string()),
        }
    }
}

impl Feed {
    async fn run(mut self) {
        let mut pause = RETRY_FIRST;
        let mut replay = true;
        loop {
            match self.load(replay).await {
                Ok(()) => pause = RETRY_FIRST,
                Err(error) => {
                    warn!(%error, "cannot load from etcd; will retry");
                    back_off(&mut pause).await;
                    // The older revision may have been compacted meanwhile.
                    replay &= error != BackendError::Compacted;
                    continue;
                }
            }
            let reason = self.follow().await;
            warn!(reason, "loading everything again; all watches end");
            Counters::count(&self.cache.counters.reloads);
            // Clients may hold revisions of the history that was lost: nothing before now is kept.
            replay = false;
        }
    }

    /// Loads everything, at an older revision when `replay` asks for it: the changes since then
    /// come by the watch and become the history that clients can resume from.
    async fn load(&mut self, replay: bool) -> Result<(), BackendError> {
        let head = self.backend.revision().await?;
        let mut at = head.revision;
        if replay {
            let compacted = compaction::read(&*self.backend)
                .await?
                .map_or(0, |(_, record)| record.compacted);
            at = (at - self.options.history_replay)
                .max(compacted)
                .clamp(1, head.revision);
        }
        let mut parsed: Vec<Parsed> = Vec::new();
        let mut newest: Option<Entry> = None;
        let mut from = b"/registry/".to_vec();
        loop {
            let end = b"/registry0".to_vec();
            let page = self
                .backend
                .range(from, end, self.options.load_page, at)
                .await?;
            let Some(last) = page.entries.last() else {
                break;
            };
            from = last.key.to_vec();
            from.push(0);
            for entry in page.entries {
                if newest
                    .as_ref()
                    .is_none_or(|newest| newest.mod_revision < entry.mod_revision)
                {
                    newest = Some(entry.clone());
                }
                parsed.extend(self.cache.parse(RawEvent {
                    key: entry.key,
                    value: Some(entry.value),
                    revision: entry.mod_revision,
                    create_revision: entry.create_revision,
                }));
            }
            if !page.more {
                break;
            }
        }
        info!(
            objects = parsed.len(),
            at,
            current = head.revision,
            "loaded from etcd"
        );
        self.cluster_id = head.cluster_id;
        self.target = head.revision;
        self.witness = newest.map(|entry| Witness {
            key: entry.key,
            value: Some(entry.value),
            revision: entry.mod_revision,
        });
        self.cache
            .doubt
            .expected
            .store(head.revision, Ordering::Relaxed);
        self.cache.replace(self.cluster_id, at, parsed.into_iter());
        self.report_ready();
        Ok(())
    }

    /// Keeps the cache at etcd's heels until the history is lost; returns why it is.
    async fn follow(&mut self) -> &'static str {
        let mut pause = RETRY_FIRST;
        loop {
            let before = self.cache.revision();
            let interrupted = match self.open().await {
                Ok(stream) => self.consume(stream).await,
                Err(interrupted) => interrupted,
            };
            match interrupted {
                Interrupted::Lost(reason) => return reason,
                Interrupted::Broken(reason) => {
                    warn!(
                        reason,
                        revision = self.cache.revision(),
                        "the watch of etcd broke"
                    );
                }
            }
            Counters::count(&self.cache.counters.reconnects);
            if self.cache.revision() > before {
                pause = RETRY_FIRST;
            }
            back_off(&mut pause).await;
        }
    }

    /// Opens the stream of changes, after making sure that it continues what is in memory.
    async fn open(&mut self) -> Result<WatchStream, Interrupted> {
        let visible = self.cache.revision();
        let head = self.backend.revision().await?;
        self.check(head)?;
        if let Some(witness) = &self.witness {
            let (_, entry) = self.backend.get(&witness.key, witness.revision).await?;
            let found = entry
                .as_ref()
                .filter(|entry| entry.mod_revision == witness.revision)
                .map(|entry| &entry.value);
            if found != witness.value.as_ref() {
                return Err(Interrupted::Lost("etcd holds another history"));
            }
        }
        self.cache
            .doubt
            .expected
            .store(head.revision, Ordering::Relaxed);
        debug!(from = visible + 1, "watching etcd");
        Ok(self.backend.watch(visible + 1).await?)
    }

    fn check(&self, head: Head) -> Result<(), Interrupted> {
        if head.cluster_id != self.cluster_id {
            return Err(Interrupted::Lost("etcd is another cluster"));
        }
        if head.revision < self.cache.revision() {
            return Err(Interrupted::Lost("etcd's revision went backwards"));
        }
        Ok(())
    }

    async fn consume(&mut self, mut stream: WatchStream) -> Interrupted {
        let cache = self.cache.clone();
        let mut pending = Vec::new();
        let mut silent_while_behind = false;
        loop {
            let visible = cache.revision();
            let behind = cache.doubt.expected.load(Ordering::Relaxed) > visible;
            let patience = if behind {
                STALLED
            } else {
                self.options.idle_check
            };
            let next = tokio::select! {
                () = cache.doubt.raised.notified() => {
                    return Interrupted::Broken("etcd's answers contradict the stream".into());
                }
                next = timeout(patience, stream.next()) => next,
            };
            let result = match next {
                Ok(Some(Ok(message))) => {
                    silent_while_behind = false;
                    if message.head.cluster_id != self.cluster_id {
                        return Interrupted::Lost("etcd is another cluster");
                    }
                    pending.extend(message.events);
                    self.apply(&mut pending, message.fragment)
                }
                Ok(Some(Err(error))) => Err(error.into()),
                Ok(None) => Err(Interrupted::Broken("the stream ended".into())),
                Err(_) => match self.ask_after_silence().await {
                    Ok(true) if silent_while_behind => {
                        Err(Interrupted::Broken("the stream has stalled".into()))
                    }
                    Ok(behind) => {
                        silent_while_behind = behind;
                        Ok(())
                    }
                    Err(interrupted) => Err(interrupted),
                },
            };
            if let Err(interrupted) = result {
                // What is pending belongs to a revision that was cut: it comes again, whole.
                return interrupted;
            }
        }
    }

    /// Whether etcd is ahead of the silent stream.
    async fn ask_after_silence(&self) -> Result<bool, Interrupted> {
        let head = self.backend.revision().await?;
        self.check(head)?;
        self.cache
            .doubt
            .expected
            .store(head.revision, Ordering::Relaxed);
        Ok(head.revision > self.cache.revision())
    }

    /// Applies the complete revisions of `pending`: all of them, or all but the last one when more
    /// of it may follow.
    fn apply(
        &mut self,
        pending: &mut Vec<RawEvent>,
        more_follows: bool,
    ) -> Result<(), Interrupted> {
        let complete = if more_follows {
            let last = pending.last().map(|event| event.revision);
            pending
                .iter()
                .position(|event| Some(event.revision) == last)
                .unwrap_or(0)
        } else {
            pending.len()
        };
        let visible = self.cache.revision();
        let mut revisions: Vec<Revision> = Vec::new();
        for event in pending.drain(..complete) {
            if event.revision <= visible {
                continue;
            }
            let previous = revisions.last().map_or(visible, |last| last.revision);
            if event.revision > previous {
                // Every revision changes a key, and all keys are watched.
                if event.revision != previous + 1 {
                    return Err(Interrupted::Lost("revisions are missing in the stream"));
                }
                revisions.push(Revision {
                    revision: event.revision,
                    changes: Vec::new(),
                });
            }
            self.witness = Some(Witness {
                key: event.key.clone(),
                value: event.value.clone(),
                revision: event.revision,
            });
            if let (Some(change), Some(revision)) = (self.cache.parse(event), revisions.last_mut())
            {
                revision.changes.push(change);
            }
        }
        self.cache.apply(revisions);
        self.report_ready();
        Ok(())
    }

    fn report_ready(&mut self) {
        if self.cache.revision() >= self.target
            && let Some(ready) = self.ready.take()
        {
            // Nobody waits any more when the store was dropped while it opened.
            let _ = ready.send(());
        }
    }
}

async fn back_off(pause: &mut Duration) {
    sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
    *pause = (*pause * 2).min(RETRY_MOST);
}
