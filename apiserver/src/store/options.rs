//! How the store is configured.

use std::time::Duration;

use super::metered::EtcdMetrics;

/// Certificates for etcd, as PEM.
#[derive(Debug, Clone)]
pub struct EtcdTls {
    /// The authority that signed etcd's certificate.
    pub ca: Vec<u8>,
    /// Our certificate.
    pub cert: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
}

/// Settings of a [`Store`](super::Store). [`StoreOptions::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// etcd's client URLs.
    pub endpoints: Vec<String>,
    /// Certificates; `None` for plain HTTP.
    pub tls: Option<EtcdTls>,
    /// Deadline of one request to etcd.
    pub request_timeout: Duration,
    /// Bound on the bytes of past objects kept for resuming watches and exact reads.
    pub history_bytes: usize,
    /// How many revisions before the current one a starting store tries to begin its history.
    pub history_replay: i64,
    /// Objects fetched per request when everything is loaded.
    pub load_page: i64,
    /// How often history is compacted in etcd; `None` leaves it alone.
    pub compaction_interval: Option<Duration>,
    /// Age at which Events are removed; `None` keeps them.
    pub event_ttl: Option<Duration>,
    /// Changes that one watcher may have waiting before it is ended as too slow.
    pub watch_buffer: usize,
    /// Most changes in one batch of a watch.
    pub watch_batch: usize,
    /// How often an idle watcher reports the revision it has reached.
    pub progress_interval: Duration,
    /// How long the stream from etcd may be silent before it is checked.
    pub idle_check: Duration,
    /// Where requests to etcd are counted.
    pub metrics: EtcdMetrics,
}

impl StoreOptions {
    /// The defaults, for etcd at `endpoints`.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            tls: None,
            request_timeout: Duration::from_secs(5),
            history_bytes: 256 << 20,
            history_replay: 20_000,
            load_page: 500,
            compaction_interval: Some(Duration::from_secs(300)),
            event_ttl: Some(Duration::from_secs(3600)),
            watch_buffer: 10_000,
            watch_batch: 500,
            progress_interval: Duration::from_secs(1),
            idle_check: Duration::from_secs(5),
            metrics: EtcdMetrics::default(),
        }
    }
}
