//! The volumes of a pod: where they lie, how they come to be, and how they go.
//!
//! ```text
//! <root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>   the volume
//! <root>/pods/<uid>/etc-hosts                               the hosts file of all containers
//! <root>/pods/<uid>/containers/<name>/<attempt>             the termination message
//! ```

pub mod atomic;
pub mod contents;
pub mod host_path;
pub mod mounts;
pub mod subpath;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Pod, Volume};
use thiserror::Error;

use self::contents::Sources;
use crate::pod::spec;
use crate::resources::bytes;

/// Why a volume could not be set up; the words are those of the `FailedMount` event.
#[derive(Debug, Error)]
#[error("MountVolume.SetUp failed for volume {volume:?} : {reason}")]
pub struct VolumeError {
    /// The volume.
    pub volume: String,
    /// What went wrong.
    pub reason: String,
}

/// The directory of a pod.
pub fn pod_dir(root: &Path, uid: &str) -> PathBuf {
    root.join("pods").join(uid)
}

/// Where a volume lies on the node; `None` for a kind that is not supported.
pub fn path(root: &Path, uid: &str, volume: &Volume) -> Option<PathBuf> {
    if let Some(host) = &volume.host_path {
        return Some(PathBuf::from(&host.path));
    }
    let plugin = if volume.empty_dir.is_some() {
        "empty-dir"
    } else if volume.config_map.is_some() {
        "configmap"
    } else if volume.secret.is_some() {
        "secret"
    } else if volume.projected.is_some() {
        "projected"
    } else if volume.downward_api.is_some() {
        "downward-api"
    } else {
        return None;
    };
    let volumes = pod_dir(root, uid).join("volumes");
    Some(
        volumes
            .join(format!("kubernetes.io~{plugin}"))
            .join(&volume.name),
    )
}

/// Sets up all volumes of `pod`, or brings the contents of those that exist up to date.
pub fn set_up(root: &Path, pod: &Pod, sources: &Sources) -> Result<(), VolumeError> {
    let volumes = spec::of(pod)
        .and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default();
    for volume in volumes {
        set_up_one(root, pod, volume, sources).map_err(|reason| VolumeError {
            volume: volume.name.clone(),
            reason,
        })?;
    }
    let dir = pod_dir(root, spec::uid(pod));
    std::fs::create_dir_all(&dir).map_err(|error| VolumeError {
        volume: String::new(),
        reason: error.to_string(),
    })
}

fn set_up_one(root: &Path, pod: &Pod, volume: &Volume, sources: &Sources) -> Result<(), String> {
    let path = path(root, spec::uid(pod), volume).ok_or("no volume plugin matched")?;
    let fs_group = spec::of(pod)
        .and_then(|spec| spec.security_context.as_ref())
        .and_then(|own| own.fs_group);
    let said = |error: std::io::Error| error.to_string();
    if let Some(host) = &volume.host_path {
        return host_path::check(host);
    }
    if let Some(empty) = &volume.empty_dir {
        std::fs::create_dir_all(&path).map_err(said)?;
        if empty.medium.as_deref() == Some("Memory") {
            let limit = empty
                .size_limit
                .as_ref()
                .map(bytes)
                .filter(|limit| *limit > 0);
            mounts::tmpfs(&path, limit).map_err(said)?;
        }
        if let Some(group) = fs_group {
            let group = u32::try_from(group).map_err(|error| error.to_string())?;
            std::os::unix::fs::chown(&path, None, Some(group)).map_err(said)?;
        }
        // setgid, so that what is made inside belongs to the pod's group.
        let mode = if fs_group.is_some() { 0o2777 } else { 0o777 };
        return std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
            .map_err(said);
    }
    let files = contents::files(pod, volume, sources)?;
    std::fs::create_dir_all(&path).map_err(said)?;
    // Memory only, where the node lets us mount: secrets do not belong on disk.
    if (volume.secret.is_some() || volume.projected.is_some())
        && mounts::tmpfs(&path, None).is_err()
    {
        tracing::debug!(
            volume = volume.name,
            "no tmpfs here; the volume lies on disk"
        );
    }
    atomic::write(&path, &files, fs_group).map_err(said)
}

/// Unmounts and removes everything of a pod. Fails while something is still mounted there: a
/// removal must never reach into somebody's data.
pub fn tear_down(root: &Path, uid: &str) -> std::io::Result<()> {
    let dir = pod_dir(root, uid);
    mounts::unmount_below(&dir)?;
    match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether anything of a pod is left on disk.
pub fn exist(root: &Path, uid: &str) -> bool {
    pod_dir(root, uid).exists()
}

/// The uids that have a directory.
pub fn uids(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("pods")).into_iter().flatten();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests;
