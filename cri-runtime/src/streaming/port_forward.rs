//! One TCP connection to a port of a sandbox, opened inside its network namespace.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::{CHUNK, CLOSE, Client, message, write};
use crate::error::{Error, Result};
use crate::server::Runtime;

const DATA: u8 = 0;
const ERROR: u8 = 1;
/// How long one address may take to answer.
const DIAL: Duration = Duration::from_secs(5);

/// The port that a query asks for: `port=8080`.
pub(super) fn port(query: Option<&str>) -> std::result::Result<u16, String> {
    let mut ports = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.strip_prefix("port="))
        .flat_map(|value| value.split(','));
    let first = ports.next().ok_or("query parameter \"port\" is required")?;
    if ports.next().is_some() {
        return Err("a stream leads to one port".to_owned());
    }
    match first.parse::<u16>() {
        Ok(0) => Err(format!("port {first:?} must be > 0")),
        Ok(port) => Ok(port),
        Err(_) => Err(format!("unable to parse {first:?} as a port")),
    }
}

/// Connects the client with the port until both directions have ended.
pub(super) async fn serve(runtime: &Runtime, sandbox: &str, port: u16, client: Client) {
    let (mut sink, stream) = client.socket.split();
    for channel in [DATA, ERROR] {
        if sink
            .send(message(channel, &port.to_le_bytes()))
            .await
            .is_err()
        {
            return;
        }
    }
    let pod = match runtime.dial(sandbox, port).await {
        Ok(pod) => pod,
        Err(error) => {
            let words = format!("error forwarding port {port} to pod {sandbox}, uid : {error}");
            tracing::debug!(words, "a port was not forwarded");
            let _ = sink.send(message(ERROR, words.as_bytes())).await;
            let _ = sink.close().await;
            return;
        }
    };
    let _ = pod.set_nodelay(true);
    let (reader, writer) = pod.into_split();
    let (sender, outgoing) = mpsc::channel(8);
    let mut writing = tokio::spawn(write(sink, outgoing));
    let said = CancellationToken::new();
    let mut there = tokio::spawn(to_pod(stream, writer, said.clone()));
    let mut back = tokio::spawn(to_client(reader, sender.clone()));
    let (mut client_speaks, mut pod_speaks) = (true, true);
    while client_speaks || pod_speaks {
        tokio::select! {
            // The client is gone, and with it the reason for all this.
            _ = &mut writing => break,
            _ = &mut there => break,
            () = said.cancelled(), if client_speaks => client_speaks = false,
            end = &mut back, if pod_speaks => {
                pod_speaks = false;
                // Without a word for the end of one direction, the end of this one is the end of all.
                let told = end.unwrap_or(false)
                    && client.closes_channels
                    && sender.send(message(CLOSE, &[DATA])).await.is_ok();
                if !told {
                    break;
                }
            }
        }
    }
    there.abort();
    back.abort();
    drop(sender);
    if let Ok(Some(mut sink)) = writing.await {
        let _ = sink.close().await;
    }
}

/// Until the client is gone. `said` is cancelled when the pod gets nothing more.
async fn to_pod<E>(
    mut stream: impl futures::Stream<Item = std::result::Result<Message, E>> + Unpin,
    pod: OwnedWriteHalf,
    said: CancellationToken,
) {
    let mut pod = Some(pod);
    while let Some(Ok(message)) = stream.next().await {
        let Message::Binary(data) = message else {
            if matches!(message, Message::Close(_)) {
                return;
            }
            continue;
        };
        let over = match (data.split_first(), &mut pod) {
            // A pod that listens no more may still have something to say.
            (Some((&DATA, bytes)), Some(pod)) => pod.write_all(bytes).await.is_err(),
            (Some((&CLOSE, [DATA])), Some(pod)) => {
                let _ = pod.shutdown().await;
                true
            }
            _ => false,
        };
        if over {
            pod = None;
            said.cancel();
        }
    }
}

/// Until the pod has said all; false when it broke off, or the client is gone.
async fn to_client(mut pod: OwnedReadHalf, sender: mpsc::Sender<Message>) -> bool {
    let mut chunk = vec![0; CHUNK];
    loop {
        match pod.read(&mut chunk).await {
            Ok(0) => return true,
            Ok(count) => {
                if sender.send(message(DATA, &chunk[..count])).await.is_err() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}

impl Runtime {
    /// A connection to `localhost:port` as the sandbox's containers see it.
    async fn dial(&self, sandbox: &str, port: u16) -> Result<TcpStream> {
        let (netns, shown) = self.network_of(sandbox)?;
        let (sender, receiver) = oneshot::channel();
        // A thread of its own: it is in the sandbox's network and never comes back.
        std::thread::Builder::new()
            .name("port-forward".to_owned())
            .spawn(move || {
                let _ = sender.send(connect(netns.as_deref(), port));
            })?;
        let connected = receiver
            .await
            .map_err(|_| Error::Unavailable("the connection was given up".to_owned()))?;
        let stream = connected.map_err(|words| {
            Error::Unavailable(format!(
                "failed to execute portforward in network namespace {shown:?}: failed to connect to localhost:{port} inside namespace {sandbox:?}, {words}"
            ))
        })?;
        stream.set_nonblocking(true)?;
        Ok(TcpStream::from_std(stream)?)
    }
}

/// IPv4 first, IPv6 when there is no answer.
fn connect(netns: Option<&Path>, port: u16) -> std::result::Result<std::net::TcpStream, String> {
    if let Some(path) = netns {
        let file = File::open(path).map_err(|error| error.to_string())?;
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)
            .map_err(|error| error.to_string())?;
    }
    let dial = |address: SocketAddr| std::net::TcpStream::connect_timeout(&address, DIAL);
    let v4 = match dial((Ipv4Addr::LOCALHOST, port).into()) {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    dial((Ipv6Addr::LOCALHOST, port).into()).map_err(|v6| {
        format!(
            "IPv4: dial tcp4 127.0.0.1:{port}: {} IPv6 dial tcp6 [::1]:{port}: {}",
            reason(&v4),
            reason(&v6)
        )
    })
}

/// In the words of Go's `net` package.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "i/o timeout".to_owned(),
        io::ErrorKind::AddrNotAvailable => "connect: cannot assign requested address".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        _ => format!("connect: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_port() {
        for (query, expected) in [
            (Some("port=8080"), Ok(8080)),
            (Some("a=b&port=1"), Ok(1)),
            (None, Err("query parameter \"port\" is required")),
            (Some("port=0"), Err("port \"0\" must be > 0")),
            (
                Some("port=70000"),
                Err("unable to parse \"70000\" as a port"),
            ),
            (Some("port=80&port=81"), Err("a stream leads to one port")),
            (Some("port=80,81"), Err("a stream leads to one port")),
        ] {
            assert_eq!(port(query), expected.map_err(str::to_owned), "{query:?}");
        }
    }
}
