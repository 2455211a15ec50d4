//! Importing archives: `docker save` (docker-archive) and OCI layouts in a tar (oci-archive).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Deserialize;

use super::config::{ConfigFile, Descriptor, Manifest};
use super::layer;
use super::reference::Reference;
use super::store::{Image, Origin, Store};
use crate::error::{Error, Result};

/// A manifest or configuration longer than this is no such thing.
const MAX_DOCUMENT: u64 = 8 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The files of an archive: where their bytes lie.
struct Archive {
    file: File,
    entries: BTreeMap<PathBuf, Place>,
}

enum Place {
    Bytes { offset: u64, length: u64 },
    Link(PathBuf),
}

/// Imports every image of the archive; `name` adds a name to the only image.
pub fn import(store: &Store, path: &Path, name: Option<&Reference>) -> Result<Vec<Image>> {
    let archive = Archive::open(store, path)?;
    let images = if archive.contains("manifest.json") {
        import_docker(store, &archive, name)?
    } else if archive.contains("index.json") {
        import_oci(store, &archive, name)?
    } else {
        return Err(Error::Invalid(format!(
            "{} is neither a docker-archive (manifest.json) nor an oci-archive (index.json)",
            path.display()
        )));
    };
    if images.is_empty() {
        return Err(Error::Invalid(format!(
            "{} holds no image for this machine",
            path.display()
        )));
    }
    Ok(images)
}

fn import_docker(store: &Store, archive: &Archive, name: Option<&Reference>) -> Result<Vec<Image>> {
    let manifest: Vec<DockerImage> = serde_json::from_slice(&archive.document("manifest.json")?)
        .context("read manifest.json")?;
    let mut images = Vec::new();
    for image in &manifest {
        let config = archive.document(&image.config)?;
        let mut tags = Vec::new();
        for tag in image.repo_tags.iter().flatten() {
            tags.push(parse(tag)?);
        }
        if manifest.len() == 1 {
            tags.extend(name.cloned());
        }
        images.push(add(store, archive, &config, &image.layers, &tags, None)?);
    }
    Ok(images)
}

fn import_oci(store: &Store, archive: &Archive, name: Option<&Reference>) -> Result<Vec<Image>> {
    let index: Manifest =
        serde_json::from_slice(&archive.document("index.json")?).context("read index.json")?;
    let mut images = Vec::new();
    for descriptor in &index.manifests {
        let mut tags = Vec::new();
        let named = [
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        ]
        .iter()
        .find_map(|key| descriptor.annotations.get(*key));
        match (name, named) {
            (Some(name), _) => tags.push(name.clone()),
            (None, Some(named)) => tags.push(parse(named)?),
            (None, None) => {}
        }
        let Some(manifest) = resolve(archive, descriptor)? else {
            continue;
        };
        let config = manifest
            .config
            .as_ref()
            .ok_or_else(|| Error::Invalid("the manifest names no configuration".to_owned()))?;
        let config = archive.blob(&config.digest)?;
        let layers: Vec<String> = manifest
            .layers
            .iter()
            .map(|layer| blob_path(&layer.digest))
            .collect();
        images.push(add(
            store,
            archive,
            &config,
            &layers,
            &tags,
            Some(&descriptor.digest),
        )?);
    }
    Ok(images)
}

/// The manifest itself, through a list of manifests if need be.
fn resolve(archive: &Archive, descriptor: &Descriptor) -> Result<Option<Manifest>> {
    let manifest: Manifest = serde_json::from_slice(&archive.blob(&descriptor.digest)?)
        .context("read the image's manifest")?;
    if manifest.config.is_some() {
        return Ok(Some(manifest));
    }
    match manifest.for_this_machine() {
        Some(chosen) => Ok(Some(
            serde_json::from_slice(&archive.blob(&chosen.digest)?)
                .context("read the image's manifest")?,
        )),
        None => Ok(None),
    }
}

fn add(
    store: &Store,
    archive: &Archive,
    config: &[u8],
    layers: &[String],
    tags: &[Reference],
    digest: Option<&str>,
) -> Result<Image> {
    let parsed: ConfigFile =
        serde_json::from_slice(config).context("read the image's configuration")?;
    if parsed.rootfs.diff_ids.len() != layers.len() {
        return Err(Error::Invalid(
            "the image's configuration and manifest disagree about its layers".to_owned(),
        ));
    }
    let mut size = 0;
    for (diff_id, path) in parsed.rootfs.diff_ids.iter().zip(layers) {
        let (reader, length) = archive.read(path)?;
        size += length;
        store
            .add_layer(diff_id, reader)
            .map_err(|error| anyhow!("layer {path}: {error:#}"))?;
    }
    store.add(config, size, tags, Origin::Archive(digest))
}

fn parse(name: &str) -> Result<Reference> {
    name.parse()
        .map_err(|error: super::reference::InvalidReference| Error::Invalid(error.to_string()))
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// A nameless copy of `input`: an archive is read out of order, so it must be seekable.
fn stage(store: &Store, input: &mut dyn Read) -> Result<File> {
    let staging = store.stage()?;
    let path = staging.join("archive.tar");
    let copied = File::create_new(&path).and_then(|mut file| io::copy(input, &mut file));
    let opened = copied.and_then(|_| File::open(&path));
    let _ = std::fs::remove_dir_all(&staging);
    Ok(opened?)
}

impl Archive {
    fn open(store: &Store, path: &Path) -> Result<Archive> {
        let mut file = if path == Path::new("-") {
            stage(store, &mut io::stdin().lock())?
        } else {
            File::open(path).with_context(|| format!("open {}", path.display()))?
        };
        let mut magic = [0; 2];
        let compressed = file.read(&mut magic)? == 2 && magic == [0x1f, 0x8b];
        file.seek(SeekFrom::Start(0))?;
        if compressed {
            let mut input = layer::decompress(&mut file)
                .map_err(|error| Error::Internal(anyhow::Error::new(error)))?;
            let plain = stage(store, &mut input)?;
            drop(input);
            file = plain;
        }
        let mut entries = BTreeMap::new();
        let mut tar = tar::Archive::new(file.try_clone()?);
        for entry in tar.entries_with_seek()? {
            let entry = entry?;
            let path = plain(&entry.path()?);
            let place = match entry.header().entry_type() {
                tar::EntryType::Symlink => {
                    let target = entry.link_name()?.unwrap_or_default();
                    let parent = path.parent().unwrap_or(Path::new(""));
                    Place::Link(plain(&parent.join(target)))
                }
                tar::EntryType::Link => Place::Link(plain(&entry.link_name()?.unwrap_or_default())),
                kind if kind.is_file() => Place::Bytes {
                    offset: entry.raw_file_position(),
                    length: entry.size(),
                },
                _ => continue,
            };
            entries.insert(path, place);
        }
        Ok(Archive { file, entries })
    }

    fn contains(&self, path: &str) -> bool {
        self.entries.contains_key(Path::new(path))
    }

    fn read(&self, path: &str) -> Result<(impl Read + use<>, u64)> {
        let mut name = plain(Path::new(path));
        for _ in 0..8 {
            match self.entries.get(&name) {
                Some(Place::Bytes { offset, length }) => {
                    let mut file = self.file.try_clone()?;
                    file.seek(SeekFrom::Start(*offset))?;
                    return Ok((file.take(*length), *length));
                }
                Some(Place::Link(target)) => name = target.clone(),
                None => break,
            }
        }
        Err(Error::Invalid(format!("the archive has no file {path}")))
    }

    fn document(&self, path: &str) -> Result<Vec<u8>> {
        let (mut reader, length) = self.read(path)?;
        if length > MAX_DOCUMENT {
            return Err(Error::Invalid(format!("{path} is too long")));
        }
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        Ok(content)
    }

    fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let content = self.document(&blob_path(digest))?;
        let actual = layer::digest(&content);
        if actual != digest {
            return Err(Error::Invalid(format!(
                "blob {digest} has the digest {actual}"
            )));
        }
        Ok(content)
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => result.push(part),
            Component::ParentDir => {
                result.pop();
            }
            _ => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, data) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(data.len() as u64);
            builder
                .append_data(&mut header, path, *data)
                .expect("in memory");
        }
        builder.into_inner().expect("in memory")
    }

    fn config_of(layer: &[u8]) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({
            "architecture": "amd64", "os": "linux",
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [layer::digest(layer)]},
        }))
        .expect("in memory")
    }

    fn import_bytes(bytes: &[u8], name: Option<&str>) -> Result<Vec<Image>> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("image.tar");
        std::fs::write(&file, bytes).expect("writable");
        let store = Store::open(directory.path().join("store"))?;
        let name = name.map(|name| name.parse().expect("valid reference"));
        import(&store, &file, name.as_ref())
    }

    #[test]
    fn docker_archives_bring_their_names() {
        let layer = tar_of(&[("hello", b"world")]);
        let config = config_of(&layer);
        let manifest = br#"[{"Config":"c.json","RepoTags":["echo:v1"],"Layers":["l/layer.tar"]}]"#;
        let archive = tar_of(&[
            ("manifest.json", manifest),
            ("c.json", &config),
            ("l/layer.tar", &layer),
        ]);
        let images = import_bytes(&archive, Some("other")).expect("imports");
        assert_eq!(images.len(), 1);
        let tags: Vec<&str> = images[0].tags.iter().map(String::as_str).collect();
        assert_eq!(
            tags,
            [
                "docker.io/library/echo:v1",
                "docker.io/library/other:latest"
            ]
        );
        assert_eq!(images[0].config.cmd, ["/bin/sh"]);
    }

    #[test]
    fn oci_archives_are_imported_and_verified() {
        let layer = tar_of(&[("hello", b"world")]);
        let config = config_of(&layer);
        let manifest = serde_json::to_vec(&serde_json::json!({
            "config": {"digest": layer::digest(&config)},
            "layers": [{"digest": layer::digest(&layer)}],
        }))
        .expect("in memory");
        let index = serde_json::to_vec(&serde_json::json!({"manifests": [{
            "digest": layer::digest(&manifest),
            "annotations": {"org.opencontainers.image.ref.name": "demo:1"},
        }]}))
        .expect("in memory");
        let path = |content: &[u8]| blob_path(&layer::digest(content));
        let entries = |manifest_content: &[u8]| {
            tar_of(&[
                ("index.json", &index),
                (&path(&manifest), manifest_content),
                (&path(&config), &config),
                (&path(&layer), &layer),
            ])
        };
        let images = import_bytes(&entries(&manifest), None).expect("imports");
        assert!(images[0].tags.contains("docker.io/library/demo:1"));
        assert!(import_bytes(&entries(b"{}"), None).is_err());
    }

    #[test]
    fn other_files_are_refused_in_words() {
        let error = import_bytes(&tar_of(&[("a", b"b")]), None).expect_err("no image");
        assert!(
            error.to_string().contains("neither a docker-archive"),
            "{error}"
        );
    }
}
