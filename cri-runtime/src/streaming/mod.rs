//! Streams of exec, attach and port-forward: a server on loopback that speaks WebSocket, as containerd's does.
//!
//! ```text
//! exec, attach   v5.channel.k8s.io   0 stdin, 1 stdout, 2 stderr, 3 the final status (a `metav1.Status` in
//!                                    JSON), 4 terminal sizes (`{"Width":80,"Height":24}`)
//! port-forward   v4.channel.k8s.io   0 data, 1 an error in words; both begin with the port, two bytes,
//!                                    little endian
//! ```
//!
//! The first byte of each binary message names the channel. In version 5 of the protocol channel 255 closes
//! the one that the next byte names; version 4 knows no such thing. The URL holds a token that is good for
//! one connection within a minute.

mod port_forward;
mod process;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::SinkExt;
use futures::stream::SplitSink;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::server::Runtime;
use crate::server::exec::Streams;

/// The subprotocols that are understood, the best first.
const PROTOCOLS: &[&str] = &["v5.channel.k8s.io", "v4.channel.k8s.io"];
const PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";
const TOKEN_LIFE: Duration = Duration::from_secs(60);
const MAX_TOKENS: usize = 1000;
/// How long a client may take to open its stream.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The longest message of a client.
const MAX_MESSAGE: usize = 4 << 20;
/// A client that went away without a word is found out by writing to it.
const PING: Duration = Duration::from_secs(15);
/// What is read at once.
const CHUNK: usize = 32 << 10;

/// The channel that closes others.
const CLOSE: u8 = 255;

/// What a token opens.
#[derive(Debug, Clone)]
pub enum Session {
    /// A new process.
    Exec {
        /// In that container.
        container: String,
        /// Its command line.
        command: Vec<String>,
        /// Its streams.
        streams: Streams,
    },
    /// The container's own streams.
    Attach {
        /// That container.
        container: String,
        /// Those of its streams.
        streams: Streams,
    },
    /// A connection to a port of a sandbox.
    PortForward {
        /// That sandbox.
        sandbox: String,
    },
}

/// The sessions that wait for their client.
#[derive(Debug, Default)]
pub struct Sessions {
    address: OnceLock<SocketAddr>,
    waiting: Mutex<HashMap<String, (Instant, Session)>>,
}

impl Sessions {
    /// Returns the URL at which the session is reached, once.
    pub fn open(&self, session: Session) -> Result<String> {
        let address = self
            .address
            .get()
            .ok_or_else(|| Error::Unavailable("the streaming server is not up".to_owned()))?;
        let kind = match session {
            Session::Exec { .. } => "exec",
            Session::Attach { .. } => "attach",
            Session::PortForward { .. } => "portforward",
        };
        let token = crate::image::layer::hex(&rand::random::<[u8; 16]>());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (since, _)| since.elapsed() < TOKEN_LIFE);
        if waiting.len() >= MAX_TOKENS {
            return Err(Error::Unavailable(
                "too many streams wait for their client".to_owned(),
            ));
        }
        waiting.insert(token.clone(), (Instant::now(), session));
        Ok(format!("http://{address}/{kind}/{token}"))
    }

    fn take(&self, path: &str) -> Option<Session> {
        let token = path.rsplit('/').next()?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, session) = waiting.remove(token)?;
        (since.elapsed() < TOKEN_LIFE).then_some(session)
    }
}

/// Starts the streaming server.
pub async fn listen(
    runtime: Arc<Runtime>,
    shutdown: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let _ = runtime.streaming().address.set(address);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(welcome(runtime.clone(), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a stream");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(address)
}

/// A client whose stream is open.
struct Client {
    socket: WebSocketStream<TcpStream>,
    /// Whether channels can be closed one by one.
    closes_channels: bool,
}

async fn welcome(runtime: Arc<Runtime>, stream: TcpStream) {
    let mut opened = None;
    #[allow(clippy::result_large_err)] // The library's signature.
    let handshake = |request: &Request, mut response: Response| {
        let offered = request
            .headers()
            .get_all(PROTOCOL_HEADER)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect::<Vec<_>>();
        let Some(protocol) = PROTOCOLS.iter().find(|known| offered.contains(known)) else {
            return Err(refuse(StatusCode::BAD_REQUEST, "no common subprotocol"));
        };
        let Some(session) = runtime.streaming().take(request.uri().path()) else {
            return Err(refuse(StatusCode::NOT_FOUND, "no such stream"));
        };
        let port = match session {
            Session::PortForward { .. } => port_forward::port(request.uri().query())
                .map_err(|words| refuse(StatusCode::BAD_REQUEST, &words))?,
            _ => 0,
        };
        opened = Some((session, port, *protocol == PROTOCOLS[0]));
        response
            .headers_mut()
            .insert(PROTOCOL_HEADER, HeaderValue::from_static(protocol));
        Ok(response)
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let accepting =
        tokio_tungstenite::accept_hdr_async_with_config(stream, handshake, Some(config));
    let accepted = tokio::time::timeout(HANDSHAKE, accepting).await;
    let (Ok(Ok(socket)), Some((session, port, closes_channels))) = (accepted, opened) else {
        return;
    };
    let client = Client {
        socket,
        closes_channels,
    };
    match session {
        Session::Exec {
            container,
            command,
            streams,
        } => {
            let started = runtime.start_exec(&container, &command, streams).await;
            process::serve(started, client).await;
        }
        Session::Attach { container, streams } => {
            let started = runtime.start_attach(&container, streams).await;
            process::serve(started, client).await;
        }
        Session::PortForward { sandbox } => {
            port_forward::serve(&runtime, &sandbox, port, client).await;
        }
    }
}

fn refuse(status: StatusCode, words: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(words.to_owned()));
    *response.status_mut() = status;
    response
}

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;

/// Sends what comes until nothing more can come; then the sink is returned for what is said last. A client
/// that is gone ends it early, with nothing.
async fn write(mut sink: Sink, mut outgoing: mpsc::Receiver<Message>) -> Option<Sink> {
    let mut pings = tokio::time::interval(PING);
    pings.reset();
    loop {
        let message = tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => message,
                None => return Some(sink),
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        sink.send(message).await.ok()?;
    }
}

fn message(channel: u8, data: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(data.len() + 1);
    bytes.push(channel);
    bytes.extend_from_slice(data);
    Message::Binary(Bytes::from(bytes))
}
