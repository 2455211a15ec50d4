//! Objects from files, folders and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use ferrule_apimachinery::yaml;
use serde_json::Value;

use crate::args::FileArgs;
use crate::commands::set::fits;
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
        let files = match path.exists() {
            true => files(path, args.recursive)?,
            false => matching(name),
        };
        if files.is_empty() && !path.exists() {
            return Err(Error::local(format!("the path {name:?} does not exist")));
        }
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

/// The files that a pattern with `*` in its last part fits.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let (folder, last) = match pattern.rsplit_once('/') {
        Some((folder, last)) => (PathBuf::from(format!("{folder}/")), last),
        None => (PathBuf::new(), pattern),
    };
    let place = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder.as_path(),
    };
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<PathBuf> = names
        .filter(|name| last.contains('*') && fits(name, last))
        .map(|name| folder.join(name))
        .collect();
    found.sort();
    found
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
    let cut_short = text.trim_start().starts_with('{')
        && serde_json::from_str::<Value>(text).is_err_and(|error| error.is_eof());
    if cut_short {
        return Err(Error::local(format!(
            "error parsing {source}: unexpected EOF"
        )));
    }
    let documents = yaml::read(text)
        .map_err(|error| Error::local(format!("error parsing {source}: {}", reason(&error))))?;
    for document in documents {
        take_apart(document, source, objects)?;
    }
    Ok(())
}

/// Upstream reads YAML by turning it into JSON.
fn reason(error: &impl std::fmt::Display) -> String {
    format!("error converting YAML to JSON: {}", yaml_fault(error))
}

/// What is wrong with a YAML text, in upstream's words.
pub fn yaml_fault(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    match text.split_once("while parsing a ") {
        Some((head, tail)) => {
            format!(
                "{head}{}",
                tail.split_once(", ").map_or(tail, |(_, why)| why)
            )
        }
        None => text,
    }
}

/// What every object says of itself are texts: a label like `1` or `y` is none.
pub fn check_metadata(object: &Value, source: &str) -> std::result::Result<(), String> {
    let metadata = &object["metadata"];
    let plain = ["name", "generateName", "namespace"].map(|field| (field, &metadata[field]));
    let maps = ["labels", "annotations"].into_iter().flat_map(|field| {
        let entries = metadata[field].as_object().into_iter().flatten();
        entries.map(move |(_, value)| (field, value))
    });
    for (field, value) in plain.into_iter().chain(maps) {
        let found = match value {
            Value::Null | Value::String(_) => continue,
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        return Err(format!(
            "unable to decode {source:?}: json: cannot unmarshal {found} into Go struct field ObjectMeta.metadata.{field} of \
             type string"
        ));
    }
    Ok(())
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
            check_metadata(&document, source).map_err(Error::local)?;
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
