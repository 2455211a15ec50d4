//! Server-side apply: who owns which field.

use ferrule_apimachinery::apply::{Live, Managers, OneVersion, Ownership, Set, Writer};
use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::yaml;
use serde_json::Value;

use super::objects;
use crate::input;

/// FieldsV1; or a first byte that chooses a kind, then an object, managedFields and a configuration.
pub fn apply(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        set(text);
    }
    let Some((resource, id, rest)) = input::row(data) else {
        return;
    };
    let schema = Schema::builtin();
    let [object, managed, config] = input::documents(rest);
    let config = match config {
        Value::String(text) => match yaml::read_document(&text) {
            Ok(document) => document.value,
            Err(_) => return,
        },
        other => other,
    };
    let absent = object.is_null();
    let object = match absent {
        true => Ok(schema.empty_object(id)),
        false => schema.decode_value(object, id).map(|decoded| decoded.value),
    };
    let (Ok(object), true) = (object, config.is_object()) else {
        return;
    };
    let managed = managed.to_string();
    let managed = match managed.as_str() {
        "null" => Ok(Managers::default()),
        text => Managers::parse(text.as_bytes()),
    };
    let Ok(managed) = managed else {
        return;
    };
    let api_version = resource.api_version();
    let rules = Ownership {
        schema,
        id,
        api_version: &api_version,
        kind: &resource.kind,
        subresource: "",
        reset: &[&["status"]],
        versions: &OneVersion,
    };
    let writer = |force| Writer {
        manager: "one",
        force,
        now: "2026-01-01T00:00:00Z",
    };
    let live = Live {
        object: &object,
        absent,
    };
    if let Some(update) = rules.update(live, &config, managed.clone(), writer(false)) {
        let written = update.to_json().unwrap_or(b"[]".to_vec());
        Managers::parse(&written).expect("what was written is read");
    }
    let Ok(applied) = rules.apply(live, &config, managed, writer(true)) else {
        return;
    };
    let Ok(decoded) = schema.decode_value(applied.object, id) else {
        return;
    };
    objects::judge(resource, id, decoded.value.clone());
    let owners = applied.managed.unwrap_or(b"[]".to_vec());
    let owners = Managers::parse(&owners).expect("what was written is read");
    let live = Live {
        object: &decoded.value,
        absent: false,
    };
    // Who applies the same again is in nobody's way.
    let again = rules.apply(live, &config, owners, writer(false));
    again.expect("the same is applied again");
}

fn set(text: &str) {
    let Ok(set) = Set::parse(text) else {
        return;
    };
    let written = set.to_json();
    let again = Set::parse(&written).expect("what was written is read");
    assert_eq!(again, set, "{written}");
    assert_eq!(set.clone().union(again.clone()), set);
    assert_eq!(set.intersection(&again), set);
    assert!(set.clone().difference(&again).is_empty());
    let mut most = 0;
    set.each(&mut |path| most = most.max(path.len()));
}
