//! The configuration of an image: what of it a runtime needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The configuration blob of an image (OCI and Docker agree on these fields).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// `amd64`, `arm64`, …
    #[serde(default)]
    pub architecture: String,
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// What containers run with.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ImageConfig,
    /// The layers.
    #[serde(default)]
    pub rootfs: RootFs,
}

/// The layers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Digests of the uncompressed layers, the lowest first.
    #[serde(default)]
    pub diff_ids: Vec<String>,
}

/// What a container of the image runs with unless told otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "null_is_default")]
    pub user: String,
    /// `NAME=value`.
    #[serde(deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(deserialize_with = "null_is_default")]
    pub entrypoint: Vec<String>,
    /// Further arguments.
    #[serde(deserialize_with = "null_is_default")]
    pub cmd: Vec<String>,
    /// Where it starts.
    #[serde(deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// What asks it to stop.
    #[serde(deserialize_with = "null_is_default")]
    pub stop_signal: String,
    /// Paths that are volumes.
    #[serde(deserialize_with = "null_is_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// Labels of the image.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A manifest or a list of manifests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Manifest {
    /// Says which of the two it is, when present.
    pub media_type: String,
    /// The configuration's blob.
    pub config: Option<Descriptor>,
    /// The layers' blobs.
    pub layers: Vec<Descriptor>,
    /// The manifests of a list.
    pub manifests: Vec<Descriptor>,
}

/// Names a blob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// What kind of blob.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its length.
    pub size: u64,
    /// For which machine.
    pub platform: Option<Platform>,
    /// Names and more.
    #[serde(deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// A kind of machine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// In Go's words.
    pub architecture: String,
    /// In Go's words.
    pub os: String,
}

/// This machine's architecture in Go's words.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

impl Manifest {
    /// The manifest of a list for this machine.
    pub fn for_this_machine(&self) -> Option<&Descriptor> {
        self.manifests
            .iter()
            .find(|descriptor| {
                descriptor.platform.as_ref().is_some_and(|platform| {
                    platform.os == "linux" && platform.architecture == architecture()
                })
            })
            .or_else(|| {
                self.manifests
                    .iter()
                    .find(|descriptor| descriptor.platform.is_none())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_of_docker_read_as_empty() {
        let file: ConfigFile = serde_json::from_str(
            r#"{"architecture":"amd64","os":"linux",
                "config":{"Env":null,"Cmd":["sh"],"Entrypoint":null,"Volumes":null,"Labels":null,"OnBuild":null},
                "rootfs":{"type":"layers","diff_ids":["sha256:1"]}}"#,
        )
        .expect("Docker's configuration parses");
        assert_eq!(file.config.cmd, ["sh"]);
        assert!(file.config.env.is_empty());
        let file: ConfigFile =
            serde_json::from_str(r#"{"config":null}"#).expect("no configuration is fine");
        assert_eq!(file.config, ImageConfig::default());
    }

    #[test]
    fn the_manifest_of_this_machine_is_chosen_from_a_list() {
        let list: Manifest = serde_json::from_value(serde_json::json!({"manifests": [
            {"digest": "sha256:w", "platform": {"os": "windows", "architecture": architecture()}},
            {"digest": "sha256:l", "platform": {"os": "linux", "architecture": architecture()}},
        ]}))
        .expect("the list parses");
        assert_eq!(
            list.for_this_machine().map(|d| d.digest.as_str()),
            Some("sha256:l")
        );
    }
}
