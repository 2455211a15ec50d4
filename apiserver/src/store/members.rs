//! The members of an etcd cluster: the connection to one of them, and how another one is taken.
//!
//! All requests go to one member; etcd itself forwards what needs its leader. A request that failed
//! lets the next one go to the next member. Where there are several, the member in use is besides
//! asked for a linearizable read now and then: when it does not answer and another one does, its
//! connection is given up, and all that wait on it are told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use etcd_client::{
    Certificate, Channel, Client, ConnectOptions, GetOptions, Identity, KvClient, TlsOptions,
    WatchClient,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tracing::info;

use super::backend::BackendError;
use super::error::StoreError;
use super::options::StoreOptions;

/// Largest answer taken from etcd. A page of objects or the watch of one large transaction can be
/// far beyond gRPC's usual 4 MiB; etcd itself sends up to 2 GiB.
const DECODE_LIMIT: usize = 1 << 30;
/// While nothing answers, every member is tried once in this time.
const ROUND: Duration = Duration::from_secs(1);
/// How often the member in use is asked, and how long it may take to answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBE_PATIENCE: Duration = Duration::from_millis(1500);
/// How long one of several members may take to accept a connection.
const SHORT_CONNECT: Duration = Duration::from_secs(2);
const LONG_CONNECT: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Members {
    endpoints: Vec<Endpoint>,
    in_use: Mutex<InUse>,
    probed: AtomicBool,
}

struct InUse {
    member: usize,
    connection: Option<Connection>,
}

/// A connection to one member. Clones share it; it is made when it is first used, and again when
/// it was lost.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) kv: KvClient,
    pub(super) watch: WatchClient,
    /// Cancelled when the member does not answer any more.
    pub(super) given_up: CancellationToken,
    member: usize,
    made: Instant,
}

impl Members {
    /// Nothing is sent yet.
    pub(super) fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let endpoints: Result<Vec<Endpoint>, StoreError> = options
            .endpoints
            .iter()
            .map(|url| {
                endpoint(url, options)
                    .map_err(|error| StoreError::InvalidOptions(format!("{url}: {error}")))
            })
            .collect();
        let endpoints = endpoints?;
        if endpoints.is_empty() {
            return Err(StoreError::InvalidOptions("no etcd endpoints".into()));
        }
        Ok(Self {
            endpoints,
            in_use: Mutex::new(InUse {
                member: 0,
                connection: None,
            }),
            probed: AtomicBool::new(false),
        })
    }

    /// The connection to the member in use.
    pub(super) async fn connection(self: &Arc<Self>) -> Result<Connection, BackendError> {
        let member = {
            let in_use = self.in_use();
            if let Some(connection) = &in_use.connection {
                return Ok(connection.clone());
            }
            in_use.member
        };
        self.start_probe();
        let connection = self.connect(member).await?;
        Ok(self.in_use().connection.get_or_insert(connection).clone())
    }

    fn start_probe(self: &Arc<Self>) {
        if self.endpoints.len() > 1 && !self.probed.swap(true, Ordering::Relaxed) {
            tokio::spawn(probe(Arc::downgrade(self)));
        }
    }

    async fn connect(&self, member: usize) -> Result<Connection, BackendError> {
        let channel = Channel::Tonic(self.endpoints[member].connect_lazy());
        let options = ConnectOptions::new().with_require_leader(true);
        let client = Client::from_channel(channel, Some(options))
            .await
            .map_err(|error| BackendError::Unavailable(error.to_string()))?;
        Ok(Connection {
            kv: client
                .kv_client()
                .max_decoding_message_size(DECODE_LIMIT)
                .max_encoding_message_size(DECODE_LIMIT),
            watch: client
                .watch_client()
                .max_decoding_message_size(DECODE_LIMIT),
            given_up: CancellationToken::new(),
            member,
            made: Instant::now(),
        })
    }

    /// A request on this connection failed under it: the next one uses another.
    pub(super) fn failed(&self, connection: &Connection) {
        let count = self.endpoints.len();
        let mut in_use = self.in_use();
        if in_use.is(connection) && connection.made.elapsed() > ROUND / count as u32 {
            in_use.member = (connection.member + 1) % count;
            in_use.connection = None;
        }
    }

    /// Leaves a member that does not answer for one that does.
    async fn leave(&self, silent: Connection) {
        let count = self.endpoints.len();
        for member in (1..count).map(|turn| (silent.member + turn) % count) {
            let Ok(other) = self.connect(member).await else {
                continue;
            };
            if !answers(&other).await {
                continue;
            }
            info!(
                from = %self.endpoints[silent.member].uri(),
                to = %self.endpoints[member].uri(),
                "the member of etcd does not answer; moving to another"
            );
            {
                let mut in_use = self.in_use();
                if in_use.is(&silent) {
                    in_use.member = member;
                    in_use.connection = Some(other);
                }
            }
            silent.given_up.cancel();
            return;
        }
    }

    fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InUse {
    fn is(&self, connection: &Connection) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|own| own.member == connection.member && own.made == connection.made)
    }
}

/// Asks the member in use, as long as there are members.
async fn probe(members: Weak<Members>) {
    loop {
        sleep(PROBE_INTERVAL).await;
        let Some(members) = members.upgrade() else {
            return;
        };
        if let Ok(connection) = members.connection().await
            && !answers(&connection).await
        {
            members.leave(connection).await;
        }
    }
}

/// Whether a linearizable read comes back in time.
async fn answers(connection: &Connection) -> bool {
    let mut kv = connection.kv.clone();
    let options = GetOptions::new().with_count_only();
    let read = kv.get("/ferrule/revision", Some(options));
    matches!(timeout(PROBE_PATIENCE, read).await, Ok(Ok(_)))
}

fn endpoint(url: &str, options: &StoreOptions) -> Result<Endpoint, tonic::transport::Error> {
    let url = match (url.contains("://"), &options.tls) {
        (true, _) => url.to_owned(),
        (false, Some(_)) => format!("https://{url}"),
        (false, None) => format!("http://{url}"),
    };
    let patience = match options.endpoints.len() {
        1 => LONG_CONNECT,
        _ => SHORT_CONNECT,
    };
    let mut endpoint = Endpoint::from_shared(url)?
        .connect_timeout(options.request_timeout.min(patience))
        // etcd closes connections that are pinged more often than every 5 s, or without a stream.
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .tcp_nodelay(true);
    if let Some(tls) = &options.tls {
        endpoint = endpoint.tls_config(
            TlsOptions::new()
                .ca_certificate(Certificate::from_pem(&tls.ca))
                .identity(Identity::from_pem(&tls.cert, &tls.key)),
        )?;
    }
    Ok(endpoint)
}
