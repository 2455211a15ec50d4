//! The image store: an index of images and a directory per unpacked layer.
//!
//! The index is one file, replaced whole under a lock, and read again when it has changed: an import by
//! another process is seen at once. Layers are named by the digest of their content and shared. Of the
//! blobs only manifests and configurations are kept; a layer's tar is not needed once it is unpacked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::config::{ConfigFile, ImageConfig};
use super::layer;
use super::reference::Reference;
use crate::error::{Error, Result};
use crate::layout::replace_file;

/// An image of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The digest of its configuration.
    pub id: String,
    /// Normalised names with tags.
    pub tags: BTreeSet<String>,
    /// `repository@digest`.
    pub digests: BTreeSet<String>,
    /// Those of its tags that came with an archive, not from a registry.
    #[serde(default)]
    pub imported: BTreeSet<String>,
    /// Digests of the uncompressed layers, the lowest first.
    pub layers: Vec<String>,
    /// Bytes of all layers.
    pub size: u64,
    /// What containers run with.
    pub config: ImageConfig,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Index {
    images: BTreeMap<String, Image>,
    /// Archives of the image directory and what came of them.
    #[serde(default)]
    archives: BTreeMap<PathBuf, Imported>,
}

/// An archive that has been imported: it is not read again while it stays the same and its images are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Imported {
    modified: (i64, i64),
    length: u64,
    images: BTreeSet<String>,
}

/// Where an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A registry, where its manifest has this digest.
    Registry(&'a str),
    /// An archive; an OCI layout says its manifest's digest.
    Archive(Option<&'a str>),
}

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    cache: Arc<Mutex<Cache>>,
}

/// The index as it was last read.
type Cache = Option<(Stamp, Arc<Index>)>;

/// What changes when the index is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

impl Store {
    /// Opens the store in `root`, making it if need be.
    pub fn open(root: impl Into<PathBuf>) -> Result<Store> {
        let root = root.into();
        for directory in ["layers", "blobs/sha256", "staging"] {
            fs::create_dir_all(root.join(directory))?;
        }
        Ok(Store {
            root,
            cache: Arc::default(),
        })
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }

    fn index(&self) -> Result<Arc<Index>> {
        let path = self.index_path();
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Arc::default());
            }
            Err(error) => return Err(error.into()),
        };
        let stamp = Stamp {
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
        };
        let mut cache = self.cache.lock().unwrap_or_else(|error| error.into_inner());
        if let Some((known, index)) = &*cache
            && *known == stamp
        {
            return Ok(index.clone());
        }
        let index: Arc<Index> =
            Arc::new(serde_json::from_slice(&fs::read(&path)?).context("read the image index")?);
        *cache = Some((stamp, index.clone()));
        Ok(index)
    }

    /// Changes the index under the lock that all processes of the store share.
    fn change<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T> {
        let file = File::create(self.root.join("lock"))?;
        let _lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| std::io::Error::from(error))?;
        let mut index = Index::clone(&*self.index()?);
        let result = change(&mut index);
        replace_file(&self.index_path(), &serde_json::to_vec_pretty(&index)?)?;
        Ok(result)
    }

    /// All images.
    pub fn list(&self) -> Result<Vec<Image>> {
        Ok(self.index()?.images.values().cloned().collect())
    }

    /// The image of that id, name or digest.
    pub fn find(&self, name: &str) -> Result<Option<Image>> {
        let index = self.index()?;
        if let Some(image) = index.images.get(name) {
            return Ok(Some(image.clone()));
        }
        if let Some(image) = index.images.get(&format!("sha256:{name}")) {
            return Ok(Some(image.clone()));
        }
        if let Ok(reference) = name.parse::<Reference>() {
            let found = index.images.values().find(|image| match &reference.digest {
                Some(digest) => image
                    .digests
                    .contains(&format!("{}@{digest}", reference.name())),
                None => reference
                    .tagged()
                    .is_some_and(|tag| image.tags.contains(&tag)),
            });
            if let Some(image) = found {
                return Ok(Some(image.clone()));
            }
        }
        // A short id, as people type it.
        if name.len() >= 6 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let prefix = format!("sha256:{name}");
            let mut matching = index
                .images
                .values()
                .filter(|image| image.id.starts_with(&prefix));
            if let (Some(image), None) = (matching.next(), matching.next()) {
                return Ok(Some(image.clone()));
            }
        }
        Ok(None)
    }

    /// Adds an image whose layers have been unpacked; its names leave other images.
    pub fn add(
        &self,
        config: &[u8],
        size: u64,
        tags: &[Reference],
        origin: Origin<'_>,
    ) -> Result<Image> {
        let (manifest_digest, imported) = match origin {
            Origin::Registry(digest) => (Some(digest), false),
            Origin::Archive(digest) => (digest, true),
        };
        let parsed: ConfigFile =
            serde_json::from_slice(config).context("read the image's configuration")?;
        let id = layer::digest(config);
        self.put_blob(config)?;
        let mut names: BTreeSet<String> = tags.iter().filter_map(Reference::tagged).collect();
        let digests: BTreeSet<String> = manifest_digest
            .iter()
            .flat_map(|digest| {
                tags.iter()
                    .map(move |tag| format!("{}@{digest}", tag.name()))
            })
            .collect();
        self.change(|index| {
            for image in index.images.values_mut() {
                image.tags.retain(|tag| !names.contains(tag));
                image.imported.retain(|tag| !names.contains(tag));
            }
            let image = index.images.entry(id.clone()).or_insert_with(|| Image {
                id,
                tags: BTreeSet::new(),
                digests: BTreeSet::new(),
                imported: BTreeSet::new(),
                layers: parsed.rootfs.diff_ids,
                size,
                config: parsed.config,
            });
            if imported {
                image.imported.extend(names.iter().cloned());
            }
            image.tags.append(&mut names);
            image.digests.extend(digests);
            image.clone()
        })
    }

    /// Whether the archive has been imported as it is now.
    pub fn knows_archive(&self, path: &Path) -> Result<bool> {
        let metadata = fs::metadata(path)?;
        let index = self.index()?;
        Ok(index.archives.get(path).is_some_and(|imported| {
            imported.modified == (metadata.mtime(), metadata.mtime_nsec())
                && imported.length == metadata.len()
                && imported
                    .images
                    .iter()
                    .all(|id| index.images.contains_key(id))
        }))
    }

    /// Notes that the archive has been imported.
    pub fn note_archive(&self, path: &Path, images: &[Image]) -> Result<()> {
        let metadata = fs::metadata(path)?;
        let imported = Imported {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
            images: images.iter().map(|image| image.id.clone()).collect(),
        };
        self.change(|index| {
            index.archives.retain(|path, _| path.exists());
            index.archives.insert(path.to_owned(), imported);
        })
    }

    /// Whether the image comes from the image directory: such an image cannot be pulled again.
    pub fn is_pinned(&self, id: &str) -> bool {
        self.index().is_ok_and(|index| {
            index
                .archives
                .values()
                .any(|imported| imported.images.contains(id))
        })
    }

    /// Removes an image with all its names.
    pub fn remove(&self, name: &str, in_use: &BTreeSet<String>) -> Result<bool> {
        let Some(image) = self.find(name)? else {
            return Ok(false);
        };
        self.change(|index| {
            index.images.remove(&image.id);
        })?;
        self.collect(in_use)?;
        Ok(true)
    }

    /// Deletes layers that no image names and no container uses.
    pub fn collect(&self, in_use: &BTreeSet<String>) -> Result<()> {
        let index = self.index()?;
        let mut kept: BTreeSet<String> = index
            .images
            .values()
            .flat_map(|image| image.layers.iter())
            .map(|layer| layer_name(layer))
            .collect();
        kept.extend(in_use.iter().map(|layer| layer_name(layer)));
        for entry in fs::read_dir(self.root.join("layers"))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !kept.contains(&name) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let configs: BTreeSet<String> = index
            .images
            .keys()
            .map(|id| id.trim_start_matches("sha256:").to_owned())
            .collect();
        for entry in fs::read_dir(self.root.join("blobs/sha256"))?.flatten() {
            if !configs.contains(&*entry.file_name().to_string_lossy()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Where a layer is unpacked.
    pub fn layer(&self, diff_id: &str) -> PathBuf {
        self.root.join("layers").join(layer_name(diff_id))
    }

    /// Whether the layer is there already.
    pub fn has_layer(&self, diff_id: &str) -> bool {
        self.layer(diff_id).is_dir()
    }

    /// Unpacks a layer unless it is there; a reader never sees half of one.
    pub fn add_layer(&self, diff_id: &str, input: impl Read) -> Result<u64> {
        if !super::reference::is_digest(diff_id) {
            return Err(Error::Invalid(format!("invalid layer digest {diff_id:?}")));
        }
        if self.has_layer(diff_id) {
            return Ok(0);
        }
        let staging = self.stage()?;
        let result = (|| {
            let size = layer::unpack(input, &staging, diff_id)
                .map_err(|error| Error::Internal(anyhow::Error::new(error)))?;
            match fs::rename(&staging, self.layer(diff_id)) {
                // Somebody else was faster with the same content.
                Err(_) if self.has_layer(diff_id) => Ok(size),
                Err(error) => Err(error.into()),
                Ok(()) => Ok(size),
            }
        })();
        let _ = fs::remove_dir_all(&staging);
        result
    }

    /// A new directory for something unfinished.
    pub fn stage(&self) -> Result<PathBuf> {
        let path = self
            .root
            .join("staging")
            .join(layer::hex(&rand::random::<[u8; 8]>()));
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// Removes what a killed process left unfinished. Only for the server's start.
    pub fn sweep(&self) -> Result<()> {
        let old = std::time::Duration::from_secs(3600);
        for entry in fs::read_dir(self.root.join("staging"))?.flatten() {
            let stale = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > old));
            if stale {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    fn put_blob(&self, content: &[u8]) -> Result<()> {
        let digest = layer::digest(content);
        let path = self
            .root
            .join("blobs/sha256")
            .join(digest.trim_start_matches("sha256:"));
        Ok(replace_file(&path, content)?)
    }

    /// The configuration blob of an image.
    pub fn config_blob(&self, id: &str) -> Result<Vec<u8>> {
        Ok(fs::read(
            self.root
                .join("blobs/sha256")
                .join(id.trim_start_matches("sha256:")),
        )?)
    }

    /// Bytes and inodes that the layers take.
    pub fn usage(&self) -> (u64, u64) {
        fn walk(path: &Path, sum: &mut (u64, u64)) {
            let Ok(entries) = fs::read_dir(path) else {
                return;
            };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                sum.0 += metadata.blocks() * 512;
                sum.1 += 1;
                if metadata.is_dir() {
                    walk(&entry.path(), sum);
                }
            }
        }
        let mut sum = (0, 0);
        walk(&self.root, &mut sum);
        sum
    }
}

/// Short, for many of them must fit into one mount option.
fn layer_name(diff_id: &str) -> String {
    let hex = diff_id.trim_start_matches("sha256:");
    hex.get(..32).unwrap_or(hex).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(store: &Store, seed: &str, tag: &str) -> Image {
        let config = format!(r#"{{"config":{{"Cmd":["{seed}"]}},"rootfs":{{"diff_ids":[]}}}}"#);
        let tag = tag.parse().expect("valid reference");
        store
            .add(config.as_bytes(), 1, &[tag], Origin::Archive(None))
            .expect("adds")
    }

    #[test]
    fn an_image_is_found_by_name_id_and_short_id() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(directory.path()).expect("opens");
        let image = add(&store, "a", "nginx");
        let hex = image.id.trim_start_matches("sha256:").to_owned();
        for name in [
            "nginx",
            "docker.io/library/nginx:latest",
            &image.id,
            &hex,
            &hex[..12],
        ] {
            let found = store.find(name).expect("readable");
            assert_eq!(found.as_ref(), Some(&image), "{name}");
        }
        assert_eq!(store.find("nginx:1").expect("readable"), None);
    }

    #[test]
    fn a_name_moves_to_the_newest_image() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = Store::open(directory.path()).expect("opens");
        let old = add(&store, "old", "app:v1");
        let new = add(&store, "new", "app:v1");
        assert_ne!(old.id, new.id);
        assert_eq!(
            store.find("app:v1").expect("readable").map(|i| i.id),
            Some(new.id)
        );
        let old = store.find(&old.id).expect("readable").expect("is kept");
        assert!(old.tags.is_empty());
    }

    #[test]
    fn another_process_changes_are_seen() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let server = Store::open(directory.path()).expect("opens");
        assert!(server.list().expect("readable").is_empty());
        let command = Store::open(directory.path()).expect("opens");
        add(&command, "a", "busybox");
        assert!(server.find("busybox").expect("readable").is_some());
        assert!(
            command
                .remove("busybox", &BTreeSet::new())
                .expect("removes")
        );
        assert!(server.find("busybox").expect("readable").is_none());
    }
}
