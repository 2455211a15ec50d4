//! The alias table: names of public images and the local images that stand in for them.
//!
//! ```yaml
//! # /etc/ferrule/image-aliases.yaml
//! sysnet4admin/echo-hname: ferrule.local/echo-hname:latest
//! nginx: ferrule.local/nginx:latest
//! ```
//!
//! A name is looked up here when the store has no image of that name. An alias whose image is present then
//! wins over pulling: a node that has no way to a registry loses no time. Without the file all names are pulled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::reference::Reference;

/// The table's file; read anew at each use, for it is small and may change.
#[derive(Debug, Clone)]
pub struct Aliases {
    path: PathBuf,
}

impl Aliases {
    /// The table in `path`; no file is an empty table.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Aliases { path: path.into() }
    }

    /// The local name that stands in for `name`.
    pub fn resolve(&self, name: &str) -> Option<String> {
        let wanted: Reference = name.parse().ok()?;
        read(&self.path)
            .into_iter()
            .find(|(from, _)| from.parse::<Reference>().is_ok_and(|from| from == wanted))
            .map(|(_, to)| to)
    }
}

fn read(path: &Path) -> BTreeMap<String, String> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return BTreeMap::new();
    };
    match serde_yaml::from_str(&text) {
        Ok(table) => table,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the image aliases");
            BTreeMap::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_their_normal_form() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "nginx: ferrule.local/nginx\nbusybox:1.36: b\n")
            .expect("writable");
        let aliases = Aliases::new(file.path());
        let table = [
            (
                "docker.io/library/nginx:latest",
                Some("ferrule.local/nginx"),
            ),
            ("nginx", Some("ferrule.local/nginx")),
            ("nginx:1.27", None),
            ("busybox:1.36", Some("b")),
        ];
        for (name, expected) in table {
            assert_eq!(aliases.resolve(name).as_deref(), expected, "{name}");
        }
        assert_eq!(Aliases::new("/nonexistent").resolve("nginx"), None);
    }
}
