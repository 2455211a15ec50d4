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
    if i32::try_from(replicas).is_err() {
        return Err(Error::local(format!(
            "json: cannot unmarshal number {replicas} into Go struct field ScaleSpec.spec.replicas of type int32"
        )));
    }
    if args.current_replicas < -1 {
        return Err(Error::local(
            "The --current-replicas must specify an integer of -1 or greater",
        ));
    }
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
    let versioned = args.resource_version.as_deref().unwrap_or_default() != "";
    if versioned && found.len() > 1 {
        return Err(Error::local(
            "cannot use --resource-version with multiple resources",
        ));
    }
    if found.is_empty() && errors.is_empty() {
        return Err(Error::local("no objects passed to scale"));
    }
    for mut one in found {
        if args.dry_run != DryRun::Client {
            let place = at(&one.resource, &one.namespace)
                .name(&one.name)
                .subresource("scale");
            scale_until_done(session, &place, args, replicas).await?;
            if !args.timeout.is_zero() && args.dry_run == DryRun::None {
                wait_until_scaled(session, &place, args, &one.name, replicas).await?;
            }
        }
        // Elsewhere the number may stand at another place.
        if matches!(one.resource.group.as_str(), "" | "apps") {
            one.object["spec"]["replicas"] = Value::from(replicas);
        }
        report.print(&one.object, &one.resource, "scaled")?;
    }
    Error::all(errors)
}

/// Waits until as many replicas are there, or somebody else wants another number.
async fn wait_until_scaled(
    session: &Session,
    place: &At,
    args: &ScaleArgs,
    name: &str,
    replicas: i64,
) -> Result<()> {
    let until = Instant::now() + args.timeout;
    loop {
        let scale: Value = session.client.get(place).await?.parse()?;
        let count = |field: &str| scale[field]["replicas"].as_i64().unwrap_or(0);
        if count("spec") != replicas || count("status") == replicas {
            return Ok(());
        }
        if Instant::now() + PAUSE > until {
            return Err(Error::local(format!(
                "timed out waiting for {name:?} to be synced"
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
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
    let options = WriteOptions {
        dry_run: args.dry_run == DryRun::Server,
        // Upstream names nobody, and the server takes the program's name.
        field_manager: "kubectl".to_owned(),
        ..WriteOptions::default()
    };
    let wanted = args
        .resource_version
        .as_deref()
        .filter(|own| !own.is_empty());
    if args.current_replicas == -1 && wanted.is_none() {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        session.client.patch(place, &patch, &options).await?;
        return Ok(());
    }
    let mut scale: Value = session.client.get(place).await?.parse()?;
    let current = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if args.current_replicas != -1 && args.current_replicas != current {
        return Err(Error::local(format!(
            "Expected replicas to be {}, was {current}",
            args.current_replicas
        )));
    }
    let version = scale["metadata"]["resourceVersion"].as_str();
    let version = version.unwrap_or_default();
    if let Some(wanted) = wanted.filter(|wanted| *wanted != version) {
        return Err(Error::local(format!(
            "Expected resource version to be {wanted}, was {version}"
        )));
    }
    scale["spec"]["replicas"] = Value::from(replicas);
    let answer = session.client.update(place, scale.to_string(), &options);
    answer.await?;
    Ok(())
}
