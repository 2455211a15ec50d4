//! `kubectl cordon` and `uncordon`

use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use ferrule_proto::v1::ApiResource;
use serde_json::{Value, json};

use super::select::{self, Found, Selection};
use super::warn;
use super::write::Report;
use crate::args::{CordonArgs, DryRun};
use crate::error::{Error, Result};
use crate::resources::{at, long_name};
use crate::session::Session;

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
    let resources = session.resources().await?;
    let nodes: &ApiResource = resources.find("nodes")?;
    let kinds = args.words.iter().filter_map(|word| word.split_once('/'));
    let mut kinds = kinds.map(|(kind, _)| resources.find(kind).map(|own| &own.name));
    let first = kinds.next().transpose()?;
    for kind in kinds {
        if Some(kind?) != first {
            return Err(Error::local("you may only specify a single resource type"));
        }
    }
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
