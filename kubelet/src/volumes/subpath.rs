//! A part of a volume as the source of a mount, which must not lead out of the volume.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The path of `sub` inside `volume`, made as a directory when it is not there.
pub fn resolve(volume: &Path, sub: &str) -> io::Result<PathBuf> {
    let refuse = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let sub = Path::new(sub);
    if !sub
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Err(refuse("subPath must be a relative path without \"..\""));
    }
    let root = volume.canonicalize()?;
    let mut current = root.clone();
    for part in sub.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        let next = current.join(name);
        match fs::symlink_metadata(&next) {
            // Only the last missing parts are made, and below a place that was resolved.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&next)?;
                current = next;
            }
            Err(error) => return Err(error),
            Ok(_) => {
                current = next.canonicalize()?;
                if !current.starts_with(&root) {
                    return Err(refuse("subPath leads out of its volume"));
                }
            }
        }
    }
    Ok(current)
}
