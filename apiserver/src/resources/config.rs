//! Rules of ConfigMaps, Secrets and ServiceAccounts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::problems::{Path, Problems};
use super::table::{self, Column, Row};
use super::tree::{self, Tree, child, fill_unset, remove, set};
use super::{Context, Rules, format, meta};

const MAX_BYTES: usize = 1024 * 1024;
const FIXED: &str = "field is immutable when `immutable` is set";

/// Rules of ConfigMaps.
pub struct ConfigMap;

/// Rules of Secrets.
pub struct Secret;

/// Rules of ServiceAccounts.
pub struct ServiceAccount;

fn size_of_bytes(value: &Value) -> usize {
    value.as_str().map_or(0, |text| {
        text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count()
    })
}

fn count(object: &Value, names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| object.map(name).map_or(0, serde_json::Map::len))
        .sum::<usize>()
        .into()
}

/// What an immutable object may not change.
fn validate_fixed(out: &mut Problems, new: &Value, old: &Value, names: &[&str]) {
    if !old.flag("immutable") {
        return;
    }
    if !new.flag("immutable") {
        out.forbidden(&Path::new("immutable"), FIXED);
    }
    for name in names
        .iter()
        .filter(|name| !tree::same(new.at(name), old.at(name)))
    {
        out.forbidden(&Path::new(*name), FIXED);
    }
}

impl Rules for ConfigMap {
    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate_config_map(new).into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        validate_fixed(&mut out, new, old, &["data", "binaryData"]);
        out.extend(validate_config_map(new));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            Column::text("Data", "How many entries it has."),
            Column::AGE,
        ];
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        vec![
            table::name(object),
            count(object, &["data", "binaryData"]),
            table::age(object, now),
        ]
        .into()
    }
}

fn validate_config_map(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, true, meta::NameRule::Subdomain);
    let mut size = 0;
    for (key, value) in object.entries("data") {
        let path = Path::new("data").key(key);
        out.invalid_each(&path, key, format::config_key(key));
        if object.at("binaryData").has(key) {
            out.invalid(&path, key, "duplicate of key present in binaryData");
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in object.entries("binaryData") {
        out.invalid_each(
            &Path::new("binaryData").key(key),
            key,
            format::config_key(key),
        );
        size += size_of_bytes(value);
    }
    if size > MAX_BYTES {
        // Upstream's path without a name.
        out.too_long(&Path::new("[]"), MAX_BYTES);
    }
    out
}

impl Rules for Secret {
    fn default(&self, object: &mut Value) {
        fill_unset(object, "type", "Opaque");
        let Some(Value::Object(texts)) = remove(object, "stringData") else {
            return;
        };
        if texts.is_empty() {
            return;
        }
        if let Some(data) = child(object, "data") {
            for (key, text) in texts {
                set(
                    data,
                    &key,
                    STANDARD.encode(text.as_str().unwrap_or_default()),
                );
            }
        }
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validate_secret(new).into_errors()
    }

    fn prepare_update(&self, new: &mut Value, old: &Value, _context: &Context<'_>) {
        // Secrets of old without a type take the one they were written with.
        if new.text("type").is_empty() {
            tree::copy(new, old, "type");
        }
        meta::next_generation(new, old, false);
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        meta::validate_immutable(&mut out, &Path::new("type"), new.at("type"), old.at("type"));
        validate_fixed(&mut out, new, old, &["data"]);
        out.extend(validate_secret(new));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            Column::NAME,
            Column::text("Type", "What the secret is for."),
            Column::text("Data", "How many entries it has."),
            Column::AGE,
        ];
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let kind = object.text("type").into();
        vec![
            table::name(object),
            kind,
            count(object, &["data"]),
            table::age(object, now),
        ]
        .into()
    }
}

const REDACTED: &str = "<secret contents redacted>";

fn validate_secret(object: &Value) -> Problems {
    let mut out = meta::validate_create(object, true, meta::NameRule::Subdomain);
    let (path, data) = (Path::new("data"), object.at("data"));
    let mut size = 0;
    for (key, value) in object.entries("data") {
        out.invalid_each(&path.key(key), key, format::config_key(key));
        size += size_of_bytes(value);
    }
    if size > MAX_BYTES {
        out.too_long(&path, MAX_BYTES);
    }
    let there = |key: &str| data.get(key).is_some();
    let require = |out: &mut Problems, key: &str| out.required(&path.key(key), "");
    match object.text("type") {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if object.at("metadata").at("annotations").text(key).is_empty() {
                out.required(&Path::new("metadata").child("annotations").key(key), "");
            }
        }
        "kubernetes.io/dockercfg" => validate_docker(&mut out, &path, data, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => {
            validate_docker(&mut out, &path, data, ".dockerconfigjson")
        }
        "kubernetes.io/basic-auth" if !there("username") && !there("password") => {
            require(&mut out, "username");
            require(&mut out, "password");
        }
        "kubernetes.io/ssh-auth" if data.text("ssh-privatekey").is_empty() => {
            require(&mut out, "ssh-privatekey");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"].iter().filter(|key| !there(key)) {
                require(&mut out, key);
            }
        }
        _ => {}
    }
    out
}

fn validate_docker(out: &mut Problems, path: &Path, data: &Value, key: &str) {
    let at = path.key(key);
    let Some(encoded) = data.opt_text(key) else {
        return out.required(&at, "");
    };
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    let problem = match ferrule_apimachinery::schema::json_syntax::check(&bytes) {
        Err(problem) => problem,
        Ok(_) => match serde_json::from_slice::<Value>(&bytes) {
            Ok(Value::Object(_) | Value::Null) => return,
            Ok(other) => {
                let kind = match other {
                    Value::Bool(_) => "bool",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    _ => "array",
                };
                format!(
                    "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
                )
            }
            Err(problem) => problem.to_string(),
        },
    };
    out.invalid(&at, REDACTED, &problem);
}

impl Rules for ServiceAccount {
    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        out.extend(meta::validate_create(new, true, self.name_rule()));
        out.into_errors()
    }

    fn columns(&self) -> &'static [Column] {
        table::NAME_AND_AGE
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        table::name_and_age(object, now)
    }
}
