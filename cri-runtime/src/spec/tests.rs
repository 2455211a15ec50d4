//! Tables over specifications.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use k8s_cri::v1::{
    Capability, ContainerConfig, KeyValue, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, Mount,
};
use serde_json::{Value, json};

use super::user::User;
use super::{Inputs, Namespaces, PidNamespace, arguments, build, capabilities, exec_process};
use crate::cgroup::Cgroups;
use crate::image::ImageConfig;

fn spec_of(config: &ContainerConfig, image: &ImageConfig, namespaces: &Namespaces) -> Value {
    let user = User {
        uid: 5,
        gid: 6,
        groups: vec![6, 7],
        home: "/h".into(),
    };
    build(&Inputs {
        config,
        image,
        user: &user,
        rootfs: Path::new("/r"),
        cgroup: "/kubepods/c",
        cgroups: &Cgroups::V1(BTreeMap::new()),
        namespaces,
        bounding: &BTreeSet::from(["CAP_CHOWN".to_owned(), "CAP_NET_ADMIN".to_owned()]),
        hostname: "pod-1",
        etc: &[("/etc/hosts".into(), PathBuf::from("/s/hosts"))],
        shm: Path::new("/s/shm"),
    })
    .expect("a valid configuration")
}

fn with_security(security: LinuxContainerSecurityContext) -> ContainerConfig {
    ContainerConfig {
        command: vec!["/a".into()],
        linux: Some(LinuxContainerConfig {
            security_context: Some(security),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn commands_and_arguments_replace_those_of_the_image() {
    let image = ImageConfig {
        entrypoint: vec!["/entry".into()],
        cmd: vec!["default".into()],
        ..Default::default()
    };
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (&[], &[], &["/entry", "default"]),
        (&[], &["arg"], &["/entry", "arg"]),
        (&["/cmd"], &[], &["/cmd"]),
        (&["/cmd"], &["arg"], &["/cmd", "arg"]),
    ];
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    for (command, args, expected) in table {
        let config = ContainerConfig {
            command: owned(command),
            args: owned(args),
            ..Default::default()
        };
        assert_eq!(arguments(&config, &image).expect("a command"), *expected);
    }
    let error = arguments(&ContainerConfig::default(), &ImageConfig::default());
    assert_eq!(
        error.expect_err("nothing to run").to_string(),
        "no command specified"
    );
}

#[test]
fn the_specification_is_one_that_oci_knows() {
    let mut config = with_security(LinuxContainerSecurityContext {
        masked_paths: vec!["/proc/kcore".into()],
        no_new_privs: true,
        ..Default::default()
    });
    config.linux.as_mut().expect("is set").resources = Some(LinuxContainerResources {
        cpu_shares: 10,
        memory_limit_in_bytes: 1 << 30,
        ..Default::default()
    });
    let spec = spec_of(&config, &ImageConfig::default(), &Namespaces::default());
    let parsed: libcontainer::oci_spec::runtime::Spec =
        serde_json::from_value(spec.clone()).expect("OCI");
    let process = parsed.process().as_ref().expect("a process");
    assert_eq!(process.user().uid(), 5);
    assert_eq!(spec["linux"]["cgroupsPath"], "/kubepods/c");
    assert_eq!(spec["linux"]["resources"]["cpu"]["shares"], 10);
    assert_eq!(spec["linux"]["resources"]["memory"]["limit"], 1 << 30);
    assert_eq!(spec["linux"]["maskedPaths"], json!(["/proc/kcore"]));
}

#[test]
fn namespaces_of_the_pod_are_joined_by_path() {
    let config = with_security(LinuxContainerSecurityContext::default());
    let namespaces = Namespaces {
        network: Some("/n".into()),
        ipc: None,
        uts: Some("/u".into()),
        pid: PidNamespace::Join("/p".into()),
    };
    let spec = spec_of(&config, &ImageConfig::default(), &namespaces);
    assert_eq!(
        spec["linux"]["namespaces"],
        json!([{"type": "mount"}, {"type": "network", "path": "/n"},
               {"type": "uts", "path": "/u"}, {"type": "pid", "path": "/p"}])
    );
}

#[test]
fn later_variables_win() {
    let image = ImageConfig {
        env: vec!["A=image".into(), "PATH=/image".into()],
        ..Default::default()
    };
    let mut config = with_security(LinuxContainerSecurityContext::default());
    config.envs = vec![KeyValue {
        key: "A".into(),
        value: "pod".into(),
    }];
    let spec = spec_of(&config, &image, &Namespaces::default());
    assert_eq!(
        spec["process"]["env"],
        json!(["PATH=/image", "HOSTNAME=pod-1", "HOME=/h", "A=pod"])
    );
    let exec = exec_process(&spec["process"], &["sh".into()], true);
    assert_eq!(exec["args"], json!(["sh"]));
    assert!(
        exec["env"]
            .as_array()
            .is_some_and(|env| env.contains(&json!("TERM=xterm")))
    );
}

#[test]
fn capabilities_are_clamped_to_those_of_the_node() {
    let node = capabilities::from_status("CapBnd:\t0000000000001021\n");
    assert_eq!(
        node,
        BTreeSet::from([
            "CAP_CHOWN".into(),
            "CAP_KILL".into(),
            "CAP_NET_ADMIN".into()
        ])
    );
    let change = |add: &[&str], drop: &[&str]| LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: add.iter().map(|name| (*name).to_owned()).collect(),
            drop_capabilities: drop.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let privileged = LinuxContainerSecurityContext {
        privileged: true,
        ..Default::default()
    };
    let table: &[(LinuxContainerSecurityContext, &[&str])] = &[
        (Default::default(), &["CAP_CHOWN", "CAP_KILL"]),
        (
            change(&["NET_ADMIN"], &["kill"]),
            &["CAP_CHOWN", "CAP_NET_ADMIN"],
        ),
        (change(&["NET_ADMIN"], &["ALL"]), &["CAP_NET_ADMIN"]),
        (
            change(&["ALL"], &[]),
            &["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN"],
        ),
        (privileged, &["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN"]),
    ];
    for (security, expected) in table {
        assert_eq!(capabilities::of(security, &node, true), *expected);
    }
}

#[test]
fn a_mount_of_the_pod_takes_the_place_of_a_default_one() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let host_path = directory.path().to_string_lossy().into_owned();
    let mut config = with_security(LinuxContainerSecurityContext::default());
    config.mounts = vec![Mount {
        container_path: "/etc/hosts".into(),
        host_path: host_path.clone(),
        readonly: true,
        ..Default::default()
    }];
    let spec = spec_of(&config, &ImageConfig::default(), &Namespaces::default());
    let mounts = spec["mounts"].as_array().expect("a list");
    let hosts: Vec<&Value> = mounts
        .iter()
        .filter(|mount| mount["destination"] == "/etc/hosts")
        .collect();
    assert_eq!(hosts.len(), 1);
    assert_eq!(hosts[0]["source"], json!(host_path));
    assert_eq!(hosts[0]["options"], json!(["rbind", "rprivate", "ro"]));
}

#[test]
fn device_files_are_made_only_where_cgroups_guard_devices() {
    let node = BTreeSet::from(["CAP_MKNOD".to_owned()]);
    let asked = LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: vec!["MKNOD".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let plain = LinuxContainerSecurityContext::default();
    for (security, guarded, expected) in [
        (&plain, true, vec!["CAP_MKNOD"]),
        (&plain, false, vec![]),
        (&asked, false, vec!["CAP_MKNOD"]),
    ] {
        assert_eq!(capabilities::of(security, &node, guarded), expected);
    }
}
