//! `kubectl config set` and `unset`: properties by dotted names, `clusters.lab.server`.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::file::LISTS;
use crate::error::{Error, Result};

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Truth,
    Bytes,
    Texts,
}

const CLUSTER: [(&str, Type); 7] = [
    ("server", Type::Text),
    ("tls-server-name", Type::Text),
    ("insecure-skip-tls-verify", Type::Truth),
    ("certificate-authority", Type::Text),
    ("certificate-authority-data", Type::Bytes),
    ("proxy-url", Type::Text),
    ("disable-compression", Type::Truth),
];
const CONTEXT: [(&str, Type); 3] = [
    ("cluster", Type::Text),
    ("user", Type::Text),
    ("namespace", Type::Text),
];
const USER: [(&str, Type); 12] = [
    ("client-certificate", Type::Text),
    ("client-certificate-data", Type::Bytes),
    ("client-key", Type::Text),
    ("client-key-data", Type::Bytes),
    ("token", Type::Text),
    ("tokenFile", Type::Text),
    ("act-as", Type::Text),
    ("act-as-uid", Type::Text),
    ("act-as-groups", Type::Texts),
    ("username", Type::Text),
    ("password", Type::Text),
    ("as", Type::Text),
];

/// Where a property is.
enum Place {
    Current,
    Preference(String),
    /// A list.
    List(&'static str),
    /// An entry of a list.
    Entry(&'static str, String),
    /// A field of an entry.
    Field(&'static str, String, &'static str, Type),
}

fn place(name: &str) -> Result<Place> {
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    let lost = || Error::local(format!("unable to parse {name} after [] at api.Config"));
    if name == "current-context" {
        return Ok(Place::Current);
    }
    if first == "preferences" && !rest.is_empty() {
        return Ok(Place::Preference(rest.to_owned()));
    }
    let known = LISTS.iter().find(|(list, _)| *list == first);
    let (list, key) = known.ok_or_else(lost)?;
    if rest.is_empty() {
        return Ok(Place::List(list));
    }
    let fields: &[(&'static str, Type)] = match *list {
        "clusters" => &CLUSTER,
        "contexts" => &CONTEXT,
        _ => &USER,
    };
    // A name may hold dots, a field does not.
    for (field, kind) in fields {
        if let Some(entry) = rest
            .strip_suffix(field)
            .and_then(|rest| rest.strip_suffix('.'))
        {
            return Ok(Place::Field(list, entry.to_owned(), field, *kind));
        }
    }
    match rest.rsplit_once('.') {
        Some((entry, field)) if !entry.is_empty() => {
            let title = match *key {
                "cluster" => "api.Cluster",
                "context" => "api.Context",
                _ => "api.AuthInfo",
            };
            Err(Error::local(format!(
                "unable to parse {field} after [{list} {entry}] at {title}"
            )))
        }
        _ => Ok(Place::Entry(list, rest.to_owned())),
    }
}

/// Sets a property.
pub fn set(tree: &mut Value, name: &str, text: &str, raw: bool) -> Result<()> {
    match place(name)? {
        Place::Current => tree["current-context"] = json!(text),
        Place::Preference(field) if field == "colors" => {
            let truth = crate::parse::boolean(text).map_err(Error::local)?;
            tree["preferences"]["colors"] = json!(truth);
        }
        Place::Preference(field) => {
            return Err(Error::local(format!(
                "unable to parse {field} after [preferences] at api.Preferences"
            )));
        }
        Place::List(list) | Place::Entry(list, _) => {
            let names: Vec<&str> = tree[list]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|own| own["name"].as_str())
                .collect();
            return Err(Error::local(format!(
                "can't set a map to a value: map[{}]",
                names.join(" ")
            )));
        }
        Place::Field(list, entry, field, kind) => {
            let value = value(text, kind, raw)?;
            *field_of(tree, list, &entry, field) = value;
        }
    }
    Ok(())
}

fn value(text: &str, kind: Type, raw: bool) -> Result<Value> {
    let engine = base64::engine::general_purpose::STANDARD;
    Ok(match kind {
        Type::Text => json!(text),
        Type::Truth => json!(crate::parse::boolean(text).map_err(Error::local)?),
        Type::Bytes if raw => json!(engine.encode(text)),
        Type::Bytes => {
            let decoded = engine.decode(text).map_err(|_| {
                let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
                let at = text.find(odd).unwrap_or(text.len());
                Error::local(format!(
                    "error decoding input value: illegal base64 data at input byte {at}"
                ))
            })?;
            json!(engine.encode(decoded))
        }
        Type::Texts => {
            let texts: Vec<&str> = text.trim_end_matches('-').split(',').collect();
            json!(texts)
        }
    })
}

/// A field of an entry, which is made when it is not there.
fn field_of<'a>(
    tree: &'a mut Value,
    list: &'static str,
    entry: &str,
    field: &str,
) -> &'a mut Value {
    let key = LISTS
        .iter()
        .find(|(own, _)| *own == list)
        .map_or("value", |(_, key)| key);
    if !tree[list].is_array() {
        tree[list] = json!([]);
    }
    let known = tree[list]
        .as_array()
        .and_then(|entries| entries.iter().position(|own| own["name"] == entry));
    let count = tree[list].as_array().map_or(0, Vec::len);
    if known.is_none()
        && let Some(entries) = tree[list].as_array_mut()
    {
        entries.push(json!({"name": entry, key: Value::Object(Map::new())}));
    }
    &mut tree[list][known.unwrap_or(count)][key][field]
}

/// Removes a property; one that is not there is as good as removed.
pub fn unset(tree: &mut Value, name: &str) -> Result<()> {
    match place(name)? {
        Place::Current => tree["current-context"] = json!(""),
        Place::Preference(field) => {
            if let Some(map) = tree["preferences"].as_object_mut() {
                map.remove(&field);
            }
        }
        Place::List(list) => tree[list] = Value::Null,
        Place::Entry(list, entry) => {
            if let Some(entries) = tree[list].as_array_mut() {
                entries.retain(|own| own["name"] != entry.as_str());
            }
        }
        Place::Field(list, entry, field, _) => {
            let entries = tree[list].as_array_mut().into_iter().flatten();
            for own in entries.filter(|own| own["name"] == entry.as_str()) {
                let key = LISTS
                    .iter()
                    .find(|(name, _)| *name == list)
                    .map_or("value", |(_, key)| key);
                if let Some(map) = own[key].as_object_mut() {
                    map.remove(field);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_set_and_unset_by_dotted_names() {
        let mut tree = json!({"clusters": [{"name": "a.b", "cluster": {"server": "https://x"}}]});
        for (name, text) in [
            ("clusters.a.b.server", "https://y"),
            ("clusters.new.certificate-authority-data", "aGk="),
            ("clusters.new.insecure-skip-tls-verify", "true"),
            ("contexts.c.namespace", "n"),
            ("current-context", "c"),
        ] {
            set(&mut tree, name, text, false).unwrap();
        }
        set(&mut tree, "users.u.client-key-data", "hi", true).unwrap();
        unset(&mut tree, "contexts.c.namespace").unwrap();
        unset(&mut tree, "contexts.none").unwrap();
        let expected = json!({
            "clusters": [
                {"name": "a.b", "cluster": {"server": "https://y"}},
                {"name": "new", "cluster": {"certificate-authority-data": "aGk=", "insecure-skip-tls-verify": true}},
            ],
            "contexts": [{"name": "c", "context": {}}],
            "current-context": "c",
            "users": [{"name": "u", "user": {"client-key-data": "aGk="}}],
        });
        assert_eq!(tree, expected);
    }

    #[test]
    fn what_is_no_property_is_refused() {
        let mut tree = json!({"contexts": [{"name": "c", "context": {}}]});
        for (name, text, expected) in [
            ("foo", "x", "unable to parse foo after [] at api.Config"),
            ("contexts.c", "x", "can't set a map to a value: map[c]"),
            (
                "clusters.a.insecure-skip-tls-verify",
                "maybe",
                "strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            (
                "clusters.a.certificate-authority-data",
                "!!",
                "error decoding input value: illegal base64 data at input byte 0",
            ),
        ] {
            assert_eq!(
                set(&mut tree, name, text, false).unwrap_err().message(),
                expected,
                "{name}"
            );
        }
    }
}
