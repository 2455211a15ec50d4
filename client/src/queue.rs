//! The work queue of a controller: no duplicates, no key twice at a time, limits per key.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::Rng;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::informer::Key;

/// The delay after a key's first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(5);
/// The longest delay between two tries of a key.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Keys that wait for a worker. Clones share them.
#[derive(Clone, Default)]
pub struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Key>,
    /// Keys in `ready`, and keys that changed while a worker had them.
    waiting: HashSet<Key>,
    working: HashSet<Key>,
    later: BinaryHeap<Reverse<(Instant, Key)>>,
    /// The one time in `later` that counts for a key: the earliest that was asked for.
    due: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
    closed: bool,
}

impl State {
    fn add(&mut self, key: Key) -> bool {
        if self.closed || !self.waiting.insert(key.clone()) {
            return false;
        }
        // A key in work is put into `ready` when its worker is done.
        if self.working.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    fn ripen(&mut self, now: Instant) {
        while self
            .later
            .peek()
            .is_some_and(|Reverse((due, _))| *due <= now)
        {
            let Some(Reverse((due, key))) = self.later.pop() else {
                return;
            };
            if self.due.get(&key) == Some(&due) {
                self.due.remove(&key);
                self.add(key);
            }
        }
    }
}

impl Queue {
    /// An empty queue.
    pub fn new() -> Queue {
        Queue::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Adds a key, unless it waits already.
    pub fn add(&self, key: Key) {
        if self.state().add(key) {
            self.0.changed.notify_one();
        }
    }

    /// Adds a key after a delay, or sooner when that was asked for before: a key that is looked at
    /// again and again, and changes meanwhile, still waits only once.
    pub fn add_after(&self, key: Key, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let due = Instant::now() + delay;
        let mut state = self.state();
        if state.due.get(&key).is_some_and(|known| *known <= due) {
            return;
        }
        state.due.insert(key.clone(), due);
        state.later.push(Reverse((due, key)));
        drop(state);
        self.0.changed.notify_one();
    }

    /// Adds a key that failed, later each time, with jitter.
    pub fn retry(&self, key: Key) {
        let delay = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_default();
            let delay = FIRST_RETRY
                .saturating_mul(1 << (*failures).min(20))
                .min(LONGEST_RETRY);
            *failures = failures.saturating_add(1);
            delay.mul_f64(rand::rng().random_range(1.0..1.25))
        };
        self.add_after(key, delay);
    }

    /// Forgets the failures of a key.
    pub fn forget(&self, key: &Key) {
        self.state().failures.remove(key);
    }

    /// The keys that wait now.
    pub fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Whether no key waits now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the queue: [`Queue::next`] answers `None` from now on.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.changed.notify_waiters();
        self.0.changed.notify_one();
    }

    /// The next key, for one worker; give it back with [`Queue::done`].
    pub async fn next(&self) -> Option<Key> {
        loop {
            let changed = self.0.changed.notified();
            let due = {
                let mut state = self.state();
                if state.closed {
                    // Wake the next worker, so that all of them end.
                    self.0.changed.notify_one();
                    return None;
                }
                state.ripen(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.waiting.remove(&key);
                    state.working.insert(key.clone());
                    if !state.ready.is_empty() || !state.later.is_empty() {
                        self.0.changed.notify_one();
                    }
                    return Some(key);
                }
                state.later.peek().map(|Reverse((due, _))| *due)
            };
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// A worker has finished with `key`; if it changed meanwhile, it is ready again.
    pub fn done(&self, key: &Key) {
        let mut state = self.state();
        state.working.remove(key);
        if state.waiting.contains(key) {
            state.ready.push_back(key.clone());
            self.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_never_worked_on_twice_at_a_time() {
        let queue = Queue::new();
        let (a, b) = (Key::cluster("a"), Key::cluster("b"));
        queue.add(a.clone());
        queue.add(a.clone());
        assert_eq!(queue.next().await, Some(a.clone()));
        queue.add(a.clone());
        queue.add(b.clone());
        assert_eq!(queue.next().await, Some(b.clone()));
        queue.done(&b);
        assert!(
            tokio::time::timeout(Duration::from_millis(30), queue.next())
                .await
                .is_err()
        );
        queue.done(&a);
        assert_eq!(queue.next().await, Some(a));
    }

    #[tokio::test]
    async fn delayed_keys_come_in_the_order_of_their_times() {
        let queue = Queue::new();
        queue.add_after(Key::cluster("late"), Duration::from_millis(40));
        queue.add_after(Key::cluster("soon"), Duration::from_millis(5));
        assert_eq!(queue.next().await, Some(Key::cluster("soon")));
        assert_eq!(queue.next().await, Some(Key::cluster("late")));
    }

    #[tokio::test]
    async fn a_key_waits_once_until_the_earliest_of_its_times() {
        let queue = Queue::new();
        let key = Key::cluster("a");
        let begin = Instant::now();
        for milliseconds in [9000, 20, 150] {
            queue.add_after(key.clone(), Duration::from_millis(milliseconds));
        }
        assert_eq!(queue.next().await, Some(key.clone()));
        assert!(begin.elapsed() < Duration::from_secs(9));
        queue.done(&key);
        let next = tokio::time::timeout(Duration::from_millis(300), queue.next());
        assert!(next.await.is_err(), "the later times were superseded");
    }

    #[tokio::test]
    async fn a_closed_queue_ends_every_worker() {
        let queue = Queue::new();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let queue = queue.clone();
                    async move { queue.next().await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.close();
        for worker in workers {
            assert_eq!(worker.await.unwrap(), None);
        }
    }
}
