//! An HTTP/1.1 connection of its own to an API server, over mutual TLS.

use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use ferrule_client::ClientConfig;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How connections are made.
#[derive(Clone)]
pub struct Door {
    address: String,
    tls: TlsConnector,
}

impl Door {
    /// The way to the first server of a configuration.
    pub fn new(config: &ClientConfig) -> anyhow::Result<Door> {
        let mut tls = ferrule_client::connection::tls(config)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let address = config.servers.first().context("no server")?;
        let address = address.trim_start_matches("https://").to_owned();
        Ok(Door {
            address,
            tls: TlsConnector::from(Arc::new(tls)),
        })
    }

    /// A new connection.
    pub async fn open(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        let name = ServerName::try_from(host.to_owned())?;
        let stream = self.tls.connect(name, stream).await?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { requests })
    }
}

/// A connection that carries one request after the other.
pub struct Connection {
    requests: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Sends a request; the body of its answer has yet to be read.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Incoming> {
        self.requests.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "bench")
            .header("Accept", "application/json")
            .header("Content-Type", "application/json")
            .body(Full::new(body))?;
        let answer = self.requests.send_request(request).await?;
        let code = answer.status();
        if !code.is_success() {
            let body = answer.into_body().collect().await?.to_bytes();
            bail!(
                "{method} {path}: {code}: {}",
                String::from_utf8_lossy(&body)
            );
        }
        Ok(answer.into_body())
    }

    /// Sends a request and reads the answer to its end; returns its length.
    pub async fn ask(&mut self, method: &str, path: &str, body: Bytes) -> anyhow::Result<usize> {
        let mut answer = self.send(method, path, body).await?;
        let mut length = 0;
        while let Some(frame) = answer.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok(length)
    }
}
