//! What can go wrong with a read, a watch or a commit.

/// Why a read or a watch could not be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// etcd did not answer, or the stream of changes did not catch up, before the deadline.
    #[error("etcd is unavailable: {0}")]
    Unavailable(String),
    /// The revision asked for has not been reached before the deadline.
    #[error("Too large resource version: {requested}, current: {current}")]
    RevisionTooLarge {
        /// The revision asked for.
        requested: i64,
        /// The revision that the cache has reached.
        current: i64,
    },
    /// The history no longer reaches back to the revision asked for.
    #[error("too old resource version: {requested} ({oldest})")]
    Expired {
        /// The revision asked for.
        requested: i64,
        /// The oldest revision that could have been served.
        oldest: i64,
    },
    /// The resource was not in the scheme when the store was opened.
    #[error("resource {0} is not stored here")]
    UnknownResource(String),
    /// The options make no sense to the etcd client (an endpoint, a certificate).
    #[error("invalid store options: {0}")]
    InvalidOptions(String),
}

/// Why a transaction has no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A compare did not hold; nothing was written.
    #[error("the transaction's preconditions do not hold at revision {revision}")]
    Conflict {
        /// Revision at which the compares were evaluated. A caller that retries waits for it
        /// ([`Store::wait_for`](super::Store::wait_for)) and reads again from the cache.
        revision: i64,
        /// Indices into [`Txn::compare`](super::Txn::compare) of the compares that failed.
        failed: Vec<usize>,
    },
    /// etcd refused or could not be reached; nothing was written.
    #[error("etcd is unavailable: {0}")]
    Unavailable(String),
    /// The request was sent, but the deadline passed before its outcome was known.
    #[error("the outcome of the transaction is unknown: {0}")]
    Unknown(String),
    /// etcd does not take a transaction of this size; nothing was written.
    #[error("the transaction is too large: {0}")]
    TooLarge(String),
    /// etcd refused the transaction as malformed; nothing was written.
    #[error("etcd refused the transaction: {0}")]
    Refused(String),
}

/// Why a watch ended. Its client lists and watches again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// The history was dropped under the watch (compaction, another cluster, a restored etcd): 410.
    #[error("the history of the watch is gone")]
    Expired,
    /// The consumer did not keep up; it may resume from the last revision it saw.
    #[error("the watch was too slow to keep up with the changes")]
    Slow,
    /// The store is shutting down.
    #[error("the store is shutting down")]
    Shutdown,
}
