//! The reader's end of a watch: first state, missed changes, then changes as they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ferrule_apimachinery::scheme::Resource;
use tokio::time::{Instant, sleep_until};

use super::by_resource::add;
use super::cache::Cache;
use super::dispatch::{Event, EventKind, Subscription, WatchFilter};
use super::error::{StoreError, WatchEnd};
use super::history::Change;
use super::options::StoreOptions;
use super::snapshot::Snapshot;

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchFrom {
    /// With the next change.
    Now,
    /// With the first change after this revision.
    After(i64),
    /// With the objects in memory as `Added`, then the changes. For a consistent start wait with
    /// [`Store::wait_for_current`](super::Store::wait_for_current) first.
    WithInitial,
}

/// Some events of a watch. A batch never ends within a revision.
#[derive(Debug, Clone, Default)]
pub struct WatchBatch {
    /// Changes in order; empty when the batch only reports progress.
    pub events: Vec<Event>,
    /// Everything up to this revision has been delivered: a watch can be resumed from it. 0 while
    /// the first state is still being delivered.
    pub revision: i64,
    /// Whether the first state is complete with this batch.
    pub initial_end: bool,
}

/// An open watch; it ends when dropped.
pub struct Watcher {
    cache: Arc<Cache>,
    subscription: Arc<Subscription>,
    before: Before,
    batch: usize,
    interval: Duration,
    reported: i64,
    reported_at: Instant,
}

/// What comes before the subscription's own buffer.
enum Before {
    Initial {
        snapshot: Snapshot,
        after: Option<Arc<str>>,
    },
    Missed(VecDeque<Arc<Change>>),
}

impl Watcher {
    pub(super) fn open(
        cache: &Arc<Cache>,
        options: &StoreOptions,
        resource: &Resource,
        filter: WatchFilter,
        from: WatchFrom,
    ) -> Result<Self, StoreError> {
        let index = cache.index_of(resource)?;
        let subscription = Arc::new(Subscription::new(
            index,
            cache.table.resource(index).clone(),
            filter,
            options.watch_buffer,
        ));
        let (reported, before) = match from {
            WatchFrom::Now => {
                let revision = cache.subscribe(&subscription).revision;
                (revision, Before::Missed(VecDeque::new()))
            }
            WatchFrom::After(revision) => {
                let (_, missed) = cache.resume(&subscription, revision)?;
                (revision, Before::Missed(missed.into()))
            }
            WatchFrom::WithInitial => {
                let snapshot = cache.subscribe(&subscription);
                (
                    0,
                    Before::Initial {
                        snapshot,
                        after: None,
                    },
                )
            }
        };
        Ok(Self {
            cache: cache.clone(),
            subscription,
            before,
            batch: options.watch_batch.max(1),
            interval: options.progress_interval,
            reported,
            reported_at: Instant::now(),
        })
    }

    /// The next events, or the revision reached when there have been none for a while. Can be
    /// dropped at any point without losing events.
    pub async fn next(&mut self) -> Result<WatchBatch, WatchEnd> {
        loop {
            if let Some(batch) = self.ready()? {
                self.reported = batch.revision;
                self.reported_at = Instant::now();
                return Ok(batch);
            }
            tokio::select! {
                () = self.subscription.wake.notified() => {}
                () = sleep_until(self.reported_at + self.interval) => {
                    if self.cache.revision() <= self.reported {
                        self.reported_at = Instant::now();
                    }
                }
            }
        }
    }

    fn ready(&mut self) -> Result<Option<WatchBatch>, WatchEnd> {
        // Before the buffer is looked at: all events up to here are in it by now.
        let visible = self.cache.revision();
        if let Some(end) = self.subscription.buffer().end {
            return Err(end);
        }
        match &mut self.before {
            Before::Initial { .. } => Ok(Some(self.initial())),
            Before::Missed(missed) if !missed.is_empty() => Ok(self.missed()),
            Before::Missed(_) => Ok(self.fresh(visible)),
        }
    }

    fn initial(&mut self) -> WatchBatch {
        let Before::Initial { snapshot, after } = &self.before else {
            return WatchBatch::default();
        };
        let mut last = None;
        let mut events = Vec::new();
        for (key, object) in self.subscription.candidates(snapshot, after.as_deref()) {
            last = Some(key.clone());
            if self.subscription.selects(object) {
                events.push(Event {
                    kind: EventKind::Added,
                    object: object.clone(),
                    revision: object.revision,
                });
                if events.len() == self.batch {
                    break;
                }
            }
        }
        let revision = snapshot.revision;
        self.count_initial(events.len());
        if events.len() == self.batch {
            if let Before::Initial { after, .. } = &mut self.before {
                *after = last;
            }
            return WatchBatch {
                events,
                revision: 0,
                initial_end: false,
            };
        }
        self.before = Before::Missed(VecDeque::new());
        WatchBatch {
            events,
            revision,
            initial_end: true,
        }
    }

    fn missed(&mut self) -> Option<WatchBatch> {
        let Before::Missed(missed) = &mut self.before else {
            return None;
        };
        let mut events: Vec<Event> = Vec::new();
        while let Some(change) = missed.front() {
            if events.len() >= self.batch
                && events
                    .last()
                    .is_some_and(|last| last.revision != change.revision)
            {
                break;
            }
            events.extend(self.subscription.event(change));
            missed.pop_front();
        }
        let revision = events.last()?.revision;
        self.count_initial(events.len());
        Some(WatchBatch {
            events,
            revision,
            initial_end: false,
        })
    }

    /// Counts events that come before those that the subscription is handed.
    fn count_initial(&self, events: usize) {
        let counters = &self.cache.by_resource[self.subscription.index];
        add(&counters.initial, events as u64);
    }

    fn fresh(&mut self, visible: i64) -> Option<WatchBatch> {
        let mut buffer = self.subscription.buffer();
        let mut count = buffer.events.len().min(self.batch);
        while count > 0
            && count < buffer.events.len()
            && buffer.events[count].revision == buffer.events[count - 1].revision
        {
            count += 1;
        }
        let events: Vec<Event> = buffer.events.drain(..count).collect();
        let drained = buffer.events.is_empty();
        drop(buffer);
        let Some(last) = events.last().map(|event| event.revision) else {
            let due = self.reported_at + self.interval <= Instant::now();
            return (due && visible > self.reported).then(|| WatchBatch {
                events,
                revision: visible,
                initial_end: false,
            });
        };
        Some(WatchBatch {
            events,
            revision: if drained { visible.max(last) } else { last },
            initial_end: false,
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.cache.unsubscribe(&self.subscription);
    }
}
