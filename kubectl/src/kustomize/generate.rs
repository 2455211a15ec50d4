//! ConfigMaps and Secrets that are made from files and texts.

use std::path::Path;

use base64::Engine;
use serde_json::{Map, Value, json};

use super::file::{Generator, GeneratorOptions, Kustomization, Texts};
use super::resource::Resource;

/// Adds what the generators of a file make.
pub fn run(root: &Path, file: &Kustomization, resources: &mut Vec<Resource>) -> Result<(), String> {
    for (kind, generators) in [
        ("ConfigMap", &file.config_map_generator),
        ("Secret", &file.secret_generator),
    ] {
        for generator in generators {
            let object = object(root, kind, generator, &file.generator_options)?;
            let plain = file.generator_options.disable_name_suffix_hash
                || generator.options.disable_name_suffix_hash;
            place(object, !plain, generator, resources)?;
        }
    }
    Ok(())
}

fn place(
    object: Value,
    hashed: bool,
    generator: &Generator,
    resources: &mut Vec<Resource>,
) -> Result<(), String> {
    let resource = Resource {
        hashed,
        ..Resource::new(object)?
    };
    let same = |own: &&mut Resource| {
        own.kind() == resource.kind()
            && own.places().iter().any(|place| {
                place.name == generator.name
                    && (generator.namespace.is_empty() || place.namespace == generator.namespace)
            })
    };
    let known = resources.iter_mut().find(same);
    match (generator.behavior.as_str(), known) {
        ("" | "create" | "unspecified", None) => resources.push(resource),
        ("" | "create" | "unspecified", Some(own)) => {
            let id = own.id();
            return Err(format!(
                "merging from generator: id {id} exists; behavior must be merge or replace"
            ));
        }
        ("merge", Some(own)) => merge(own, resource),
        ("replace", Some(own)) => {
            let metadata = own.object["metadata"].clone();
            own.object = resource.object;
            for field in ["name", "namespace"] {
                if let Some(value) = metadata.get(field) {
                    own.object["metadata"][field] = value.clone();
                }
            }
            own.hashed |= resource.hashed;
        }
        ("merge" | "replace", None) => {
            let id = resource.id();
            return Err(format!(
                "merging from generator: id {id} does not exist; cannot merge or replace"
            ));
        }
        (other, _) => return Err(format!("unknown behavior {other:?} of a generator")),
    }
    Ok(())
}

/// Puts what a generator made over an object.
fn merge(own: &mut Resource, new: Resource) {
    for field in ["data", "binaryData"] {
        if let Some(Value::Object(more)) = new.object.get(field) {
            for (key, value) in more {
                own.object[field][key] = value.clone();
            }
        }
    }
    for field in ["labels", "annotations"] {
        if let Some(Value::Object(more)) = new.object["metadata"].get(field) {
            for (key, value) in more {
                own.object["metadata"][field][key] = value.clone();
            }
        }
    }
    if let Some(immutable) = new.object.get("immutable") {
        own.object["immutable"] = immutable.clone();
    }
    own.hashed |= new.hashed;
}

fn object(
    root: &Path,
    kind: &str,
    generator: &Generator,
    options: &GeneratorOptions,
) -> Result<Value, String> {
    if generator.name.is_empty() {
        return Err("missing metadata.name in a generator".to_owned());
    }
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in
        contents(root, generator).map_err(|why| format!("loading KV pairs: {why}"))?
    {
        if data.contains_key(&key) || binary.contains_key(&key) {
            return Err(format!(
                "cannot add key {key:?}: another key by that name already exists"
            ));
        }
        let coded = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        match (kind, String::from_utf8(bytes)) {
            ("ConfigMap", Ok(text)) => data.insert(key, json!(text)),
            ("ConfigMap", Err(error)) => binary.insert(key, json!(coded(error.as_bytes()))),
            (_, Ok(text)) => data.insert(key, json!(coded(text.as_bytes()))),
            (_, Err(error)) => data.insert(key, json!(coded(error.as_bytes()))),
        };
    }
    let mut object =
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": generator.name}});
    for (field, map) in [("data", data), ("binaryData", binary)] {
        if !map.is_empty() || (kind == "Secret" && field == "data") {
            object[field] = Value::Object(map);
        }
    }
    if kind == "Secret" {
        object["type"] = match generator.kind.as_str() {
            "" => json!("Opaque"),
            kind => json!(kind),
        };
    }
    let metadata = &mut object["metadata"];
    if !generator.namespace.is_empty() {
        metadata["namespace"] = json!(generator.namespace);
    }
    let both = |common: &Texts, own: &Texts| -> Texts {
        common
            .iter()
            .chain(own)
            .map(|(key, text)| (key.clone(), text.clone()))
            .collect()
    };
    let labels = both(&options.labels, &generator.options.labels);
    let annotations = both(&options.annotations, &generator.options.annotations);
    for (field, texts) in [("labels", labels), ("annotations", annotations)] {
        if !texts.is_empty() {
            metadata[field] = json!(texts);
        }
    }
    if options.immutable || generator.options.immutable {
        object["immutable"] = json!(true);
    }
    Ok(object)
}

type Contents = Vec<(String, Vec<u8>)>;

fn contents(root: &Path, generator: &Generator) -> Result<Contents, String> {
    let mut found = Contents::new();
    let envs = generator
        .envs
        .iter()
        .chain(Some(&generator.env).filter(|name| !name.is_empty()));
    for name in envs {
        let text =
            super::read(root, name).map_err(|why| format!("env source files: {name}: {why}"))?;
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = match line.split_once('=') {
                Some((key, value)) => (key, value.to_owned()),
                None => (line, std::env::var(line).unwrap_or_default()),
            };
            found.push((key.to_owned(), value.into_bytes()));
        }
    }
    for literal in &generator.literals {
        let (key, value) = literal.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            format!("literal sources: [{literal}]: invalid literal source {literal}, expected key=value")
        })?;
        found.push((key.to_owned(), unquoted(value).as_bytes().to_vec()));
    }
    for name in &generator.files {
        let (key, path) = match name.split_once('=') {
            Some((key, path)) if !key.is_empty() && !path.is_empty() => (key.to_owned(), path),
            Some(_) => {
                return Err(format!(
                    "file sources: {name}: a key and a path are expected"
                ));
            }
            None => {
                let last = Path::new(name).file_name();
                let last = last.map(|last| last.to_string_lossy().into_owned());
                (last.unwrap_or_default(), name.as_str())
            }
        };
        let failed = |why: String| format!("file sources: {:?}: {why}", generator.files);
        found.push((key, bytes(root, path).map_err(failed)?));
    }
    Ok(found)
}

fn bytes(root: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = super::resolve(&root.join(name))?;
    if !path.starts_with(root) {
        return Err(format!(
            "security; file '{}' is not in or below '{}'",
            path.display(),
            root.display()
        ));
    }
    std::fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))
}

/// One pair of quotes around a text goes.
fn unquoted(value: &str) -> &str {
    let inner = |quote| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}
