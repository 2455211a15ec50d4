//! One port over real sockets and real TLS: who gets what.

use std::path::Path;
use std::sync::Arc;

use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_component_base::tls::{TlsFiles, install_provider};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority {
        issuer: Issuer::new(params, key),
        pem,
    }
}

/// The PEM of a certificate and of its key.
fn certificate(authority: &Authority, user: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, user);
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn files(folder: &Path, authority: &Authority) -> TlsFiles {
    let (certificate, key) = certificate(authority, "server");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        certificate: write("server.crt", &certificate),
        key: write("server.key", &key),
        client_ca: write("ca.crt", &authority.pem),
    }
}

/// The status line that `path` answers, or why there is no answer.
async fn get(
    port: u16,
    authority: &Authority,
    identity: Option<&(String, String)>,
    path: &str,
) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector
        .connect(name, stream)
        .await
        .map_err(|e| e.to_string())?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn without_a_valid_certificate_a_client_gets_health_and_nothing_else() {
    install_provider();
    let folder = tempfile::tempdir().unwrap();
    let (own, foreign) = (authority(), authority());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let routes = axum::Router::new().route("/inside", axum::routing::get(|| async { "secret" }));
    let server = Server::new(Health::default(), Metrics::default()).http(routes);
    let serving =
        tokio::spawn(server.serve_on(listener, files(folder.path(), &own), shutdown.clone()));

    let known = certificate(&own, "somebody");
    let stranger = certificate(&foreign, "somebody");
    let (ok, unauthorized) = ("HTTP/1.1 200 OK", "HTTP/1.1 401 Unauthorized");
    for (identity, path, expected) in [
        (None, "/healthz", ok),
        (None, "/readyz?verbose", ok),
        (None, "/livez", ok),
        (None, "/inside", unauthorized),
        (None, "/metrics", unauthorized),
        (None, "/healthzz", unauthorized),
        (Some(&known), "/inside", ok),
        (Some(&known), "/metrics", ok),
    ] {
        let answer = get(port, &own, identity, path).await;
        assert_eq!(
            answer.as_deref(),
            Ok(expected),
            "{path} as {}",
            identity.is_some()
        );
    }
    let refused = get(port, &own, Some(&stranger), "/healthz").await;
    assert!(
        refused.is_err(),
        "a certificate of another authority: {refused:?}"
    );

    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
