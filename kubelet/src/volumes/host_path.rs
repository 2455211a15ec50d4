//! The types of hostPath volumes.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use k8s_openapi::api::core::v1::HostPathVolumeSource;

/// Makes or checks what the type asks for.
pub fn check(source: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&source.path);
    let found = fs::metadata(path).ok();
    let failed = |what: &str| {
        format!(
            "hostPath type check failed: {} is not a {what}",
            source.path
        )
    };
    let kind = found.as_ref().map(fs::Metadata::file_type);
    let said = |error: std::io::Error| error.to_string();
    match source.type_.as_deref().unwrap_or_default() {
        "" => Ok(()),
        "DirectoryOrCreate" => match &found {
            Some(found) if found.is_dir() => Ok(()),
            Some(_) => Err(failed("directory")),
            None => {
                fs::create_dir_all(path).map_err(said)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(said)
            }
        },
        "FileOrCreate" => match &found {
            Some(found) if found.is_file() => Ok(()),
            Some(_) => Err(failed("file")),
            None => {
                fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(path)
                    .map_err(said)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(said)
            }
        },
        "Directory" => found
            .filter(fs::Metadata::is_dir)
            .map(|_| ())
            .ok_or_else(|| failed("directory")),
        "File" => found
            .filter(fs::Metadata::is_file)
            .map(|_| ())
            .ok_or_else(|| failed("file")),
        "Socket" => kind
            .filter(FileTypeExt::is_socket)
            .map(|_| ())
            .ok_or_else(|| failed("socket file")),
        "CharDevice" => kind
            .filter(FileTypeExt::is_char_device)
            .map(|_| ())
            .ok_or_else(|| failed("character device")),
        "BlockDevice" => kind
            .filter(FileTypeExt::is_block_device)
            .map(|_| ())
            .ok_or_else(|| failed("block device")),
        other => Err(format!("{other} is an invalid volume type")),
    }
}
