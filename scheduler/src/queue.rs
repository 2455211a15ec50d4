//! The scheduling queue: active, back-off, unschedulable and gated pods.
//!
//! ```text
//!            new pod                        pop
//!   ───────────────────────> active ───────────────> a decision
//!      │ gates                 ^  ^                   │ refused
//!      v       back-off over   │  │ event             v
//!    gated   back-off ─────────┘  └───────────── unschedulable
//!                ^                                    │
//!                └──────── event, still in back-off ──┘
//! ```
//!
//! All of it is told the time; it has no clock. What is done with one pod costs no more with many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ferrule_client::Key;
use tokio::time::Instant;

use crate::pod::Pod;

/// A pod that nothing woke is tried again after this time.
const FLUSH: Duration = Duration::from_secs(300);

/// Higher priority first, then who came first.
type Order = (Reverse<i32>, u64);

/// A pod that waits for a node.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The pod.
    pub pod: Arc<Pod>,
    /// How often it was refused.
    pub attempts: u32,
    /// When it was refused last.
    refused: Option<Instant>,
    /// The plugins that refused it; none when there was no node at all.
    plugins: Box<[&'static str]>,
    arrival: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    Backoff(Instant),
    Unschedulable(Instant),
    Gated,
    /// Popped.
    Deciding,
}

/// The queues.
pub struct SchedulingQueue {
    pods: HashMap<Key, (Waiting, Place)>,
    active: BTreeMap<Order, Key>,
    backoff: BTreeSet<(Instant, Key)>,
    unschedulable: BTreeSet<(Instant, Key)>,
    arrivals: u64,
    first_backoff: Duration,
    longest_backoff: Duration,
}

impl Default for SchedulingQueue {
    fn default() -> Self {
        SchedulingQueue::new(Duration::from_secs(1), Duration::from_secs(10))
    }
}

impl SchedulingQueue {
    /// An empty queue; a refused pod waits for so long at first, and so long at most.
    pub fn new(first_backoff: Duration, longest_backoff: Duration) -> SchedulingQueue {
        SchedulingQueue {
            pods: HashMap::new(),
            active: BTreeMap::new(),
            backoff: BTreeSet::new(),
            unschedulable: BTreeSet::new(),
            arrivals: 0,
            first_backoff,
            longest_backoff,
        }
    }

    /// A pod is new, or changed. A change of what it asks for makes a refused pod active again.
    pub fn put(&mut self, key: Key, pod: Arc<Pod>, gated: bool) {
        let Some((mut waiting, place)) = self.take(&key) else {
            let waiting = Waiting {
                pod,
                attempts: 0,
                refused: None,
                plugins: Box::default(),
                arrival: self.arrive(),
            };
            let place = if gated { Place::Gated } else { Place::Active };
            return self.insert(key, waiting, place);
        };
        // The pod's own status is written by the scheduler and wakes nobody.
        let same = waiting.pod.asks_as(&pod);
        waiting.pod = pod;
        let place = match place {
            _ if gated => Place::Gated,
            Place::Gated => Place::Active,
            Place::Unschedulable(_) | Place::Backoff(_) if !same => Place::Active,
            place => place,
        };
        self.insert(key, waiting, place);
    }

    /// The pod is gone, or bound.
    pub fn remove(&mut self, key: &Key) {
        self.take(key);
    }

    /// The next pod to decide on.
    pub fn pop(&mut self) -> Option<(Key, Arc<Pod>)> {
        let (_, key) = self.active.pop_first()?;
        let (waiting, place) = self.pods.get_mut(&key)?;
        *place = Place::Deciding;
        Some((key, waiting.pod.clone()))
    }

    /// The pod found no node: these plugins refused it.
    pub fn refused(&mut self, key: &Key, plugins: Vec<&'static str>, now: Instant) {
        self.tried(key, now, |waiting, _| {
            waiting.plugins = plugins.into();
            Place::Unschedulable(now)
        });
    }

    /// Something else went wrong: it is tried again after its back-off.
    pub fn failed(&mut self, key: &Key, now: Instant) {
        self.tried(key, now, |_, backoff| Place::Backoff(now + backoff));
    }

    fn tried(
        &mut self,
        key: &Key,
        now: Instant,
        place: impl FnOnce(&mut Waiting, Duration) -> Place,
    ) {
        let Some((mut waiting, _)) = self.take(key) else {
            return;
        };
        waiting.attempts += 1;
        waiting.refused = Some(now);
        // Who was tried goes behind those of its priority that were not.
        waiting.arrival = self.arrive();
        let backoff = self.backoff(waiting.attempts);
        let place = place(&mut waiting, backoff);
        self.insert(key.clone(), waiting, place);
    }

    /// Wakes the refused pods for which `concerned` says, by the pod and the plugins that refused
    /// it, that something may have changed.
    pub fn wake(&mut self, now: Instant, concerned: impl Fn(&Key, &Pod, &[&'static str]) -> bool) {
        let woken: Vec<Key> = self
            .unschedulable
            .iter()
            .filter(|(_, key)| {
                let waiting = self.pods.get(key).map(|(waiting, _)| waiting);
                waiting.is_some_and(|waiting| concerned(key, &waiting.pod, &waiting.plugins))
            })
            .map(|(_, key)| key.clone())
            .collect();
        for key in woken {
            self.hurry(&key, now);
        }
    }

    /// Tries a refused pod again as soon as its back-off is over.
    pub fn hurry(&mut self, key: &Key, now: Instant) {
        if !matches!(self.pods.get(key), Some((_, Place::Unschedulable(_)))) {
            return;
        }
        let Some((waiting, _)) = self.take(key) else {
            return;
        };
        let due = waiting.refused.unwrap_or(now) + self.backoff(waiting.attempts);
        let place = match due <= now {
            true => Place::Active,
            false => Place::Backoff(due),
        };
        self.insert(key.clone(), waiting, place);
    }

    /// Moves what is due into the active queue, and says when something is due next.
    pub fn ripen(&mut self, now: Instant) -> Option<Instant> {
        let mut ripe: Vec<Key> = Vec::new();
        let over = self.backoff.iter().take_while(|(due, _)| *due <= now);
        ripe.extend(over.map(|(_, key)| key.clone()));
        let stale = self.unschedulable.iter();
        let stale = stale.take_while(|(since, _)| *since + FLUSH <= now);
        ripe.extend(stale.map(|(_, key)| key.clone()));
        for key in ripe {
            if let Some((waiting, _)) = self.take(&key) {
                self.insert(key, waiting, Place::Active);
            }
        }
        let backoff = self.backoff.first().map(|(due, _)| *due);
        let flush = self.unschedulable.first().map(|(since, _)| *since + FLUSH);
        backoff.into_iter().chain(flush).min()
    }

    /// The queue that a pod is in: `active`, `backoff`, `unschedulable`, `gated` or `""`.
    pub fn place(&self, key: &Key) -> &'static str {
        match self.pods.get(key).map(|(_, place)| place) {
            Some(Place::Active | Place::Deciding) => "active",
            Some(Place::Backoff(_)) => "backoff",
            Some(Place::Unschedulable(_)) => "unschedulable",
            Some(Place::Gated) => "gated",
            None => "",
        }
    }

    /// A waiting pod.
    pub fn get(&self, key: &Key) -> Option<&Arc<Pod>> {
        self.pods.get(key).map(|(waiting, _)| &waiting.pod)
    }

    /// How many pods wait in all.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether no pod waits.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    fn arrive(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    fn insert(&mut self, key: Key, waiting: Waiting, place: Place) {
        match place {
            Place::Active => drop(self.active.insert(order(&waiting), key.clone())),
            Place::Backoff(due) => drop(self.backoff.insert((due, key.clone()))),
            Place::Unschedulable(since) => drop(self.unschedulable.insert((since, key.clone()))),
            Place::Gated | Place::Deciding => {}
        }
        self.pods.insert(key, (waiting, place));
    }

    fn take(&mut self, key: &Key) -> Option<(Waiting, Place)> {
        let (waiting, place) = self.pods.remove(key)?;
        match place {
            Place::Active => drop(self.active.remove(&order(&waiting))),
            Place::Backoff(due) => drop(self.backoff.remove(&(due, key.clone()))),
            Place::Unschedulable(since) => drop(self.unschedulable.remove(&(since, key.clone()))),
            Place::Gated | Place::Deciding => {}
        }
        Some((waiting, place))
    }

    fn backoff(&self, attempts: u32) -> Duration {
        self.first_backoff
            .saturating_mul(1 << attempts.saturating_sub(1).min(16))
            .min(self.longest_backoff)
    }
}

fn order(waiting: &Waiting) -> Order {
    (Reverse(waiting.pod.priority), waiting.arrival)
}

#[cfg(test)]
mod tests;
