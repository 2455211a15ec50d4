//! `kubectl taint`, `cordon` and `uncordon`

use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use ferrule_proto::v1::ApiResource;
use serde_json::{Value, json};

use super::select::{self, Found, Selection};
use super::warn;
use super::write::{self, Report};
use crate::args::{CordonArgs, DryRun, TaintArgs};
use crate::error::{Error, Result};
use crate::resources::{at, long_name};
use crate::session::Session;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// A change of a node's taints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A taint that is to be there.
    Add {
        /// Its key.
        key: String,
        /// Its value, perhaps empty.
        value: String,
        /// Its effect.
        effect: String,
    },
    /// Taints that are to go: those of a key, perhaps of one effect only.
    Remove {
        /// Their key.
        key: String,
        /// Their effect; empty is any.
        effect: String,
    },
}

/// Reads the words behind the nodes: `key=value:effect`, `key:effect`, `key-`, `key:effect-`.
pub fn changes(words: &[String]) -> Result<Vec<Change>> {
    let known = |effect: &str| {
        if EFFECTS.contains(&effect) {
            return Ok(());
        }
        Err(Error::usage(
            "taint",
            format_args!("invalid taint effect: {effect}, unsupported taint effect"),
        ))
    };
    words
        .iter()
        .map(|word| {
            if let Some(taint) = word.strip_suffix('-') {
                let (key, effect) = taint.split_once(':').unwrap_or((taint, ""));
                let key = key.split('=').next().unwrap_or(key).to_owned();
                if !effect.is_empty() {
                    known(effect)?;
                }
                let effect = effect.to_owned();
                return Ok(Change::Remove { key, effect });
            }
            let invalid = || Error::usage("taint", format_args!("invalid taint spec: {word}"));
            let (head, effect) = word.split_once(':').ok_or_else(invalid)?;
            known(effect)?;
            let (key, value) = head.split_once('=').unwrap_or((head, ""));
            Ok(Change::Add {
                key: key.to_owned(),
                value: value.to_owned(),
                effect: effect.to_owned(),
            })
        })
        .collect()
}

/// Runs `kubectl taint`.
pub async fn taint(session: &Session, args: &TaintArgs) -> Result<()> {
    let is_change = |word: &String| word.contains('=') || word.contains(':') || word.ends_with('-');
    let split = args
        .words
        .iter()
        .position(is_change)
        .unwrap_or(args.words.len());
    let (words, specs) = args.words.split_at(split);
    if words.is_empty() {
        return Err(Error::usage(
            "taint",
            "at least one resource type must be specified",
        ));
    }
    if specs.is_empty() {
        return Err(Error::usage(
            "taint",
            "at least one taint update is required",
        ));
    }
    let changes = changes(specs)?;
    let report = Report::new(&args.write)?;
    let mut errors = Vec::new();
    let selection = Selection {
        command: "taint",
        words,
        labels: args.selector.as_deref(),
        all: args.all,
        ..Selection::default()
    };
    for one in select::read(session, &selection, &mut errors).await? {
        let tainted = async {
            let before = one.object["spec"]["taints"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let (after, done) = apply(&before, &changes, &one.name, args.overwrite)?;
            let mut object = one.object.clone();
            object["spec"]["taints"] = json!(after);
            if args.write.dry_run != DryRun::Client {
                let options = write::options(&args.write, "kubectl-taint")?;
                let place = at(&one.resource, "").name(&one.name);
                let taints = if after.is_empty() {
                    Value::Null
                } else {
                    json!(after)
                };
                let patch = Patch::Merge(json!({"spec": {"taints": taints}}));
                object = session
                    .client
                    .patch(&place, &patch, &options)
                    .await?
                    .parse()?;
            }
            report.print(&object, &one.resource, done)
        };
        if let Err(error) = tainted.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// The taints after some changes, and the word for what was done.
pub fn apply(
    before: &[Value],
    changes: &[Change],
    node: &str,
    overwrite: bool,
) -> Result<(Vec<Value>, &'static str)> {
    let mut taints = before.to_vec();
    let (mut added, mut removed, mut replaced) = (false, false, false);
    for change in changes {
        match change {
            Change::Remove { key, effect } => {
                let count = taints.len();
                taints.retain(|own| {
                    own["key"] != **key || (!effect.is_empty() && own["effect"] != **effect)
                });
                if taints.len() == count {
                    let what = match effect.as_str() {
                        "" => key.clone(),
                        effect => format!("{key}:{effect}"),
                    };
                    return Err(Error::local(format!("taint {what:?} not found")));
                }
                removed = true;
            }
            Change::Add { key, value, effect } => {
                let mut taint = json!({"key": key, "effect": effect});
                if !value.is_empty() {
                    taint["value"] = json!(value);
                }
                let same = |own: &Value| own["key"] == **key && own["effect"] == **effect;
                match taints.iter_mut().find(|own| same(own)) {
                    Some(_) if !overwrite => {
                        return Err(Error::local(format!(
                            "node {node} already has {key} taint(s) with same effect(s) and --overwrite is false"
                        )));
                    }
                    Some(own) => {
                        *own = taint;
                        replaced = true;
                    }
                    None => taints.push(taint),
                }
                added = true;
            }
        }
    }
    let done = match (added, removed) {
        (true, false) if replaced => "modified",
        (true, false) => "tainted",
        (false, _) => "untainted",
        (true, true) => "modified",
    };
    Ok((taints, done))
}

/// Runs `kubectl cordon` and `kubectl uncordon`.
pub async fn cordon(session: &Session, args: &CordonArgs, cordon: bool) -> Result<()> {
    let command = if cordon { "cordon" } else { "uncordon" };
    let nodes = nodes(session, args, command).await?;
    switch_all(session, &nodes, cordon, args.dry_run).await
}

/// The nodes that a command names or selects; one that is missing is an error.
pub async fn nodes(session: &Session, args: &CordonArgs, command: &str) -> Result<Vec<Found>> {
    if args.words.is_empty() && args.selector.is_none() {
        return Err(Error::usage(
            command,
            format_args!("USAGE: {command} NODE [flags]"),
        ));
    }
    let selects = args
        .selector
        .as_deref()
        .is_some_and(|text| !text.is_empty());
    if !args.words.is_empty() && selects {
        return Err(Error::usage(
            command,
            "error: cannot specify both a node name and a --selector option",
        ));
    }
    let nodes: &ApiResource = session.resources().await?.find("nodes")?;
    let words: Vec<String> = match args.words.as_slice() {
        [] => vec!["nodes".to_owned()],
        words => words
            .iter()
            .map(|word| match word.contains('/') {
                true => word.clone(),
                false => format!("{}/{word}", nodes.name),
            })
            .collect(),
    };
    let selection = Selection {
        command,
        words: &words,
        labels: args.selector.as_deref(),
        ..Selection::default()
    };
    let mut errors = Vec::new();
    let found = select::read(session, &selection, &mut errors).await?;
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    match found.iter().find(|one| one.resource.kind != "Node") {
        Some(other) => Err(Error::local(format!(
            "expected resource of type node, got {:?}",
            long_name(&other.resource)
        ))),
        None => Ok(found),
    }
}

/// Makes nodes schedulable or not. As upstream, a node that refuses is named, and is no failure.
pub async fn switch_all(
    session: &Session,
    nodes: &[Found],
    cordon: bool,
    dry_run: DryRun,
) -> Result<()> {
    let report = Report::plain(dry_run);
    for one in nodes {
        if let Err(error) = switch(session, one, cordon, &report).await {
            let command = if cordon { "cordon" } else { "uncordon" };
            warn(&format!(
                "error: unable to {command} node {:?}: {}",
                one.name,
                error.message()
            ));
        }
    }
    Ok(())
}

async fn switch(session: &Session, one: &Found, cordon: bool, report: &Report) -> Result<()> {
    let is = one.object["spec"]["unschedulable"] == true;
    let word = if cordon { "cordoned" } else { "uncordoned" };
    if is == cordon {
        return report.print(&one.object, &one.resource, &format!("already {word}"));
    }
    if report.dry_run != DryRun::Client {
        let options = WriteOptions {
            dry_run: report.dry_run == DryRun::Server,
            field_manager: "kubectl-cordon".to_owned(),
            ..WriteOptions::default()
        };
        let value = if cordon { json!(true) } else { Value::Null };
        let patch = Patch::Strategic(json!({"spec": {"unschedulable": value}}));
        let place = at(&one.resource, "").name(&one.name);
        session.client.patch(&place, &patch, &options).await?;
    }
    report.print(&one.object, &one.resource, word)
}
