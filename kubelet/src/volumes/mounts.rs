//! What is mounted on the node, and memory-backed directories.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The mount points of this process, in the order in which they were mounted.
pub fn points() -> io::Result<Vec<PathBuf>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .collect())
}

/// The kernel writes blanks and the like as `\040`.
fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let octal = field
            .get(index + 1..index + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (bytes[index], octal) {
            (b'\\', Some(byte)) => {
                plain.push(byte);
                index += 4;
            }
            (byte, _) => {
                plain.push(byte);
                index += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(plain))
}

/// Mounts a tmpfs on `path` unless something is mounted there.
pub fn tmpfs(path: &Path, limit: Option<i64>) -> io::Result<()> {
    if points()?.iter().any(|point| point == path) {
        return Ok(());
    }
    let options = limit.map(|limit| format!("size={limit}"));
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        options.as_deref(),
    )?;
    Ok(())
}

/// Unmounts everything at and below `path`, the latest first.
pub fn unmount_below(path: &Path) -> io::Result<()> {
    for point in points()?
        .iter()
        .rev()
        .filter(|point| point.starts_with(path))
    {
        umount2(point.as_path(), MntFlags::MNT_DETACH)?;
    }
    match points()?.iter().find(|point| point.starts_with(path)) {
        Some(point) => Err(io::Error::other(format!(
            "{} is still mounted",
            point.display()
        ))),
        None => Ok(()),
    }
}
