//! As much of an HTTP client as pulling needs: GET over one connection each, with TLS and redirections.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::{Request, Response, header};
use anyhow::{Context, anyhow, bail};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;

/// Where systems keep the authorities that they trust.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// An address: what is needed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `https`.
    pub tls: bool,
    /// With the port, if one is given.
    pub host: String,
    /// With the query.
    pub path: String,
}

impl FromStr for Url {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            bail!("{text:?} is no address of the web");
        };
        let (host, path) = match rest.find(['/', '?']) {
            Some(at) if rest.as_bytes()[at] == b'/' => (&rest[..at], rest[at..].to_owned()),
            Some(at) => (&rest[..at], format!("/{}", &rest[at..])),
            None => (rest, "/".to_owned()),
        };
        if host.is_empty() || host.contains('@') {
            bail!("{text:?} names no host");
        }
        Ok(Url {
            tls,
            host: host.to_owned(),
            path,
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        // Redirected addresses carry secrets in their query.
        let path = self.path.split('?').next().unwrap_or_default();
        write!(formatter, "{scheme}://{}{path}", self.host)
    }
}

impl Url {
    fn join(&self, location: &str) -> anyhow::Result<Url> {
        if location.starts_with('/') {
            return Ok(Url {
                path: location.to_owned(),
                ..self.clone()
            });
        }
        location.parse()
    }

    fn address(&self) -> String {
        let has_port = self
            .host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        if has_port {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, if self.tls { 443 } else { 80 })
        }
    }

    fn name(&self) -> String {
        let address = self.address();
        let name = address.rsplit_once(':').map_or("", |(name, _)| name);
        name.trim_matches(['[', ']']).to_owned()
    }
}

/// The client; TLS is set up at its first use.
#[derive(Default)]
pub struct Client {
    tls: OnceLock<TlsConnector>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}

impl Client {
    /// GETs the address and follows redirections. `authorization` goes to the first host only.
    pub async fn get(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<String>,
    ) -> Result<Response<Incoming>> {
        let mut url = url.clone();
        let mut authorization = authorization;
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .get_once(&url, accept, authorization.as_deref())
                .await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response
                .headers()
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok())
                .ok_or_else(|| anyhow!("{url} redirects to nowhere"))?;
            let next = url.join(location)?;
            if url.tls && !next.tls {
                return Err(anyhow!("{url} redirects to {next} without TLS").into());
            }
            if next.host != url.host {
                authorization = None;
            }
            url = next;
        }
        Err(anyhow!("{url}: too many redirections").into())
    }

    async fn get_once(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<Response<Incoming>> {
        let connect = async {
            let stream = TcpStream::connect(url.address()).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Stream> = if url.tls {
                let name = ServerName::try_from(url.name())?;
                Box::new(self.tls()?.connect(name, stream).await?)
            } else {
                Box::new(stream)
            };
            anyhow::Ok(stream)
        };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connect)
            .await
            .map_err(|_| Error::Deadline(format!("dial {}: i/o timeout", url.address())))?
            .with_context(|| format!("dial {}", url.address()))?;
        let mut request = Request::get(&url.path)
            .header(header::HOST, &url.host)
            .header(header::ACCEPT, accept)
            .header(
                header::USER_AGENT,
                concat!("ferrule-cri-runtime/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| anyhow!("{url}: {error}"))?;
        let send = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        Ok(tokio::time::timeout(RESPONSE_TIMEOUT, send)
            .await
            .map_err(|_| Error::Deadline(format!("{url} does not answer")))?
            .map_err(|error| anyhow!("{url}: {error}"))?)
    }

    fn tls(&self) -> anyhow::Result<&TlsConnector> {
        if let Some(connector) = self.tls.get() {
            return Ok(connector);
        }
        let mut roots = rustls::RootCertStore::empty();
        let bundle = std::env::var("SSL_CERT_FILE").ok().or_else(|| {
            let found = BUNDLES
                .iter()
                .find(|path| std::path::Path::new(path).exists());
            found.map(|path| (*path).to_owned())
        });
        if let Some(path) = bundle {
            let certificates = CertificateDer::pem_file_iter(&path)
                .with_context(|| format!("read {path}"))?
                .flatten();
            roots.add_parsable_certificates(certificates);
        }
        if roots.is_empty() {
            // A node's image can do without a system's bundle.
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self
            .tls
            .get_or_init(|| TlsConnector::from(Arc::new(config))))
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let table = [
            ("https://a.b/c?d=e", true, "a.b:443", "a.b", "/c?d=e"),
            (
                "http://localhost:5000",
                false,
                "localhost:5000",
                "localhost",
                "/",
            ),
            ("https://[::1]:5000/x", true, "[::1]:5000", "::1", "/x"),
            ("https://h?q", true, "h:443", "h", "/?q"),
        ];
        for (text, tls, address, name, path) in table {
            let url: Url = text.parse().expect("an address");
            assert_eq!((url.tls, url.path.as_str()), (tls, path), "{text}");
            assert_eq!(
                (url.address(), url.name()),
                (address.into(), name.into()),
                "{text}"
            );
        }
        assert!("ftp://x".parse::<Url>().is_err());
        assert!("https://user@host/".parse::<Url>().is_err());
    }

    #[test]
    fn redirections_are_relative_or_whole() {
        let url: Url = "https://a/b".parse().expect("an address");
        assert_eq!(url.join("/c").expect("relative").to_string(), "https://a/c");
        assert_eq!(
            url.join("https://d/e?s=1").expect("whole").to_string(),
            "https://d/e"
        );
    }
}
