//! `kubectl diff`: the live objects beside what they would be if the files were applied.
//!
//! Both states are written into folders of their own, which a program compares: `diff -u -N`, or
//! the one that `KUBECTL_EXTERNAL_DIFF` names. Its exit code becomes ours; our own errors are
//! greater than 1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrule_apimachinery::yaml;
use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use ferrule_proto::v1::ApiResource;
use serde_json::{Value, json};

use super::{apply, select, warn, write};
use crate::args::DiffArgs;
use crate::error::{Error, Result};
use crate::files::FromFile;
use crate::output::objects;
use crate::resources::at;
use crate::session::Session;

/// How often an object that keeps changing is read again.
const TRIES: usize = 4;
/// What secrets are shown as.
const HIDDEN: &str = "***";

/// Runs the command.
pub async fn run(session: &Session, args: &DiffArgs) -> Result<()> {
    match compare(session, args).await {
        Ok(0) => Ok(()),
        Ok(code) => Err(Error::Exit(code)),
        Err(error) => Err(Error::Ended(error.to_string(), error.exit_code().max(2))),
    }
}

async fn compare(session: &Session, args: &DiffArgs) -> Result<u8> {
    if args.files.is_empty() {
        return Err(Error::local("must specify one of -f and -k"));
    }
    if args.server_side.force_conflicts && !args.server_side.server_side {
        return Err(Error::local(
            "--force-conflicts only works with --server-side",
        ));
    }
    let resources = session.resources().await?;
    let folders = Folders::new()?;
    let kinds = apply::prune::kinds(resources, &args.prune_allowlist)?;
    let mut visited = apply::prune::Visited::default();
    for file in apply::chosen(&args.files, args.selector.as_deref(), "diff")? {
        let resource = select::resource_of(session, resources, &file.object, &file.source)?;
        let (live, merged) = states(session, args, &resource, &file).await?;
        if let Some(live) = &live {
            visited.add(&resource, live);
        }
        folders.add(args, &resource, live, Some(merged))?;
    }
    if args.prune {
        for (resource, live) in
            apply::prune::candidates(session, args.selector.as_deref(), &kinds, &visited).await?
        {
            folders.add(args, &resource, Some(live), None)?;
        }
    }
    folders.compare()
}

/// An object as it is, and as it would be.
async fn states(
    session: &Session,
    args: &DiffArgs,
    resource: &ApiResource,
    file: &FromFile,
) -> Result<(Option<Value>, Value)> {
    let mut wanted = file.object.clone();
    let namespace = write::place(&mut wanted, resource, session);
    let name = wanted["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let collection = at(resource, &namespace);
    let place = collection.clone().name(&name);
    let default = match args.server_side.server_side {
        true => "kubectl",
        false => apply::client_side::MANAGER,
    };
    let options = WriteOptions {
        dry_run: true,
        field_manager: args
            .field_manager
            .clone()
            .unwrap_or_else(|| default.to_owned()),
        ..WriteOptions::default()
    };
    let mut turn = 1;
    loop {
        let live: Option<Value> = match session.client.get(&place).await {
            Ok(object) => Some(object.parse()?),
            Err(status) if status.is_not_found() => None,
            Err(status) => return Err(status.into()),
        };
        let answer = if args.server_side.server_side {
            let object = wanted.clone();
            let force = args.server_side.force_conflicts;
            session
                .client
                .patch(&place, &Patch::Apply { object, force }, &options)
                .await
        } else if let Some(live) = &live {
            // What was applied last is no news: the annotation stays as it is.
            let mut modified = wanted.clone();
            let annotations = &mut modified["metadata"]["annotations"];
            match annotations.as_object_mut() {
                Some(map) => drop(map.remove(apply::LAST_APPLIED)),
                None => *annotations = json!({}),
            }
            let plan = apply::plan(&modified, live)?;
            if plan.is_empty() {
                return Ok((Some(live.clone()), live.clone()));
            }
            let mut patch = plan.wire();
            // Unless it keeps changing, both states are of one version.
            if turn < TRIES
                && let Patch::Strategic(tree) | Patch::Merge(tree) = &mut patch
            {
                tree["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
            }
            session.client.patch(&place, &patch, &options).await
        } else {
            session
                .client
                .create(&collection, wanted.to_string(), &options)
                .await
        };
        match answer {
            Ok(object) => return Ok((live, object.parse()?)),
            Err(status) if status.is_conflict() && turn < TRIES => turn += 1,
            Err(status) => return Err(status.into()),
        }
        if turn == TRIES {
            warn(&format!(
                "Object ({}: {name}) keeps changing, diffing without lock",
                resource.kind
            ));
        }
    }
}

/// Two folders that go away with this.
struct Folders {
    live: PathBuf,
    merged: PathBuf,
}

impl Folders {
    fn new() -> Result<Folders> {
        let make = |prefix: &str| super::edit::temporary_folder(prefix);
        let live = make("LIVE-")?;
        match make("MERGED-") {
            Ok(merged) => Ok(Folders { live, merged }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&live);
                Err(error)
            }
        }
    }

    fn add(
        &self,
        args: &DiffArgs,
        resource: &ApiResource,
        mut live: Option<Value>,
        mut merged: Option<Value>,
    ) -> Result<()> {
        let known = live.as_ref().or(merged.as_ref());
        let file = known
            .map(|object| file_name(resource, object))
            .unwrap_or_default();
        if !args.show_managed_fields {
            live.iter_mut()
                .chain(&mut merged)
                .for_each(objects::without_managed_fields);
        }
        if resource.group.is_empty() && resource.kind == "Secret" {
            hide(&mut live, &mut merged);
        }
        for (folder, object) in [(&self.live, live), (&self.merged, merged)] {
            let text = object
                .map(|object| yaml::write(&object))
                .unwrap_or_default();
            let path = folder.join(&file);
            std::fs::write(&path, text)
                .map_err(|error| Error::local(format!("open {}: {error}", path.display())))?;
        }
        Ok(())
    }

    /// The exit code of the program that compares.
    fn compare(&self) -> Result<u8> {
        let wanted = std::env::var("KUBECTL_EXTERNAL_DIFF").unwrap_or_default();
        let (program, arguments) = program(&wanted);
        let failed =
            |why: &dyn std::fmt::Display| Error::local(format!("failed to run {program:?}: {why}"));
        let mut command = Command::new(&program);
        command.args(arguments).arg(&self.live).arg(&self.merged);
        let status = command.status().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed(&"executable file not found in $PATH"),
            _ => failed(&error),
        })?;
        match status.code() {
            Some(code @ (0 | 1)) => Ok(u8::from(code == 1)),
            Some(code) => {
                let error = failed(&format_args!("exit status {code}"));
                Err(Error::Ended(
                    error.to_string(),
                    u8::try_from(code).unwrap_or(2),
                ))
            }
            None => Err(failed(&"it was ended by a signal")),
        }
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in [&self.live, &self.merged] {
            let _ = std::fs::remove_dir_all(Path::new(folder));
        }
    }
}

/// The program that compares and its arguments; of a user's program, only those that are plain.
fn program(wanted: &str) -> (String, Vec<String>) {
    let mut words = wanted.split_whitespace();
    let Some(first) = words.next() else {
        return ("diff".to_owned(), vec!["-u".to_owned(), "-N".to_owned()]);
    };
    let plain = |word: &&str| {
        word.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '='))
    };
    (
        first.to_owned(),
        words.filter(plain).map(str::to_owned).collect(),
    )
}

/// `apps.v1.Deployment.default.web`
fn file_name(resource: &ApiResource, object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let group = match resource.group.as_str() {
        "" => String::new(),
        group => format!("{group}."),
    };
    let name = format!(
        "{group}{}.{}.{}.{}",
        resource.version,
        resource.kind,
        text("namespace"),
        text("name")
    );
    name.replace('/', "_")
}

/// Values of a Secret are not shown, only whether they differ.
fn hide(live: &mut Option<Value>, merged: &mut Option<Value>) {
    let data = |object: &Option<Value>| -> BTreeMap<String, Value> {
        let data = object
            .as_ref()
            .and_then(|object| object["data"].as_object());
        data.into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let (before, after) = (data(live), data(merged));
    let differs = |key: &String| match (before.get(key), after.get(key)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    };
    for (object, label) in [(live, "before"), (merged, "after")] {
        let data = object.as_mut().and_then(|object| object.get_mut("data"));
        for (key, value) in data.and_then(Value::as_object_mut).into_iter().flatten() {
            *value = match differs(key) {
                true => json!(format!("{HIDDEN} ({label})")),
                false => json!(HIDDEN),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_users_keeps_its_plain_arguments() {
        let own = |text: &str| {
            let (program, arguments) = program(text);
            format!("{program} {}", arguments.join(" "))
        };
        assert_eq!(own(""), "diff -u -N");
        assert_eq!(own("colordiff -N -u"), "colordiff -N -u");
        assert_eq!(own("diff -u; rm"), "diff rm");
    }

    #[test]
    fn values_of_secrets_are_hidden() {
        let secret = |a: &str, b: &str| Some(json!({"data": {"a": a, "b": b}}));
        let (mut live, mut merged) = (secret("1", "2"), secret("1", "3"));
        hide(&mut live, &mut merged);
        assert_eq!(live, secret("***", "*** (before)"));
        assert_eq!(merged, secret("***", "*** (after)"));
    }
}
