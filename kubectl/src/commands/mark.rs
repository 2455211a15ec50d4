//! `kubectl label` and `kubectl annotate`

use ferrule_apimachinery::names;
use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use serde_json::{Map, Value, json};

use super::print;
use super::select::{self, Selection};
use super::write::{self, Report};
use crate::args::{DryRun, MarkArgs};
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// What is set on objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Labels.
    Label,
    /// Annotations.
    Annotation,
}

impl Mark {
    fn field(self) -> &'static str {
        match self {
            Mark::Label => "labels",
            Mark::Annotation => "annotations",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Mark::Label => "label",
            Mark::Annotation => "annotate",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Mark::Label => "label",
            Mark::Annotation => "annotation",
        }
    }
}

/// What becomes of the marks: a value, or `None` for those that go away.
pub type Changes = Vec<(String, Option<String>)>;

/// Runs the command.
pub async fn run(session: &Session, args: &MarkArgs, mark: Mark) -> Result<()> {
    let (words, changes) = changes(&args.words, mark)?;
    if words.is_empty() && args.files.is_empty() {
        return Err(Error::local(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    if changes.is_empty() && !args.list {
        return Err(Error::local(format!(
            "at least one {} update is required",
            mark.noun()
        )));
    }
    let selects = args.select.selector.as_deref().unwrap_or_default() != "";
    if args.all && selects {
        return Err(Error::local(
            "cannot set --all and --selector at the same time",
        ));
    }
    if args.local && args.write.dry_run == DryRun::Server {
        return Err(Error::local(
            "cannot specify --local and --dry-run=server - did you mean --dry-run=client?",
        ));
    }
    if args.local && !words.is_empty() {
        return Err(Error::local(
            "can only use local files by -f pod.yaml or --filename=pod.json when --local=true is set",
        ));
    }
    if args.all && args.select.field_selector.is_some() {
        return Err(Error::local(
            "cannot set --all and --field-selector at the same time",
        ));
    }
    let report = Report {
        separate: false,
        ..Report::new(&args.write)?
    };
    let mut errors = Vec::new();
    let selection = Selection {
        command: mark.command(),
        words: &words,
        files: Some(&args.files),
        labels: args.select.selector.as_deref(),
        local: args.local,
        fields: args.select.field_selector.as_deref(),
        all: args.all,
        everywhere: args.select.all_namespaces,
    };
    let found = select::read(session, &selection, &mut errors).await?;
    let several = found.len() > 1;
    if args.resource_version.is_some() && found.len() + errors.len() != 1 {
        return Err(Error::local(
            "--resource-version may only be used with a single resource",
        ));
    }
    for one in found {
        if args.list {
            list(&one, mark, several)?;
            continue;
        }
        let marked = async {
            let before = one.object["metadata"][mark.field()].as_object().cloned();
            let before = before.unwrap_or_default();
            if !args.overwrite {
                refuse_overwrites(&before, &changes, mark)?;
            }
            let mut after = before.clone();
            let mut patch = Map::new();
            for (key, value) in &changes {
                match value {
                    Some(value) => {
                        after.insert(key.clone(), json!(value));
                        patch.insert(key.clone(), json!(value));
                    }
                    None if after.remove(key).is_some() => {
                        patch.insert(key.clone(), Value::Null);
                    }
                    None if mark == Mark::Label => print(&format!("label {key:?} not found.\n"))?,
                    None => {}
                }
            }
            let done = match mark {
                Mark::Annotation => "annotated",
                Mark::Label if after == before => "not labeled",
                Mark::Label if after.len() < before.len() && !args.overwrite => "unlabeled",
                Mark::Label => "labeled",
            };
            let mut object = one.object.clone();
            if args.write.dry_run == DryRun::Client || args.local {
                object["metadata"][mark.field()] = Value::Object(after);
            } else if !patch.is_empty() {
                let mut metadata = json!({mark.field(): patch});
                if let Some(version) = &args.resource_version {
                    metadata["resourceVersion"] = json!(version);
                }
                let manager = match mark {
                    Mark::Label => "kubectl-label",
                    Mark::Annotation => "kubectl-annotate",
                };
                let options: WriteOptions = write::options(&args.write, manager)?;
                let place = at(&one.resource, &one.namespace).name(&one.name);
                let patch = Patch::Merge(json!({"metadata": metadata}));
                object = session
                    .client
                    .patch(&place, &patch, &options)
                    .await?
                    .parse()?;
            }
            report.print(&object, &one.resource, done)
        };
        if let Err(error) = marked.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

fn list(one: &select::Found, mark: Mark, several: bool) -> Result<()> {
    let mut text = String::new();
    if several {
        let (kind, group) = (&one.resource.kind, &one.resource.group);
        text = format!(
            "Listing {} for {kind}.{group}/{}:\n",
            mark.field(),
            one.name
        );
    }
    let indent = if several { " " } else { "" };
    let mut marks: Vec<_> = one.object["metadata"][mark.field()]
        .as_object()
        .into_iter()
        .flatten()
        .collect();
    marks.sort_by_key(|(key, _)| key.as_str());
    for (key, value) in marks {
        text.push_str(&format!(
            "{indent}{key}={}\n",
            value.as_str().unwrap_or_default()
        ));
    }
    print(&text)
}

/// Splits the words into resources and changes.
pub fn changes(words: &[String], mark: Mark) -> Result<(Vec<String>, Changes)> {
    let (mut resources, mut changes) = (Vec::new(), Changes::new());
    for word in words {
        let change = match word.split_once('=') {
            Some(("", _)) => None,
            Some((key, value)) => {
                let why = names::label_value(value);
                if mark == Mark::Label && !why.is_empty() {
                    return Err(Error::local(format!(
                        "invalid label value: {word:?}: {}",
                        why.join(";")
                    )));
                }
                Some((key.to_owned(), Some(value.to_owned())))
            }
            None => word
                .strip_suffix('-')
                .filter(|key| !key.is_empty())
                .map(|key| (key.to_owned(), None)),
        };
        match change {
            Some(change) => {
                let twice = |(key, value): &(String, Option<String>)| {
                    *key == change.0 && value.is_some() != change.1.is_some()
                };
                if changes.iter().any(twice) {
                    return Err(Error::local(match mark {
                        Mark::Label => {
                            "can not both modify and remove a label in the same command".to_owned()
                        }
                        Mark::Annotation => format!(
                            "can not both modify and remove the following annotation(s) in the same command: {}",
                            change.0
                        ),
                    }));
                }
                // The last of several values counts.
                changes.retain(|(key, _)| *key != change.0);
                changes.push(change);
            }
            None if changes.is_empty() => resources.push(word.clone()),
            None => {
                return Err(Error::local(format!(
                    "all resources must be specified before {} changes: {word}",
                    mark.noun()
                )));
            }
        }
    }
    Ok((resources, changes))
}

fn refuse_overwrites(
    before: &Map<String, Value>,
    changes: &[(String, Option<String>)],
    mark: Mark,
) -> Result<()> {
    let taken: Vec<String> = changes
        .iter()
        .filter_map(|(key, value)| {
            let (value, current) = (value.as_ref()?, before.get(key)?.as_str()?);
            (value != current).then(|| format!("'{key}' already has a value ({current})"))
        })
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    Err(Error::local(match mark {
        Mark::Label => {
            let taken: Vec<String> = taken
                .iter()
                .map(|own| format!("{own}, and --overwrite is false"))
                .collect();
            match taken.as_slice() {
                [one] => one.clone(),
                several => format!("[{}]", several.join(", ")),
            }
        }
        Mark::Annotation => format!(
            "--overwrite is false but found the following declared annotation(s): {}",
            taken.join("; ")
        ),
    }))
}
