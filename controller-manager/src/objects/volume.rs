//! Claims and volumes, as far as what keeps them.

use serde::Deserialize;

use super::meta::{HasMeta, Meta};

/// A PersistentVolumeClaim or a PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Protected {
    /// Its metadata.
    pub metadata: ProtectedMeta,
    /// What it is.
    pub status: ProtectedStatus,
}

/// Metadata with what must be done before the object goes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProtectedMeta {
    /// What every object has.
    #[serde(flatten)]
    pub meta: Meta,
    /// Who must agree to its end.
    pub finalizers: Vec<String>,
}

/// What a claim or a volume is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ProtectedStatus {
    /// `Pending`, `Available`, `Bound`, `Released`, `Lost`, `Failed`.
    pub phase: String,
}

impl HasMeta for Protected {
    fn meta(&self) -> &Meta {
        &self.metadata.meta
    }
}
