//! The serving side of mutual TLS: certificates from files, read again when they change.
//!
//! A client certificate is asked for but not required: health is for everybody, and what else
//! needs an identity is decided per request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// The files of a serving certificate.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate with its chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities whose client certificates are believed, PEM.
    pub client_ca: PathBuf,
}

/// Makes ring the process's provider of cryptography. May be called many times.
pub fn install_provider() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl TlsFiles {
    /// Builds a configuration from the files as they are now.
    pub fn load(&self) -> anyhow::Result<ServerConfig> {
        install_provider();
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("read the key {}", self.key.display()))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.client_ca)? {
            roots.add(certificate).context("add a client authority")?;
        }
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .allow_unauthenticated()
            .build()?;
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .context("use the serving certificate")?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn stamp(&self) -> Option<[SystemTime; 3]> {
        let modified = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        Some([
            modified(&self.certificate)?,
            modified(&self.key)?,
            modified(&self.client_ca)?,
        ])
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .with_context(|| format!("read the certificates {}", path.display()))?;
    anyhow::ensure!(
        !certificates.is_empty(),
        "{} holds no certificate",
        path.display()
    );
    Ok(certificates)
}

/// A configuration that follows its files; new connections use the newest.
#[derive(Clone)]
pub struct ReloadingTls(Arc<ArcSwap<ServerConfig>>);

impl ReloadingTls {
    /// Loads the files and follows them until `shutdown`. A bad change is logged and not used.
    pub fn start(files: TlsFiles, shutdown: CancellationToken) -> anyhow::Result<ReloadingTls> {
        let mut stamp = files.stamp();
        let current = Arc::new(ArcSwap::from_pointee(files.load()?));
        let reloaded = current.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(RELOAD_INTERVAL) => {}
                }
                let now = files.stamp();
                if now.is_none() || now == stamp {
                    continue;
                }
                match files.load() {
                    Ok(config) => {
                        stamp = now;
                        reloaded.store(Arc::new(config));
                        tracing::info!("the serving certificate was read again");
                    }
                    Err(error) => {
                        tracing::warn!("cannot reload the serving certificate: {error:#}")
                    }
                }
            }
        });
        Ok(ReloadingTls(current))
    }

    /// The newest configuration.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}
