//! The local end of a copy: packing files into a tar archive, and unpacking one with distrust.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::warn;
use crate::error::{Error, Result};
use crate::output::go;

/// A path without `.`, `..` in its midst, and doubled slashes, as Go's `path.Clean`.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => drop(parts.pop()),
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

/// One path below another.
pub fn join(path: &str, below: &str) -> String {
    match (path, below) {
        ("", below) => clean(below),
        (path, "") => clean(path),
        (path, below) => clean(&format!("{path}/{below}")),
    }
}

/// The last part of a clean path.
pub fn base(path: &str) -> &str {
    match path.rsplit('/').next() {
        Some("") | None => "/",
        Some(base) => base,
    }
}

/// A clean path without its last part.
pub fn dir(path: &str) -> String {
    match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((dir, _)) => dir.to_owned(),
        None => ".".to_owned(),
    }
}

/// A clean path without what leads out of its root.
pub fn without_shortcuts(path: &str) -> String {
    let mut path = clean(path);
    while let Some(rest) = path.strip_prefix("../") {
        path = rest.to_owned();
    }
    match path.as_str() {
        "." | ".." => String::new(),
        path => path.trim_start_matches('/').to_owned(),
    }
}

/// Whether a path is the base, or lies below it.
fn lies_below(base: &str, path: &str) -> bool {
    let (base, path) = (clean(base), clean(path));
    let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    match base.as_str() {
        "." => !path.starts_with('/') && path != ".." && !path.starts_with("../"),
        "/" => path.starts_with('/'),
        base => path.strip_prefix(base).is_some_and(below),
    }
}

/// Packs a file or folder under a name.
pub fn pack(source: &Path, name: &str, out: impl Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(out);
    add(&mut builder, source, name)?;
    builder.into_inner()?.flush()
}

fn add(builder: &mut tar::Builder<impl Write>, source: &Path, name: &str) -> io::Result<()> {
    let metadata = fs::symlink_metadata(source)?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&metadata);
    if metadata.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(source)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        if entries.is_empty() {
            return builder.append_data(&mut header, name, io::empty());
        }
        for entry in entries {
            let own = entry.file_name();
            add(
                builder,
                &entry.path(),
                &format!("{name}/{}", own.to_string_lossy()),
            )?;
        }
        return Ok(());
    }
    if metadata.is_symlink() {
        header.set_size(0);
        return builder.append_link(&mut header, name, fs::read_link(source)?);
    }
    let file = File::open(source)?;
    // A file that grows meanwhile must not break the archive.
    builder.append_data(&mut header, name, file.take(metadata.len()))
}

/// How an archive from a container is unpacked.
pub struct Extract {
    /// What all its names begin with.
    pub prefix: String,
    /// Where it goes.
    pub target: String,
    /// A command that copies links as well.
    pub hint: String,
}

impl Extract {
    /// Unpacks files and folders. Links are left out, and so is what would lie outside the target.
    pub fn unpack(&self, input: impl Read) -> Result<()> {
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::local("unexpected EOF"),
            _ => Error::local(error.to_string()),
        };
        let mut hinted = false;
        let mut archive = tar::Archive::new(input);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let rest = name.strip_prefix(&self.prefix);
            let rest = rest.ok_or_else(|| Error::local("tar contents corrupted"))?;
            let path = join(&self.target, rest);
            if !lies_below(&self.target, &path) {
                warn(&format!(
                    "warning: file {path:?} is outside target destination, skipping"
                ));
                continue;
            }
            make_folder(&dir(&path))?;
            let kind = entry.header().entry_type();
            if kind.is_dir() {
                make_folder(&path)?;
            } else if kind.is_symlink() {
                let link = entry.link_name_bytes().unwrap_or_default();
                let mut text = format!(
                    "warning: skipping symlink: {path:?} -> {:?}",
                    String::from_utf8_lossy(&link)
                );
                if !hinted {
                    text.push_str(&format!(" (consider using \"{}\")", self.hint));
                    hinted = true;
                }
                warn(&text);
            } else {
                let opened = File::create(&path);
                let mut file =
                    opened.map_err(|error| Error::local(format!("open {path}: {}", go(&error))))?;
                io::copy(&mut entry, &mut file).map_err(broken)?;
            }
        }
        Ok(())
    }
}

fn make_folder(path: &str) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::local(format!("mkdir {path}: {}", go(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, expected) in [
            ("", "."),
            ("a/../b//c/.", "b/c"),
            ("/../a", "/a"),
            ("../../a", "../../a"),
            ("/", "/"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
        assert_eq!((base("/a/b"), dir("/a/b")), ("b", "/a".to_owned()));
        assert_eq!((base("/a"), dir("/a")), ("a", "/".to_owned()));
        assert_eq!((base("a"), dir("a")), ("a", ".".to_owned()));
        assert_eq!(without_shortcuts("../../etc/x"), "etc/x");
    }

    #[test]
    fn only_what_lies_below_the_target_is_unpacked() {
        for (base, path, expected) in [
            ("/tmp/x", "/tmp/x", true),
            ("/tmp/x", "/tmp/x/y", true),
            ("/tmp/x", "/tmp/xy", false),
            ("/tmp/x", "/tmp", false),
            (".", "a/b", true),
            (".", "../a", false),
            ("../a", "../a/b", true),
            ("/", "/etc", true),
        ] {
            assert_eq!(lies_below(base, path), expected, "{base} {path}");
        }
    }

    #[test]
    fn a_folder_comes_out_as_it_went_in_but_for_its_links() {
        let root = std::env::temp_dir().join(format!("kubectl-archive-{}", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        fs::create_dir_all(from.join("deep/empty")).unwrap();
        fs::write(from.join("one"), "1").unwrap();
        fs::write(from.join("deep/two"), vec![7; 100_000]).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", from.join("link")).unwrap();
        let mut packed = Vec::new();
        pack(&from, "sent", &mut packed).unwrap();
        let extract = Extract {
            prefix: "sent".to_owned(),
            target: to.display().to_string(),
            hint: String::new(),
        };
        extract.unpack(packed.as_slice()).unwrap();
        assert_eq!(fs::read_to_string(to.join("one")).unwrap(), "1");
        assert_eq!(fs::read(to.join("deep/two")).unwrap(), vec![7; 100_000]);
        assert!(to.join("deep/empty").is_dir());
        assert!(!to.join("link").exists());
        let other = Extract {
            prefix: "other".to_owned(),
            ..extract
        };
        let error = other.unpack(packed.as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "error: tar contents corrupted");
        fs::remove_dir_all(&root).unwrap();
    }
}
