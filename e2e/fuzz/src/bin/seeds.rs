//! Writes what each target begins with: `FOLDER/TARGET/seed-N` and `FOLDER/dictionary`.
//!
//! Linked as the targets are; its folder is `FERRULE_FUZZ_SEEDS`, the recorded conversations are in
//! `FERRULE_FUZZ_ORACLE` if that is set.

#![no_main]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use ferrule_fuzz::seeds::Seeds;
use ferrule_fuzz::server::Server;

libfuzzer_sys::fuzz_target!(init: run(), |_data: &[u8]| {});

fn run() {
    let folder = std::env::var_os("FERRULE_FUZZ_SEEDS").unwrap_or_default();
    let oracle = std::env::var_os("FERRULE_FUZZ_ORACLE").filter(|path| !path.is_empty());
    if folder.is_empty() {
        eprintln!("FERRULE_FUZZ_SEEDS names no folder");
        std::process::exit(64);
    }
    let refused = Server::start().refused;
    for (object, why) in &refused {
        eprintln!("objects.yaml: the API server refuses {object}: {why}");
    }
    let written = write(Path::new(&folder), oracle.as_deref());
    if let Err(error) = &written {
        eprintln!("{}: {error}", Path::new(&folder).display());
    }
    let failed = !refused.is_empty() || written.is_err();
    std::process::exit(i32::from(failed));
}

fn write(folder: &Path, oracle: Option<&OsStr>) -> io::Result<()> {
    for (target, inputs) in Seeds::all(oracle.map(Path::new)).iter() {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), input)?;
        }
    }
    fs::write(folder.join("dictionary"), Seeds::dictionary())
}
