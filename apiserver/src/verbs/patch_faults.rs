//! What the text of a patch says twice or out of place, which its value no longer shows.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Fields that are there twice, in the words of upstream's decoder.
pub(super) fn of_object(json: &[u8]) -> Vec<String> {
    walk(json, &[])
}

/// The same of a JSON patch, and fields that no operation has.
pub(super) fn of_operations(json: &[u8]) -> Vec<String> {
    let faults = walk(json, &["op", "path", "from", "value"]);
    let named = faults.into_iter();
    named.map(|fault| format!("json patch {fault}")).collect()
}

/// So many faults are told, and so many bytes of them, as upstream tells no more than a hundred.
const MOST: usize = 100;
const MOST_BYTES: usize = 64 << 10;

/// `known`: the fields of the objects of a list that is the whole, where only those may be.
fn walk(json: &[u8], known: &'static [&'static str]) -> Vec<String> {
    let mut walk = Walk {
        path: String::new(),
        depth: 0,
        known,
        faults: Vec::new(),
        bytes: 0,
    };
    // What is no JSON was refused before.
    let _ = walk.deserialize(&mut serde_json::Deserializer::from_slice(json));
    walk.faults
}

/// The way through the text.
struct Walk {
    /// Where it has come to.
    path: String,
    depth: usize,
    known: &'static [&'static str],
    faults: Vec<String>,
    bytes: usize,
}

impl Walk {
    fn note(&mut self, what: &str) {
        if self.faults.len() >= MOST || self.bytes + self.path.len() > MOST_BYTES {
            return;
        }
        let fault = format!("{what} field {:?}", self.path);
        if !self.faults.contains(&fault) {
            self.bytes += fault.len();
            self.faults.push(fault);
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut seen, length) = (HashSet::new(), self.path.len());
        self.depth += 1;
        while let Some(key) = map.next_key::<String>()? {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&key);
            let listed = self.depth == 2 && !self.known.is_empty();
            if listed && !self.known.contains(&key.as_str()) {
                self.note("unknown");
            }
            if !seen.insert(key) {
                self.note("duplicate");
            }
            map.next_value_seed(&mut *self)?;
            self.path.truncate(length);
        }
        self.depth -= 1;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let length = self.path.len();
        self.depth += 1;
        for index in 0.. {
            self.path.push_str(&format!("[{index}]"));
            let item = list.next_element_seed(&mut *self)?;
            self.path.truncate(length);
            if item.is_none() {
                break;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_there_twice_are_told_with_their_path() {
        for (json, expected) in [
            (r#"{"a": 1, "b": {"a": [1.5, null, "x", true]}}"#, &[][..]),
            (r#"{"a": 1, "a": 2}"#, &["duplicate field \"a\""]),
            (
                r#"{"spec": {"l": [{}, {"x": 1, "x": -2, "x": 3}]}, "spec": {}}"#,
                &[
                    "duplicate field \"spec.l[1].x\"",
                    "duplicate field \"spec\"",
                ],
            ),
        ] {
            assert_eq!(of_object(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn what_is_told_is_bounded() {
        let long = "k".repeat(1 << 20);
        let many: Vec<String> = (0..1000).map(|n| format!(r#""{n}":0,"{n}":0"#)).collect();
        let many = many.join(",");
        assert_eq!(of_object(format!("{{{many}}}").as_bytes()).len(), MOST);
        let deep = format!(r#"{{"{long}":{{{many}}}}}"#);
        assert_eq!(of_object(deep.as_bytes()), [""; 0]);
    }

    #[test]
    fn operations_have_four_fields() {
        let json = r#"[{"op": "add", "path": "/a", "value": {"foo": 1}, "foo": "bar"}, {"op": "x", "op": "y"}]"#;
        assert_eq!(
            of_operations(json.as_bytes()),
            [
                "json patch unknown field \"[0].foo\"",
                "json patch duplicate field \"[1].op\""
            ]
        );
    }
}
