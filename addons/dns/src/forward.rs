//! Names outside the cluster: asked of the node's own resolvers, within a deadline.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// How long one resolver may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest answer by UDP.
const DATAGRAM: usize = 4096;

/// The resolvers of a node.
#[derive(Clone, Debug, Default)]
pub struct Forwarder {
    resolvers: Vec<SocketAddr>,
}

impl Forwarder {
    /// The resolvers of a resolv.conf, without those in `own`: a server never asks itself.
    pub fn from_file(path: &Path, own: IpAddr) -> Forwarder {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let resolvers = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("nameserver"))
            .filter_map(|address| address.trim().parse::<IpAddr>().ok())
            .filter(|address| *address != own)
            .map(|address| SocketAddr::new(address, 53))
            .collect();
        Forwarder { resolvers }
    }

    /// Forwards to these.
    pub fn to(resolvers: Vec<SocketAddr>) -> Forwarder {
        Forwarder { resolvers }
    }

    /// The first answer of a resolver; `None` when none answers in time.
    pub async fn ask(&self, query: &Query) -> Option<Message> {
        for resolver in &self.resolvers {
            match tokio::time::timeout(PATIENCE, ask_one(*resolver, query)).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%resolver, %error, "a resolver failed"),
                Err(_) => tracing::debug!(%resolver, "a resolver did not answer in time"),
            }
        }
        None
    }
}

async fn ask_one(resolver: SocketAddr, query: &Query) -> anyhow::Result<Message> {
    let mut question = Message::query();
    question.metadata.id = rand::random();
    question.metadata.recursion_desired = true;
    question.add_query(query.clone());
    let bytes = question.to_vec()?;
    let local = if resolver.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(resolver).await?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let size = socket.recv(&mut buffer).await?;
        // Anything else is not an answer to this question.
        let Ok(answer) = Message::from_vec(&buffer[..size]) else {
            continue;
        };
        if answer.metadata.id != question.metadata.id {
            continue;
        }
        if answer.metadata.truncation {
            return ask_by_tcp(resolver, &bytes).await;
        }
        return Ok(answer);
    }
}

async fn ask_by_tcp(resolver: SocketAddr, question: &[u8]) -> anyhow::Result<Message> {
    let mut stream = TcpStream::connect(resolver).await?;
    stream.write_u16(u16::try_from(question.len())?).await?;
    stream.write_all(question).await?;
    let size = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(size)];
    stream.read_exact(&mut buffer).await?;
    Ok(Message::from_vec(&buffer)?)
}
