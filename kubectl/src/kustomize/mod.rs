//! Kustomizations: objects from files, changed as a `kustomization.yaml` says.
//!
//! ```text
//!  resources, components ─┐                                             at the top only
//!                         ├──> patches ──> namespace, names, labels, ──> hashes ──> references ──> order
//!  generators ────────────┘                annotations, replicas, images
//! ```
//!
//! Every folder does this with what the folders below have made. A resource remembers all names
//! that it had, so that references to it can be followed at the end. Files lie in or below their
//! folder; nothing is fetched from the network, and no plugin is run: what asks for it is refused.

mod file;
mod generate;
mod patch;
mod paths;
mod references;
mod resource;
mod transform;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use ferrule_apimachinery::yaml;
use serde_json::Value;

use crate::commands::warn;
use crate::error::{Error, Result};
use crate::hash;
use file::Kustomization;
use resource::Resource;

/// How deep folders may lead to folders.
const DEPTH: usize = 64;
/// The largest file that is read.
const FILE_LIMIT: u64 = 64 << 20;

/// The objects of a kustomization.
pub fn build(folder: &str) -> Result<Vec<Value>> {
    let root = resolve(Path::new(folder)).map_err(|why| {
        Error::local(format!(
            "must build at directory: not a valid directory: {why}"
        ))
    })?;
    if !root.is_dir() {
        return Err(Error::local(format!(
            "must build at directory: '{}': file is not directory",
            root.display()
        )));
    }
    let mut resources = Vec::new();
    let fifo = Kustomization::load(&root, false)
        .map_err(Error::local)?
        .keeps_order();
    accumulate(&root, &mut Vec::new(), &mut resources, false).map_err(Error::local)?;
    for resource in resources.iter_mut().filter(|own| own.hashed) {
        let name = format!("{}-{}", resource.name(), hash::of_content(&resource.object));
        resource.rename(&name);
    }
    references::follow(&mut resources).map_err(Error::local)?;
    if !fifo {
        resources.sort_by_cached_key(Resource::order);
    }
    Ok(resources
        .into_iter()
        .map(|resource| resource.object)
        .collect())
}

/// The objects as text, as `kubectl kustomize` prints them.
pub fn print(objects: &[Value]) -> String {
    let texts: Vec<String> = objects.iter().map(yaml::write).collect();
    texts.join("---\n")
}

/// A path without links and dots.
fn resolve(path: &Path) -> std::result::Result<PathBuf, String> {
    std::fs::canonicalize(path).map_err(|error| {
        let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let shown = shown.display();
        format!(
            "evalsymlink failure on '{}' : lstat {shown}: {}",
            path.display(),
            crate::output::go(&error)
        )
    })
}

/// A file in or below a folder.
fn read(root: &Path, name: &str) -> std::result::Result<String, String> {
    use std::io::Read;
    let path = resolve(&root.join(name))?;
    if !path.starts_with(root) {
        return Err(format!(
            "security; file '{}' is not in or below '{}'",
            path.display(),
            root.display()
        ));
    }
    let mut text = String::new();
    std::fs::File::open(&path)
        .and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text))
        .map_err(|error| format!("read {}: {}", path.display(), crate::output::go(&error)))?;
    Ok(text)
}

/// Adds what a folder makes to what is there.
fn accumulate(
    root: &Path,
    visited: &mut Vec<PathBuf>,
    all: &mut Vec<Resource>,
    component: bool,
) -> std::result::Result<(), String> {
    if visited.iter().any(|own| own == root) {
        let root = root.display();
        return Err(format!(
            "cycle detected: candidate root '{root}' contains visited root '{root}'"
        ));
    }
    if visited.len() >= DEPTH {
        return Err("kustomizations are nested too deeply".to_owned());
    }
    let kustomization = Kustomization::load(root, component)?;
    for name in kustomization.deprecated() {
        let instead = if name == "commonLabels" {
            "labels"
        } else {
            "patches"
        };
        let instead = if name == "bases" {
            "resources"
        } else {
            instead
        };
        warn(&format!(
            "# Warning: '{name}' is deprecated. Please use '{instead}' instead. Run 'kustomize edit fix' to update your Kustomization \
             automatically."
        ));
    }
    visited.push(root.to_owned());
    // A component works on everything that is there, another folder only on its own.
    let mut own = if component {
        std::mem::take(all)
    } else {
        Vec::new()
    };
    for name in kustomization.resources.iter().chain(&kustomization.bases) {
        resources(root, name, visited, &mut own)
            .map_err(|why| format!("accumulating resources: {why}"))?;
    }
    for name in &kustomization.components {
        let folder =
            resolve(&root.join(name)).map_err(|why| format!("accumulating components: {why}"))?;
        accumulate(&folder, visited, &mut own, true)
            .map_err(|why| format!("accumulating components: accumulateDirectory: {why}"))?;
    }
    generate::run(root, &kustomization, &mut own)?;
    patch::run(root, &kustomization, &mut own)?;
    transform::run(&kustomization, &mut own)?;
    visited.pop();
    for resource in own {
        add(all, resource)?;
    }
    Ok(())
}

fn add(all: &mut Vec<Resource>, resource: Resource) -> std::result::Result<(), String> {
    if all.iter().any(|own| own.id() == resource.id()) {
        return Err(format!(
            "may not add resource with an already registered id: {}",
            resource.id()
        ));
    }
    all.push(resource);
    Ok(())
}

/// What one entry of `resources` names: a file with objects, or a folder.
fn resources(
    root: &Path,
    name: &str,
    visited: &mut Vec<PathBuf>,
    all: &mut Vec<Resource>,
) -> std::result::Result<(), String> {
    if name.contains("://") || name.starts_with("git@") || name.starts_with("github.com/") {
        return Err(format!(
            "'{name}' is not on this machine; only files and folders are read"
        ));
    }
    let path = root.join(name);
    let failed = |err: String, why: String| {
        format!("accumulation err='{err}': must build at directory: {why}")
    };
    let resolved = resolve(&path).map_err(|why| {
        failed(
            format!("accumulating resources from '{name}': {why}"),
            format!("not a valid directory: {why}"),
        )
    })?;
    if resolved.is_dir() {
        let err = format!(
            "accumulating resources from '{name}': '{}' must resolve to a file",
            resolved.display()
        );
        return accumulate(&resolved, visited, all, false)
            .map_err(|why| format!("accumulation err='{err}': {why}"));
    }
    let no_folder = || format!("'{}': file is not directory", resolved.display());
    let text = read(root, name).map_err(|why| {
        failed(
            format!("accumulating resources from '{name}': {why}"),
            no_folder(),
        )
    })?;
    let found = objects(&text).map_err(|why| {
        let name = resolved.display();
        failed(
            format!("accumulating resources from '{name}': {why}"),
            no_folder(),
        )
    })?;
    for object in found {
        let resource = Resource::new(object).map_err(|why| failed(why, no_folder()))?;
        add(all, resource).map_err(|why| {
            failed(
                format!("merging resources from '{name}': {why}"),
                no_folder(),
            )
        })?;
    }
    Ok(())
}

/// The objects of a text; lists are taken apart.
fn objects(text: &str) -> std::result::Result<Vec<Value>, String> {
    let documents = yaml::read(text).map_err(|error| format!("MalformedYAMLError: {error}"))?;
    let mut found = Vec::new();
    for mut document in documents {
        let is_list = document["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("List"));
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if is_list => found.extend(items),
            Some(other) => {
                document["items"] = other;
                found.push(document);
            }
            None if document.is_null() => {}
            None => found.push(document),
        }
    }
    Ok(found)
}
