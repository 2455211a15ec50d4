//! The mounts of a container: its volumes, and the files that the kubelet adds.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_cri::v1::{Mount, MountPropagation};
use k8s_openapi::api::core::v1::Container;

use crate::context::PodContext;
use crate::env::expand::expand;
use crate::hosts;
use crate::pod::spec;
use crate::volumes;

/// Where the termination message of an attempt lies on the node.
pub fn termination_file(root: &Path, uid: &str, container: &str, attempt: u32) -> PathBuf {
    volumes::pod_dir(root, uid)
        .join("containers")
        .join(container)
        .join(attempt.to_string())
}

/// All mounts of an attempt; the files behind them exist afterwards.
pub fn mounts(
    context: &PodContext,
    container: &Container,
    attempt: u32,
    environment: &[(String, String)],
) -> Result<Vec<Mount>, String> {
    let root = &context.kubelet.config.root;
    let pod = &context.pod;
    let uid = spec::uid(pod);
    let all = spec::of(pod)
        .and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default();
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = all
            .iter()
            .find(|volume| volume.name == mount.name)
            .ok_or_else(|| {
                format!(
                    "cannot find volume {:?} to mount into container {:?}",
                    mount.name, container.name
                )
            })?;
        let path = volumes::path(root, uid, volume).ok_or_else(|| {
            format!(
                "cannot find volume {:?} to mount into container {:?}",
                mount.name, container.name
            )
        })?;
        let lookup = |name: &str| {
            environment
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.clone())
        };
        let sub = match (&mount.sub_path_expr, &mount.sub_path) {
            (Some(expression), _) if !expression.is_empty() => Some(expand(expression, lookup)),
            (_, Some(sub)) if !sub.is_empty() => Some(sub.clone()),
            _ => None,
        };
        let path = match sub {
            Some(sub) => volumes::subpath::resolve(&path, &sub).map_err(|error| {
                format!(
                    "failed to prepare subPath for volumeMount {:?} of container {:?}: {error}",
                    mount.name, container.name
                )
            })?,
            None => path,
        };
        let propagation = match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
            Some("Bidirectional") => MountPropagation::PropagationBidirectional,
            _ => MountPropagation::PropagationPrivate,
        };
        mounts.push(Mount {
            container_path: absolute(&mount.mount_path),
            host_path: path.display().to_string(),
            readonly: mount.read_only.unwrap_or(false),
            propagation: propagation as i32,
            ..Mount::default()
        });
    }
    let taken = |path: &str| mounts.iter().any(|mount| mount.container_path == path);
    let mut added = Vec::new();
    if !taken("/etc/hosts") {
        added.push(plain(
            "/etc/hosts",
            &hosts_file(context).map_err(|error| error.to_string())?,
        ));
    }
    let message = container
        .termination_message_path
        .as_deref()
        .unwrap_or("/dev/termination-log");
    if !message.is_empty() && !taken(message) {
        let file = termination_file(root, uid, &container.name, attempt);
        write(&file, b"", 0o666).map_err(|error| error.to_string())?;
        added.push(plain(message, &file));
    }
    mounts.extend(added);
    Ok(mounts)
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

fn plain(container_path: &str, host_path: &Path) -> Mount {
    Mount {
        container_path: container_path.to_owned(),
        host_path: host_path.display().to_string(),
        ..Mount::default()
    }
}

fn hosts_file(context: &PodContext) -> std::io::Result<PathBuf> {
    let file =
        volumes::pod_dir(&context.kubelet.config.root, spec::uid(&context.pod)).join("etc-hosts");
    let node = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let text = hosts::file(
        &context.pod,
        &context.pod_ips,
        &context.kubelet.config.cluster_domain,
        &node,
    );
    // Running containers have this very file mounted: it is written in place, and only if it differs.
    if fs::read_to_string(&file).ok().as_deref() != Some(&text) {
        write(&file, text.as_bytes(), 0o644)?;
    }
    Ok(file)
}

fn write(file: &Path, data: &[u8], mode: u32) -> std::io::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut handle = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(file)?;
    handle.write_all(data)?;
    fs::set_permissions(file, fs::Permissions::from_mode(mode))
}

/// The message that a container left: its file, or the end of its log when it failed and wants that.
pub fn termination_message(
    root: &Path,
    uid: &str,
    container: &Container,
    attempt: u32,
    exit_code: i32,
    log: &Path,
) -> String {
    const LIMIT: usize = 4096;
    let file = termination_file(root, uid, &container.name, attempt);
    let bytes = fs::read(file).unwrap_or_default();
    if !bytes.is_empty() {
        return String::from_utf8_lossy(&bytes[..bytes.len().min(LIMIT)]).into_owned();
    }
    let from_log = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if !from_log || exit_code == 0 {
        return String::new();
    }
    crate::server::logs::tail_text(log, 80, 2048)
}
