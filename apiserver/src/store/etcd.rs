//! etcd itself: the only place that speaks to it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::proto::{PbEvent, PbKeyValue, PbResponseHeader, PbTxnOpResponse};
use etcd_client::{CompactionOptions, CompareOp, GetOptions, WatchOptions};
use ferrule_client::transport::describe;
use futures::StreamExt;
use tokio::time::timeout;
use tonic::Code;

use super::backend::{
    Backend, BackendError, Entry, Head, Page, RawEvent, TxnReply, WatchMessage, WatchStream,
};
use super::error::StoreError;
use super::members::{Connection, Members};
use super::options::StoreOptions;
use super::transaction::{Compare, Txn};

/// A connection to an etcd cluster, made anew when it fails.
pub struct Etcd {
    members: Arc<Members>,
    request_timeout: Duration,
}

impl Etcd {
    /// Prepares the connection; nothing is sent yet.
    pub fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        Ok(Self {
            members: Arc::new(Members::new(options)?),
            request_timeout: options.request_timeout,
        })
    }

    /// Runs one request with the deadline, and lets go of the connection when it failed under it.
    async fn call<T, F>(&self, request: impl FnOnce(Connection) -> F) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let connection = self.members.connection().await?;
        let request = timeout(self.request_timeout, request(connection.clone()));
        let result = tokio::select! {
            result = request => match result {
                Ok(result) => result.map_err(|error| classify(&error)),
                Err(_) => Err(BackendError::Unknown(format!(
                    "etcd did not answer within {:?}",
                    self.request_timeout
                ))),
            },
            () = connection.given_up.cancelled() => {
                Err(BackendError::Unknown("the member of etcd did not answer".into()))
            }
        };
        if matches!(
            result,
            Err(BackendError::Unknown(_) | BackendError::Unavailable(_))
        ) {
            self.members.failed(&connection);
        }
        result
    }
}

#[async_trait]
impl Backend for Etcd {
    async fn revision(&self) -> Result<Head, BackendError> {
        // A count of one absent key: linearizable, and nothing is copied.
        let options = GetOptions::new().with_count_only();
        let response = self
            .call(|mut c| async move { c.kv.get("/ferrule/revision", Some(options)).await })
            .await?;
        head(response.0.header.as_ref())
    }

    async fn range(
        &self,
        from: Vec<u8>,
        end: Vec<u8>,
        limit: i64,
        revision: i64,
    ) -> Result<Page, BackendError> {
        let options = GetOptions::new()
            .with_range(end)
            .with_limit(limit)
            .with_revision(revision);
        let response = self
            .call(|mut c| async move { c.kv.get(from, Some(options)).await })
            .await?
            .0;
        Ok(Page {
            head: head(response.header.as_ref())?,
            more: response.more,
            entries: response.kvs.into_iter().map(entry).collect(),
        })
    }

    async fn get(&self, key: &[u8], revision: i64) -> Result<(Head, Option<Entry>), BackendError> {
        let options = GetOptions::new().with_revision(revision);
        let response = self
            .call(|mut c| async move { c.kv.get(key, Some(options)).await })
            .await?
            .0;
        Ok((
            head(response.header.as_ref())?,
            response.kvs.into_iter().next().map(entry),
        ))
    }

    async fn txn(&self, txn: &Txn) -> Result<TxnReply, BackendError> {
        let request = request_of(txn);
        let response = self
            .call(|mut c| async move { c.kv.txn(request).await })
            .await?
            .0;
        let current = if response.succeeded {
            Vec::new()
        } else {
            response
                .responses
                .into_iter()
                .map(|answer| match answer.response {
                    Some(PbTxnOpResponse::ResponseRange(range)) => {
                        range.kvs.into_iter().next().map(entry)
                    }
                    _ => None,
                })
                .collect()
        };
        Ok(TxnReply {
            head: head(response.header.as_ref())?,
            succeeded: response.succeeded,
            current,
        })
    }

    async fn watch(&self, revision: i64) -> Result<WatchStream, BackendError> {
        let options = WatchOptions::new()
            .with_all_keys()
            .with_start_revision(revision)
            .with_fragment();
        let (stream, given_up) = self
            .call(|mut c| async move {
                let stream = c.watch.watch("", Some(options)).await?;
                Ok((stream, c.given_up))
            })
            .await?;
        let stream = stream.take_until(given_up.cancelled_owned());
        Ok(Box::pin(stream.filter_map(|message| async move {
            let response = match message {
                Ok(response) => response.0,
                Err(error) => return Some(Err(classify(&error))),
            };
            if response.compact_revision > 0 {
                return Some(Err(BackendError::Compacted));
            }
            if response.canceled {
                return Some(Err(BackendError::Unavailable(response.cancel_reason)));
            }
            let head = match head(response.header.as_ref()) {
                Ok(head) => head,
                Err(error) => return Some(Err(error)),
            };
            Some(Ok(WatchMessage {
                head,
                events: response.events.into_iter().filter_map(event).collect(),
                fragment: response.fragment,
            }))
        })))
    }

    async fn compact(&self, revision: i64) -> Result<(), BackendError> {
        let options = CompactionOptions::new();
        self.call(|mut c| async move { c.kv.compact(revision, Some(options)).await })
            .await
            .map(|_| ())
    }
}

fn request_of(txn: &Txn) -> etcd_client::Txn {
    let compares: Vec<_> = txn
        .compare
        .iter()
        .map(|compare| match compare {
            Compare::Absent(key) => {
                etcd_client::Compare::mod_revision(key.as_str(), CompareOp::Equal, 0)
            }
            Compare::ModRevision(key, revision) => {
                etcd_client::Compare::mod_revision(key.as_str(), CompareOp::Equal, *revision)
            }
            Compare::Value(key, value) => {
                etcd_client::Compare::value(key.as_str(), CompareOp::Equal, value.to_vec())
            }
        })
        .collect();
    let puts = txn
        .put
        .iter()
        .map(|(key, value)| etcd_client::TxnOp::put(key.as_str(), value.to_vec(), None));
    let deletes = txn
        .delete
        .iter()
        .map(|key| etcd_client::TxnOp::delete(key.as_str(), None));
    let otherwise: Vec<_> = txn
        .compare
        .iter()
        .map(|compare| etcd_client::TxnOp::get(compare.key(), None))
        .collect();
    etcd_client::Txn::new()
        .when(compares)
        .and_then(puts.chain(deletes).collect::<Vec<_>>())
        .or_else(otherwise)
}

fn head(header: Option<&PbResponseHeader>) -> Result<Head, BackendError> {
    header
        .map(|header| Head {
            cluster_id: header.cluster_id,
            revision: header.revision,
        })
        .ok_or_else(|| BackendError::Unknown("etcd answered without a header".into()))
}

fn entry(kv: PbKeyValue) -> Entry {
    Entry {
        key: Bytes::from(kv.key),
        value: Bytes::from(kv.value),
        mod_revision: kv.mod_revision,
        create_revision: kv.create_revision,
    }
}

fn event(event: PbEvent) -> Option<RawEvent> {
    let kv = event.kv?;
    let deleted = event.r#type != 0;
    Some(RawEvent {
        key: Bytes::from(kv.key),
        value: (!deleted).then(|| Bytes::from(kv.value)),
        revision: kv.mod_revision,
        create_revision: kv.create_revision,
    })
}

/// Sorts an error by what is known of the request's effect. Only what is certain not to have been
/// carried out may be called unavailable: everything else is unknown.
fn classify(error: &etcd_client::Error) -> BackendError {
    let etcd_client::Error::GRpcStatus(status) = error else {
        return BackendError::Unavailable(error.to_string());
    };
    let message = status.message().to_owned();
    match status.code() {
        Code::OutOfRange if message.contains("compacted") => BackendError::Compacted,
        Code::OutOfRange if message.contains("future revision") => BackendError::Future,
        Code::InvalidArgument
            if message.contains("too large") || message.contains("too many op") =>
        {
            BackendError::TooLarge(message)
        }
        Code::ResourceExhausted if message.contains("larger than max") => {
            BackendError::TooLarge(message)
        }
        Code::ResourceExhausted => BackendError::Unavailable(message),
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated => {
            BackendError::Refused(message)
        }
        _ if never_sent(status) => BackendError::Unavailable(describe(status)),
        _ => BackendError::Unknown(describe(status)),
    }
}

/// Whether the connection could not be made at all.
fn never_sent(status: &(dyn std::error::Error + 'static)) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        let text = error.to_string();
        if text.contains("tcp connect error") || text.contains("dns error") {
            return true;
        }
        source = error.source();
    }
    false
}
