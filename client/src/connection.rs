//! The connection under a client: lazy, over mutual TLS, to one of several servers.
//!
//! One HTTP/2 connection carries everything. When it is lost, the next request opens another,
//! beginning with the server that is preferred; certificates are read anew then, so that
//! renewed files come into use without a restart.
//!
//! ```text
//!   preferred ──TCP, TLS──────────────────▶ the first handshake that is complete wins
//!   next        └ after a moment ──TCP, TLS──▶
//! ```
//! A server that is dead, paused or out of reach completes none.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig as TlsConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::kubeconfig::{ClientConfig, ConfigError};

/// How long one server may take to accept a connection and its TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a server has before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(300);

/// The servers of a client: which one is preferred, and which one it is connected to.
pub(crate) struct Servers {
    config: ClientConfig,
    preferred: AtomicUsize,
    current: Mutex<Option<Current>>,
}

/// The connection in use.
struct Current {
    server: usize,
    /// A second handle on its socket.
    socket: std::net::TcpStream,
}

impl Servers {
    pub(crate) fn new(config: &ClientConfig) -> Servers {
        Servers {
            config: config.clone(),
            preferred: AtomicUsize::new(0),
            current: Mutex::new(None),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.config.servers.len()
    }

    /// The server that was connected to last.
    pub(crate) fn current(&self) -> Option<usize> {
        self.lock().as_ref().map(|current| current.server)
    }

    /// Ends the connection, so that the next one is made to `server`.
    pub(crate) fn move_to(&self, server: usize) {
        self.preferred.store(server, Ordering::Relaxed);
        if let Some(current) = self.lock().take() {
            // It may be closed already.
            let _ = current.socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// The address of a server.
    pub(crate) fn address(&self, server: usize) -> &str {
        &self.config.servers[server]
    }

    /// A channel to one of them, apart from the one in use.
    pub(crate) fn channel_to(&self, server: usize) -> Result<Channel, ConfigError> {
        let config = ClientConfig {
            servers: vec![self.config.servers[server].clone()],
            ..self.config.clone()
        };
        channel(&Arc::new(Servers::new(&config)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to whichever server completes its handshake first, with a lead for those in front.
    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let tls = tls(&self.config).map_err(io::Error::other)?;
        let tls = TlsConnector::from(Arc::new(tls));
        let count = self.count();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut waiting = (0..count).map(|turn| (first + turn) % count);
        let mut attempts = FuturesUnordered::new();
        let mut failure = io::Error::other("no server is configured");
        loop {
            if attempts.is_empty() {
                match waiting.next() {
                    Some(server) => attempts.push(self.attempt(server, &tls)),
                    None => return Err(failure),
                }
            }
            let attempt = match timeout(STAGGER, attempts.next()).await {
                Ok(attempt) => attempt,
                Err(_) => {
                    attempts.extend(waiting.next().map(|server| self.attempt(server, &tls)));
                    if waiting.len() > 0 {
                        continue;
                    }
                    attempts.next().await
                }
            };
            match attempt {
                Some((server, Ok((stream, socket)))) => {
                    self.preferred.store(server, Ordering::Relaxed);
                    *self.lock() = socket.map(|socket| Current { server, socket });
                    return Ok(stream);
                }
                Some((_, Err(error))) => failure = error,
                None => {}
            }
        }
    }

    async fn attempt(&self, server: usize, tls: &TlsConnector) -> (usize, io::Result<Connected>) {
        let address = self.address(server);
        let connected = timeout(CONNECT_TIMEOUT, connect_one(&self.config, tls, address)).await;
        let late = || {
            let why = format!("connect to {address}: i/o timeout");
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        };
        (server, connected.unwrap_or_else(|_| late()))
    }
}

/// A channel to the servers; nothing is sent before the first request.
pub(crate) fn channel(servers: &Arc<Servers>) -> Result<Channel, ConfigError> {
    let config = &servers.config;
    // Errors of the files should be seen now, not at the first request.
    tls(config)?;
    let endpoint = Endpoint::from_static("http://kubernetes")
        .user_agent(config.user_agent.clone())
        .map_err(|error| ConfigError::Invalid(error.to_string()))?
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    let servers = servers.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let servers = servers.clone();
        async move { servers.connect().await.map(TokioIo::new) }
    });
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// A stream, and where there are several servers a second handle on its socket.
type Connected = (TlsStream<TcpStream>, Option<std::net::TcpStream>);

async fn connect_one(
    config: &ClientConfig,
    tls: &TlsConnector,
    server: &str,
) -> io::Result<Connected> {
    let host = server
        .rsplit_once(':')
        .map_or(server, |(host, _)| host)
        .trim_matches(['[', ']']);
    let name = config.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("connect to {server}: {error}")))?;
    stream.set_nodelay(true)?;
    let mut socket = None;
    if config.servers.len() > 1 {
        let owned = stream.into_std()?;
        socket = Some(owned.try_clone()?);
        stream = TcpStream::from_std(owned)?;
    }
    Ok((tls.connect(name, stream).await?, socket))
}

/// A TLS configuration from the files as they are now.
pub fn tls(config: &ClientConfig) -> Result<TlsConfig, ConfigError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let invalid =
        |error: &dyn std::fmt::Display| ConfigError::Invalid(format!("invalid TLS files: {error}"));
    let mut roots = RootCertStore::empty();
    let authority = config.authority.as_ref().ok_or_else(|| {
        ConfigError::Invalid("the kubeconfig names no certificate authority".to_owned())
    })?;
    for certificate in CertificateDer::pem_slice_iter(&authority.read()?) {
        roots
            .add(certificate.map_err(|e| invalid(&e))?)
            .map_err(|e| invalid(&e))?;
    }
    let builder = TlsConfig::builder().with_root_certificates(roots);
    let mut tls = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(&certificate.read()?)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| invalid(&e))?;
            let key = PrivateKeyDer::from_pem_slice(&key.read()?).map_err(|e| invalid(&e))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| invalid(&e))?
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}
