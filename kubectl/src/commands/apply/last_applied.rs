//! `kubectl apply view-last-applied` and `set-last-applied`

use ferrule_client::client::Patch;
use serde_json::{Value, json};

use super::super::print;
use super::super::select::{self, Selection};
use super::super::write::{self, Report};
use super::{LAST_APPLIED, annotate};
use crate::args::{DryRun, SetLastAppliedArgs, ViewLastAppliedArgs};
use crate::error::{Error, Result};
use crate::files;
use crate::output::{Format, objects};
use crate::resources::at;
use crate::session::Session;

/// Runs `view-last-applied`.
pub async fn view(session: &Session, args: &ViewLastAppliedArgs) -> Result<()> {
    let format = match args.output.as_str() {
        "yaml" => Format::Yaml,
        "json" => Format::Json,
        other => {
            return Err(Error::usage(
                "apply view-last-applied",
                format_args!(
                    "Unexpected -o output mode: {other}, the flag 'output' must be one of yaml|json"
                ),
            ));
        }
    };
    let selection = Selection {
        command: "view-last-applied",
        words: &args.words,
        files: Some(&args.files),
        labels: args.selector.as_deref(),
        all: args.all,
        ..Selection::default()
    };
    let mut errors = Vec::new();
    for one in select::read(session, &selection, &mut errors).await? {
        match one.object["metadata"]["annotations"][LAST_APPLIED].as_str() {
            Some(text) => {
                let applied: Value =
                    serde_json::from_str(text).map_err(|error| Error::local(error.to_string()))?;
                print(&objects::format(&applied, &format))?;
            }
            None => errors.push(Error::local(format!(
                "no last-applied-configuration annotation found on resource: {}\n",
                one.name
            ))),
        }
    }
    Error::all(errors)
}

/// Runs `set-last-applied`.
pub async fn set(session: &Session, args: &SetLastAppliedArgs) -> Result<()> {
    if args.filename.is_empty() {
        return Err(Error::local("must specify --filename"));
    }
    let report = Report::of(&args.print, args.dry_run)?;
    let resources = session.resources().await?;
    let named = crate::args::FileArgs {
        filename: args.filename.clone(),
        ..crate::args::FileArgs::default()
    };
    for file in files::read(&named, "set-last-applied")? {
        let resource = select::resource_of(session, resources, &file.object, &file.source)?;
        let mut wanted = file.object.clone();
        let namespace = write::place(&mut wanted, &resource, session);
        annotate(&mut wanted);
        let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
        let place = at(&resource, &namespace).name(name);
        let current: Value = match session.client.get(&place).await {
            Ok(object) => object.parse()?,
            Err(status) => return Err(status.into()),
        };
        let before = current["metadata"]["annotations"].get(LAST_APPLIED);
        if before.is_none() && !args.create_annotation {
            return Err(Error::local(format!(
                "no last-applied-configuration annotation found on resource: {name}, to create the annotation, run the command \
                 with --create-annotation"
            )));
        }
        let text = &wanted["metadata"]["annotations"][LAST_APPLIED];
        let mut object = current.clone();
        if args.dry_run == DryRun::Client {
            object["metadata"]["annotations"][LAST_APPLIED] = text.clone();
        } else if before != Some(text) {
            let patch = json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
            let options = ferrule_client::WriteOptions {
                dry_run: args.dry_run == DryRun::Server,
                field_manager: super::client_side::MANAGER.to_owned(),
                ..ferrule_client::WriteOptions::default()
            };
            let patched = session
                .client
                .patch(&place, &Patch::Merge(patch), &options)
                .await;
            object = patched?.parse()?;
        }
        report.print(&object, &resource, "configured")?;
    }
    Ok(())
}
