//! What the runtime hears: JSON on standard output.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::cni::config::VERSIONS;

/// Error codes of the specification; from 100 on they are the plugin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The configuration's version is not one of ours.
    IncompatibleVersion = 1,
    /// The container is not known or does not exist.
    UnknownContainer = 3,
    /// An environment variable is missing or wrong.
    Environment = 4,
    /// Input or output failed.
    InputOutput = 5,
    /// The configuration cannot be decoded.
    Decode = 6,
    /// No address is free.
    NoAddress = 100,
    /// The kernel refused a change.
    Network = 101,
    /// CHECK found that something is not as ADD left it.
    Differs = 102,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {details}")]
pub struct Failure {
    /// The error code.
    pub code: Code,
    /// What failed.
    pub message: String,
    /// Why.
    pub details: String,
}

impl Failure {
    /// A failure with its reason.
    pub fn new(code: Code, message: impl Into<String>, details: impl Display) -> Self {
        Self {
            code,
            message: message.into(),
            details: details.to_string(),
        }
    }

    /// A missing or wrong environment variable.
    pub fn environment(name: &str, value: &str) -> Self {
        Self::new(
            Code::Environment,
            format!("invalid environment variable {name}"),
            format!("{value:?}"),
        )
    }

    /// The error result, in the version of the configuration on standard input if that can be read.
    pub fn to_json(&self, input: &[u8]) -> String {
        let version = serde_json::from_slice::<Value>(input)
            .ok()
            .and_then(|value| Some(value.get("cniVersion")?.as_str()?.to_owned()))
            .filter(|version| VERSIONS.contains(&version.as_str()))
            .unwrap_or_else(|| "1.0.0".to_owned());
        json!({
            "cniVersion": version,
            "code": self.code as u32,
            "msg": self.message,
            "details": self.details,
        })
        .to_string()
    }
}

impl From<ferrule_netlink::Error> for Failure {
    fn from(error: ferrule_netlink::Error) -> Self {
        Self::new(Code::Network, "failed to change the network", error)
    }
}

/// The result of VERSION.
pub fn versions() -> String {
    json!({ "cniVersion": "1.0.0", "supportedVersions": VERSIONS }).to_string()
}
