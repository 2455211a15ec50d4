//! What the fields of the built-in types are for, in words.
//!
//! The texts are those of the schemas of the crate `k8s-openapi` (`data/descriptions.py --check` compares them). They are
//! compressed in the program, and unpacked only while a document is made.

use std::collections::HashMap;
use std::io::{self, Read};

use flate2::read::GzDecoder;

const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.tsv.gz"));

/// The texts, unpacked.
pub(super) struct Descriptions(String);

impl Descriptions {
    /// Unpacks them.
    pub(super) fn unpack() -> io::Result<Descriptions> {
        let mut text = String::new();
        GzDecoder::new(COMPRESSED).read_to_string(&mut text)?;
        Ok(Descriptions(text))
    }

    /// Finds texts by definition and field.
    pub(super) fn index(&self) -> Index<'_> {
        let mut index = HashMap::new();
        let mut definition = "";
        for line in self.0.lines() {
            let mut cells = line.splitn(3, '\t');
            let mut cell = || cells.next().unwrap_or_default();
            let (name, field, text) = (cell(), cell(), cell());
            if !name.is_empty() {
                definition = name;
            }
            index.insert((definition, field), text);
        }
        Index(index)
    }
}

/// The texts by definition and field; the field of the definition itself is `""`.
pub(super) struct Index<'a>(HashMap<(&'a str, &'a str), &'a str>);

impl Index<'_> {
    /// The text of a field, or of the definition itself.
    pub(super) fn get(&self, definition: &str, field: &str) -> Option<String> {
        let escaped = self.0.get(&(definition, field))?;
        // Stored as the inside of a JSON string.
        serde_json::from_str(&format!("\"{escaped}\"")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_definition_and_field() {
        let texts = Descriptions::unpack().unwrap();
        let index = texts.index();
        let found = |field| index.get("io.k8s.api.apps.v1.DeploymentSpec", field);
        assert!(found("").unwrap().starts_with("DeploymentSpec is the spec"));
        assert!(found("paused").unwrap().contains("deployment is paused"));
        assert_eq!(found("nothing"), None);
    }
}
