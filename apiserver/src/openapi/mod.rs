//! OpenAPI, versions 2 and 3: what the API looks like, for clients that check, explain and merge.
//!
//! ```text
//!  schema table ─┐
//!  descriptions ─┼─ definitions ─┐
//!  scheme ───────┴─ operations ──┴─ document, written piece by piece ─▶ gzip ─▶ kept
//! ```
//!
//! Documents are made when they are first asked for and kept compressed, under the hash of what
//! they say. While one is made, one definition or path at a time is in memory as a tree.

mod definitions;
mod descriptions;
mod facts;
mod gnostic;
mod kinds;
mod names;
mod operations;
mod render;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use ferrule_apimachinery::scheme::Scheme;
use ferrule_apimachinery::status::Status;
use tokio::sync::OnceCell;

/// Which version of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

/// A document that has been made.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The hash of what it says.
    pub(crate) etag: String,
    /// What it says, compressed with gzip.
    pub(crate) gzip: Bytes,
}

/// The documents of a scheme. One that changes gets new ones.
pub(crate) struct Documents {
    scheme: Arc<Scheme>,
    v3: OnceCell<BTreeMap<String, Document>>,
    v3_protobuf: OnceCell<BTreeMap<String, Document>>,
    v2: OnceCell<Document>,
    v2_protobuf: OnceCell<Document>,
}

impl Documents {
    /// None of them is made yet.
    pub(crate) fn new(scheme: Arc<Scheme>) -> Documents {
        Documents {
            scheme,
            v3: OnceCell::new(),
            v3_protobuf: OnceCell::new(),
            v2: OnceCell::new(),
            v2_protobuf: OnceCell::new(),
        }
    }

    /// The documents of version 3 by their places below `/openapi/v3`: `apis/apps/v1`.
    pub(crate) async fn v3(&self) -> Result<&BTreeMap<String, Document>, Status> {
        self.v3.get_or_try_init(|| self.make(render::v3)).await
    }

    /// The same in protobuf, as gnostic's messages have it. The hashes are those of the JSON, by which
    /// documents are asked for.
    pub(crate) async fn v3_protobuf(&self) -> Result<&BTreeMap<String, Document>, Status> {
        let make = || async {
            let mut made = self.make(render::v3_protobuf).await?;
            for (place, json) in self.v3().await? {
                if let Some(document) = made.get_mut(place) {
                    document.etag.clone_from(&json.etag);
                }
            }
            Ok(made)
        };
        self.v3_protobuf.get_or_try_init(make).await
    }

    /// The document of version 2.
    pub(crate) async fn v2(&self) -> Result<&Document, Status> {
        self.v2.get_or_try_init(|| self.make(render::v2)).await
    }

    /// The same in protobuf, as gnostic's messages have it.
    pub(crate) async fn v2_protobuf(&self) -> Result<&Document, Status> {
        let made = self.make(render::v2_protobuf);
        self.v2_protobuf.get_or_try_init(|| made).await
    }

    async fn make<T: Send + 'static>(
        &self,
        make: impl FnOnce(&Scheme) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Status> {
        let scheme = self.scheme.clone();
        let made = tokio::task::spawn_blocking(move || make(&scheme)).await;
        let made = made.map_err(Status::internal)?;
        made.map_err(Status::internal)
    }
}
