//! YAML as upstream's kubectl reads and writes it.
//!
//! Reading follows YAML 1.1 (`0644` is 420, `yes` is true), knows merge keys,
//! and refuses repeated keys. Writing sorts keys, quotes what would read back
//! as something else, and does not indent lists in maps.

mod read;
mod resolve;
mod write;

#[cfg(test)]
mod tests;

pub use read::{Document, YamlError, read, read_document, split_documents};
pub use write::write;
