//! The past of one resource: its changes, and enough snapshots to go back to any revision between.
//!
//! ```text
//! start           checkpoint           checkpoint               now
//!   |---c---c---c-----|--c--c---c---c------|---c----c---c--------|   c: change with the old object
//! ```
//! The state at a revision is the next checkpoint after it with the changes between undone.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use ferrule_apimachinery::object::Stored;

use super::snapshot::Objects;
use super::table::Index;

/// Changes of a resource between two checkpoints.
const CHECKPOINT_EVERY: usize = 128;
/// What a change costs besides the bytes of its old object.
const CHANGE_OVERHEAD: usize = 512;
/// What a checkpoint keeps alive for each change after it: the nodes on the way to one entry.
const NODES_PER_CHANGE: usize = 2048;

/// One change of one object.
pub(super) struct Change {
    pub(super) revision: i64,
    pub(super) key: Arc<str>,
    pub(super) old: Option<Arc<Stored>>,
    pub(super) new: Option<Arc<Stored>>,
    gone: OnceLock<Arc<Stored>>,
}

impl Change {
    pub(super) fn new(
        revision: i64,
        key: Arc<str>,
        old: Option<Arc<Stored>>,
        new: Option<Arc<Stored>>,
    ) -> Self {
        Self {
            revision,
            key,
            old,
            new,
            gone: OnceLock::new(),
        }
    }

    /// The old object as a DELETED event carries it: with the revision of this change. Made once
    /// for all watchers.
    pub(super) fn gone(&self, old: &Arc<Stored>) -> Arc<Stored> {
        self.gone
            .get_or_init(|| {
                let mut gone = Stored::clone(old);
                gone.revision = self.revision;
                Arc::new(gone)
            })
            .clone()
    }

    fn cost(&self) -> usize {
        CHANGE_OVERHEAD + self.old.as_ref().map_or(0, |old| old.bytes.len())
    }
}

struct Checkpoint {
    revision: i64,
    objects: Objects,
    cost: usize,
}

/// The past of one resource.
pub(super) struct Past {
    /// The oldest revision that can be gone back to, or resumed from.
    start: i64,
    changes: VecDeque<Arc<Change>>,
    checkpoints: VecDeque<Checkpoint>,
    since_checkpoint: usize,
}

impl Past {
    pub(super) fn starting_at(start: i64) -> Self {
        Self {
            start,
            changes: VecDeque::new(),
            checkpoints: VecDeque::new(),
            since_checkpoint: 0,
        }
    }

    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// The changes after `revision`, which must not be older than [`Past::start`].
    pub(super) fn after(&self, revision: i64) -> impl Iterator<Item = &Arc<Change>> {
        let from = self
            .changes
            .partition_point(|change| change.revision <= revision);
        self.changes.range(from..)
    }

    /// The state at `revision`, from the current one; `None` when it is too old.
    pub(super) fn state_at(&self, revision: i64, now: &Objects) -> Option<Objects> {
        if revision < self.start {
            return None;
        }
        let from = self
            .checkpoints
            .partition_point(|checkpoint| checkpoint.revision < revision);
        let (mut objects, until) = match self.checkpoints.get(from) {
            Some(checkpoint) => (checkpoint.objects.clone(), checkpoint.revision),
            None => (now.clone(), i64::MAX),
        };
        let end = self
            .changes
            .partition_point(|change| change.revision <= until);
        for change in self.changes.range(..end).rev() {
            if change.revision <= revision {
                break;
            }
            match &change.old {
                Some(old) => objects.insert(change.key.clone(), old.clone()),
                None => objects.remove(&*change.key),
            };
        }
        Some(objects)
    }
}

/// The order of all changes over all resources, and what they weigh together.
#[derive(Default)]
pub(super) struct Ledger {
    order: VecDeque<(Index, usize)>,
    bytes: usize,
}

impl Ledger {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes a change; `before` is the resource's state before it, at revision `before_revision`.
    pub(super) fn push(
        &mut self,
        past: &mut Past,
        index: Index,
        change: Arc<Change>,
        before_revision: i64,
        before: &Objects,
    ) {
        if past.since_checkpoint >= CHECKPOINT_EVERY
            && past
                .changes
                .back()
                .is_some_and(|last| last.revision <= before_revision)
        {
            let cost = (before.len() * 64).min(CHECKPOINT_EVERY * NODES_PER_CHANGE);
            past.checkpoints.push_back(Checkpoint {
                revision: before_revision,
                objects: before.clone(),
                cost,
            });
            past.since_checkpoint = 0;
            self.bytes += cost;
        }
        past.since_checkpoint += 1;
        let cost = change.cost();
        past.changes.push_back(change);
        self.order.push_back((index, cost));
        self.bytes += cost;
    }

    /// Forgets the oldest changes until the rest weighs no more than `limit`.
    pub(super) fn trim(&mut self, limit: usize, pasts: &mut [Past]) {
        while self.bytes > limit {
            let Some((index, cost)) = self.order.pop_front() else {
                return;
            };
            self.bytes -= cost;
            let past = &mut pasts[index];
            if let Some(change) = past.changes.pop_front() {
                past.start = past.start.max(change.revision);
            }
            while past
                .checkpoints
                .front()
                .is_some_and(|checkpoint| checkpoint.revision < past.start)
            {
                if let Some(checkpoint) = past.checkpoints.pop_front() {
                    self.bytes -= checkpoint.cost;
                }
            }
        }
    }
}
