//! What the runtime says: environment variables and JSON on standard input.

use std::env;
use std::path::PathBuf;

use serde::Deserialize;

use crate::cidr::Cidr;
use crate::cni::answer::{Code, Failure};

/// The plugin's name in configuration lists, which is its file name too.
pub const CONFIGURATION_TYPE: &str = "ferrule-cni";
/// The versions of the specification that the plugin speaks, oldest first.
pub const VERSIONS: [&str; 4] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0"];

/// The environment variables of a call.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// `CNI_COMMAND`.
    pub command: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`: a path.
    pub namespace: String,
    /// `CNI_IFNAME`.
    pub interface: String,
}

impl Call {
    /// Reads the process's environment.
    pub fn from_environment() -> Self {
        let read = |name: &str| env::var(name).unwrap_or_default();
        Self {
            command: read("CNI_COMMAND"),
            container: read("CNI_CONTAINERID"),
            namespace: read("CNI_NETNS"),
            interface: read("CNI_IFNAME"),
        }
    }

    /// Checks the names, which end up in file names and interface names.
    pub fn validate(&self) -> Result<(), Failure> {
        let named = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        };
        if !named(&self.container) || self.container.len() > 128 {
            return Err(Failure::environment("CNI_CONTAINERID", &self.container));
        }
        let interface = &self.interface;
        let bad = |c: char| c.is_whitespace() || c.is_control() || "/:=".contains(c);
        if interface.is_empty()
            || interface.len() > 15
            || interface.starts_with('.')
            || interface.contains(bad)
        {
            return Err(Failure::environment("CNI_IFNAME", interface));
        }
        Ok(())
    }
}

/// The network configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The version of the specification the runtime speaks.
    pub cni_version: String,
    /// The network's name.
    pub name: String,
    /// The bridge that pods are connected to.
    #[serde(default = "default_bridge")]
    pub bridge: String,
    /// The MTU of pods' interfaces.
    #[serde(default = "default_mtu")]
    pub mtu: u32,
    /// The node's pod CIDR: its first address is the bridge's, the others are for pods.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Cidr,
    /// Where reservations of addresses are kept.
    #[serde(default = "default_directory")]
    pub data_dir: PathBuf,
}

fn default_bridge() -> String {
    "cni0".to_owned()
}

fn default_mtu() -> u32 {
    1500
}

fn default_directory() -> PathBuf {
    PathBuf::from("/var/lib/cni/ferrule")
}

impl Configuration {
    /// Decodes the configuration and checks that its version is one of ours.
    pub fn decode(input: &[u8]) -> Result<Self, Failure> {
        let configuration: Self = serde_json::from_slice(input)
            .map_err(|error| Failure::new(Code::Decode, "invalid network configuration", error))?;
        if !VERSIONS.contains(&configuration.cni_version.as_str()) {
            return Err(Failure::new(
                Code::IncompatibleVersion,
                "incompatible CNI versions",
                format!(
                    "config is {:?}, plugin supports {VERSIONS:?}",
                    configuration.cni_version
                ),
            ));
        }
        Ok(configuration)
    }
}
