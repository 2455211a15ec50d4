//! `kubectl replace`

use serde_json::Value;

use super::select;
use super::write::{self, Report};
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
    let mut errors = Vec::new();
    for file in files::read(&args.files, "replace")? {
        if let Err(error) = replace(session, args, &file).await {
            errors.push(error.when("replacing", &file.source));
        }
    }
    Error::all(errors)
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
    let place = at(&resource, &namespace).name(name);
    if args.write.dry_run != DryRun::Client {
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
