//! Writing a directory of files so that readers see all of the old or all of the new.
//!
//! ```text
//! <volume>/..2026_11_21_04_00_00.123456789/key   the files
//! <volume>/..data -> ..2026_…                    replaced in one rename
//! <volume>/key -> ..data/key                     what containers open
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub data: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

/// Files by their path below the volume.
pub type Files = BTreeMap<PathBuf, File>;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Makes the contents of `volume` equal to `files`; does nothing when they are already.
pub fn write(volume: &Path, files: &Files, group: Option<i64>) -> io::Result<()> {
    let data = volume.join(DATA);
    let current = fs::read_link(&data).ok();
    if current.is_some() && same(&data, files)? {
        return links(volume, files);
    }
    let stamp = Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S").to_string();
    let fresh = format!("{stamp}.{:09}", Timestamp::now().subsec_nanosecond());
    let directory = volume.join(&fresh);
    fs::create_dir(&directory)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
    for (path, file) in files {
        let target = directory.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&target, &file.data)?;
        // The group reads what the pod's group shall read.
        let mode = if group.is_some() {
            file.mode | 0o440
        } else {
            file.mode
        };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        if let Some(group) = group.and_then(|group| u32::try_from(group).ok()) {
            std::os::unix::fs::chown(&target, None, Some(group))?;
        }
    }
    let new_data = volume.join(NEW_DATA);
    match fs::remove_file(&new_data) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(&fresh, &new_data)?;
    fs::rename(&new_data, &data)?;
    links(volume, files)?;
    // Old directories last: until here a reader may still be in one.
    for entry in fs::read_dir(volume)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("..2") && name != fresh {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Whether the files below `data` are exactly `files`.
fn same(data: &Path, files: &Files) -> io::Result<bool> {
    let mut present = BTreeSet::new();
    walk(data, Path::new(""), &mut present)?;
    if present != files.keys().cloned().collect() {
        return Ok(false);
    }
    for (path, file) in files {
        let target = data.join(path);
        let mode = fs::metadata(&target)?.permissions().mode() & 0o777;
        if fs::read(&target)? != file.data || mode & file.mode != file.mode {
            return Ok(false);
        }
    }
    Ok(true)
}

fn walk(root: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

/// Makes the links that users see, one for each first part of a path, and removes stale ones.
fn links(volume: &Path, files: &Files) -> io::Result<()> {
    let wanted: BTreeSet<_> = files
        .keys()
        .filter_map(|path| path.components().next())
        .map(|part| part.as_os_str().to_owned())
        .collect();
    for name in &wanted {
        let link = volume.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link)?;
        }
    }
    for entry in fs::read_dir(volume)?.flatten() {
        let name = entry.file_name();
        let ours = !name.to_string_lossy().starts_with("..") && entry.file_type()?.is_symlink();
        if ours && !wanted.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
