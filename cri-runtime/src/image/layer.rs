//! Unpacking a layer's tar into a directory that overlay takes as a lower one.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The blob is not what its name says.
    #[error("digest mismatch: expected {expected}, got {actual}")]
    Digest {
        /// What was asked for.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A compression that this version does not know.
    #[error("layer compression {0} is not supported")]
    Compression(&'static str),
}

/// Hashes and counts what is read through it.
pub struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    /// Bytes read so far.
    pub count: u64,
}

impl<R: Read> Hashing<R> {
    /// Starts with nothing read.
    pub fn new(inner: R) -> Self {
        Hashing {
            inner,
            hasher: Sha256::new(),
            count: 0,
        }
    }

    /// Reads to the end and returns the digest of everything.
    pub fn digest(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(format!("sha256:{}", hex(&self.hasher.finalize())))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Reads a stream that may be compressed.
pub fn decompress<'a>(mut input: impl Read + 'a) -> Result<Box<dyn Read + 'a>, LayerError> {
    let mut magic = [0; 4];
    let mut filled = 0;
    while filled < magic.len() {
        match input.read(&mut magic[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    let whole = io::Cursor::new(magic[..filled].to_vec()).chain(input);
    match magic {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd] => Ok(Box::new(
            ruzstd::decoding::StreamingDecoder::new(whole).map_err(io::Error::other)?,
        )),
        [b'B', b'Z', b'h', _] => Err(LayerError::Compression("bzip2")),
        [0xfd, b'7', b'z', b'X'] => Err(LayerError::Compression("xz")),
        _ => Ok(Box::new(whole)),
    }
}

/// Unpacks a tar, compressed or not, checks its digest, and returns the bytes that it held.
pub fn unpack(input: impl Read, target: &Path, diff_id: &str) -> Result<u64, LayerError> {
    let mut hashing = Hashing::new(decompress(input)?);
    let size = unpack_tar(&mut hashing, target)?;
    let actual = hashing.digest()?;
    if actual != diff_id {
        return Err(LayerError::Digest {
            expected: diff_id.to_owned(),
            actual,
        });
    }
    Ok(size)
}

fn unpack_tar(input: impl Read, target: &Path) -> io::Result<u64> {
    let mut archive = Archive::new(input);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(true);
    archive.set_unpack_xattrs(true);
    archive.set_overwrite(true);
    let mut size = 0_u64;
    let mut modes: Vec<(PathBuf, u32, u64)> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(relative) = inside(&path) else {
            continue;
        };
        size = size.saturating_add(entry.size());
        let name = relative
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.starts_with(WHITEOUT) {
            let parent = relative.parent().unwrap_or(Path::new(""));
            whiteout(target, parent, &name)?;
            continue;
        }
        match entry.header().entry_type() {
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                special(&entry, target, &relative)?;
            }
            EntryType::Directory if relative.as_os_str().is_empty() => {}
            EntryType::Directory => {
                let mode = entry.header().mode().unwrap_or(0o755);
                let mtime = entry.header().mtime().unwrap_or(0);
                entry.unpack_in(target)?;
                modes.push((relative, mode, mtime));
            }
            _ => {
                entry.unpack_in(target)?;
            }
        }
    }
    // Files that came later have touched their directories.
    for (path, mode, mtime) in modes {
        use std::os::unix::fs::PermissionsExt;
        // A link on the way may lead elsewhere by now.
        let Some(path) = still_inside(target, &path) else {
            continue;
        };
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777));
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(mtime));
        if let Some(time) = time {
            let _ = fs::File::open(&path).and_then(|directory| directory.set_modified(time));
        }
    }
    Ok(size)
}

/// The path below the root, or `None` when it leads out of it.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut relative = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => relative.push(part),
            Component::CurDir | Component::RootDir => {}
            _ => return None,
        }
    }
    Some(relative)
}

/// Where a directory of the layer is, if it is one and no link on the way leads out.
fn still_inside(target: &Path, relative: &Path) -> Option<PathBuf> {
    let parent = target.join(relative.parent()?).canonicalize().ok()?;
    let path = parent.join(relative.file_name()?);
    let inside = parent.starts_with(target.canonicalize().ok()?);
    let is_dir = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir());
    (inside && is_dir).then_some(path)
}

/// The parent directory, made if need be; an error when a link on the way leads out, before anything is made there.
fn parent_inside(target: &Path, parent: &Path) -> io::Result<PathBuf> {
    let root = target.canonicalize()?;
    let mut real = root.clone();
    for part in parent {
        let next = real.join(part);
        real = match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&next)?;
                next
            }
            _ => next.canonicalize()?,
        };
        if !real.starts_with(&root) {
            let path = parent.display();
            return Err(io::Error::other(format!("{path} leads out of the layer")));
        }
    }
    Ok(real)
}

/// What a whiteout of an archive is in overlay: a 0/0 character device, or an attribute of the directory.
fn whiteout(target: &Path, parent: &Path, name: &str) -> io::Result<()> {
    let directory = parent_inside(target, parent)?;
    if name == OPAQUE {
        return xattr::set(&directory, "trusted.overlay.opaque", b"y");
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT).filter(|hidden| {
        !hidden.is_empty() && !hidden.starts_with(WHITEOUT) && *hidden != "." && *hidden != ".."
    }) else {
        return Ok(());
    };
    let path = directory.join(hidden);
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(());
    }
    mknod(&path, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).map_err(io::Error::from)
}

fn special<R: Read>(entry: &tar::Entry<'_, R>, target: &Path, relative: &Path) -> io::Result<()> {
    let header = entry.header();
    let directory = parent_inside(target, relative.parent().unwrap_or(Path::new("")))?;
    let path = directory.join(relative.file_name().unwrap_or_default());
    let kind = match header.entry_type() {
        EntryType::Char => SFlag::S_IFCHR,
        EntryType::Block => SFlag::S_IFBLK,
        _ => SFlag::S_IFIFO,
    };
    let device = makedev(
        header.device_major()?.unwrap_or(0).into(),
        header.device_minor()?.unwrap_or(0).into(),
    );
    let _ = fs::remove_file(&path);
    match mknod(
        &path,
        kind,
        Mode::from_bits_truncate(header.mode()? & 0o7777),
        device,
    ) {
        Ok(()) => {}
        // Containers get their devices from the runtime; an image's own may be out of reach.
        Err(nix::errno::Errno::EPERM) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    std::os::unix::fs::lchown(
        &path,
        Some(header.uid()? as u32),
        Some(header.gid()? as u32),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    fn tar_of(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, data) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(if *kind == EntryType::Directory {
                0o750
            } else {
                0o644
            });
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(7);
            header.set_size(data.len() as u64);
            builder
                .append_data(&mut header, path, *data)
                .expect("in memory");
        }
        builder.into_inner().expect("in memory")
    }

    #[test]
    fn a_layer_whose_digest_differs_is_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let tar = tar_of(&[("a", EntryType::Regular, b"x")]);
        let result = unpack(&tar[..], directory.path(), &digest(b"other"));
        assert!(matches!(result, Err(LayerError::Digest { .. })));
    }

    #[test]
    fn whiteouts_become_what_overlay_understands() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().expect("temporary directory");
        let tar = tar_of(&[
            ("dir", EntryType::Directory, b""),
            ("dir/.wh.gone", EntryType::Regular, b""),
            ("opaque/.wh..wh..opq", EntryType::Regular, b""),
            ("dir/file", EntryType::Regular, b"hello"),
        ]);
        let size = unpack(&tar[..], directory.path(), &digest(&tar)).expect("unpacks");
        assert_eq!(size, 5);
        let gone = fs::symlink_metadata(directory.path().join("dir/gone")).expect("whiteout");
        assert!(gone.file_type().is_char_device());
        assert_eq!(gone.rdev(), 0);
        let opaque = xattr::get(directory.path().join("opaque"), "trusted.overlay.opaque");
        // Some file systems hold no trusted attributes; then nothing can be checked.
        if let Ok(value) = opaque {
            assert_eq!(value.as_deref(), Some(&b"y"[..]));
        }
        let dir = fs::metadata(directory.path().join("dir")).expect("directory");
        assert_eq!((dir.mode() & 0o777, dir.mtime()), (0o750, 7));
    }

    #[test]
    fn a_directory_behind_a_link_that_was_turned_round_is_left_alone() {
        use std::os::unix::fs::PermissionsExt;
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let outside = tempfile::tempdir().expect("temporary directory");
        let (layer, neighbour) = (outside.path().join("layer"), outside.path().join("etc"));
        for directory in [&layer, &neighbour] {
            fs::create_dir(directory).expect("a directory");
        }
        fs::set_permissions(&neighbour, fs::Permissions::from_mode(0o700)).expect("permissions");
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, link) in [
            ("in", EntryType::Directory, ""),
            ("link", EntryType::Symlink, "in"),
            ("link/etc", EntryType::Directory, ""),
            ("link", EntryType::Symlink, ".."),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o777);
            header.set_uid(0);
            header.set_gid(0);
            // Later than any clock.
            header.set_mtime(u64::MAX);
            header.set_size(0);
            if !link.is_empty() {
                header.set_link_name(link).expect("a link's name");
            }
            builder
                .append_data(&mut header, path, io::empty())
                .expect("in memory");
        }
        let tar = builder.into_inner().expect("in memory");
        unpack(&tar[..], &layer, &digest(&tar)).expect("unpacks");
        assert!(layer.join("in/etc").is_dir());
        let mode = fs::metadata(&neighbour).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn nothing_is_made_behind_a_link_that_leads_out() {
        let outside = tempfile::tempdir().expect("temporary directory");
        let layer = outside.path().join("layer");
        fs::create_dir(&layer).expect("a directory");
        std::os::unix::fs::symlink("..", layer.join("up")).expect("a link");
        for name in ["up/new/pipe", "up/new/.wh.x", "a/b"] {
            let parent = Path::new(name).parent().expect("it has one");
            let made = parent_inside(&layer, parent);
            assert_eq!(made.is_ok(), name == "a/b", "{name}");
        }
        assert!(layer.join("a").is_dir());
        assert!(!outside.path().join("new").exists());
    }

    #[test]
    fn entries_never_leave_the_layer() {
        assert_eq!(inside(Path::new("./a/../b")), None);
        assert_eq!(inside(Path::new("/etc/passwd")), Some("etc/passwd".into()));
    }
}
