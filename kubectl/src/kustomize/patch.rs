//! Patches: strategic merge patches, which name their object or have a target, and JSON patches.

use std::path::Path;

use ferrule_apimachinery::patch::json_patch;
use ferrule_apimachinery::schema::{Field, Kind, Schema};
use ferrule_apimachinery::selector::{LabelSelector, Labels};
use ferrule_apimachinery::yaml;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::file::{Kustomization, Patch, Target};
use super::resource::{Id, Resource};

/// Applies the patches of a file.
pub fn run(root: &Path, file: &Kustomization, resources: &mut Vec<Resource>) -> Result<(), String> {
    for text in &file.patches_strategic_merge {
        let text = match text.contains('\n') || text.contains('{') {
            true => text.clone(),
            false => super::read(root, text)?,
        };
        let patch = Patch {
            patch: text,
            ..Patch::default()
        };
        apply(root, &patch, resources)?;
    }
    for patch in file.patches.iter().chain(&file.patches_json6902) {
        apply(root, patch, resources)?;
    }
    Ok(())
}

fn apply(root: &Path, patch: &Patch, resources: &mut Vec<Resource>) -> Result<(), String> {
    let (text, shown) = match (patch.patch.trim(), patch.path.as_str()) {
        ("", "") => return Err("must specify one of patch and path in a patch".to_owned()),
        ("", path) => (super::read(root, path)?, format!("path: {path:?}")),
        (_, "") => (
            patch.patch.clone(),
            format!("patch: {:?}", patch.patch.trim()),
        ),
        _ => return Err("patch and path can't be set at the same time in a patch".to_owned()),
    };
    let unreadable = || format!("unable to parse SM or JSON patch from [{shown}]");
    let documents = yaml::read(&text).map_err(|_| unreadable())?;
    let documents: Vec<Value> = documents
        .into_iter()
        .filter(|tree| !tree.is_null())
        .collect();
    if let [list @ Value::Array(_)] = documents.as_slice() {
        let Some(target) = &patch.target else {
            return Err(format!("must specify a target for JSON patch [{shown}]"));
        };
        return json(list, target, resources);
    }
    if documents.is_empty() || !documents.iter().all(Value::is_object) {
        return Err(unreadable());
    }
    for tree in &documents {
        strategic(tree, patch, resources)?;
    }
    Ok(())
}

fn json(list: &Value, target: &Target, resources: &mut [Resource]) -> Result<(), String> {
    let chosen = Chosen::new(target)?;
    for resource in resources.iter_mut().filter(|own| chosen.fits(own)) {
        resource.object =
            json_patch(resource.object.clone(), list).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn strategic(tree: &Value, patch: &Patch, resources: &mut Vec<Resource>) -> Result<(), String> {
    let chosen: Vec<usize> = match &patch.target {
        Some(target) => {
            let chosen = Chosen::new(target)?;
            let fits = |place: &usize| chosen.fits(&resources[*place]);
            (0..resources.len()).filter(fits).collect()
        }
        None => {
            let id = Id::of(tree);
            let named: Vec<usize> = (0..resources.len())
                .filter(|place| is_named(&resources[*place], tree))
                .collect();
            if named.is_empty() {
                return Err(format!(
                    "no resource matches strategic merge patch \"{id}\": no matches for Id {id}; failed to find unique target for \
                     patch {id}"
                ));
            }
            named
        }
    };
    let mut gone = Vec::new();
    for place in chosen {
        let resource = &mut resources[place];
        let (name, kind) = (resource.name().to_owned(), resource.kind().to_owned());
        let (api_version, namespace) = (
            resource.object["apiVersion"].clone(),
            resource.object["metadata"].get("namespace").cloned(),
        );
        let id = Schema::builtin().object_type(api_version.as_str().unwrap_or_default(), &kind);
        let typed = id.map_or(Kind::Any, Kind::Struct);
        match merged(resource.object.take(), tree, &typed, None) {
            Some(object) => resource.object = object,
            None => {
                gone.push(place);
                continue;
            }
        }
        if !patch.options.allow_name_change {
            resource.object["metadata"]["name"] = json!(name);
        }
        if !patch.options.allow_kind_change {
            resource.object["kind"] = json!(kind);
            resource.object["apiVersion"] = api_version;
        }
        if let Some(namespace) = namespace {
            resource.object["metadata"]["namespace"] = namespace;
        }
    }
    for place in gone.into_iter().rev() {
        resources.remove(place);
    }
    Ok(())
}

/// Whether a patch names an object, by a name that it has or had.
fn is_named(resource: &Resource, tree: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, namespace) = (
        text(&tree["metadata"]["name"]),
        text(&tree["metadata"]["namespace"]),
    );
    resource.object["kind"] == tree["kind"]
        && resource.object["apiVersion"] == tree["apiVersion"]
        && resource.places().iter().any(|place| {
            place.name == name && (namespace.is_empty() || place.namespace == namespace)
        })
}

/// Objects by regular expressions that fit whole names.
struct Chosen {
    fields: [Option<Regex>; 5],
    labels: LabelSelector,
    annotations: LabelSelector,
}

impl Chosen {
    fn new(target: &Target) -> Result<Chosen, String> {
        let whole = |text: &String| match text.as_str() {
            "" => Ok(None),
            text => Regex::new(&format!("^(?:{text})$"))
                .map(Some)
                .map_err(|error| error.to_string()),
        };
        Ok(Chosen {
            fields: [
                whole(&target.group)?,
                whole(&target.version)?,
                whole(&target.kind)?,
                whole(&target.name)?,
                whole(&target.namespace)?,
            ],
            labels: LabelSelector::parse(&target.label_selector)?,
            annotations: LabelSelector::parse(&target.annotation_selector)?,
        })
    }

    fn fits(&self, resource: &Resource) -> bool {
        let [group, version, kind, name, namespace] = &self.fields;
        let is = |pattern: &Option<Regex>, text: &str| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text))
        };
        let places = resource.places();
        let texts = |field: &str| Labels::from_value(resource.object["metadata"].get(field));
        is(group, resource.group())
            && is(version, resource.version())
            && is(kind, resource.kind())
            && places.iter().any(|place| is(name, &place.name))
            && places.iter().any(|place| is(namespace, &place.namespace))
            && self.labels.matches(&texts("labels"))
            && self.annotations.matches(&texts("annotations"))
    }
}

/// A value with a patch merged into it; nothing when the patch deletes it. Items of lists with keys
/// are merged.
fn merged(own: Value, patch: &Value, kind: &Kind, field: Option<&Field>) -> Option<Value> {
    match (own, patch) {
        (own, Value::Object(patch)) => {
            match patch.get("$patch").and_then(Value::as_str) {
                Some("delete") => return None,
                Some("replace") => {
                    let mut patch = patch.clone();
                    patch.remove("$patch");
                    return Some(Value::Object(patch));
                }
                _ => {}
            }
            let own = match own {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            Some(Value::Object(merged_map(own, patch, kind)))
        }
        (Value::Array(own), Value::Array(patch)) => match field {
            Some(field) if field.patch.merge && !field.merge_key.is_empty() => {
                Some(Value::Array(merged_list(own, patch, kind, field.merge_key)))
            }
            Some(field) if field.patch.merge => {
                let new = patch.iter().filter(|item| !own.contains(item)).cloned();
                Some(Value::Array(new.chain(own.iter().cloned()).collect()))
            }
            _ => Some(Value::Array(patch.clone())),
        },
        (_, patch) => Some(patch.clone()),
    }
}

fn merged_map(
    mut own: Map<String, Value>,
    patch: &Map<String, Value>,
    kind: &Kind,
) -> Map<String, Value> {
    for (name, value) in patch {
        if name.starts_with('$') {
            continue;
        }
        let field = match kind {
            Kind::Struct(id) => Schema::builtin().field(*id, name),
            _ => None,
        };
        let inner = match (kind, field) {
            (_, Some(field)) => field.kind.clone(),
            (Kind::Map(inner), None) => (**inner).clone(),
            _ => Kind::Any,
        };
        if value.is_null() {
            own.remove(name);
            continue;
        }
        let before = own.remove(name).unwrap_or(Value::Null);
        if let Some(after) = merged(before, value, &inner, field) {
            own.insert(name.clone(), after);
        }
    }
    own
}

fn merged_list(mut own: Vec<Value>, patch: &[Value], kind: &Kind, key: &str) -> Vec<Value> {
    let replaces = patch
        .iter()
        .any(|item| item["$patch"] == "replace" && item.get(key).is_none());
    if replaces {
        let keeps = |item: &&Value| item.get("$patch").is_none();
        return patch.iter().filter(keeps).cloned().collect();
    }
    let inner = kind.element().cloned().unwrap_or(Kind::Any);
    // Those of the patch stand first, in its order.
    let mut after = Vec::new();
    for item in patch {
        let known = own.iter().position(|other| other.get(key) == item.get(key));
        let before = known.map_or(Value::Null, |place| own.remove(place));
        after.extend(merged(before, item, &inner, None));
    }
    after.extend(own);
    after
}
