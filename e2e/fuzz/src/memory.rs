//! A store in memory in place of etcd, which is frozen once it holds what every input shall find.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use ferrule_apiserver::store::backend::{
    Backend, BackendError, Entry, Head, Page, RawEvent, TxnReply, WatchMessage, WatchStream,
};
use ferrule_apiserver::store::{Compare, Txn};
use futures::channel::mpsc::{UnboundedSender, unbounded};

const CLUSTER: u64 = 1;

/// Keys and values, and who wants to hear of changes.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    revision: i64,
    entries: BTreeMap<Vec<u8>, Entry>,
    watchers: Vec<UnboundedSender<Result<WatchMessage, BackendError>>>,
    frozen: bool,
}

impl State {
    fn head(&self) -> Head {
        Head {
            cluster_id: CLUSTER,
            revision: self.revision.max(1),
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let entry = self.entries.get(compare.key().as_bytes());
        match compare {
            Compare::Absent(_) => entry.is_none(),
            Compare::ModRevision(_, revision) => {
                entry.is_some_and(|entry| entry.mod_revision == *revision)
            }
            Compare::Value(_, value) => entry.is_some_and(|entry| entry.value == *value),
        }
    }

    fn write(&mut self, txn: &Txn) {
        self.revision = self.revision.max(1) + 1;
        let revision = self.revision;
        let mut events = Vec::new();
        for (key, value) in &txn.put {
            let before = self.entries.get(key.as_bytes());
            let entry = Entry {
                key: Bytes::copy_from_slice(key.as_bytes()),
                value: value.clone(),
                mod_revision: revision,
                create_revision: before.map_or(revision, |entry| entry.create_revision),
            };
            events.push(RawEvent {
                key: entry.key.clone(),
                value: Some(value.clone()),
                revision,
                create_revision: entry.create_revision,
            });
            self.entries.insert(key.as_bytes().to_vec(), entry);
        }
        for key in &txn.delete {
            self.entries.remove(key.as_bytes());
            events.push(RawEvent {
                key: Bytes::copy_from_slice(key.as_bytes()),
                value: None,
                revision,
                create_revision: 0,
            });
        }
        let message = WatchMessage {
            head: self.head(),
            events,
            fragment: false,
        };
        self.watchers
            .retain(|watcher| watcher.unbounded_send(Ok(message.clone())).is_ok());
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every write is refused, so that one input does not change what the next one finds.
    pub fn freeze(&self) {
        self.state().frozen = true;
    }
}

#[async_trait]
impl Backend for Memory {
    async fn revision(&self) -> Result<Head, BackendError> {
        Ok(self.state().head())
    }

    async fn range(
        &self,
        from: Vec<u8>,
        end: Vec<u8>,
        limit: i64,
        _revision: i64,
    ) -> Result<Page, BackendError> {
        let state = self.state();
        let limit = usize::try_from(limit).unwrap_or(0);
        let entries = state.entries.range(from..end);
        let mut entries: Vec<Entry> = entries.map(|(_, entry)| entry.clone()).collect();
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok(Page {
            head: state.head(),
            entries,
            more,
        })
    }

    async fn get(&self, key: &[u8], _revision: i64) -> Result<(Head, Option<Entry>), BackendError> {
        let state = self.state();
        Ok((state.head(), state.entries.get(key).cloned()))
    }

    async fn txn(&self, txn: &Txn) -> Result<TxnReply, BackendError> {
        let mut state = self.state();
        if state.frozen {
            return Err(BackendError::Refused("nothing is written here".to_owned()));
        }
        let succeeded = txn.compare.iter().all(|compare| state.holds(compare));
        if succeeded {
            state.write(txn);
        }
        let current = txn.compare.iter().map(|compare| {
            let key = compare.key().as_bytes();
            (!succeeded).then(|| state.entries.get(key).cloned())?
        });
        let current = if succeeded {
            Vec::new()
        } else {
            current.collect()
        };
        Ok(TxnReply {
            head: state.head(),
            succeeded,
            current,
        })
    }

    async fn watch(&self, _revision: i64) -> Result<WatchStream, BackendError> {
        let (sender, receiver) = unbounded();
        self.state().watchers.push(sender);
        Ok(Box::pin(receiver))
    }

    async fn compact(&self, _revision: i64) -> Result<(), BackendError> {
        Ok(())
    }
}
