//! Namespaces.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::meta::Meta;

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Namespace {
    /// Its metadata.
    pub metadata: Meta,
    /// Who must agree to its end.
    pub spec: NamespaceSpec,
    /// What it is.
    pub status: NamespaceStatus,
}

/// Who must agree to a namespace's end.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NamespaceSpec {
    /// `kubernetes` until its content is gone.
    pub finalizers: Vec<String>,
}

/// What a namespace is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    pub phase: String,
    /// How its deletion goes.
    pub conditions: Vec<NamespaceCondition>,
}

/// A condition of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceCondition {
    /// `NamespaceContentRemaining`, …
    pub r#type: String,
    /// `True`, `False`.
    pub status: String,
    /// Since when the status is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}
