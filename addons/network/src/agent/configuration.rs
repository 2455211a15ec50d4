//! The CNI configuration list, which makes the runtime say that the node's network is ready.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cidr::Cidr;
use crate::cni::CONFIGURATION_TYPE;

/// The file's name; the runtime takes the first one in the order of names.
pub const FILE_NAME: &str = "10-ferrule.conflist";

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The bridge of the node's pods.
    pub bridge: String,
    /// The MTU of the pods' interfaces.
    pub mtu: u32,
    /// The node's pod CIDR.
    pub pod_cidr: Cidr,
    /// Where reservations of addresses are kept.
    pub data_directory: PathBuf,
}

impl Configuration {
    fn text(&self) -> String {
        let list = json!({
            "cniVersion": "1.0.0",
            "name": "ferrule",
            "plugins": [{
                "type": CONFIGURATION_TYPE,
                "bridge": self.bridge,
                "mtu": self.mtu,
                "podCIDR": self.pod_cidr,
                "dataDir": self.data_directory,
            }],
        });
        format!("{list:#}\n")
    }

    /// Writes the list unless it is there; a reader sees all of it or none. True if it was written.
    pub fn write(&self, directory: &Path) -> io::Result<bool> {
        let (path, text) = (directory.join(FILE_NAME), self.text());
        if fs::read_to_string(&path).is_ok_and(|present| present == text) {
            return Ok(false);
        }
        fs::create_dir_all(directory)?;
        // Runtimes read whatever ends in .conf, .conflist or .json.
        let temporary = directory.join(format!("{FILE_NAME}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cni::config;

    #[test]
    fn the_plugin_understands_what_is_written_and_it_is_written_once() {
        let directory = tempfile::tempdir().unwrap();
        let configuration = Configuration {
            bridge: "cni0".to_owned(),
            mtu: 1400,
            pod_cidr: "10.244.1.0/24".parse().unwrap(),
            data_directory: PathBuf::from("/var/lib/cni/ferrule"),
        };
        assert!(configuration.write(directory.path()).unwrap());
        assert!(!configuration.write(directory.path()).unwrap());
        let text = fs::read(directory.path().join(FILE_NAME)).unwrap();
        // What a runtime does: the plugin gets its part with the list's name and version.
        let list: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let mut part = list["plugins"][0].clone();
        part["name"] = list["name"].clone();
        part["cniVersion"] = list["cniVersion"].clone();
        let read = config::Configuration::decode(part.to_string().as_bytes()).unwrap();
        assert_eq!((read.mtu, read.pod_cidr), (1400, configuration.pod_cidr));
    }
}
