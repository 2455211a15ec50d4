//! Whether this process itself is in contact with the API server.
//!
//! While it is not, every node looks silent. Silence therefore counts only from when contact was
//! last regained, and nobody is judged while it is lost: an outage of the API server or of etcd
//! takes no node down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::{At, Client, ListOptions};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::lifecycle::LEASES;
use crate::manager::Caches;

/// An uninterrupted time of contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    since: Timestamp,
    last: Timestamp,
    gap: SignedDuration,
}

impl Contact {
    /// Contact from now on; proofs may lie `gap` apart.
    pub fn new(now: Timestamp, gap: SignedDuration) -> Contact {
        Contact {
            since: now,
            last: now,
            gap,
        }
    }

    /// A proof of contact.
    pub fn prove(&mut self, now: Timestamp) {
        if self.is_lost(now) {
            self.since = now;
        }
        self.last = now;
    }

    /// Whether no proof came for too long.
    pub fn is_lost(&self, now: Timestamp) -> bool {
        now.duration_since(self.last) > self.gap
    }

    /// Since when contact is uninterrupted.
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

/// Proves contact once in each period: by a consistent read, and by caches that have seen what it saw.
pub(super) fn watch(
    client: &Client,
    caches: &Caches,
    period: Duration,
    shutdown: CancellationToken,
) -> (Arc<Mutex<Contact>>, impl Future<Output = ()> + Send + use<>) {
    let gap = SignedDuration::try_from(period * 2 + Duration::from_secs(1))
        .unwrap_or(SignedDuration::MAX);
    let contact = Arc::new(Mutex::new(Contact::new(Timestamp::now(), gap)));
    let (own, client) = (contact.clone(), client.clone());
    let (leases, nodes) = (caches.leases.clone(), caches.nodes.clone());
    let proving = async move {
        let at = At::of(gvr::LEASES).namespace(LEASES);
        let options = ListOptions {
            limit: 1,
            ..ListOptions::default()
        };
        loop {
            let proof = async {
                let revision = client.list(&at, &options).await?.revision;
                leases.wait_for(revision).await;
                nodes.wait_for(revision).await;
                Ok::<(), ferrule_apimachinery::status::Status>(())
            };
            if let Ok(Ok(())) =
                tokio::time::timeout(period.max(Duration::from_secs(1)), proof).await
            {
                own.lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .prove(Timestamp::now());
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
        }
    };
    (contact, proving)
}
