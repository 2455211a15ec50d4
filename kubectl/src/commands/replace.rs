//! `kubectl replace`

use ferrule_client::client::DeleteOptions;
use serde_json::Value;

use super::write::{self, Report};
use super::{delete, raw, select};
use crate::args::{DryRun, ReplaceArgs};
use crate::error::{Error, Result};
use crate::files::{self, FromFile};
use crate::resources::at;
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &ReplaceArgs) -> Result<()> {
    if args.files.is_empty() {
        return Err(Error::local("must specify one of -f and -k"));
    }
    if let Some(path) = &args.raw {
        return raw::send(session, "PUT", path, &args.files).await;
    }
    let graced = args.delete.grace_period >= 0;
    if graced && !args.delete.force {
        return Err(Error::local("--grace-period must have --force specified"));
    }
    if !args.delete.timeout.is_zero() && !args.delete.force {
        return Err(Error::local("--timeout must have --force specified"));
    }
    if args.delete.force && args.write.dry_run != DryRun::None {
        return Err(Error::local(
            "--dry-run can not be used when --force is set",
        ));
    }
    if args.delete.force {
        return forced(session, args).await;
    }
    let mut errors = Vec::new();
    for file in files::read(&args.files, "replace")? {
        if let Err(error) = replace(session, args, &file).await {
            errors.push(error.when("replacing", &file.source));
        }
    }
    Error::all(errors)
}

/// Deletes the objects, waits until they are gone, and creates them.
async fn forced(session: &Session, args: &ReplaceArgs) -> Result<()> {
    let report = Report::new(&args.write)?;
    let resources = session.resources().await?;
    let propagation = delete::propagation(&args.delete.cascade)?;
    let mut wanted = Vec::new();
    for file in files::read(&args.files, "replace")? {
        let resource = select::resource_of(session, resources, &file.object, &file.source)?;
        let mut object = file.object;
        let namespace = write::place(&mut object, &resource, session);
        wanted.push((resource, namespace, object, file.source));
    }
    for (resource, namespace, object, source) in &wanted {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        named(name, "deleting", source)?;
        let seconds = args.delete.grace_period;
        let options = DeleteOptions {
            grace_period_seconds: (seconds >= 0).then_some(seconds),
            propagation: Some(propagation),
            ..DeleteOptions::default()
        };
        delete::and_wait(
            session,
            resource,
            namespace,
            name,
            &options,
            args.delete.timeout,
        )
        .await
        .map_err(|error| error.when("deleting", source))?;
    }
    for (resource, namespace, mut object, source) in wanted {
        if args.write.save_config {
            super::apply::annotate(&mut object);
        }
        let options = write::options(&args.write, "kubectl-replace")?;
        let place = at(&resource, &namespace);
        write::forget_version(&mut object);
        let created = session
            .client
            .create(&place, object.to_string(), &options)
            .await;
        let created = created.map_err(|status| Error::from(status).when("creating", &source))?;
        report.print(&created.parse()?, &resource, "replaced")?;
    }
    Ok(())
}

/// No server has an object without a name.
fn named(name: &str, doing: &str, source: &str) -> Result<()> {
    if !name.is_empty() {
        return Ok(());
    }
    Err(Error::local(format!(
        "error when {doing} {source:?}: resource name may not be empty"
    )))
}

async fn replace(session: &Session, args: &ReplaceArgs, file: &FromFile) -> Result<()> {
    let report = Report::new(&args.write)?;
    let resources = session.resources().await?;
    let resource = select::resource_of(session, resources, &file.object, &file.source)?;
    let mut object = file.object.clone();
    let namespace = write::place(&mut object, &resource, session);
    if args.write.save_config {
        super::apply::annotate(&mut object);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut place = at(&resource, &namespace).name(name);
    if let Some(subresource) = &args.subresource {
        place = place.subresource(subresource);
    }
    if args.write.dry_run != DryRun::Client {
        named(name, "replacing", &file.source)?;
        // Without a version of its own the object replaces whatever is there.
        if object["metadata"]["resourceVersion"]
            .as_str()
            .is_none_or(str::is_empty)
        {
            let current: Value = session.client.get(&place).await?.parse()?;
            object["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
        }
        let options = write::options(&args.write, "kubectl-replace")?;
        let replaced = session
            .client
            .update(&place, object.to_string(), &options)
            .await?;
        object = replaced.parse()?;
    }
    report.print(&object, &resource, "replaced")
}
