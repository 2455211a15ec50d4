//! Carrying out a transaction, and finding out what became of it when the answer was lost.
//!
//! A transaction that compares the revision of a key that it also changes can be sent again: if the
//! first one was carried out, the second one fails, and the other way round. When the second one
//! fails, the history tells whether the first one had been carried out.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::backend::{Backend, BackendError, Entry, TxnReply};
use super::cache::Cache;
use super::error::CommitError;
use super::stats::Counters;
use super::transaction::{Committed, Compare, Txn};

const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MOST: Duration = Duration::from_secs(1);

pub(super) async fn commit(
    backend: &dyn Backend,
    cache: &Cache,
    txn: &Txn,
    deadline: Instant,
) -> Result<Committed, CommitError> {
    let counters = &cache.counters;
    let began = cache.revision();
    // Set once an attempt may have been carried out without our knowing.
    let mut doubt: Option<String> = None;
    let mut pause = RETRY_FIRST;
    loop {
        let error = match timeout_at(deadline, backend.txn(txn)).await {
            Ok(Ok(reply)) if reply.succeeded => {
                return Ok(committed(cache, reply.head.revision));
            }
            Ok(Ok(reply)) => {
                return match doubt {
                    Some(reason) => settle(cache, txn, &reply, reason, began, deadline).await,
                    None => Err(conflict(cache, txn, &reply)),
                };
            }
            Ok(Err(error)) => error,
            Err(_) => BackendError::Unknown("etcd did not answer in time".into()),
        };
        let message = error.to_string();
        match error {
            BackendError::Unavailable(_) => {}
            BackendError::Unknown(_) => {
                Counters::count(&counters.unknown_outcomes);
                doubt = Some(message.clone());
                if guard(txn).is_none() {
                    return Err(CommitError::Unknown(message));
                }
            }
            BackendError::TooLarge(_) => return Err(CommitError::TooLarge(message)),
            BackendError::Refused(_) | BackendError::Compacted | BackendError::Future => {
                return Err(CommitError::Refused(message));
            }
        }
        let next = Instant::now() + pause;
        if next >= deadline {
            return Err(match doubt {
                Some(reason) => CommitError::Unknown(reason),
                None => CommitError::Unavailable(message),
            });
        }
        sleep_until(next).await;
        pause = (pause * 2).min(RETRY_MOST);
    }
}

fn committed(cache: &Cache, revision: i64) -> Committed {
    Counters::count(&cache.counters.commits);
    cache.doubt.expect(revision);
    Committed { revision }
}

fn conflict(cache: &Cache, txn: &Txn, reply: &TxnReply) -> CommitError {
    Counters::count(&cache.counters.conflicts);
    cache.doubt.expect(reply.head.revision);
    let failed = txn
        .compare
        .iter()
        .zip(&reply.current)
        .enumerate()
        .filter(|(_, (compare, current))| !holds(compare, current.as_ref()))
        .map(|(at, _)| at)
        .collect();
    CommitError::Conflict {
        revision: reply.head.revision,
        failed,
    }
}

fn holds(compare: &Compare, current: Option<&Entry>) -> bool {
    match compare {
        Compare::Absent(_) => current.is_none(),
        Compare::ModRevision(_, revision) => {
            current.map_or(0, |entry| entry.mod_revision) == *revision
        }
        Compare::Value(_, value) => current.is_some_and(|entry| entry.value == *value),
    }
}

/// The compare that keeps the transaction from being carried out twice, by its position.
fn guard(txn: &Txn) -> Option<usize> {
    let guards = |compare: &Compare| {
        let key = compare.key();
        !matches!(compare, Compare::Value(..))
            && (txn.put.iter().any(|(put, _)| put == key)
                || matches!(compare, Compare::ModRevision(_, revision) if *revision > 0)
                    && txn.delete.iter().any(|delete| delete == key))
    };
    // A value that was put can be found again, a deletion could be anybody's.
    let puts = |at: &usize| {
        let key = txn.compare[*at].key();
        txn.put.iter().any(|(put, _)| put == key)
    };
    let positions = || (0..txn.compare.len()).filter(|at| guards(&txn.compare[*at]));
    positions().find(puts).or_else(|| positions().next())
}

/// The repeated transaction failed: was it because the first one had been carried out? If so, that
/// was after `began`.
async fn settle(
    cache: &Cache,
    txn: &Txn,
    reply: &TxnReply,
    reason: String,
    began: i64,
    deadline: Instant,
) -> Result<Committed, CommitError> {
    let unknown = || Err(CommitError::Unknown(reason.clone()));
    let Some(at) = guard(txn) else {
        return unknown();
    };
    let compare = &txn.compare[at];
    let current = reply.current.get(at).and_then(Option::as_ref);
    if holds(compare, current) {
        // What the transaction would have changed is as before: it failed for another compare.
        return Err(conflict(cache, txn, reply));
    }
    let key = compare.key();
    let Some((_, value)) = txn.put.iter().find(|(put, _)| put == key) else {
        return unknown();
    };
    if let Some(current) = current.filter(|entry| entry.value == *value) {
        return Ok(committed(cache, current.mod_revision));
    }
    // Somebody wrote the key after us, or instead of us.
    if cache.wait_for(reply.head.revision, deadline).await.is_err() {
        return unknown();
    }
    match cache.written(key, value, began) {
        Ok(Some(revision)) => Ok(committed(cache, revision)),
        Ok(None) => Err(conflict(cache, txn, reply)),
        Err(()) => unknown(),
    }
}
