//! Keys and values of ConfigMaps and Secrets, from flags and files.

use std::path::Path;

use base64::Engine;
use serde_json::{Map, Value, json};

use crate::args::{DataArgs, DockerRegistryArgs, TlsArgs};
use crate::error::{Error, Result};
use crate::hash;
use crate::output::go;

/// Puts the hash of an object's content behind its name, when the flags ask for it.
fn hashed(mut object: Value, wanted: bool) -> Value {
    if wanted {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        object["metadata"]["name"] = Value::from(format!("{name}-{}", hash::of(&object)));
    }
    object
}

/// The ConfigMap of the flags.
pub fn config_map(name: &str, args: &DataArgs) -> Result<Value> {
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in contents(args, "a ConfigMap")? {
        if data.contains_key(&key) || binary.contains_key(&key) {
            return Err(Error::local(format!(
                "cannot add key {key:?}, another key by that name already exists in Data for ConfigMap {name:?}"
            )));
        }
        match String::from_utf8(bytes) {
            Ok(text) => drop(data.insert(key, Value::from(text))),
            Err(error) => drop(binary.insert(key, Value::from(base64(error.as_bytes())))),
        }
    }
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    if !binary.is_empty() {
        object["binaryData"] = Value::Object(binary);
    }
    Ok(hashed(object, args.append_hash))
}

/// The Secret of the flags.
pub fn secret(name: &str, args: &DataArgs, kind: Option<&str>) -> Result<Value> {
    let mut data = Map::new();
    for (key, bytes) in contents(args, "a Secret")? {
        if data
            .insert(key.clone(), Value::from(base64(&bytes)))
            .is_some()
        {
            return Err(Error::local(format!(
                "cannot add key {key}, another key by that name already exists"
            )));
        }
    }
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    if !data.is_empty() {
        object["data"] = Value::Object(data);
    }
    if let Some(kind) = kind {
        object["type"] = Value::from(kind);
    }
    Ok(hashed(object, args.append_hash))
}

/// A file with logins stands under the key that runtimes look for, unless another is given.
fn keyed(source: &String) -> String {
    match source.contains('=') {
        true => source.clone(),
        false => format!(".dockerconfigjson={source}"),
    }
}

/// The Secret of `create secret docker-registry`.
pub fn docker_registry(name: &str, args: &DockerRegistryArgs) -> Result<Value> {
    const TYPE: &str = "kubernetes.io/dockerconfigjson";
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    let (user, password) = (given(&args.docker_username), given(&args.docker_password));
    if !args.from_file.is_empty() {
        let data = DataArgs {
            from_file: args.from_file.iter().map(keyed).collect(),
            append_hash: args.append_hash,
            ..DataArgs::default()
        };
        return secret(name, &data, Some(TYPE));
    }
    if user.is_empty() || password.is_empty() || args.docker_server.is_empty() {
        return Err(Error::local(
            "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
        ));
    }
    let text = |text: &str| crate::output::objects::compact(&Value::from(text));
    let mail = match given(&args.docker_email) {
        none if none.is_empty() => none,
        mail => format!(",\"email\":{}", text(&mail)),
    };
    let coded = base64(format!("{user}:{password}").as_bytes());
    let login = format!(
        "{{\"auths\":{{{}:{{\"username\":{},\"password\":{}{mail},\"auth\":{}}}}}}}",
        text(&args.docker_server),
        text(&user),
        text(&password),
        text(&coded)
    );
    let object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {".dockerconfigjson": base64(login.as_bytes())},
        "type": TYPE,
    });
    Ok(hashed(object, args.append_hash))
}

/// The Secret of `create secret tls`: a certificate and its key.
pub fn tls(name: &str, args: &TlsArgs) -> Result<Value> {
    let (Some(cert), Some(key)) = (&args.cert, &args.key) else {
        return Err(Error::local("key and cert must be specified"));
    };
    let read = |path: &String| {
        std::fs::read(path).map_err(|error| {
            Error::local(format!(
                "Cannot read file {path}, open {path}: {}",
                go(&error)
            ))
        })
    };
    let (cert, key) = (read(cert)?, read(key)?);
    pair(&cert, &key).map_err(|why| Error::local(format!("tls: {why}")))?;
    let object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {"tls.crt": base64(&cert), "tls.key": base64(&key)},
        "type": "kubernetes.io/tls",
    });
    Ok(hashed(object, args.append_hash))
}

/// Whether a certificate and a key are one's.
fn pair(cert: &[u8], key: &[u8]) -> std::result::Result<(), String> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(cert)
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| "failed to find any PEM data in certificate input")?;
    if chain.is_empty() {
        return Err("failed to find any PEM data in certificate input".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "failed to find any PEM data in key input")?;
    let provider = rustls::crypto::ring::default_provider();
    match rustls::sign::CertifiedKey::from_der(chain, key, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err("private key does not match public key".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// The text of some bytes.
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Keys and values in the order of the flags.
fn contents(args: &DataArgs, kind: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let others = !args.from_file.is_empty() || !args.from_literal.is_empty();
    if others && !args.from_env_file.is_empty() {
        return Err(Error::local(
            "from-env-file cannot be combined with from-file or from-literal",
        ));
    }
    let mut contents = Vec::new();
    for file in &args.from_file {
        add_file(file, kind, &mut contents)?;
    }
    for literal in &args.from_literal {
        let (key, value) = literal
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| {
                Error::local(format!(
                    "invalid literal source {literal}, expected key=value"
                ))
            })?;
        contents.push((checked(key, kind)?, value.as_bytes().to_vec()));
    }
    for file in &args.from_env_file {
        add_env_file(Path::new(file), kind, &mut contents)?;
    }
    Ok(contents)
}

fn checked(key: &str, kind: &str) -> Result<String> {
    let valid = !key.is_empty()
        && key.len() <= 253
        && key != "."
        && key != ".."
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if valid {
        return Ok(key.to_owned());
    }
    Err(Error::local(format!(
        "{key:?} is not a valid key name for {kind}: a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
         (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    )))
}

/// The name of an environment variable.
fn variable(key: &str) -> Result<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let begins = |c: char| fits(c) && !c.is_ascii_digit();
    if key.starts_with(begins) && key.chars().all(fits) {
        return Ok(key);
    }
    Err(Error::local(format!(
        "{key:?} is not a valid key name: a valid environment variable name must consist of alphabetic characters, digits, \
         '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex \
         used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')"
    )))
}

fn add_file(source: &str, kind: &str, contents: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let (key, path) = match source.split_once('=') {
        Some(("", _)) => {
            return Err(Error::local(format!(
                "key name for file path {} missing",
                source.trim_start_matches('=')
            )));
        }
        Some((key, "")) => {
            return Err(Error::local(format!(
                "file path for key name {key} missing"
            )));
        }
        Some((_, path)) if path.contains('=') => {
            return Err(Error::local("key names or file paths cannot contain '='"));
        }
        Some((key, path)) => (Some(key), Path::new(path)),
        None => (None, Path::new(source)),
    };
    let refuse = |error: std::io::Error| {
        Error::local(format!("error reading {}: {}", path.display(), go(&error)))
    };
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    if !path.is_dir() {
        let bytes = std::fs::read(path).map_err(refuse)?;
        let key = key.map_or_else(|| name(path), str::to_owned);
        contents.push((checked(&key, kind)?, bytes));
        return Ok(());
    }
    if key.is_some() {
        return Err(Error::local("cannot give a key name for a directory path"));
    }
    let mut entries: Vec<_> = std::fs::read_dir(path)
        .map_err(refuse)?
        .filter_map(|e| e.ok())
        .map(|e| e.path())
        .collect();
    entries.sort();
    for entry in entries.iter().filter(|entry| entry.is_file()) {
        let bytes = std::fs::read(entry).map_err(refuse)?;
        contents.push((checked(&name(entry), kind)?, bytes));
    }
    Ok(())
}

fn add_env_file(path: &Path, kind: &str, contents: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::local(format!("error reading {}: {}", path.display(), go(&error)))
    })?;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, value.to_owned()),
            // A name alone takes its value from the environment.
            None => (line, std::env::var(line).unwrap_or_default()),
        };
        contents.push((checked(variable(key)?, kind)?, value.into_bytes()));
    }
    Ok(())
}
