//! A backend that is etcd, with faults between it and the store.

#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use async_trait::async_trait;
use ferrule_apiserver::store::backend::{
    Backend, BackendError, Entry, Head, Page, TxnReply, WatchMessage, WatchStream,
};
use ferrule_apiserver::store::{Etcd, StoreOptions, Txn};
use futures::StreamExt;
use tokio::sync::Notify;

/// Which faults happen; they can be changed at any time.
#[derive(Default)]
pub struct Faults {
    /// So many transactions are carried out without an answer.
    pub lost_answers: AtomicU32,
    /// So many transactions are lost on their way without anybody knowing.
    pub lost_requests: AtomicU32,
    /// Nothing reaches etcd.
    pub away: AtomicBool,
    /// The next message with several changes is cut after the first one.
    pub cut: AtomicBool,
    /// Every message comes in pieces of one change.
    pub shatter: AtomicBool,
    /// Open streams stay open and say nothing more.
    pub mute: AtomicBool,
    /// Times that a message was cut.
    pub cuts: AtomicU32,
    /// Ends the open stream.
    pub hang_up: Notify,
}

pub struct Faulty {
    etcd: Etcd,
    pub faults: Arc<Faults>,
}

impl Faulty {
    pub fn new(options: &StoreOptions) -> (Arc<Self>, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        let backend = Self {
            etcd: Etcd::new(options).expect("valid options"),
            faults: faults.clone(),
        };
        (Arc::new(backend), faults)
    }

    fn reach(&self) -> Result<(), BackendError> {
        if self.faults.away.load(SeqCst) {
            return Err(BackendError::Unavailable("etcd is away".into()));
        }
        Ok(())
    }
}

fn take(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

#[async_trait]
impl Backend for Faulty {
    async fn revision(&self) -> Result<Head, BackendError> {
        self.reach()?;
        self.etcd.revision().await
    }

    async fn range(
        &self,
        from: Vec<u8>,
        end: Vec<u8>,
        limit: i64,
        revision: i64,
    ) -> Result<Page, BackendError> {
        self.reach()?;
        self.etcd.range(from, end, limit, revision).await
    }

    async fn get(&self, key: &[u8], revision: i64) -> Result<(Head, Option<Entry>), BackendError> {
        self.reach()?;
        self.etcd.get(key, revision).await
    }

    async fn txn(&self, txn: &Txn) -> Result<TxnReply, BackendError> {
        self.reach()?;
        if take(&self.faults.lost_requests) {
            return Err(BackendError::Unknown("the request was lost".into()));
        }
        let reply = self.etcd.txn(txn).await;
        if take(&self.faults.lost_answers) {
            return Err(BackendError::Unknown("the answer was lost".into()));
        }
        reply
    }

    async fn watch(&self, revision: i64) -> Result<WatchStream, BackendError> {
        self.reach()?;
        let stream = self.etcd.watch(revision).await?;
        let faults = self.faults.clone();
        let muted = AtomicBool::new(false);
        let pieces = stream.flat_map(move |message| {
            if faults.mute.load(SeqCst) || muted.load(SeqCst) {
                muted.store(true, SeqCst);
                return futures::stream::iter(Vec::new());
            }
            futures::stream::iter(faults.pieces(message))
        });
        let faults = self.faults.clone();
        let hung_up = async move { faults.hang_up.notified().await };
        Ok(Box::pin(pieces.take_until(Box::pin(hung_up))))
    }

    async fn compact(&self, revision: i64) -> Result<(), BackendError> {
        self.reach()?;
        self.etcd.compact(revision).await
    }
}

impl Faults {
    fn pieces(
        &self,
        message: Result<WatchMessage, BackendError>,
    ) -> Vec<Result<WatchMessage, BackendError>> {
        let message = match message {
            Ok(message) => message,
            Err(error) => return vec![Err(error)],
        };
        let first_of = |message: &WatchMessage| WatchMessage {
            head: message.head,
            events: message.events[..1].to_vec(),
            fragment: true,
        };
        if message.events.len() > 1 && self.cut.swap(false, SeqCst) {
            self.cuts.fetch_add(1, SeqCst);
            return vec![
                Ok(first_of(&message)),
                Err(BackendError::Unavailable("the stream was cut".into())),
            ];
        }
        if message.events.len() > 1 && self.shatter.load(SeqCst) {
            let last = message.events.len() - 1;
            return message
                .events
                .iter()
                .enumerate()
                .map(|(at, event)| {
                    Ok(WatchMessage {
                        head: message.head,
                        events: vec![event.clone()],
                        fragment: at < last || message.fragment,
                    })
                })
                .collect();
        }
        vec![Ok(message)]
    }
}
