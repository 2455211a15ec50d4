//! A whole API server on a loopback port, both fronts over mutual TLS, and clients of it.

#![allow(dead_code)]

use std::sync::Arc;

use ferrule_apiserver::serve::{self, ServeOptions};
use ferrule_apiserver::verbs::connect::{KubeletTls, Kubelets};
use ferrule_client::{Client, ClientConfig};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::api;
use crate::etcd::EtcdServer;

#[path = "authority.rs"]
mod authority;

use authority::Authority;

/// The node whose kubelet a test may play.
pub const NODE: &str = authority::NODE;

/// An administrator.
pub const ADMIN: Option<(&str, &str)> = Some(("kubernetes-admin", "system:masters"));

/// A whole API server on a loopback port.
pub struct Cluster {
    pub authority: Authority,
    pub address: String,
    pub server: api::Server,
    _shutdown: DropGuard,
    _dir: tempfile::TempDir,
    _etcd: EtcdServer,
}

pub async fn cluster(options: ServeOptions) -> Cluster {
    let etcd = EtcdServer::start();
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let files = authority.files(dir.path(), "kube-apiserver");
    let kubelets = Kubelets::new(Some(KubeletTls {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        authority: files.client_ca.clone(),
    }));
    let server = api::server_with(&etcd.endpoint(), kubelets).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    let front = serve::server(
        server.api.clone(),
        options,
        Health::default(),
        Metrics::default(),
    );
    let until = shutdown.clone();
    tokio::spawn(async move { front.serve_on(listener, files, until).await });
    Cluster {
        authority,
        address,
        _shutdown: shutdown.drop_guard(),
        _dir: dir,
        server,
        _etcd: etcd,
    }
}

impl Cluster {
    pub fn config(&self, identity: Option<(&str, &str)>) -> ClientConfig {
        self.authority.config(&[&self.address], identity)
    }

    pub fn client(&self, user: &str, group: &str) -> Client {
        Client::new(&self.config(Some((user, group)))).unwrap()
    }

    pub fn admin(&self) -> Client {
        self.client("kubernetes-admin", "system:masters")
    }

    /// The answer to an HTTP/1.1 request: code, head and body.
    pub async fn http(
        &self,
        identity: Option<(&str, &str)>,
        request: &[u8],
    ) -> (u16, String, String) {
        let (code, head, body) = self.http_bytes(identity, request).await;
        (code, head, String::from_utf8_lossy(&body).into_owned())
    }

    /// The same with the body as it arrived.
    pub async fn http_bytes(
        &self,
        identity: Option<(&str, &str)>,
        request: &[u8],
    ) -> (u16, String, Vec<u8>) {
        let mut tls = ferrule_client::connection::tls(&self.config(identity)).unwrap();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        // A server that has heard enough answers before it has heard all.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
        let body = answer.split_off(end.map_or(answer.len(), |end| end + 4));
        let head = String::from_utf8_lossy(&answer).into_owned();
        let code = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        (code, head.trim_end().to_ascii_lowercase(), body)
    }

    pub async fn get(&self, identity: Option<(&str, &str)>, path: &str) -> (u16, String, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        self.http(identity, request.as_bytes()).await
    }
}
