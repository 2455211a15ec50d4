//! Counts and measures what is asked of etcd, under upstream's names.

use std::borrow::Cow;
use std::time::Instant;

use async_trait::async_trait;
use ferrule_apimachinery::scheme::Scheme;
use ferrule_component_base::metrics::{LockFreeHistogram, Metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::backend::{Backend, BackendError, Entry, Head, Page, TxnReply, WatchStream};
use super::table::Table;
use super::transaction::{Compare, Txn};

/// Upstream's buckets for requests to etcd, in seconds.
const DURATIONS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// What was asked of etcd.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    group: Cow<'static, str>,
    resource: Cow<'static, str>,
}

/// Counts and durations of requests to etcd. Clones share them.
#[derive(Clone, Debug)]
pub struct EtcdMetrics {
    requests: Family<Labels, Counter>,
    errors: Family<Labels, Counter>,
    durations: Family<Labels, LockFreeHistogram, fn() -> LockFreeHistogram>,
}

impl Default for EtcdMetrics {
    fn default() -> EtcdMetrics {
        EtcdMetrics {
            requests: Family::default(),
            errors: Family::default(),
            durations: Family::new_with_constructor(|| LockFreeHistogram::new(&DURATIONS)),
        }
    }
}

impl EtcdMetrics {
    /// The metrics, registered under upstream's names.
    pub fn register(metrics: &Metrics) -> EtcdMetrics {
        let own = EtcdMetrics::default();
        metrics.register(|registry| {
            registry.register(
                "etcd_requests",
                "[ALPHA] Etcd request counts for each operation and object type",
                own.requests.clone(),
            );
            registry.register(
                "etcd_request_errors",
                "[ALPHA] Etcd failed request counts for each operation and object type",
                own.errors.clone(),
            );
            registry.register(
                "etcd_request_duration_seconds",
                "[ALPHA] Etcd request latency in seconds for each operation and object type",
                own.durations.clone(),
            );
        });
        own
    }

    fn count(&self, labels: &Labels, began: Instant, failed: bool) {
        let duration = began.elapsed().as_secs_f64();
        self.durations.get_or_create(labels).observe(duration);
        if failed {
            self.errors.get_or_create(labels).inc();
        }
        self.requests.get_or_create(labels).inc();
    }
}

/// What a transaction does to the first object that it writes.
fn operation(txn: &Txn) -> (&'static str, &str) {
    match (txn.put.first(), txn.delete.first()) {
        (Some((key, _)), _) => {
            let absent = |compare: &Compare| matches!(compare, Compare::Absent(own) if own == key);
            let create = txn.compare.iter().any(absent);
            (if create { "create" } else { "update" }, key)
        }
        (None, Some(key)) => ("delete", key),
        (None, None) => ("get", ""),
    }
}

/// A backend whose requests are counted.
pub(super) struct Metered<B> {
    inner: B,
    metrics: EtcdMetrics,
    table: Table,
}

impl<B> Metered<B> {
    pub(super) fn new(inner: B, metrics: EtcdMetrics, scheme: &Scheme) -> Metered<B> {
        Metered {
            inner,
            metrics,
            table: Table::new(scheme),
        }
    }

    fn count(
        &self,
        operation: &'static str,
        key: &[u8],
        began: Instant,
        result: &Result<impl Sized, BackendError>,
    ) {
        let key = std::str::from_utf8(key).unwrap_or_default();
        let found = self.table.locate(key);
        let resource = found.map(|(index, _)| self.table.resource(index));
        let labels = Labels {
            operation,
            group: resource.map_or(Cow::Borrowed(""), |own| own.group.clone()),
            resource: resource.map_or(Cow::Borrowed(""), |own| own.plural.clone()),
        };
        self.metrics.count(&labels, began, result.is_err());
    }
}

#[async_trait]
impl<B: Backend> Backend for Metered<B> {
    async fn revision(&self) -> Result<Head, BackendError> {
        let began = Instant::now();
        let result = self.inner.revision().await;
        self.count("revision", b"", began, &result);
        result
    }

    async fn range(
        &self,
        from: Vec<u8>,
        end: Vec<u8>,
        limit: i64,
        revision: i64,
    ) -> Result<Page, BackendError> {
        // Whole resources are asked for by what their keys begin with.
        let (began, key) = (Instant::now(), [&*from, b"-"].concat());
        let result = self.inner.range(from, end, limit, revision).await;
        self.count("list", &key, began, &result);
        result
    }

    async fn get(&self, key: &[u8], revision: i64) -> Result<(Head, Option<Entry>), BackendError> {
        let began = Instant::now();
        let result = self.inner.get(key, revision).await;
        self.count("get", key, began, &result);
        result
    }

    async fn txn(&self, txn: &Txn) -> Result<TxnReply, BackendError> {
        let began = Instant::now();
        let result = self.inner.txn(txn).await;
        let (operation, key) = operation(txn);
        self.count(operation, key.as_bytes(), began, &result);
        result
    }

    async fn watch(&self, revision: i64) -> Result<WatchStream, BackendError> {
        let began = Instant::now();
        let result = self.inner.watch(revision).await;
        self.count("watch", b"", began, &result);
        result
    }

    async fn compact(&self, revision: i64) -> Result<(), BackendError> {
        let began = Instant::now();
        let result = self.inner.compact(revision).await;
        self.count("compact", b"", began, &result);
        result
    }
}
