//! The environment of a container, from values, references, fields, resources and services.

pub mod expand;
pub mod fields;
pub mod services;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};
use thiserror::Error;

use self::expand::expand;
use self::fields::PodFacts;
use crate::pod::spec;

/// Contents of ConfigMaps and Secrets by name; `None` is: there is none.
pub type Contents = BTreeMap<String, Option<BTreeMap<String, Vec<u8>>>>;

/// What an environment is made from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The ConfigMaps that [`references`] named.
    pub config_maps: Contents,
    /// The Secrets that [`references`] named.
    pub secrets: Contents,
    /// Variables of services, by name.
    pub services: BTreeMap<String, String>,
    /// What fields refer to.
    pub facts: PodFacts,
}

/// Why an environment cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvError {
    /// A ConfigMap is missing.
    #[error("configmap {0:?} not found")]
    ConfigMap(String),
    /// A Secret is missing.
    #[error("secret {0:?} not found")]
    Secret(String),
    /// A key is missing.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A field or resource cannot be read.
    #[error("{0}")]
    Field(String),
}

/// The names of ConfigMaps and of Secrets that a container's environment refers to.
pub fn references(container: &Container) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut config_maps, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for source in container.env_from.iter().flatten() {
        config_maps.extend(source.config_map_ref.as_ref().map(|own| own.name.clone()));
        secrets.extend(source.secret_ref.as_ref().map(|own| own.name.clone()));
    }
    for source in container
        .env
        .iter()
        .flatten()
        .filter_map(|env| env.value_from.as_ref())
    {
        config_maps.extend(
            source
                .config_map_key_ref
                .as_ref()
                .map(|own| own.name.clone()),
        );
        secrets.extend(source.secret_key_ref.as_ref().map(|own| own.name.clone()));
    }
    (config_maps, secrets)
}

/// The variables in the order in which they are set, those of services last.
pub fn environment(
    pod: &Pod,
    container: &Container,
    inputs: &Inputs,
) -> Result<Vec<(String, String)>, EnvError> {
    let mut result: Vec<(String, String)> = Vec::new();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let set = |result: &mut Vec<(String, String)>,
               known: &mut BTreeMap<String, String>,
               name: String,
               value: String| {
        known.insert(name.clone(), value.clone());
        match result.iter_mut().find(|(other, _)| *other == name) {
            Some(entry) => entry.1 = value,
            None => result.push((name, value)),
        }
    };
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let (contents, missing) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(own), _) => (
                inputs.config_maps.get(&own.name).and_then(Option::as_ref),
                (!own.optional.unwrap_or(false)).then(|| EnvError::ConfigMap(own.name.clone())),
            ),
            (None, Some(own)) => (
                inputs.secrets.get(&own.name).and_then(Option::as_ref),
                (!own.optional.unwrap_or(false)).then(|| EnvError::Secret(own.name.clone())),
            ),
            (None, None) => continue,
        };
        match (contents, missing) {
            (Some(contents), _) => {
                for (key, value) in contents {
                    let name = format!("{prefix}{key}");
                    if is_variable_name(&name) {
                        set(
                            &mut result,
                            &mut known,
                            name,
                            String::from_utf8_lossy(value).into_owned(),
                        );
                    }
                }
            }
            (None, Some(missing)) => return Err(missing),
            (None, None) => {}
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            Some(source) if variable.value.as_deref().unwrap_or_default().is_empty() => {
                match from_source(pod, container, variable, source, inputs)? {
                    Some(value) => value,
                    None => continue,
                }
            }
            _ => {
                let lookup = |name: &str| {
                    known
                        .get(name)
                        .or_else(|| inputs.services.get(name))
                        .cloned()
                };
                expand(variable.value.as_deref().unwrap_or_default(), lookup)
            }
        };
        set(&mut result, &mut known, variable.name.clone(), value);
    }
    for (name, value) in &inputs.services {
        if !known.contains_key(name) {
            result.push((name.clone(), value.clone()));
        }
    }
    Ok(result)
}

/// `None` when an optional reference leads nowhere.
fn from_source(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    source: &EnvVarSource,
    inputs: &Inputs,
) -> Result<Option<String>, EnvError> {
    if let Some(field) = &source.field_ref {
        return fields::field(pod, &field.field_path, &inputs.facts)
            .map(Some)
            .map_err(EnvError::Field);
    }
    if let Some(resource) = &source.resource_field_ref {
        let of = match resource
            .container_name
            .as_deref()
            .filter(|own| !own.is_empty())
        {
            None => container,
            Some(name) => spec::container(pod, name)
                .map(|(container, _)| container)
                .ok_or_else(|| EnvError::Field(format!("container {name} not found")))?,
        };
        let divisor = resource.divisor.as_ref();
        return fields::resource(of, &resource.resource, divisor, &inputs.facts)
            .map(Some)
            .map_err(EnvError::Field);
    }
    let (kind, contents, name, key, optional) =
        match (&source.config_map_key_ref, &source.secret_key_ref) {
            (Some(own), _) => (
                "ConfigMap",
                &inputs.config_maps,
                &own.name,
                &own.key,
                own.optional,
            ),
            (None, Some(own)) => ("Secret", &inputs.secrets, &own.name, &own.key, own.optional),
            (None, None) => {
                return Err(EnvError::Field(format!(
                    "environment variable {} has no source",
                    variable.name
                )));
            }
        };
    let optional = optional.unwrap_or(false);
    let Some(contents) = contents.get(name).and_then(Option::as_ref) else {
        let missing = match kind {
            "ConfigMap" => EnvError::ConfigMap(name.clone()),
            _ => EnvError::Secret(name.clone()),
        };
        return if optional { Ok(None) } else { Err(missing) };
    };
    match contents.get(key) {
        Some(value) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
        None if optional => Ok(None),
        None => Err(EnvError::Key {
            kind,
            namespace: spec::namespace(pod).to_owned(),
            name: name.clone(),
            key: key.clone(),
        }),
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| (' '..='~').contains(&c) && c != '=')
}

#[cfg(test)]
mod tests;
