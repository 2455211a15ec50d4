//! HTTP requests of probes and hooks: one connection each, certificates unverified as upstream's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::check::connect;

const BODY_LIMIT: usize = 10 << 10;
const REDIRECTS: usize = 10;

/// Where to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// HTTPS.
    pub tls: bool,
    /// An address or a name.
    pub host: String,
    /// The port.
    pub port: u16,
    /// With its query.
    pub path: String,
    /// Further headers; `Host` replaces the usual one.
    pub headers: Vec<(String, String)>,
}

impl Target {
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn url(&self) -> String {
        format!(
            "{}://{}{}",
            if self.tls { "https" } else { "http" },
            self.authority(),
            self.path
        )
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The beginning of the body.
    pub body: Bytes,
}

/// Sends GET, following redirects that stay on the host.
pub async fn get(target: &Target, timeout: Duration) -> Result<Answer, String> {
    let url = target.url();
    let following = async {
        let mut target = target.clone();
        for _ in 0..REDIRECTS {
            let (answer, location) = once(&target, timeout).await?;
            let next = location
                .filter(|_| (300..400).contains(&answer.status))
                .and_then(|to| redirected(&target, &to));
            match next {
                Some(next) => target = next,
                None => return Ok(answer),
            }
        }
        Err("stopped after 10 redirects".to_owned())
    };
    match tokio::time::timeout(timeout, following).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("Get {url:?}: {error}")),
        Err(_) => Err(format!(
            "Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

/// The next target, unless it is on another host: that is not ours to follow.
fn redirected(target: &Target, location: &str) -> Option<Target> {
    let uri: http::Uri = location.parse().ok()?;
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str)
        .to_owned();
    let Some(host) = uri.host() else {
        return path.starts_with('/').then(|| Target {
            path,
            ..target.clone()
        });
    };
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let host = host.trim_matches(['[', ']']);
    (host == target.host).then(|| Target {
        tls,
        port,
        path,
        ..target.clone()
    })
}

async fn once(target: &Target, timeout: Duration) -> Result<(Answer, Option<String>), String> {
    let stream = connect(&target.host, target.port, timeout).await?;
    if !target.tls {
        return exchange(target, stream).await;
    }
    let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(unverified()?);
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    exchange(target, stream).await
}

async fn exchange<S>(target: &Target, stream: S) -> Result<(Answer, Option<String>), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| said(&error))?;
    let connection = tokio::spawn(connection);
    let mut request = http::Request::get(&target.path);
    let own = |name: &str| {
        target
            .headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
    };
    if !own("host") {
        request = request.header("Host", target.authority());
    }
    if !own("user-agent") {
        request = request.header("User-Agent", "kube-probe/1.36");
    }
    if !own("accept") {
        request = request.header("Accept", "*/*");
    }
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    let request = request
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| said(&error))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| said(&error))?;
    let status = response.status().as_u16();
    let location = response
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    // A body that is too long or breaks off does not change what the status says.
    let body = Limited::new(response.into_body(), BODY_LIMIT)
        .collect()
        .await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    connection.abort();
    Ok((Answer { status, body }, location))
}

#[derive(Debug)]
struct Unverified(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A probe asks whether a server answers, not who it is.
fn unverified() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}
