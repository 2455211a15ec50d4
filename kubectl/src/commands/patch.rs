//! `kubectl patch`

use ferrule_apimachinery::schema::json_syntax;
use ferrule_apimachinery::status::Status;
use ferrule_apimachinery::yaml;
use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use serde_json::Value;

use super::apply;
use super::select::{self, Selection};
use super::write::{self, Report};
use crate::args::{DryRun, PatchArgs};
use crate::error::{Error, Result};
use crate::output::go;
use crate::resources::{at, offline};
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &PatchArgs) -> Result<()> {
    let text = match (&args.patch, &args.patch_file) {
        (Some(_), Some(_)) => {
            return Err(Error::local(
                "cannot specify --patch and --patch-file together",
            ));
        }
        (Some(patch), None) if !patch.is_empty() => patch.clone(),
        (None, Some(file)) => std::fs::read_to_string(file).map_err(|error| {
            Error::local(format!(
                "unable to read patch file: open {file}: {}",
                go(&error)
            ))
        })?,
        (_, None) => {
            return Err(Error::local(
                "must specify --patch or --patch-file containing the contents of the patch",
            ));
        }
    };
    if !matches!(args.r#type.as_str(), "json" | "merge" | "strategic") {
        return Err(Error::local(format!(
            "--type must be one of [json merge strategic], not {:?}",
            args.r#type
        )));
    }
    let tree = read(&text)?;
    let patch = match args.r#type.as_str() {
        "json" => Patch::Json(tree),
        "merge" => Patch::Merge(tree),
        _ => Patch::Strategic(tree),
    };
    if args.local && !args.words.is_empty() {
        return Err(Error::local("cannot specify --local and server resources"));
    }
    let report = Report {
        // As upstream: the word for what was done takes the place of the dry run's.
        dry_run: DryRun::None,
        separate: false,
        ..Report::new(&args.write)?
    };
    let mut errors = Vec::new();
    let selection = Selection {
        command: "patch",
        local: args.local,
        words: &args.words,
        files: Some(&args.files),
        ..Selection::default()
    };
    for one in select::read(session, &selection, &mut errors).await? {
        let patched = async {
            let mut place = at(&one.resource, &one.namespace).name(&one.name);
            if let Some(subresource) = &args.subresource {
                place = place.subresource(subresource);
            }
            let object = if args.write.dry_run == DryRun::Client || args.local {
                apply::patched(&patch, &one.object)?
            } else {
                // Upstream leaves it to the server what it makes of unknown fields.
                let options = WriteOptions {
                    field_validation: String::new(),
                    ..write::options(&args.write, "kubectl-patch")?
                };
                session
                    .client
                    .patch(&place, &patch, &options)
                    .await?
                    .parse()?
            };
            let done = if object == one.object {
                "patched (no change)"
            } else {
                "patched"
            };
            // A subresource may be of a kind of its own.
            let printed = match args.subresource {
                Some(_) => offline(&object),
                None => one.resource.clone(),
            };
            report.print(&object, &printed, done)
        };
        if let Err(error) = patched.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// A patch in JSON or in YAML.
fn read(text: &str) -> Result<Value> {
    if text.trim_start().starts_with('{') {
        // The server would word it: what looks like JSON is sent to it as it is.
        json_syntax::check(text.as_bytes()).map_err(|why| Error::from(Status::bad_request(why)))?;
        return serde_json::from_str(text)
            .map_err(|error| Error::from(Status::bad_request(error.to_string())));
    }
    let documents = yaml::read(text)
        .map_err(|error| Error::local(format!("unable to parse {text:?}: {error}")))?;
    Ok(documents.into_iter().next().unwrap_or(Value::Null))
}
