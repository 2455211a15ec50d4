//! The files of configMap, secret, downwardAPI and projected volumes.

use std::path::{Component, PathBuf};

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod, Volume};

use super::atomic::{File, Files};
use crate::env::Contents;
use crate::env::fields::{self, PodFacts};
use crate::pod::spec;

const DEFAULT_MODE: i32 = 0o644;

/// What volumes are made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// ConfigMaps by name.
    pub config_maps: Contents,
    /// Secrets by name.
    pub secrets: Contents,
    /// What fields refer to.
    pub facts: PodFacts,
}

/// The names of ConfigMaps and of Secrets that a pod's volumes refer to.
pub fn references(pod: &Pod) -> (Vec<String>, Vec<String>) {
    let (mut config_maps, mut secrets) = (Vec::new(), Vec::new());
    for volume in spec::of(pod)
        .and_then(|spec| spec.volumes.as_deref())
        .unwrap_or_default()
    {
        config_maps.extend(volume.config_map.as_ref().map(|own| own.name.clone()));
        secrets.extend(
            volume
                .secret
                .as_ref()
                .and_then(|own| own.secret_name.clone()),
        );
        let sources = volume
            .projected
            .as_ref()
            .and_then(|own| own.sources.as_ref());
        for source in sources.into_iter().flatten() {
            config_maps.extend(source.config_map.as_ref().map(|own| own.name.clone()));
            secrets.extend(source.secret.as_ref().map(|own| own.name.clone()));
        }
    }
    (config_maps, secrets)
}

/// The files of `volume`.
pub fn files(pod: &Pod, volume: &Volume, sources: &Sources) -> Result<Files, String> {
    let mut files = Files::new();
    if let Some(own) = &volume.config_map {
        let keyed = Keyed {
            kind: "configmap",
            contents: &sources.config_maps,
            name: &own.name,
            items: own.items.as_deref(),
            optional: own.optional.unwrap_or(false),
            mode: own.default_mode.unwrap_or(DEFAULT_MODE),
        };
        keyed.add(&mut files)?;
    } else if let Some(own) = &volume.secret {
        let keyed = Keyed {
            kind: "secret",
            contents: &sources.secrets,
            name: own.secret_name.as_deref().unwrap_or_default(),
            items: own.items.as_deref(),
            optional: own.optional.unwrap_or(false),
            mode: own.default_mode.unwrap_or(DEFAULT_MODE),
        };
        keyed.add(&mut files)?;
    } else if let Some(own) = &volume.downward_api {
        let mode = own.default_mode.unwrap_or(DEFAULT_MODE);
        downward(
            pod,
            own.items.as_deref().unwrap_or_default(),
            mode,
            &sources.facts,
            &mut files,
        )?;
    } else if let Some(own) = &volume.projected {
        let mode = own.default_mode.unwrap_or(DEFAULT_MODE);
        for source in own.sources.iter().flatten() {
            if let Some(own) = &source.config_map {
                let (kind, contents) = ("configmap", &sources.config_maps);
                let (items, optional) = (own.items.as_deref(), own.optional.unwrap_or(false));
                Keyed {
                    kind,
                    contents,
                    name: &own.name,
                    items,
                    optional,
                    mode,
                }
                .add(&mut files)?;
            } else if let Some(own) = &source.secret {
                let (kind, contents) = ("secret", &sources.secrets);
                let (items, optional) = (own.items.as_deref(), own.optional.unwrap_or(false));
                Keyed {
                    kind,
                    contents,
                    name: &own.name,
                    items,
                    optional,
                    mode,
                }
                .add(&mut files)?;
            } else if let Some(own) = &source.downward_api {
                downward(
                    pod,
                    own.items.as_deref().unwrap_or_default(),
                    mode,
                    &sources.facts,
                    &mut files,
                )?;
            } else {
                return Err("this kind of projected source is not supported".to_owned());
            }
        }
    }
    Ok(files)
}

struct Keyed<'a> {
    kind: &'static str,
    contents: &'a Contents,
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
    mode: i32,
}

impl Keyed<'_> {
    fn add(&self, files: &mut Files) -> Result<(), String> {
        let Some(contents) = self.contents.get(self.name).and_then(Option::as_ref) else {
            let missing = format!("{} {:?} not found", self.kind, self.name);
            return if self.optional { Ok(()) } else { Err(missing) };
        };
        let Some(items) = self.items.filter(|items| !items.is_empty()) else {
            for (key, data) in contents {
                insert(files, key, data.clone(), self.mode)?;
            }
            return Ok(());
        };
        for item in items {
            match contents.get(&item.key) {
                Some(data) => insert(
                    files,
                    &item.path,
                    data.clone(),
                    item.mode.unwrap_or(self.mode),
                )?,
                None if self.optional => {}
                None => {
                    return Err(format!(
                        "references non-existent {} key: {}",
                        self.noun(),
                        item.key
                    ));
                }
            }
        }
        Ok(())
    }

    fn noun(&self) -> &'static str {
        if self.kind == "configmap" {
            "config"
        } else {
            "secret"
        }
    }
}

fn downward(
    pod: &Pod,
    items: &[DownwardAPIVolumeFile],
    default_mode: i32,
    facts: &PodFacts,
    files: &mut Files,
) -> Result<(), String> {
    for item in items {
        let value = if let Some(field) = &item.field_ref {
            fields::field(pod, &field.field_path, facts)?
        } else if let Some(resource) = &item.resource_field_ref {
            let name = resource.container_name.as_deref().unwrap_or_default();
            let (container, _) =
                spec::container(pod, name).ok_or_else(|| format!("container {name} not found"))?;
            fields::resource(
                container,
                &resource.resource,
                resource.divisor.as_ref(),
                facts,
            )?
        } else {
            return Err(format!("{} has no source", item.path));
        };
        insert(
            files,
            &item.path,
            value.into_bytes(),
            item.mode.unwrap_or(default_mode),
        )?;
    }
    Ok(())
}

fn insert(files: &mut Files, path: &str, data: Vec<u8>, mode: i32) -> Result<(), String> {
    let path = PathBuf::from(path);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let reserved = path
        .components()
        .next()
        .is_some_and(|part| part.as_os_str().to_string_lossy().starts_with(".."));
    if !inside || reserved || path.as_os_str().is_empty() {
        return Err(format!("invalid path: {}", path.display()));
    }
    files.insert(
        path,
        File {
            data,
            mode: u32::try_from(mode).unwrap_or(0o644) & 0o777,
        },
    );
    Ok(())
}
