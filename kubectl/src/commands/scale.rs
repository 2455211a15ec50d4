//! `kubectl scale`

use std::time::Duration;

use ferrule_client::client::Patch;
use ferrule_client::{At, WriteOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::select::{self, Selection};
use super::write::Report;
use crate::args::{DryRun, ScaleArgs};
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// How long an object that others change all the time is tried.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the command.
pub async fn run(session: &Session, args: &ScaleArgs) -> Result<()> {
    let replicas = match args.replicas {
        None => return Err(Error::local("required flag(s) \"replicas\" not set")),
        Some(replicas) if replicas < 0 => {
            return Err(Error::local(
                "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
            ));
        }
        Some(replicas) => replicas,
    };
    let report = Report::of(&args.print, args.dry_run)?;
    let mut errors = Vec::new();
    let selection = Selection {
        command: "scale",
        words: &args.words,
        files: Some(&args.files),
        labels: args.selector.as_deref(),
        all: args.all,
        ..Selection::default()
    };
    let found = select::read(session, &selection, &mut errors).await?;
    if found.is_empty() && errors.is_empty() {
        return Err(Error::local("no objects passed to scale"));
    }
    for one in found {
        let place = at(&one.resource, &one.namespace)
            .name(&one.name)
            .subresource("scale");
        if let Err(error) = scale_until_done(session, &place, args, replicas).await {
            errors.push(error);
            continue;
        }
        let mut object = one.object;
        if !report.format.is_table() && args.dry_run == DryRun::None {
            let place = at(&one.resource, &one.namespace).name(&one.name);
            object = session.client.get(&place).await?.parse()?;
        }
        report.print(&object, &one.resource, "scaled")?;
    }
    Error::all(errors)
}

/// Scales one object; tries again when it was changed between the look at it and the change.
async fn scale_until_done(
    session: &Session,
    place: &At,
    args: &ScaleArgs,
    replicas: i64,
) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match scale(session, place, args, replicas).await {
            Err(Error::Server(status)) if status.is_conflict() && Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}

async fn scale(session: &Session, place: &At, args: &ScaleArgs, replicas: i64) -> Result<()> {
    let scale: Value = session.client.get(place).await?.parse()?;
    let current = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if args.current_replicas >= 0 && args.current_replicas != current {
        return Err(Error::local(format!(
            "Expected replicas to be {}, was {current}",
            args.current_replicas
        )));
    }
    let version = scale["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    if let Some(wanted) = args
        .resource_version
        .as_deref()
        .filter(|wanted| *wanted != version)
    {
        return Err(Error::local(format!(
            "Expected resource version to be {wanted}, was {version}"
        )));
    }
    if args.dry_run == DryRun::Client {
        return Ok(());
    }
    let mut patch = json!({"spec": {"replicas": replicas}});
    if args.current_replicas >= 0 || args.resource_version.is_some() {
        patch["metadata"]["resourceVersion"] = Value::from(version);
    }
    let options = WriteOptions {
        dry_run: args.dry_run == DryRun::Server,
        field_manager: "kubectl-scale".to_owned(),
        ..WriteOptions::default()
    };
    let patch = Patch::Merge(patch);
    session.client.patch(place, &patch, &options).await?;
    Ok(())
}
