//! etcd's current revision, asked for once on behalf of all who wait for it.
//!
//! A reader may only use an answer to a request that was sent after the reader arrived. So there
//! is one request in flight, and those who arrive meanwhile share the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::backend::Backend;
use super::cache::Cache;
use super::error::StoreError;
use super::stats::Counters;

const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MOST: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct CurrentRevision {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    readers: Vec<oneshot::Sender<i64>>,
    running: bool,
    last_error: String,
}

impl CurrentRevision {
    pub(super) fn new(backend: Arc<dyn Backend>, cache: Arc<Cache>) -> Self {
        Self {
            shared: Arc::new(Shared {
                backend,
                cache,
                waiting: Mutex::default(),
            }),
        }
    }

    pub(super) async fn get(&self, deadline: Instant) -> Result<i64, StoreError> {
        let (answer, receive) = oneshot::channel();
        {
            let mut waiting = self.shared.waiting();
            waiting.readers.push(answer);
            if !waiting.running {
                waiting.running = true;
                tokio::spawn(self.shared.clone().run());
            }
        }
        match timeout_at(deadline, receive).await {
            Ok(Ok(revision)) => Ok(revision),
            _ => {
                let reason = self.shared.waiting().last_error.clone();
                Err(StoreError::Unavailable(if reason.is_empty() {
                    "etcd did not answer in time".into()
                } else {
                    reason
                }))
            }
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves readers until there are none.
    async fn run(self: Arc<Self>) {
        let mut readers = Vec::new();
        let mut pause = RETRY_FIRST;
        loop {
            {
                let mut waiting = self.waiting();
                readers.append(&mut waiting.readers);
                readers.retain(|reader: &oneshot::Sender<i64>| !reader.is_closed());
                if readers.is_empty() {
                    waiting.running = false;
                    return;
                }
            }
            let visible = self.cache.revision();
            Counters::count(&self.cache.counters.revision_requests);
            match self.backend.revision().await {
                // Another cluster, or less than what we have seen, cannot be the same history.
                Ok(head) if head.revision < visible || !self.cache.is_of(head.cluster_id) => {
                    self.cache.doubt.raise();
                    self.waiting().last_error = "etcd holds another history".into();
                }
                Ok(head) => {
                    self.cache.doubt.expect(head.revision);
                    for reader in readers.drain(..) {
                        // A reader that has given up does not mind.
                        let _ = reader.send(head.revision);
                    }
                    let mut waiting = self.waiting();
                    waiting.last_error.clear();
                    pause = RETRY_FIRST;
                    continue;
                }
                Err(error) => self.waiting().last_error = error.to_string(),
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_MOST);
        }
    }
}
