//! Who gets a change: watchers filed under what they select on, each with a bounded buffer.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrule_apimachinery::header::Header;
use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::selector::{FieldSelector, LabelSelector};
use tokio::sync::Notify;

use super::error::WatchEnd;
use super::history::Change;
use super::snapshot::{self, Snapshot};
use super::table::Index;

/// What a watch selects.
#[derive(Debug, Clone, Default)]
pub struct WatchFilter {
    /// Only objects of this namespace.
    pub namespace: Option<String>,
    /// Only objects whose labels match.
    pub labels: LabelSelector,
    /// Only objects whose fields match.
    pub fields: FieldSelector,
}

impl WatchFilter {
    /// The key of the only object that can be selected, where the filter names one.
    pub(super) fn key(&self, resource: &Resource) -> Option<String> {
        let name = self.fields.exact("metadata.name")?;
        match &self.namespace {
            Some(namespace) => Some(snapshot::key(namespace, name)),
            None if resource.namespaced => None,
            None => Some(name.to_owned()),
        }
    }

    /// Whether an object of `resource` is selected.
    pub fn matches(&self, resource: &Resource, header: &Header) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == *header.namespace)
            && self.fields.matches(|field| header.field(resource, field))
            && self.labels.matches(&header.labels)
    }
}

/// How a change looks to a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The object was created, or came to match the selectors.
    Added,
    /// The object changed and still matches.
    Modified,
    /// The object was deleted, or no longer matches.
    Deleted,
}

/// A change as a watcher gets it.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The object; for `Deleted` its last state that matched, with the revision of the deletion.
    pub object: Arc<Stored>,
    /// Revision of the change.
    pub revision: i64,
}

/// The writer's end of a watch.
pub(super) struct Subscription {
    id: u64,
    pub(super) index: Index,
    resource: Arc<Resource>,
    filter: WatchFilter,
    bucket: Bucket,
    capacity: usize,
    buffer: Mutex<Buffer>,
    pub(super) wake: Notify,
}

#[derive(Default)]
pub(super) struct Buffer {
    pub(super) events: VecDeque<Event>,
    pub(super) end: Option<WatchEnd>,
}

impl Subscription {
    pub(super) fn new(
        index: Index,
        resource: Arc<Resource>,
        filter: WatchFilter,
        capacity: usize,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            index,
            bucket: Bucket::of(&resource, &filter),
            resource,
            filter,
            capacity,
            buffer: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(super) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects of a snapshot that may be selected, after a key.
    pub(super) fn candidates<'s>(
        &self,
        snapshot: &'s Snapshot,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'s Arc<str>, &'s Arc<Stored>)> + use<'s> {
        snapshot.candidates(&self.resource, &self.filter, after)
    }

    pub(super) fn selects(&self, stored: &Stored) -> bool {
        self.filter.matches(&self.resource, &stored.header)
    }

    /// Whether a change shows at all.
    pub(super) fn concerns(&self, change: &Change) -> bool {
        let shows = |side: &Option<Arc<Stored>>| side.as_ref().is_some_and(|it| self.selects(it));
        shows(&change.new) || shows(&change.old)
    }

    /// The event that a change is for this watch: entering the selection is Added, leaving it is
    /// Deleted with the last state that matched.
    pub(super) fn event(&self, change: &Change) -> Option<Event> {
        let old = change.old.as_ref().filter(|old| self.selects(old));
        let new = change.new.as_ref().filter(|new| self.selects(new));
        let (kind, object) = match (old, new) {
            (None, Some(new)) => (EventKind::Added, new.clone()),
            (Some(_), Some(new)) => (EventKind::Modified, new.clone()),
            (Some(old), None) => (EventKind::Deleted, change.gone(old)),
            (None, None) => return None,
        };
        Some(Event {
            kind,
            object,
            revision: change.revision,
        })
    }

    fn end(&self, end: WatchEnd) {
        let mut buffer = self.buffer();
        buffer.events = VecDeque::new();
        buffer.end.get_or_insert(end);
        drop(buffer);
        self.wake.notify_one();
    }

    /// Hands over an event; `false` when the watcher had to be ended for being too slow.
    fn push(&self, event: Event) -> bool {
        let mut buffer = self.buffer();
        if buffer.events.len() >= self.capacity {
            drop(buffer);
            self.end(WatchEnd::Slow);
            return false;
        }
        buffer.events.push_back(event);
        drop(buffer);
        self.wake.notify_one();
        true
    }
}

/// The one thing by which a watch is found; the rest of its filter is evaluated afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Bucket {
    Everything,
    Namespace(Box<str>),
    Name(Box<str>),
    Field(usize, Box<str>),
}

impl Bucket {
    fn of(resource: &Resource, filter: &WatchFilter) -> Self {
        if let Some(name) = filter.fields.exact("metadata.name") {
            return Bucket::Name(name.into());
        }
        for (at, field) in resource.selectable_fields.iter().enumerate() {
            let field = &*field.name;
            if matches!(field, "metadata.name" | "metadata.namespace") {
                continue;
            }
            if let Some(value) = filter.fields.exact(field) {
                return Bucket::Field(at, value.into());
            }
        }
        match &filter.namespace {
            Some(namespace) => Bucket::Namespace(namespace.as_str().into()),
            None => Bucket::Everything,
        }
    }
}

/// The watchers of one resource.
#[derive(Default)]
pub(super) struct Subscribers {
    buckets: HashMap<Bucket, Vec<Arc<Subscription>>>,
    /// For each field that somebody selects on, how many do.
    fields: HashMap<usize, usize>,
}

impl Subscribers {
    pub(super) fn insert(&mut self, subscription: Arc<Subscription>) {
        if let Bucket::Field(at, _) = &subscription.bucket {
            *self.fields.entry(*at).or_default() += 1;
        }
        self.buckets
            .entry(subscription.bucket.clone())
            .or_default()
            .push(subscription);
    }

    /// Whether it was still there.
    pub(super) fn remove(&mut self, subscription: &Subscription) -> bool {
        let Some(bucket) = self.buckets.get_mut(&subscription.bucket) else {
            return false;
        };
        let Some(at) = bucket.iter().position(|it| it.id == subscription.id) else {
            return false;
        };
        bucket.swap_remove(at);
        if bucket.is_empty() {
            self.buckets.remove(&subscription.bucket);
        }
        if let Bucket::Field(at, _) = &subscription.bucket
            && let Some(count) = self.fields.get_mut(at)
        {
            *count -= 1;
            if *count == 0 {
                self.fields.remove(at);
            }
        }
        true
    }

    /// Ends all watches and says how many there were.
    pub(super) fn end_all(&mut self, end: WatchEnd) -> u64 {
        self.fields.clear();
        let mut ended = 0;
        for subscription in self.buckets.drain().flat_map(|(_, bucket)| bucket) {
            subscription.end(end);
            ended += 1;
        }
        ended
    }

    /// Hands a change to those whom it concerns; returns how many were too slow and are gone.
    pub(super) fn dispatch(&mut self, change: &Change) -> u64 {
        let mut slow: Vec<Arc<Subscription>> = Vec::new();
        for bucket in self.buckets_of(change) {
            let Some(subscriptions) = self.buckets.get(&bucket) else {
                continue;
            };
            for subscription in subscriptions {
                if let Some(event) = subscription.event(change)
                    && !subscription.push(event)
                {
                    slow.push(subscription.clone());
                }
            }
        }
        for subscription in &slow {
            self.remove(subscription);
        }
        slow.len() as u64
    }

    fn buckets_of(&self, change: &Change) -> Vec<Bucket> {
        let Some(either) = change.new.as_ref().or(change.old.as_ref()) else {
            return Vec::new();
        };
        if self.buckets.is_empty() {
            return Vec::new();
        }
        let mut buckets = vec![
            Bucket::Everything,
            Bucket::Name((*either.header.name).into()),
        ];
        if !either.header.namespace.is_empty() {
            buckets.push(Bucket::Namespace((*either.header.namespace).into()));
        }
        for &at in self.fields.keys() {
            let value = |side: &Option<Arc<Stored>>| {
                side.as_ref()
                    .map(|it| it.header.fields.get(at).cloned().unwrap_or_default())
            };
            let (old, new) = (value(&change.old), value(&change.new));
            if old != new {
                buckets.extend(old.map(|value| Bucket::Field(at, value)));
            }
            buckets.extend(new.map(|value| Bucket::Field(at, value)));
        }
        buckets
    }
}
