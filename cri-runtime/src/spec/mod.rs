//! From CRI's container configuration and the image's to the OCI specification.

pub mod capabilities;
pub mod mounts;
pub mod user;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use k8s_cri::v1::{ContainerConfig, LinuxContainerSecurityContext, NamespaceMode};
use serde_json::{Value, json};

use crate::cgroup::Cgroups;
use crate::error::{Error, Result};
use crate::image::ImageConfig;
use user::User;

/// The path that programs are looked up in unless image or pod say otherwise.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Everything that a specification is made from.
pub struct Inputs<'a> {
    /// The container as the kubelet wants it.
    pub config: &'a ContainerConfig,
    /// The image's part.
    pub image: &'a ImageConfig,
    /// Who runs in it.
    pub user: &'a User,
    /// The root file system, mounted.
    pub rootfs: &'a Path,
    /// The container's cgroup.
    pub cgroup: &'a str,
    /// The hierarchies.
    pub cgroups: &'a Cgroups,
    /// The namespaces of the pod.
    pub namespaces: &'a Namespaces,
    /// The capabilities that this node itself has.
    pub bounding: &'a BTreeSet<String>,
    /// The pod's host name, for the environment.
    pub hostname: &'a str,
    /// Files of the sandbox that containers see under `/etc`: path inside and outside.
    pub etc: &'a [(String, PathBuf)],
    /// The pod's `/dev/shm`.
    pub shm: &'a Path,
}

/// How the container joins its pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `None`: the node's.
    pub network: Option<PathBuf>,
    /// `None`: the node's.
    pub ipc: Option<PathBuf>,
    /// `None`: the node's.
    pub uts: Option<PathBuf>,
    /// Own, joined or the node's.
    pub pid: PidNamespace,
}

/// Whose processes a container sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PidNamespace {
    /// Only its own.
    #[default]
    Own,
    /// Those of the namespace at that path.
    Join(PathBuf),
    /// The node's.
    Node,
}

/// The specification in JSON, as `config.json` holds it.
pub fn build(inputs: &Inputs<'_>) -> Result<Value> {
    let config = inputs.config;
    let security = security(config);
    let mut namespaces = vec![json!({"type": "mount"})];
    let mut join = |kind: &str, path: &Option<PathBuf>| {
        if let Some(path) = path {
            namespaces.push(json!({"type": kind, "path": path}));
        }
    };
    join("network", &inputs.namespaces.network);
    join("ipc", &inputs.namespaces.ipc);
    join("uts", &inputs.namespaces.uts);
    match &inputs.namespaces.pid {
        PidNamespace::Own => namespaces.push(json!({"type": "pid"})),
        PidNamespace::Join(path) => namespaces.push(json!({"type": "pid", "path": path})),
        PidNamespace::Node => {}
    }
    if inputs.cgroups.is_v2() && !security.privileged {
        namespaces.push(json!({"type": "cgroup"}));
    }
    let mut linux = json!({
        "namespaces": namespaces,
        "cgroupsPath": inputs.cgroup,
        "resources": resources(config, inputs.cgroups)?,
    });
    if mounts::wants_propagation(config) {
        linux["rootfsPropagation"] = json!("rslave");
    }
    if security.privileged {
        linux["devices"] = mounts::all_devices();
    } else {
        linux["devices"] = mounts::devices(&config.devices)?;
        linux["maskedPaths"] = json!(security.masked_paths);
        linux["readonlyPaths"] = json!(security.readonly_paths);
    }
    Ok(json!({
        "ociVersion": "1.2.0",
        "root": {"path": inputs.rootfs, "readonly": security.readonly_rootfs},
        "process": process(inputs)?,
        "mounts": mounts::build(inputs)?,
        "linux": linux,
    }))
}

/// The container's security context, or an empty one.
pub fn security(config: &ContainerConfig) -> LinuxContainerSecurityContext {
    config
        .linux
        .as_ref()
        .and_then(|linux| linux.security_context.clone())
        .unwrap_or_default()
}

/// How the container shares processes, as it asks.
pub fn pid_mode(config: &ContainerConfig) -> NamespaceMode {
    security(config)
        .namespace_options
        .and_then(|options| NamespaceMode::try_from(options.pid).ok())
        .unwrap_or(NamespaceMode::Container)
}

fn process(inputs: &Inputs<'_>) -> Result<Value> {
    let config = inputs.config;
    let security = security(config);
    let cwd = [config.working_dir.as_str(), &inputs.image.working_dir]
        .into_iter()
        .find(|directory| !directory.is_empty())
        .unwrap_or("/");
    let capabilities = capabilities::of(&security, inputs.bounding, !inputs.cgroups.is_v2());
    let ambient = capabilities::ambient(&security, &capabilities);
    Ok(json!({
        "terminal": config.tty,
        "user": {
            "uid": inputs.user.uid,
            "gid": inputs.user.gid,
            "additionalGids": inputs.user.groups,
        },
        "args": arguments(config, inputs.image)?,
        "env": environment(config, inputs.image, inputs.hostname, &inputs.user.home),
        "cwd": cwd,
        "capabilities": {
            "bounding": capabilities,
            "effective": capabilities,
            "permitted": capabilities,
            "inheritable": ambient,
            "ambient": ambient,
        },
        "noNewPrivileges": security.no_new_privs,
    }))
}

/// A further process in the same container.
pub fn exec_process(process: &Value, command: &[String], tty: bool) -> Value {
    let mut process = process.clone();
    process["args"] = json!(command);
    process["terminal"] = json!(tty);
    if tty && let Some(env) = process["env"].as_array_mut() {
        let has_term = env.iter().any(|entry| {
            entry
                .as_str()
                .is_some_and(|entry| entry.starts_with("TERM="))
        });
        if !has_term {
            env.push(json!("TERM=xterm"));
        }
    }
    process
}

/// The command line: what the pod says replaces what the image says.
pub fn arguments(config: &ContainerConfig, image: &ImageConfig) -> Result<Vec<String>> {
    let mut arguments = config.command.clone();
    let mut rest = config.args.clone();
    if arguments.is_empty() {
        arguments = image.entrypoint.clone();
        if rest.is_empty() {
            rest = image.cmd.clone();
        }
    }
    arguments.append(&mut rest);
    if arguments.is_empty() {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    Ok(arguments)
}

fn environment(
    config: &ContainerConfig,
    image: &ImageConfig,
    hostname: &str,
    home: &str,
) -> Vec<String> {
    let mut result: Vec<String> = Vec::new();
    let mut set = |entry: String| {
        let key = entry.split('=').next().unwrap_or_default().to_owned() + "=";
        match result.iter_mut().find(|known| known.starts_with(&key)) {
            Some(known) => *known = entry,
            None => result.push(entry),
        }
    };
    set(DEFAULT_PATH.to_owned());
    set(format!("HOSTNAME={hostname}"));
    set(format!("HOME={home}"));
    if config.tty {
        set("TERM=xterm".to_owned());
    }
    for entry in &image.env {
        set(entry.clone());
    }
    for pair in &config.envs {
        set(format!("{}={}", pair.key, pair.value));
    }
    result
}

fn resources(config: &ContainerConfig, cgroups: &Cgroups) -> Result<Value> {
    let privileged = security(config).privileged;
    let mut result = json!({});
    if !privileged {
        let mut rules = vec![json!({"allow": false, "access": "rwm"})];
        rules.extend(mounts::device_rules(&config.devices)?);
        result["devices"] = json!(rules);
    }
    let Some(given) = config
        .linux
        .as_ref()
        .and_then(|linux| linux.resources.as_ref())
    else {
        return Ok(result);
    };
    let mut cpu = json!({});
    if given.cpu_shares > 0 {
        cpu["shares"] = json!(given.cpu_shares);
    }
    if given.cpu_quota != 0 {
        cpu["quota"] = json!(given.cpu_quota);
    }
    if given.cpu_period > 0 {
        cpu["period"] = json!(given.cpu_period);
    }
    if !given.cpuset_cpus.is_empty() {
        cpu["cpus"] = json!(given.cpuset_cpus);
    }
    if !given.cpuset_mems.is_empty() {
        cpu["mems"] = json!(given.cpuset_mems);
    }
    result["cpu"] = cpu;
    if given.memory_limit_in_bytes > 0 {
        let mut memory = json!({"limit": given.memory_limit_in_bytes});
        if cgroups.limits_swap() {
            // Without a limit of its own a container gets no swap.
            let both = given
                .memory_swap_limit_in_bytes
                .max(given.memory_limit_in_bytes);
            if cgroups.is_v2() && both == given.memory_limit_in_bytes {
                // libcgroups takes the difference of 0 for "not set".
                result["unified"] = json!({"memory.swap.max": "0"});
            } else {
                memory["swap"] = json!(both);
            }
        }
        result["memory"] = memory;
    }
    if cgroups.is_v2() {
        for (file, value) in &given.unified {
            result["unified"][file] = json!(value);
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests;
