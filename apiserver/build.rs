//! Compresses the descriptions of the built-in types, which the program carries.

use std::io::Write;
use std::path::PathBuf;

use flate2::{Compression, write::GzEncoder};

fn main() -> std::io::Result<()> {
    let source = "data/descriptions.tsv";
    println!("cargo::rerun-if-changed={source}");
    let out = std::env::var_os("OUT_DIR").ok_or(std::io::ErrorKind::NotFound)?;
    let file = std::fs::File::create(PathBuf::from(out).join("descriptions.tsv.gz"))?;
    let mut encoder = GzEncoder::new(file, Compression::best());
    encoder.write_all(&std::fs::read(source)?)?;
    encoder.finish()?;
    Ok(())
}
