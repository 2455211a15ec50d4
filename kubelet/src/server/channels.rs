//! The runtime's streaming server: a WebSocket whose messages begin with the number of a channel.
//!
//! Version 5 of the protocol can close a channel: 255, then its number. Version 4 cannot, and is what
//! containerd speaks.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};
use tonic::Status;

const PROTOCOLS: &str = "v5.channel.k8s.io, v4.channel.k8s.io";
const CONNECT: Duration = Duration::from_secs(10);
/// Larger input is cut into messages of this size.
const CHUNK: usize = 32 << 10;
/// The channel that closes others.
pub(super) const CLOSE: u8 = 255;

/// What is said to the runtime.
pub(super) struct Sender {
    sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    can_close: bool,
}

/// What the runtime says.
pub(super) struct Receiver(SplitStream<WebSocketStream<TcpStream>>);

/// Connects with a URL of the runtime.
pub(super) async fn connect(url: &str) -> Result<(Sender, Receiver), Status> {
    match tokio::time::timeout(CONNECT, dial(url)).await {
        Ok(channels) => {
            channels.map_err(|error| Status::internal(format!("error dialing backend: {error}")))
        }
        Err(_) => Err(Status::deadline_exceeded(
            "error dialing backend: the runtime does not answer",
        )),
    }
}

async fn dial(url: &str) -> anyhow::Result<(Sender, Receiver)> {
    let uri: http::Uri = url.parse()?;
    let host = uri
        .host()
        .ok_or_else(|| anyhow::anyhow!("no host in {url}"))?
        .trim_matches(['[', ']'])
        .to_owned();
    // The runtime serves this on its node alone, without TLS.
    let port = uri.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let mut request = url.replacen("http://", "ws://", 1).into_client_request()?;
    request.headers_mut().insert(
        "Sec-WebSocket-Protocol",
        HeaderValue::from_static(PROTOCOLS),
    );
    let (socket, response) = client_async(request, stream).await?;
    let chosen = response
        .headers()
        .get("Sec-WebSocket-Protocol")
        .and_then(|own| own.to_str().ok());
    let can_close = chosen == Some("v5.channel.k8s.io");
    let (sink, source) = socket.split();
    Ok((Sender { sink, can_close }, Receiver(source)))
}

impl Sender {
    /// Sends data on a channel; false when the runtime does not listen any more.
    pub(super) async fn send(&mut self, channel: u8, data: &[u8]) -> bool {
        for chunk in data.chunks(CHUNK) {
            let mut message = Vec::with_capacity(chunk.len() + 1);
            message.push(channel);
            message.extend_from_slice(chunk);
            if self
                .sink
                .send(Message::Binary(message.into()))
                .await
                .is_err()
            {
                return false;
            }
        }
        true
    }

    /// Says that nothing more comes on a channel, where the runtime understands it.
    pub(super) async fn close(&mut self, channel: u8) -> bool {
        !self.can_close || self.send(CLOSE, &[channel]).await
    }
}

impl Receiver {
    /// The next channel and its data; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<(u8, Bytes), Status>> {
        loop {
            let data = match self.0.next().await? {
                Ok(Message::Binary(data)) => data,
                Ok(Message::Text(text)) => Bytes::copy_from_slice(text.as_bytes()),
                Ok(Message::Close(_)) => return None,
                Ok(_) => continue,
                Err(error) => return Some(Err(Status::unavailable(error.to_string()))),
            };
            if let Some(channel) = data.first() {
                return Some(Ok((*channel, data.slice(1..))));
            }
        }
    }
}
