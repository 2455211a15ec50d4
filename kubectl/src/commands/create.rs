//! `kubectl create`: from files, and from flags.

use std::path::Path;

use base64::Engine;
use serde_json::{Map, Value, json};

use super::{budget, select, service, write};
use crate::args::{
    CreateArgs, CreateDeploymentArgs, DataArgs, Generator, SecretGenerator, WriteArgs,
};
use crate::error::{Error, Result};
use crate::files;
use crate::output::go;
use crate::session::Session;

const MANAGER: &str = "kubectl-create";

/// Runs the command.
pub async fn run(session: &Session, args: CreateArgs) -> Result<()> {
    match args.generator {
        None if args.files.filename.is_empty() => {
            Err(Error::local("must specify one of -f and -k"))
        }
        None => from_files(session, &args).await,
        Some(generator) => {
            let (object, write, failed) = generate(generator)?;
            let resources = session.resources().await?;
            let resource = select::resource_of(session, resources, &object, "flags")?;
            write::create_typed(session, &resource, object, &write, MANAGER, "created")
                .await
                .map_err(|error| match failed {
                    Some(failed) => error.failed(failed),
                    None => error,
                })
        }
    }
}

async fn from_files(session: &Session, args: &CreateArgs) -> Result<()> {
    let resources = session.resources().await?;
    let mut errors = Vec::new();
    for file in files::read(&args.files, "create")? {
        let created = async {
            let resource = select::resource_of(session, resources, &file.object, &file.source)?;
            let object = file.object.clone();
            write::create(session, &resource, object, &args.write, MANAGER, "created")
                .await
                .map_err(|error| error.when("creating", &file.source))
        };
        if let Err(error) = created.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// An object, how to write it, and how a failure to do so begins.
type Generated = (Value, WriteArgs, Option<&'static str>);

fn generate(generator: Generator) -> Result<Generated> {
    Ok(match generator {
        Generator::Deployment(args) => {
            let object = deployment(&args)?;
            (object, args.write, Some("failed to create deployment: "))
        }
        Generator::Namespace { words, write } => {
            let name = one_name(&words, "create namespace")?;
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}, "status": {}});
            (object, write, None)
        }
        Generator::Configmap { words, data, write } => {
            let object = config_map(one_name(&words, "create configmap")?, &data)?;
            (object, write, Some("failed to create configmap: "))
        }
        Generator::Secret(SecretGenerator::Generic {
            words,
            data,
            r#type,
            write,
        }) => {
            let name = one_name(&words, "create secret generic")?;
            let object = secret(name, &data, r#type.as_deref())?;
            (object, write, Some("failed to create secret "))
        }
        Generator::Poddisruptionbudget(args) => {
            let object =
                budget::object(one_name(&args.words, "create poddisruptionbudget")?, &args)?;
            (
                object,
                args.write,
                Some("failed to create poddisruptionbudgets: "),
            )
        }
        Generator::Priorityclass(args) => {
            let name = one_name(&args.words, "create priorityclass")?;
            let mut object = json!({
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": args.value,
                "preemptionPolicy": args.preemption_policy,
            });
            if args.global_default {
                object["globalDefault"] = json!(true);
            }
            if let Some(description) = args.description.filter(|text| !text.is_empty()) {
                object["description"] = json!(description);
            }
            (object, args.write, Some("failed to create priorityclass: "))
        }
        Generator::Serviceaccount { words, write } => {
            let name = one_name(&words, "create serviceaccount")?;
            let object =
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
            (object, write, Some("failed to create serviceaccount: "))
        }
        Generator::Service(generator) => {
            let (object, write) = service::generate(generator)?;
            (object, write, Some("failed to create service: "))
        }
    })
}

/// The one name that a generator takes.
pub fn one_name<'a>(words: &'a [String], command: &str) -> Result<&'a str> {
    match words {
        [name] => Ok(name),
        words => Err(Error::usage(
            command,
            format_args!("exactly one NAME is required, got {}", words.len()),
        )),
    }
}

/// The Deployment of `create deployment`.
pub fn deployment(args: &CreateDeploymentArgs) -> Result<Value> {
    if args.image.is_empty() {
        return Err(Error::local("required flag(s) \"image\" not set"));
    }
    let name = one_name(&args.words, "create deployment")?;
    if args.image.len() > 1 && !args.command.is_empty() {
        return Err(Error::local(
            "cannot specify multiple --image options and command",
        ));
    }
    let mut containers = Vec::new();
    for image in args.image.iter().filter(|image| !image.is_empty()) {
        let mut container = json!({"name": container_name(image), "image": image, "resources": {}});
        if !args.command.is_empty() {
            container["command"] = json!(args.command);
        }
        if args.port >= 0 {
            container["ports"] = json!([{"containerPort": args.port}]);
        }
        containers.push(container);
    }
    let labels = json!({"app": name});
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": args.replicas,
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    }))
}

/// The last part of an image's name, without its tag: `library/nginx:1.27` is `nginx`.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let end = last.find([':', '@']).unwrap_or(last.len());
    let name: String = last[..end]
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    name.trim_matches('-').to_owned()
}

fn config_map(name: &str, args: &DataArgs) -> Result<Value> {
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
    Ok(object)
}

fn secret(name: &str, args: &DataArgs, kind: Option<&str>) -> Result<Value> {
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
    Ok(object)
}

fn base64(bytes: &[u8]) -> String {
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
        contents.push((checked(key, kind)?, unquoted(value).as_bytes().to_vec()));
    }
    for file in &args.from_env_file {
        add_env_file(Path::new(file), kind, &mut contents)?;
    }
    Ok(contents)
}

/// One pair of quotes around a literal is the shell's leftover.
fn unquoted(value: &str) -> &str {
    let inner = |quote| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
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
        contents.push((checked(key, kind)?, value.into_bytes()));
    }
    Ok(())
}
