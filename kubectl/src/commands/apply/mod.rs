//! `kubectl apply`: what a file says becomes true, and what it no longer says goes away.
//!
//! ```text
//!  files ──> client_side (three-way patch) or server_side (the server merges) ──> prune
//! ```

pub mod client_side;
pub mod last_applied;
pub mod prune;
mod server_side;

use ferrule_apimachinery::selector::{LabelSelector, Labels};
use serde_json::{Value, json};

use super::write::Report;
use super::{delete, edit, print, select, write};
use crate::args::{ApplyArgs, ApplyCommand, DryRun};
use crate::error::{Error, Result};
use crate::files::{self, FromFile};
use crate::output::{self, Format, objects};
use crate::session::Session;

pub use client_side::{Plan, annotate, patched, plan};

/// Where the last applied configuration is kept.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Runs the command.
pub async fn run(session: &Session, args: &ApplyArgs) -> Result<()> {
    match &args.command {
        None => {}
        Some(ApplyCommand::ViewLastApplied(args)) => {
            return last_applied::view(session, args).await;
        }
        Some(ApplyCommand::SetLastApplied(args)) => return last_applied::set(session, args).await,
        Some(ApplyCommand::EditLastApplied(args)) => {
            return edit::run(session, args, edit::What::LastApplied).await;
        }
    }
    if args.files.is_empty() {
        return Err(Error::local("must specify one of -f and -k"));
    }
    check(args)?;
    let report = Report::new(&args.write)?;
    let resources = session.resources().await?;
    let kinds = prune::kinds(resources, &args.prune_allowlist)?;
    let mut errors = Vec::new();
    let mut results = Vec::new();
    let mut visited = prune::Visited::default();
    for file in chosen(&args.files, args.selector.as_deref(), "apply")? {
        let applied = async {
            let resource = select::resource_of(session, resources, &file.object, &file.source)?;
            let (object, done) = if args.server_side.server_side {
                server_side::apply(session, args, &resource, &file).await?
            } else {
                client_side::apply(session, args, &resource, &file).await?
            };
            visited.add(&resource, &object);
            // Whole objects are printed together, at the end.
            if report.format.is_table() || report.format == Format::Name {
                report.print(&object, &resource, done)?;
            } else {
                results.push(object);
            }
            Ok(())
        };
        if let Err(error) = applied.await {
            errors.push(error);
        }
    }
    Error::all(errors)?;
    print_whole(&report, results)?;
    if args.prune {
        prune::run(session, args, &kinds, &visited, &report).await?;
    }
    Ok(())
}

/// Flags that do not go together.
fn check(args: &ApplyArgs) -> Result<()> {
    let refuse = |why: &str| Err(Error::local(why));
    write::options(&args.write, client_side::MANAGER)?;
    delete::propagation(&args.delete.cascade)?;
    if args.subresource.is_some() && !args.server_side.server_side {
        return refuse("--subresource can only be specified for --server-side");
    }
    let (server_side, dry_run) = (args.server_side.server_side, args.write.dry_run);
    if args.server_side.force_conflicts && !server_side {
        return refuse("--force-conflicts only works with --server-side");
    }
    if dry_run == DryRun::Client && server_side {
        return refuse(
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        );
    }
    if server_side && args.delete.force {
        return refuse("--force cannot be used with --server-side");
    }
    if dry_run == DryRun::Server && args.delete.force {
        return refuse("--dry-run=server cannot be used with --force");
    }
    if args.all && args.selector.is_some() {
        return refuse("cannot set --all and --selector at the same time");
    }
    if args.prune && !args.all && args.selector.is_none() {
        return refuse(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you \
             did not mean to prune all resources, specify a label selector",
        );
    }
    Ok(())
}

/// The objects of files that a label selector fits.
pub fn chosen(
    args: &crate::args::FileArgs,
    selector: Option<&str>,
    command: &str,
) -> Result<Vec<FromFile>> {
    let mut found = files::read(args, command)?;
    if let Some(selector) = selector.filter(|text| !text.is_empty()) {
        let selector = LabelSelector::parse(selector).map_err(|why| {
            Error::local(format!(
                "the provided selector {selector:?} is not valid: {why}"
            ))
        })?;
        found.retain(|file| {
            let labels = file.object.pointer("/metadata/labels");
            selector.matches(&Labels::from_value(labels))
        });
        if found.is_empty() {
            return Err(Error::local(format!("no objects passed to {command}")));
        }
    }
    Ok(found)
}

/// The error of an object that has only the beginning of a name.
fn unnamed(object: &Value) -> Option<Error> {
    let prefix = object["metadata"]["generateName"].as_str();
    let prefix = prefix.filter(|prefix| !prefix.is_empty())?;
    Some(Error::local(format!(
        "from {prefix}: cannot use generate name with apply"
    )))
}

fn print_whole(report: &Report, mut results: Vec<Value>) -> Result<()> {
    if !report.managed_fields && report.format.hides_managed_fields() {
        results.iter_mut().for_each(objects::without_managed_fields);
    }
    let list = match results.as_slice() {
        [] => return Ok(()),
        [one] => return output::print(one, &report.format, ""),
        several => json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": several}),
    };
    match report.format {
        Format::Json => print(&objects::list_first(&list)),
        _ => output::print(&list, &report.format, ""),
    }
}
