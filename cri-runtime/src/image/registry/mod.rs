//! Pulling from registries by the OCI distribution protocol.
//!
//! A manifest, or a list of them from which this machine's is taken; then the configuration and the layers, a
//! few at a time, each to a file whose digest is checked before it is unpacked. A request that is answered
//! with 401 is repeated with what the registry asks for: a bearer token, or user and password.

mod auth;
mod http;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use ::http::StatusCode;
use anyhow::anyhow;
use futures::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use k8s_cri::v1::AuthConfig;
use sha2::{Digest, Sha256};

use super::config::{ConfigFile, Descriptor, Manifest};
use super::layer;
use super::reference::Reference;
use super::store::{Image, Origin, Store};
use crate::error::{Error, Result};
use auth::Credentials;
use http::{Client, Url};

/// A manifest or configuration longer than this is no such thing.
const MAX_DOCUMENT: u64 = 8 << 20;
/// No layer is longer than this.
const MAX_LAYER: u64 = 32 << 30;
/// Layers that are fetched at a time.
const PARALLEL: usize = 3;
/// A registry that sends nothing for so long is given up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// No pull takes longer.
const PULL_TIMEOUT: Duration = Duration::from_secs(3600);

const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A client of registries.
#[derive(Debug)]
pub struct Registry {
    insecure: Vec<String>,
    client: Client,
}

/// One pull: a repository and what opens it.
struct Pull<'a> {
    registry: &'a Registry,
    base: Url,
    reference: &'a Reference,
    credentials: Credentials,
    /// The `Authorization` header that the registry has accepted.
    authorization: Mutex<Option<String>>,
}

impl Registry {
    /// A client that speaks to `insecure` registries (host:port) without TLS; those on loopback always so.
    pub fn new(insecure: Vec<String>) -> Self {
        Registry {
            insecure,
            client: Client::default(),
        }
    }

    /// Pulls the image into the store.
    pub async fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        auth: Option<&AuthConfig>,
    ) -> Result<Image> {
        let pull = Pull {
            registry: self,
            base: self.base(reference),
            reference,
            credentials: Credentials::from_cri(auth),
            authorization: Mutex::default(),
        };
        tokio::time::timeout(PULL_TIMEOUT, pull.run(store))
            .await
            .map_err(|_| Error::Deadline(format!("pulling {reference} takes too long")))?
            .map_err(|error| match error {
                Error::NotFound(words) => Error::NotFound(format!(
                    "failed to pull and unpack image {:?}: {words}",
                    reference.to_string()
                )),
                other => Error::Unavailable(format!(
                    "failed to pull and unpack image {:?}: {other}",
                    reference.to_string()
                )),
            })
    }

    fn base(&self, reference: &Reference) -> Url {
        let host = match reference.registry.as_str() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let plain = is_loopback(host) || self.insecure.iter().any(|known| known == host);
        Url {
            tls: !plain,
            host: host.to_owned(),
            path: format!("/v2/{}", reference.repository),
        }
    }
}

impl Pull<'_> {
    async fn run(&self, store: &Store) -> Result<Image> {
        let (top, digest) = self.manifest(self.reference.manifest()).await?;
        let manifest = match (&top.config, top.for_this_machine()) {
            (Some(_), _) => top,
            (None, Some(chosen)) => self.manifest(&chosen.digest).await?.0,
            (None, None) => {
                return Err(Error::NotFound(format!(
                    "no match for platform linux/{} in manifest: not found",
                    super::config::architecture()
                )));
            }
        };
        let descriptor = manifest
            .config
            .as_ref()
            .ok_or_else(|| anyhow!("the manifest names no configuration"))?;
        let config = self.document(descriptor).await?;
        let parsed: ConfigFile = serde_json::from_slice(&config)
            .map_err(|error| anyhow!("the image's configuration: {error}"))?;
        let layers: Vec<&Descriptor> = manifest
            .layers
            .iter()
            .filter(|layer| !layer.media_type.contains("foreign"))
            .collect();
        if layers.len() != parsed.rootfs.diff_ids.len() {
            return Err(anyhow!("manifest and configuration disagree about the layers").into());
        }
        let staging = store.stage()?;
        let mut wanted: BTreeMap<&str, &Descriptor> = BTreeMap::new();
        for (diff_id, descriptor) in parsed.rootfs.diff_ids.iter().zip(&layers) {
            if !store.has_layer(diff_id) {
                wanted.insert(diff_id, descriptor);
            }
        }
        let fetches: Vec<_> = wanted
            .into_iter()
            .map(|(diff_id, descriptor)| self.layer(store, &staging, diff_id, descriptor))
            .collect();
        let result = futures::stream::iter(fetches)
            .buffer_unordered(PARALLEL)
            .try_collect::<Vec<()>>()
            .await;
        let _ = std::fs::remove_dir_all(&staging);
        result?;
        let size = layers.iter().map(|layer| layer.size).sum();
        store.add(
            &config,
            size,
            std::slice::from_ref(self.reference),
            Origin::Registry(&digest),
        )
    }

    async fn manifest(&self, name: &str) -> Result<(Manifest, String)> {
        let bytes = self
            .fetch(&format!("/manifests/{name}"), MANIFEST_TYPES, MAX_DOCUMENT)
            .await?;
        let digest = layer::digest(&bytes);
        if super::reference::is_digest(name) && name != digest {
            return Err(anyhow!("manifest {name} has the digest {digest}").into());
        }
        let manifest =
            serde_json::from_slice(&bytes).map_err(|error| anyhow!("manifest {name}: {error}"))?;
        Ok((manifest, digest))
    }

    async fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let bytes = self
            .fetch(
                &format!("/blobs/{}", descriptor.digest),
                "*/*",
                MAX_DOCUMENT,
            )
            .await?;
        let digest = layer::digest(&bytes);
        if digest != descriptor.digest {
            return Err(anyhow!("blob {} has the digest {digest}", descriptor.digest).into());
        }
        Ok(bytes)
    }

    async fn fetch(&self, path: &str, accept: &str, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read(path, accept, limit, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })
        .await?;
        Ok(bytes)
    }

    /// Fetches a layer to a file, checks it, unpacks it.
    async fn layer(
        &self,
        store: &Store,
        staging: &Path,
        diff_id: &str,
        descriptor: &Descriptor,
    ) -> Result<()> {
        if !super::reference::is_digest(&descriptor.digest) {
            return Err(Error::Invalid(format!(
                "invalid layer digest {:?}",
                descriptor.digest
            )));
        }
        let path: PathBuf = staging.join(&descriptor.digest["sha256:".len()..]);
        let mut file = File::create(&path)?;
        let mut hasher = Sha256::new();
        let limit = descriptor.size.min(MAX_LAYER);
        self.read(
            &format!("/blobs/{}", descriptor.digest),
            "*/*",
            limit,
            |chunk| {
                hasher.update(chunk);
                file.write_all(chunk)
            },
        )
        .await?;
        let digest = format!("sha256:{}", layer::hex(&hasher.finalize()));
        if digest != descriptor.digest {
            return Err(anyhow!("layer {} has the digest {digest}", descriptor.digest).into());
        }
        let store = store.clone();
        let diff_id = diff_id.to_owned();
        tokio::task::spawn_blocking(move || {
            store.add_layer(&diff_id, std::io::BufReader::new(File::open(&path)?))?;
            let _ = std::fs::remove_file(&path);
            Ok(())
        })
        .await
        .map_err(|error| Error::Internal(error.into()))?
    }

    /// Reads a resource of the repository piece by piece.
    async fn read(
        &self,
        path: &str,
        accept: &str,
        limit: u64,
        mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<()> {
        let url = Url {
            path: format!("{}{path}", self.base.path),
            ..self.base.clone()
        };
        let known = self.authorization();
        let mut response = self.registry.client.get(&url, accept, known).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = auth::challenge(response.headers());
            let header =
                auth::answer(&self.registry.client, &challenge, &self.credentials, &url).await?;
            response = self
                .registry
                .client
                .get(&url, accept, Some(header.clone()))
                .await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                *self.lock() = Some(header);
            }
        }
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(Error::NotFound(format!("{}: not found", self.reference)));
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(anyhow!(
                    "pull access denied, repository does not exist or may require authorization: {}",
                    response.status()
                )
                .into());
            }
            status => {
                return Err(
                    anyhow!("unexpected status from GET request to {url}: {status}").into(),
                );
            }
        }
        let mut body = response.into_body();
        let mut count = 0;
        loop {
            let frame = tokio::time::timeout(IDLE_TIMEOUT, body.frame())
                .await
                .map_err(|_| Error::Deadline(format!("{url} sends nothing")))?;
            let Some(frame) = frame else {
                return Ok(());
            };
            if let Ok(data) = frame
                .map_err(|error| anyhow!("{url}: {error}"))?
                .into_data()
            {
                count += data.len() as u64;
                if count > limit {
                    return Err(anyhow!("{url} is longer than {limit} bytes").into());
                }
                sink(&data)?;
            }
        }
    }

    fn authorization(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.authorization
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
