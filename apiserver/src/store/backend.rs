//! The store's edge: what it asks of etcd, as a trait, so that faults can be injected in tests.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

use super::transaction::Txn;

/// Which cluster answered, and at which revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// etcd's cluster id; another one means other data.
    pub cluster_id: u64,
    /// The key space's revision when the request was served.
    pub revision: i64,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// Revision of the last write.
    pub mod_revision: i64,
    /// Revision of the creation.
    pub create_revision: i64,
}

/// A part of a range of keys.
#[derive(Debug, Clone)]
pub struct Page {
    /// Who answered.
    pub head: Head,
    /// The entries in the order of their keys.
    pub entries: Vec<Entry>,
    /// Whether keys were left out because of the limit.
    pub more: bool,
}

/// The answer to a transaction that reached etcd.
#[derive(Debug, Clone)]
pub struct TxnReply {
    /// Who answered; when `succeeded`, the revision is the transaction's own.
    pub head: Head,
    /// Whether all compares held and everything was written.
    pub succeeded: bool,
    /// When it did not: what each compared key holds now, in the order of the compares.
    pub current: Vec<Option<Entry>>,
}

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// The whole key.
    pub key: Bytes,
    /// The new value; `None` when the key was deleted.
    pub value: Option<Bytes>,
    /// Revision of the change.
    pub revision: i64,
    /// Revision of the key's creation; 0 when it was deleted.
    pub create_revision: i64,
}

/// One message of the watch over the whole key space.
#[derive(Debug, Clone)]
pub struct WatchMessage {
    /// Who sent it. Its revision is not a promise about events: those behind it may still come.
    pub head: Head,
    /// Changes in order. A revision may go on in the next message only when `fragment` is set.
    pub events: Vec<RawEvent>,
    /// Whether the next message continues this one.
    pub fragment: bool,
}

/// The changes from some revision on.
pub type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchMessage, BackendError>> + Send>>;

/// Why a request to etcd failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// Not reached, or refused for now; nothing was done.
    #[error("{0}")]
    Unavailable(String),
    /// Sent, but no answer came; it may have been done.
    #[error("{0}")]
    Unknown(String),
    /// The revision asked for has been compacted away.
    #[error("required revision has been compacted")]
    Compacted,
    /// The revision asked for does not exist yet.
    #[error("required revision is a future revision")]
    Future,
    /// The request is larger than etcd takes.
    #[error("{0}")]
    TooLarge(String),
    /// etcd refused the request for good.
    #[error("{0}")]
    Refused(String),
}

/// What the store asks of etcd. Every call has a deadline of its own.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The current revision, by a linearizable read.
    async fn revision(&self) -> Result<Head, BackendError>;

    /// Up to `limit` entries with `from <= key < end`, at `revision` (0: the current one).
    async fn range(
        &self,
        from: Vec<u8>,
        end: Vec<u8>,
        limit: i64,
        revision: i64,
    ) -> Result<Page, BackendError>;

    /// One entry at `revision` (0: the current one).
    async fn get(&self, key: &[u8], revision: i64) -> Result<(Head, Option<Entry>), BackendError>;

    /// Carries out a transaction.
    async fn txn(&self, txn: &Txn) -> Result<TxnReply, BackendError>;

    /// All changes of all keys from `revision` on, inclusive.
    async fn watch(&self, revision: i64) -> Result<WatchStream, BackendError>;

    /// Drops history before `revision`.
    async fn compact(&self, revision: i64) -> Result<(), BackendError>;
}
