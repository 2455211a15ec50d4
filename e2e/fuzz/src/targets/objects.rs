//! Objects in JSON, YAML and protobuf.

use std::sync::LazyLock;

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::object::{self, Stored};
use ferrule_apimachinery::protobuf::Unknown;
use ferrule_apimachinery::schema::{Schema, TypeId, json_syntax};
use ferrule_apimachinery::scheme::{Resource, Scheme};
use ferrule_apimachinery::status::Status;
use ferrule_apimachinery::yaml;
use ferrule_apiserver::resources::{Context, Rules, rules_for};
use ferrule_kubectl::output::kyaml;
use jiff::Timestamp;
use serde_json::Value;

use crate::input;
use crate::server::{objects, resource_of};

/// An object of most kinds as it is stored, with the name of its type.
static SAMPLES: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    let scheme = Scheme::builtin();
    let schema = Schema::builtin();
    let samples = objects().into_iter().filter_map(|object| {
        let resource = resource_of(&scheme, &object)?;
        let id = schema.type_id(&resource.schema_type)?;
        let mut object = schema.decode_value(object, id).ok()?.value;
        rules_for(resource).default(&mut object);
        Some((resource.schema_type.to_string(), object))
    });
    samples.collect()
});

/// An object of a kind in JSON: decoded, defaulted, validated, shown as a row, and kept.
pub fn json(data: &[u8]) {
    let Some((resource, id, body)) = input::row(data) else {
        return;
    };
    if serde_json::from_slice::<Value>(body).is_ok() {
        assert_eq!(json_syntax::check(body), Ok(()));
    }
    if let Ok(decoded) = Schema::builtin().decode_json(body, id) {
        judge(resource, id, decoded.value);
    }
}

/// What must hold of every object that was decoded.
pub fn judge(resource: &Resource, id: TypeId, object: Value) {
    let schema = Schema::builtin();
    let again = schema.decode_value(object.clone(), id);
    let again = again.expect("what was decoded is decoded again").value;
    assert_eq!(again, object);
    keep(resource, &object);
    if resource.is_stored_form() {
        rule(resource, object);
    }
}

/// What is kept can be loaded.
fn keep(resource: &Resource, object: &Value) {
    let bytes = object::canonicalize(object.clone(), resource);
    let stored = Stored::parse(resource, bytes, 7, 7).expect("what is stored can be loaded");
    stored.to_value().expect("what is stored is JSON");
    stored
        .to_unmanaged()
        .expect("what is stored can be changed");
}

/// Passes an object through the rules of its kind.
fn rule(resource: &Resource, mut object: Value) {
    let rules = rules_for(resource);
    let api_version = resource.api_version();
    let context = Context {
        now: Timestamp::UNIX_EPOCH,
        user: "admin",
        uid: "",
        groups: &[],
        api_version: &api_version,
        respaced: false,
    };
    object["apiVersion"] = api_version.as_str().into();
    object["kind"] = resource.kind.as_ref().into();
    rules.default(&mut object);
    let once = object.clone();
    rules.default(&mut object);
    assert_eq!(once, object, "defaults are filled in once");
    let row = rules.row(&object, context.now);
    assert_eq!(row.cells.len(), rules.columns().len());

    let sample = SAMPLES
        .iter()
        .find(|(name, _)| *name == resource.schema_type);
    let old = sample.map_or(&once, |(_, sample)| sample);
    for old in [&once, old] {
        change(resource, rules, &once, old, &context);
    }
    let mut new = once;
    rules.prepare_create(&mut new, &context);
    shown(resource, &rules.validate_create(&new, &context));
    rules.warnings(&new, None);
}

fn change(
    resource: &Resource,
    rules: &dyn Rules,
    object: &Value,
    old: &Value,
    context: &Context<'_>,
) {
    let mut new = object.clone();
    rules.prepare_update(&mut new, old, context);
    shown(resource, &rules.validate_update(&new, old, context));
    rules.warnings(&new, Some(old));
    let mut new = object.clone();
    rules.prepare_status(&mut new, old, context);
    shown(resource, &rules.validate_status(&new, old, context));
    for part in &resource.subresources {
        if let Some(part) = rules.part(&part.name) {
            let mut new = object.clone();
            part.prepare(&mut new, old, context);
            shown(resource, &part.validate(&new, old, context));
        }
    }
}

/// Problems as a client sees them.
fn shown(resource: &Resource, problems: &[FieldError]) {
    let status = Status::invalid(&resource.group, &resource.kind, "x", problems);
    assert!(Status::from_json(&status.to_json()).is_some());
}

/// Text in YAML: what is read is written so that it is read again.
pub fn yaml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parts = yaml::split_documents(&text);
    assert_eq!(parts.concat(), *text);
    let _ = yaml::read(&text);
    if let Ok(document) = yaml::read_document(&text) {
        for written in [yaml::write(&document.value), kyaml::write(&document.value)] {
            let again = yaml::read_document(&written).expect("what was written is YAML");
            assert_eq!(again.value, document.value, "{written}");
        }
    }
}

/// Types that arrive in protobuf and are no kinds of resources.
const OTHERS: [&str; 3] = [
    "meta/v1.DeleteOptions",
    "meta/v1.Status",
    "autoscaling/v1.Scale",
];

/// A message: what is read is written so that it is read again.
pub fn protobuf(data: &[u8]) {
    if let Ok(unknown) = Unknown::read(data) {
        let written = unknown.write();
        assert_eq!(Unknown::read(&written), Ok(unknown));
    }
    let schema = Schema::builtin();
    let Some((mut resource, mut id, mut message)) = input::row(data) else {
        return;
    };
    let mut kind = true;
    if let Some(other) = data[0].checked_sub(250)
        && let Some(name) = OTHERS.get(usize::from(other))
        && let Some(other) = schema.type_id(name)
    {
        (id, kind) = (other, false);
    } else if let Ok(unknown) = Unknown::read(message) {
        // A whole body says itself what it is.
        message = unknown.raw;
        let named = input::ROWS
            .iter()
            .find(|row| row.api_version() == unknown.api_version && row.kind == unknown.kind);
        if let Some(named) = named
            && let Some(named_id) = schema.type_id(&named.schema_type)
        {
            (resource, id) = (named, named_id);
        }
    }
    let Ok(value) = schema.read_message(id, message) else {
        return;
    };
    let Ok(decoded) = schema.decode_value(value, id) else {
        return;
    };
    let json = decoded.value.to_string();
    let written = schema.write_message(id, json.as_bytes());
    let written = written.expect("what was read is written");
    let again = schema.read_message(id, &written);
    let again = again.expect("what was written is read");
    let again = schema.decode_value(again, id).expect("and decoded").value;
    assert_eq!(again, decoded.value);
    if kind {
        keep(resource, &decoded.value);
    }
}
