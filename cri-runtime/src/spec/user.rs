//! Who runs in a container: names are looked up in the container's own root file system.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

use k8s_cri::v1::{LinuxContainerSecurityContext, SupplementalGroupsPolicy};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A user with its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The first group's number.
    pub gid: u32,
    /// All groups.
    pub groups: Vec<u32>,
    /// The home directory.
    pub home: String,
}

/// The user that pod and image name.
pub fn resolve(
    security: &LinuxContainerSecurityContext,
    image_user: &str,
    rootfs: &Path,
) -> Result<User> {
    let passwd = read_inside(rootfs, "etc/passwd");
    let group = read_inside(rootfs, "etc/group");
    lookup(security, image_user, &passwd, &group)
}

fn lookup(
    security: &LinuxContainerSecurityContext,
    image_user: &str,
    passwd: &str,
    group: &str,
) -> Result<User> {
    let (name, image_group) = match image_user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (image_user, None),
    };
    let mut image_group = image_group;
    let wanted = if let Some(uid) = &security.run_as_user {
        image_group = None;
        uid.value.to_string()
    } else if !security.run_as_username.is_empty() {
        image_group = None;
        security.run_as_username.clone()
    } else if name.is_empty() {
        "0".to_owned()
    } else {
        name.to_owned()
    };
    let number = wanted.parse::<u32>().ok();
    let entry = passwd.lines().map(fields).find(|fields| match number {
        Some(uid) => fields.get(2) == Some(&uid.to_string().as_str()),
        None => fields.first() == Some(&wanted.as_str()),
    });
    let uid = match (number, &entry) {
        (Some(uid), _) => uid,
        (None, Some(fields)) => at(fields, 2).ok_or_else(|| no_user(&wanted))?,
        (None, None) => return Err(no_user(&wanted)),
    };
    let mut gid = entry.as_ref().and_then(|fields| at(fields, 3)).unwrap_or(0);
    if let Some(text) = image_group.filter(|text| !text.is_empty()) {
        gid = match text.parse() {
            Ok(gid) => gid,
            Err(_) => group
                .lines()
                .map(fields)
                .find(|fields| fields.first() == Some(&text))
                .and_then(|fields| at(&fields, 2))
                .ok_or_else(|| {
                    Error::Invalid(format!(
                        "unable to find group {text}: no matching entries in group file"
                    ))
                })?,
        };
    }
    if let Some(given) = &security.run_as_group {
        gid = u32::try_from(given.value)
            .map_err(|_| Error::Invalid(format!("invalid group {}", given.value)))?;
    }
    let mut groups = vec![gid];
    let merge = security.supplemental_groups_policy == SupplementalGroupsPolicy::Merge as i32;
    if let (Some(login), true) = (entry.as_ref().and_then(|fields| fields.first()), merge) {
        groups.extend(group.lines().map(fields).filter_map(|fields| {
            let member = fields.get(3)?.split(',').any(|member| member == *login);
            member.then(|| at(&fields, 2)).flatten()
        }));
    }
    for extra in &security.supplemental_groups {
        groups.push(
            u32::try_from(*extra).map_err(|_| Error::Invalid(format!("invalid group {extra}")))?,
        );
    }
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|gid| seen.insert(*gid));
    let home = entry
        .as_ref()
        .and_then(|fields| fields.get(5))
        .filter(|home| !home.is_empty())
        .map_or(if uid == 0 { "/root" } else { "/" }, |home| *home)
        .to_owned();
    Ok(User {
        uid,
        gid,
        groups,
        home,
    })
}

fn no_user(name: &str) -> Error {
    Error::Invalid(format!(
        "unable to find user {name}: no matching entries in passwd file"
    ))
}

fn fields(line: &str) -> Vec<&str> {
    line.trim().split(':').collect()
}

fn at(fields: &[&str], index: usize) -> Option<u32> {
    fields.get(index)?.parse().ok()
}

/// Reads a file of the container; links in it cannot lead out to the node's files.
fn read_inside(rootfs: &Path, path: &str) -> String {
    let mut text = String::new();
    let Ok(root) = File::open(rootfs) else {
        return text;
    };
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    if let Ok(file) = openat2(root.as_fd(), path, how) {
        const LIMIT: u64 = 4 << 20;
        let _ = File::from(file).take(LIMIT).read_to_string(&mut text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_cri::v1::Int64Value;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:Web:/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nweb:x:102:\nadm:x:4:web,root\nstaff:x:50:web\n";

    fn of(security: LinuxContainerSecurityContext, image: &str) -> Result<User> {
        lookup(&security, image, PASSWD, GROUP)
    }

    fn user(uid: u32, gid: u32, groups: &[u32], home: &str) -> User {
        User {
            uid,
            gid,
            groups: groups.to_vec(),
            home: home.to_owned(),
        }
    }

    #[test]
    fn the_image_names_the_user_unless_the_pod_does() {
        let run_as = |uid, gid: Option<i64>| LinuxContainerSecurityContext {
            run_as_user: Some(Int64Value { value: uid }),
            run_as_group: gid.map(|value| Int64Value { value }),
            supplemental_groups: vec![9],
            ..Default::default()
        };
        let none = LinuxContainerSecurityContext::default;
        let table = [
            (none(), "", user(0, 0, &[0, 4], "/root")),
            (none(), "web", user(101, 102, &[102, 4, 50], "/srv")),
            (none(), "web:staff", user(101, 50, &[50, 4], "/srv")),
            (none(), "7:8", user(7, 8, &[8], "/")),
            (
                run_as(101, None),
                "root",
                user(101, 102, &[102, 4, 50, 9], "/srv"),
            ),
            (
                run_as(1000, Some(2000)),
                "web:staff",
                user(1000, 2000, &[2000, 9], "/"),
            ),
        ];
        for (security, image, expected) in table {
            assert_eq!(
                of(security, image).expect("known user"),
                expected,
                "{image}"
            );
        }
    }

    #[test]
    fn unknown_names_are_refused_as_upstream_words_it() {
        let error = of(LinuxContainerSecurityContext::default(), "nobody").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "unable to find user nobody: no matching entries in passwd file"
        );
    }

    #[test]
    fn the_strict_policy_ignores_the_image_groups() {
        let strict = LinuxContainerSecurityContext {
            supplemental_groups_policy: SupplementalGroupsPolicy::Strict as i32,
            ..Default::default()
        };
        assert_eq!(of(strict, "web").expect("known user").groups, [102]);
    }
}
