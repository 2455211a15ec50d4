//! The file `kustomization.yaml`.

use std::collections::BTreeMap;
use std::path::Path;

use ferrule_apimachinery::yaml;
use serde::Deserialize;

/// The names that the file may have.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Fields of upstream's that ask for plugins, the network, or what is not done here.
const REFUSED: [&str; 13] = [
    "helmCharts",
    "helmGlobals",
    "helmChartInflationGenerator",
    "generators",
    "transformers",
    "validators",
    "replacements",
    "vars",
    "crds",
    "openapi",
    "configurations",
    "inventory",
    "buildMetadata",
];

/// Texts by names.
pub type Texts = BTreeMap<String, String>;

/// What a folder is made of, and how it is changed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Kustomization {
    api_version: String,
    kind: String,
    metadata: serde_json::Value,
    /// Files with objects, and folders.
    pub resources: Vec<String>,
    /// Folders; as `resources`.
    pub bases: Vec<String>,
    /// Folders that change everything that is there.
    pub components: Vec<String>,
    /// Where all objects are to be.
    pub namespace: String,
    /// In front of all names.
    pub name_prefix: String,
    /// Behind all names.
    pub name_suffix: String,
    /// Labels of everything, selectors included.
    pub common_labels: Texts,
    /// Labels.
    pub labels: Vec<Labels>,
    /// Annotations of everything.
    pub common_annotations: Texts,
    /// Images that are others.
    pub images: Vec<Image>,
    /// How many replicas workloads have.
    pub replicas: Vec<Replicas>,
    /// ConfigMaps.
    pub config_map_generator: Vec<Generator>,
    /// Secrets.
    pub secret_generator: Vec<Generator>,
    /// What holds for all generators.
    pub generator_options: GeneratorOptions,
    /// Changes of objects.
    pub patches: Vec<Patch>,
    /// Strategic merge patches, or files with them.
    pub patches_strategic_merge: Vec<String>,
    /// JSON patches.
    #[serde(rename = "patchesJson6902")]
    pub patches_json6902: Vec<Patch>,
    sort_options: serde_json::Value,
}

/// Labels, and where they go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Labels {
    /// The labels.
    pub pairs: Texts,
    /// Into selectors and templates, too.
    pub include_selectors: bool,
    /// Into templates, too.
    pub include_templates: bool,
}

/// An image, and what it becomes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// Its name, without a tag.
    pub name: String,
    /// Another name.
    pub new_name: String,
    /// Another tag.
    pub new_tag: String,
    /// Behind the tag that there is.
    pub tag_suffix: String,
    /// A digest, in place of a tag.
    pub digest: String,
}

/// How many replicas a workload has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Replicas {
    /// The workload's name.
    pub name: String,
    /// How many.
    pub count: i64,
}

/// A ConfigMap or Secret that is made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Generator {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `create`, `merge` or `replace`.
    pub behavior: String,
    /// `[KEY=]PATH`.
    pub files: Vec<String>,
    /// `KEY=VALUE`.
    pub literals: Vec<String>,
    /// Files with lines of `KEY=VALUE`.
    pub envs: Vec<String>,
    /// One such file.
    pub env: String,
    /// The type of a Secret.
    #[serde(rename = "type")]
    pub kind: String,
    /// What holds for this one.
    pub options: GeneratorOptions,
}

/// What generated objects have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct GeneratorOptions {
    /// Labels.
    pub labels: Texts,
    /// Annotations.
    pub annotations: Texts,
    /// Names without a hash.
    pub disable_name_suffix_hash: bool,
    /// The content never changes.
    pub immutable: bool,
}

/// A change of objects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// A file with it.
    pub path: String,
    /// The change itself.
    pub patch: String,
    /// Which objects; without it, the one that the change names.
    pub target: Option<Target>,
    /// What else may change.
    pub options: PatchOptions,
}

/// What a patch may change besides.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchOptions {
    /// The name.
    pub allow_name_change: bool,
    /// The kind.
    pub allow_kind_change: bool,
}

/// Objects: regular expressions of their names, and selectors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// By labels.
    pub label_selector: String,
    /// By annotations.
    pub annotation_selector: String,
}

impl Kustomization {
    /// Reads the file of a folder.
    pub fn load(root: &Path, component: bool) -> Result<Kustomization, String> {
        let found: Vec<&str> = NAMES
            .into_iter()
            .filter(|name| root.join(name).is_file())
            .collect();
        let name = match found.as_slice() {
            [name] => *name,
            [] => {
                return Err(format!(
                    "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
                    root.display()
                ));
            }
            _ => {
                return Err(format!(
                    "Found multiple kustomization files: {}\n",
                    root.display()
                ));
            }
        };
        let text = super::read(root, name)?;
        let file = Kustomization::read(&text, name)?;
        let wanted = if component {
            "Component"
        } else {
            "Kustomization"
        };
        if !file.kind.is_empty() && file.kind != wanted {
            return Err(match component {
                true => format!(
                    "expected kind '{wanted}' for path '{}' but got '{}'",
                    root.display(),
                    file.kind
                ),
                false => format!(
                    "kind should be Kustomization or Component, not {}",
                    file.kind
                ),
            });
        }
        Ok(file)
    }

    /// Reads the text of such a file.
    pub fn read(text: &str, name: &str) -> Result<Kustomization, String> {
        let invalid = |why: &dyn std::fmt::Display| format!("invalid Kustomization: {why}");
        let documents = yaml::read(text).map_err(|error| invalid(&error))?;
        let Some(tree) = documents.into_iter().find(|tree| !tree.is_null()) else {
            return Err(format!("{name} is empty"));
        };
        if let Some(field) = REFUSED.iter().find(|field| tree.get(**field).is_some()) {
            return Err(format!(
                "the field {field:?} of a kustomization is not supported"
            ));
        }
        if tree["patches"]
            .as_array()
            .is_some_and(|list| list.iter().any(serde_json::Value::is_string))
        {
            return Err(invalid(
                &"patches are maps with the keys path, patch, target and options",
            ));
        }
        // A field that is null is as good as absent.
        let tree = match tree {
            serde_json::Value::Object(map) => map
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
            other => other,
        };
        serde_json::from_value(tree).map_err(|error| {
            let text = error.to_string();
            let field = text
                .split("unknown field `")
                .nth(1)
                .and_then(|rest| rest.split('`').next());
            match field {
                Some(field) => invalid(&format_args!("json: unknown field {field:?}")),
                None => invalid(&format_args!("json: {text}")),
            }
        })
    }

    /// Fields that have successors.
    pub fn deprecated(&self) -> Vec<&'static str> {
        let fields = [
            ("bases", !self.bases.is_empty()),
            ("commonLabels", !self.common_labels.is_empty()),
            ("patchesJson6902", !self.patches_json6902.is_empty()),
            (
                "patchesStrategicMerge",
                !self.patches_strategic_merge.is_empty(),
            ),
        ];
        fields
            .into_iter()
            .filter(|(_, used)| *used)
            .map(|(name, _)| name)
            .collect()
    }

    /// Whether objects stay in the order in which they come.
    pub fn keeps_order(&self) -> bool {
        self.sort_options["order"] == "fifo"
    }
}
