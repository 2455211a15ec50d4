//! Objects from files, folders and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use ferrule_apimachinery::yaml;
use serde_json::Value;

use crate::args::FileArgs;
use crate::error::{Error, Result};
use crate::kustomize;

/// The largest file that is read.
const FILE_LIMIT: u64 = 64 << 20;

/// An object and where it came from.
#[derive(Clone, Debug)]
pub struct FromFile {
    /// The object.
    pub object: Value,
    /// `web.yaml`, or `STDIN`.
    pub source: String,
}

/// Everything that `-f` names, in order; lists are taken apart.
///
/// `command` is named when there is nothing.
pub fn read(args: &FileArgs, command: &str) -> Result<Vec<FromFile>> {
    let mut objects = Vec::new();
    if let Some(folder) = args.kustomize.as_deref().filter(|name| !name.is_empty()) {
        if !args.filename.is_empty() {
            return Err(Error::local("only one of -f or -k can be specified"));
        }
        if args.recursive {
            return Err(Error::local("the -k flag can't be used with -f or -R"));
        }
        let source = folder.to_owned();
        let built = kustomize::build(folder)?.into_iter();
        objects.extend(built.map(|object| FromFile {
            object,
            source: source.clone(),
        }));
    }
    for name in &args.filename {
        if name == "-" {
            let mut text = String::new();
            std::io::stdin()
                .take(FILE_LIMIT)
                .read_to_string(&mut text)
                .map_err(|error| Error::local(format!("error reading STDIN: {error}")))?;
            parse(&text, "STDIN", &mut objects)?;
            continue;
        }
        let path = Path::new(name);
        if !path.exists() {
            return Err(Error::local(format!("the path {name:?} does not exist")));
        }
        let files = files(path, args.recursive)?;
        if files.is_empty() {
            return Err(Error::local(format!(
                "error reading [{name}]: recognized file extensions are [.json .yaml .yml]"
            )));
        }
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(|error| {
                Error::local(format!(
                    "open {}: {}",
                    file.display(),
                    crate::output::go(&error)
                ))
            })?;
            parse(&text, &file.display().to_string(), &mut objects)?;
        }
    }
    if objects.is_empty() {
        return Err(Error::local(format!("no objects passed to {command}")));
    }
    Ok(objects)
}

/// A file itself, or the manifests of a folder in the order of their names.
fn files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let refuse =
        |error: std::io::Error| Error::local(format!("error reading {}: {error}", path.display()));
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(refuse)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .map_err(refuse)?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            if recursive {
                found.extend(files(&entry, true)?);
            }
        } else if entry
            .extension()
            .is_some_and(|ending| ["json", "yaml", "yml"].iter().any(|own| ending == *own))
        {
            found.push(entry);
        }
    }
    Ok(found)
}

fn parse(text: &str, source: &str, objects: &mut Vec<FromFile>) -> Result<()> {
    let documents = yaml::read(text)
        .map_err(|error| Error::local(format!("error parsing {source}: {}", reason(&error))))?;
    for document in documents {
        take_apart(document, source, objects)?;
    }
    Ok(())
}

/// Upstream reads YAML by turning it into JSON.
fn reason(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let text = match text.split_once("while parsing a ") {
        Some((head, tail)) => {
            format!(
                "{head}{}",
                tail.split_once(", ").map_or(tail, |(_, why)| why)
            )
        }
        None => text,
    };
    format!("error converting YAML to JSON: {text}")
}

fn take_apart(document: Value, source: &str, objects: &mut Vec<FromFile>) -> Result<()> {
    let is_list = document["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"));
    match document {
        Value::Null => Ok(()),
        Value::Object(mut map) if is_list && map.get("items").is_some_and(Value::is_array) => {
            if let Some(Value::Array(items)) = map.remove("items") {
                for item in items {
                    take_apart(item, source, objects)?;
                }
            }
            Ok(())
        }
        Value::Object(_) => {
            objects.push(FromFile {
                object: document,
                source: source.to_owned(),
            });
            Ok(())
        }
        _ => Err(Error::local(format!(
            "error validating {source:?}: error validating data: invalid object to validate; if you choose to ignore \
             these errors, turn validation off with --validate=false"
        ))),
    }
}
