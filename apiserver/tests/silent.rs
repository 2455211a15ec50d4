//! Connections that say nothing are ended, and large bodies take turns.

#[path = "support/api.rs"]
mod api;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/front.rs"]
mod front;

use std::sync::Arc;
use std::time::Duration;

use etcd::EtcdServer;
use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::Reason;
use ferrule_client::{At, WriteOptions};
use ferrule_component_base::server::Limits;
use front::Authority;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn short() -> Limits {
    Limits {
        handshake: Duration::from_millis(500),
        request_head: Duration::from_millis(500),
        first_request: Duration::from_millis(500),
        ..Limits::default()
    }
}

/// Reads until the other side ends the connection.
async fn ended(mut stream: impl AsyncRead + Unpin) {
    let mut sink = Vec::new();
    // Ended with or without a farewell.
    let read = timeout(PATIENCE, stream.read_to_end(&mut sink)).await;
    drop(read.expect("the server ends the connection"));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_are_ended() {
    let etcd = EtcdServer::start();
    let server = api::server(&etcd.endpoint()).await;
    let authority = Authority::new();
    let front = front::serve(&authority, server.api.clone(), short()).await;
    let tls = async |protocol: &[u8]| {
        let config = authority.admin(&[&front.address]);
        let mut tls = ferrule_client::connection::tls(&config).unwrap();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(&front.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
        connector.connect(name, stream).await.unwrap()
    };
    // TCP alone.
    ended(TcpStream::connect(&front.address).await.unwrap()).await;
    // TLS alone, for either protocol.
    ended(tls(b"h2").await).await;
    ended(tls(b"http/1.1").await).await;
    // HTTP/2 that is set up and asks nothing.
    let mut preface = tls(b"h2").await;
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    preface.write_all(settings).await.unwrap();
    ended(preface).await;
    // Half of a request's head.
    let mut half = tls(b"http/1.1").await;
    half.write_all(b"GET /api HTTP/1.1\r\nHost:").await.unwrap();
    ended(half).await;

    // Those who have asked something stay, and are not ended for resting.
    let client = authority.client(&[&front.address]);
    let road = front::Road::to(&front.address).await;
    let through = authority.client(&[&road.address]);
    let namespace = At::of(gvr::NAMESPACES).name("default");
    through.get(&namespace).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    through.get(&namespace).await.unwrap();
    client.get(&namespace).await.unwrap();
    assert_eq!(road.accepted(), 1, "one connection served both requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let etcd = EtcdServer::start();
    let server = api::server(&etcd.endpoint()).await;
    let authority = Authority::new();
    let front = front::serve(&authority, server.api.clone(), Limits::default()).await;
    let mut config = authority.admin(&[&front.address]);
    config.token = Some("x".repeat(100_000));
    let client = ferrule_client::Client::new(&config).unwrap();
    let namespace = At::of(gvr::NAMESPACES).name("default");
    let refused = timeout(PATIENCE, client.get(&namespace)).await;
    refused.unwrap().expect_err("its head is too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_bodies_at_once_are_all_answered() {
    let etcd = EtcdServer::start();
    let server = api::server(&etcd.endpoint()).await;
    let authority = Authority::new();
    let front = front::serve(&authority, server.api.clone(), Limits::default()).await;
    let maps = At::of(gvr::CONFIG_MAPS).namespace("default");
    let callers: Vec<_> = (0..24)
        .map(|caller| {
            let client = authority.client(&[&front.address]);
            let maps = maps.clone();
            // Below etcd's limit, above it, and above ours.
            let bytes = [1000 << 10, 2 << 20, 4 << 20][caller % 3];
            tokio::spawn(async move {
                let object = json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": format!("large-{caller}")},
                    "binaryData": {"value": "QUFB".repeat(bytes / 4)}
                });
                let (object, options) = (object.to_string(), WriteOptions::default());
                loop {
                    let made = client.create(&maps, object.clone(), &options).await;
                    // No server was reached: a busy machine takes long over handshakes.
                    match made {
                        Err(status) if status.code == 0 => {}
                        made => return made,
                    }
                }
            })
        })
        .collect();
    for (caller, task) in callers.into_iter().enumerate() {
        let result = timeout(PATIENCE, task).await.unwrap().unwrap();
        match caller % 3 {
            // A ConfigMap may hold a mebibyte; this one is just below.
            0 => drop(result.expect("it is made")),
            1 => assert_eq!(result.expect_err("too large").reason, Reason::Invalid),
            _ => drop(result.expect_err("too large to be read")),
        }
    }
}
