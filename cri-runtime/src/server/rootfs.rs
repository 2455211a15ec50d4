//! Root file systems: an overlay of the image's layers and a directory of the container's own.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use nix::mount::{MsFlags, mount};

use super::sandboxes::detach;
use crate::error::Result;
use crate::image::store::{Image, Store};

/// A mount's options must fit into one page.
const MAX_OPTIONS: usize = 4095;

/// Mounts the image's layers (below) and `directory` (above) at `target`.
pub fn mount_rootfs(store: &Store, image: &Image, directory: &Path, target: &Path) -> Result<()> {
    let upper = directory.join("upper");
    let work = directory.join("work");
    for path in [upper.as_path(), &work, target] {
        std::fs::create_dir_all(path)?;
    }
    let lowers: Vec<PathBuf> = image
        .layers
        .iter()
        .rev()
        .map(|layer| store.layer(layer))
        .collect();
    if let Some(missing) = lowers.iter().find(|path| !path.is_dir()) {
        return Err(anyhow!("layer {} of the image is missing", missing.display()).into());
    }
    let lower = if lowers.is_empty() {
        let empty = directory.join("empty");
        std::fs::create_dir_all(&empty)?;
        empty.display().to_string()
    } else {
        let texts: Vec<String> = lowers.iter().map(|p| p.display().to_string()).collect();
        texts.join(":")
    };
    let options = format!(
        "lowerdir={lower},upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    if options.len() > MAX_OPTIONS {
        return Err(anyhow!("the image has too many layers ({})", lowers.len()).into());
    }
    // A root file system ends with its container: there is nothing to flush when it is unmounted, which
    // would take tens of milliseconds. Kernels before 5.10 do not know the option.
    let volatile = format!("{options},volatile");
    let result = if volatile.len() <= MAX_OPTIONS {
        overlay(target, &volatile).or_else(|_| overlay(target, &options))
    } else {
        overlay(target, &options)
    };
    result.with_context(|| format!("mount the root file system at {}", target.display()))?;
    Ok(())
}

fn overlay(target: &Path, options: &str) -> nix::Result<()> {
    mount(
        Some("overlay"),
        target,
        Some("overlay"),
        // Device files of an image are none: a container's devices are in its `/dev`.
        MsFlags::MS_NODEV,
        Some(options),
    )
}

/// Unmounts it.
pub fn unmount_rootfs(target: &Path) {
    detach(target);
}
