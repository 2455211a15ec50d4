//! Images: their names, documents, archives and layers.

use std::fs;
use std::io::Cursor;

use ferrule_cri_runtime::image::config::{ConfigFile, Manifest};
use ferrule_cri_runtime::image::reference::{Reference, is_digest};
use ferrule_cri_runtime::image::store::Store;
use ferrule_cri_runtime::image::{archive, layer};
use ferrule_kubectl::commands::archive::Extract;

use super::files::Scratch;

/// The name of an image, or a document of one.
pub fn image_names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    is_digest(text);
    if let Ok(reference) = text.parse::<Reference>() {
        let written = reference.to_string();
        assert_eq!(written.parse(), Ok(reference.clone()), "{written}");
        assert!(!reference.manifest().is_empty());
        let _ = (reference.name(), reference.tagged());
    }
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(data) {
        manifest.for_this_machine();
    }
    if let Ok(config) = serde_json::from_slice::<ConfigFile>(data) {
        let written = serde_json::to_vec(&config).expect("JSON");
        let again: ConfigFile = serde_json::from_slice(&written).expect("what was written is read");
        assert_eq!(again, config);
    }
}

/// What a first byte makes of an input.
const WHOLE: u8 = b'w';

/// A first byte: `w` for an archive as it is, anything else for entries that an archive is made of.
///
/// An entry is a line `TYPE MODE TIME LENGTH PATH LINK` and as many bytes as it says. `LENGTH` may be larger than what
/// there is. The archive is unpacked as a layer and as what `kubectl cp` gets, and imported as an image.
pub fn image_archive(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let bytes = match *first {
        WHOLE => rest.to_vec(),
        _ => archive_of(rest),
    };
    let scratch = Scratch::new();
    let target = scratch.path().join("outer/layer");
    fs::create_dir_all(&target).expect("a folder");
    let marked = scratch.file("outer/marked", b"");
    let before = fs::symlink_metadata(&marked).expect("a file");
    let plain =
        layer::decompress(Cursor::new(&bytes)).map(|reader| layer::Hashing::new(reader).digest());
    let digest = match plain {
        Ok(Ok(digest)) => digest,
        _ => layer::digest(&bytes),
    };
    let _ = layer::unpack(Cursor::new(&bytes), &target, &digest);
    let copy = Extract {
        prefix: String::new(),
        target: scratch.path().join("outer/copy").display().to_string(),
        hint: String::new(),
    };
    let _ = copy.unpack(Cursor::new(&bytes));
    let mut names: Vec<_> = fs::read_dir(scratch.path().join("outer"))
        .expect("the folder")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.retain(|name| name != "copy");
    names.sort();
    assert_eq!(names, ["layer", "marked"], "files stay in their folder");
    let after = fs::symlink_metadata(&marked).expect("the file is there");
    assert_eq!(after.permissions(), before.permissions());
    assert_eq!(after.len(), 0);

    let path = scratch.file("image.tar", &bytes);
    if let Ok(store) = Store::open(scratch.path().join("store")) {
        let _ = archive::import(&store, &path, None);
    }
}

/// The largest file of an archive that is made here.
const LARGEST: usize = 64 << 10;

/// An archive of entries.
pub fn archive_of(mut rest: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (kind, mode, time, length) = (word(), word(), word(), word());
        let (path, link) = (word(), word());
        let length: usize = length.parse().unwrap_or(0);
        let (content, after) = rest.split_at(length.min(rest.len()).min(LARGEST));
        rest = after;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind.bytes().next().unwrap_or(b'0')));
        header.set_mode(u32::from_str_radix(mode, 8).unwrap_or(0o644));
        header.set_mtime(time.parse().unwrap_or(0));
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        if let Some(header) = header.as_gnu_mut() {
            // Names that the library would refuse to write.
            put(&mut header.name, path.as_bytes());
            put(&mut header.linkname, link.as_bytes());
        }
        header.set_cksum();
        if builder.append(&header, content).is_err() {
            break;
        }
    }
    builder.into_inner().unwrap_or_default()
}

fn put(field: &mut [u8; 100], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}
