//! Mounts and devices of a container.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use k8s_cri::v1::{ContainerConfig, Device, Mount, MountPropagation};
use serde_json::{Value, json};

use super::{Inputs, security};
use crate::error::{Error, Result};

/// All mounts, those nearer to the root first.
pub fn build(inputs: &Inputs<'_>) -> Result<Vec<Value>> {
    let privileged = security(inputs.config).privileged;
    let access = if privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc",
               "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
               "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
               "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}),
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
               "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs",
               "options": ["nosuid", "noexec", "nodev", access]}),
        json!({"destination": "/dev/shm", "type": "bind", "source": inputs.shm,
               "options": ["rbind", "rprivate", "rw"]}),
    ];
    mounts.extend(cgroup(inputs, access));
    for (inside, outside) in inputs.etc {
        mounts.push(
            json!({"destination": inside, "type": "bind", "source": outside,
                           "options": ["rbind", "rprivate", "rw"]}),
        );
    }
    for mount in &inputs.config.mounts {
        mounts.retain(|known| known["destination"] != json!(mount.container_path));
        mounts.push(bind(mount)?);
    }
    mounts.sort_by_key(|mount| {
        Path::new(mount["destination"].as_str().unwrap_or_default())
            .components()
            .count()
    });
    Ok(mounts)
}

/// What programs read to know their limits. Of version 1 a container sees its own cgroups alone, read-only,
/// and only of these controllers: each costs two mounts at every start. (libcontainer's own way leaves them
/// writable, and fails in a pid namespace that is joined.)
fn cgroup(inputs: &Inputs<'_>, access: &str) -> Vec<Value> {
    const SEEN: &[&str] = &["cpu", "cpuacct", "cpuset", "memory", "pids"];
    if inputs.cgroups.is_v2() {
        return vec![
            json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                          "options": ["nosuid", "noexec", "nodev", "relatime", access]}),
        ];
    }
    let mut mounts = vec![
        json!({"destination": "/sys/fs/cgroup", "type": "tmpfs", "source": "tmpfs",
                                 "options": ["nosuid", "noexec", "nodev", "mode=755", "size=64k"]}),
    ];
    for controller in SEEN {
        if let Some(source) = inputs.cgroups.directory(controller, inputs.cgroup) {
            mounts.push(
                json!({"destination": format!("/sys/fs/cgroup/{controller}"), "type": "bind",
                               "source": source,
                               "options": ["rbind", "nosuid", "noexec", "nodev", access]}),
            );
        }
    }
    mounts
}

fn bind(mount: &Mount) -> Result<Value> {
    if !mount.container_path.starts_with('/') {
        return Err(Error::Invalid(format!(
            "mount path {:?} is not absolute",
            mount.container_path
        )));
    }
    let source = Path::new(&mount.host_path);
    if !source.exists() {
        fs::create_dir_all(source).map_err(|error| {
            Error::Invalid(format!("failed to mkdir {:?}: {error}", mount.host_path))
        })?;
    }
    let source = source
        .canonicalize()
        .map_err(|error| Error::Invalid(format!("mount source {:?}: {error}", mount.host_path)))?;
    let propagation = match MountPropagation::try_from(mount.propagation) {
        Ok(MountPropagation::PropagationBidirectional) => "rshared",
        Ok(MountPropagation::PropagationHostToContainer) => "rslave",
        _ => "rprivate",
    };
    let access = if mount.readonly { "ro" } else { "rw" };
    let mut options = vec!["rbind", propagation, access];
    if mount.readonly && mount.recursive_read_only {
        options.push("rro");
    }
    Ok(
        json!({"destination": mount.container_path, "type": "bind", "source": source,
              "options": options}),
    )
}

/// Whether some mount must see what the node mounts later.
pub fn wants_propagation(config: &ContainerConfig) -> bool {
    config
        .mounts
        .iter()
        .any(|mount| mount.propagation != MountPropagation::PropagationPrivate as i32)
}

/// The devices that a container names; a directory stands for all in it.
pub fn devices(devices: &[Device]) -> Result<Value> {
    let mut result = Vec::new();
    for device in devices {
        for (outside, inside) in expand(device)? {
            result.extend(describe(&outside, &inside));
        }
    }
    Ok(Value::Array(result))
}

/// The cgroup's rules for them.
pub fn device_rules(devices: &[Device]) -> Result<Vec<Value>> {
    let mut rules = Vec::new();
    for device in devices {
        for (outside, inside) in expand(device)? {
            if let Some(node) = describe(&outside, &inside) {
                let access = if device.permissions.is_empty() {
                    "rwm"
                } else {
                    &device.permissions
                };
                rules.push(
                    json!({"allow": true, "type": node["type"], "major": node["major"],
                                  "minor": node["minor"], "access": access}),
                );
            }
        }
    }
    Ok(rules)
}

fn expand(device: &Device) -> Result<Vec<(String, String)>> {
    let metadata = fs::metadata(&device.host_path)
        .map_err(|error| Error::Invalid(format!("device {:?}: {error}", device.host_path)))?;
    let inside = if device.container_path.is_empty() {
        &device.host_path
    } else {
        &device.container_path
    };
    if !metadata.is_dir() {
        return Ok(vec![(device.host_path.clone(), inside.clone())]);
    }
    Ok(below(Path::new(&device.host_path))
        .into_iter()
        .map(|path| {
            let target = path.replacen(&device.host_path, inside, 1);
            (path, target)
        })
        .collect())
}

/// Every device of the node, for a privileged container.
pub fn all_devices() -> Value {
    Value::Array(
        below(Path::new("/dev"))
            .iter()
            .filter_map(|path| describe(path, path))
            .collect(),
    )
}

fn below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let name = entry.file_name();
        if kind.is_dir() {
            // These are mounts of their own in a container.
            if !["pts", "shm", "fd", "mqueue"]
                .iter()
                .any(|skip| name == *skip)
            {
                found.extend(below(&path));
            }
        } else if (kind.is_char_device() || kind.is_block_device())
            && !["console", "ptmx"].iter().any(|skip| name == *skip)
        {
            found.extend(path.to_str().map(str::to_owned));
        }
    }
    found
}

fn describe(outside: &str, inside: &str) -> Option<Value> {
    let metadata = fs::metadata(outside).ok()?;
    let kind = if metadata.file_type().is_block_device() {
        "b"
    } else if metadata.file_type().is_char_device() {
        "c"
    } else {
        return None;
    };
    Some(json!({
        "path": inside,
        "type": kind,
        "major": nix::sys::stat::major(metadata.rdev()),
        "minor": nix::sys::stat::minor(metadata.rdev()),
        "fileMode": metadata.mode() & 0o777,
        "uid": metadata.uid(),
        "gid": metadata.gid(),
    }))
}
