//! `kubectl delete`

use std::time::Duration;

use ferrule_client::client::{DeleteOptions, Propagation, WatchOptions};
use ferrule_proto::v1::{ApiResource, EventType};
use futures::StreamExt;
use serde_json::Value;

use super::select::{self, Selection};
use super::{print, raw, warn, write};
use crate::args::{DeleteArgs, DryRun};
use crate::error::{Error, Result};
use crate::resources::{at, singular};
use crate::session::Session;

/// How long `--wait` without `--timeout` waits.
const FOR_EVER: Duration = Duration::from_secs(7 * 24 * 3600);

struct Gone {
    resource: ApiResource,
    namespace: String,
    name: String,
    uid: String,
}

/// Runs the command.
pub async fn run(session: &Session, args: &DeleteArgs) -> Result<()> {
    if let Some(path) = &args.raw {
        return raw::send(session, "DELETE", path, &args.files).await;
    }
    let grace = grace_period(args)?;
    let propagation = propagation(&args.cascade)?;
    if let Some(other) = args
        .output
        .as_deref()
        .filter(|own| !matches!(*own, "" | "name"))
    {
        return Err(Error::local(format!(
            "unexpected -o output mode: {other}. We only support '-o name'"
        )));
    }
    let selecting = args.select.selector.is_some() || args.select.field_selector.is_some();
    if args.all && selecting {
        return Err(Error::local(
            "setting 'all' parameter but found a non empty selector. ",
        ));
    }
    let timeout = args.timeout;
    let options = DeleteOptions {
        grace_period_seconds: grace,
        propagation: Some(propagation),
        dry_run: args.dry_run == DryRun::Server,
        ..DeleteOptions::default()
    };
    let mut errors = Vec::new();
    let mut gone = Vec::new();
    let chosen = choose(session, args, &mut errors).await?;
    let named = args.words.len() > 1 || args.words.iter().any(|word| word.contains('/'));
    if chosen.is_empty() && errors.is_empty() && !(args.ignore_not_found && named) {
        print("No resources found\n")?;
        return Ok(());
    }
    if args.interactive && args.dry_run == DryRun::None && !confirmed(&chosen)? {
        return print("deletion is cancelled\n");
    }
    if args.force && grace == Some(0) {
        warn(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The \
             resource may continue to run on the cluster indefinitely.",
        );
    }
    for (resource, namespace, name, source) in chosen {
        let place = at(&resource, &namespace).name(&name);
        if args.dry_run != DryRun::Client {
            match session.client.delete(&place, &options).await {
                Ok(object) => {
                    let answer: Value = object.parse()?;
                    let uid = answer["metadata"]["uid"]
                        .as_str()
                        .or(answer["details"]["uid"].as_str());
                    let uid = uid.unwrap_or_default().to_owned();
                    gone.push(Gone {
                        resource: resource.clone(),
                        namespace: namespace.clone(),
                        name: name.clone(),
                        uid,
                    });
                }
                Err(status) if status.is_not_found() && args.ignore_not_found => continue,
                Err(status) => {
                    let error = Error::from(status);
                    errors.push(match source {
                        Some(source) => error.when("deleting", &source),
                        None => error,
                    });
                    continue;
                }
            }
        }
        say(args, grace, &resource, &namespace, &name)?;
    }
    if args.wait && args.dry_run == DryRun::None {
        let limit = if timeout.is_zero() { FOR_EVER } else { timeout };
        let waiting = async {
            for object in &gone {
                wait_until_gone(session, object).await?;
            }
            Ok::<_, Error>(())
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(result) => result?,
            Err(_) => {
                let object = gone
                    .first()
                    .map(|gone| format!("{}/{}", gone.resource.name, gone.name));
                return Err(Error::local(format!(
                    "timed out waiting for the condition on {}",
                    object.unwrap_or_default()
                )));
            }
        }
    }
    Error::all(errors)
}

/// Asks whether the chosen objects shall be deleted.
fn confirmed(chosen: &[Chosen]) -> Result<bool> {
    let count = chosen.len();
    let mut text = format!("You are about to delete the following {count} resource(s):\n");
    for (resource, _, name, _) in chosen {
        text.push_str(&format!("{}/{name}\n", singular(resource)));
    }
    print(&format!("{text}Do you want to continue? (y/n): "))?;
    let mut answer = String::new();
    // Without an answer nothing is deleted.
    let read = std::io::stdin().read_line(&mut answer);
    Ok(read.is_ok() && answer.trim().eq_ignore_ascii_case("y"))
}

/// The value of `--cascade`.
pub fn propagation(cascade: &str) -> Result<Propagation> {
    Ok(match cascade {
        "background" => Propagation::Background,
        "foreground" => Propagation::Foreground,
        "orphan" => Propagation::Orphan,
        "true" | "false" => {
            let (value, instead) = match cascade {
                "true" => (Propagation::Background, "background"),
                _ => (Propagation::Orphan, "orphan"),
            };
            warn(&format!(
                "warning: --cascade={cascade} is deprecated (boolean value) and can be replaced with --cascade={instead}."
            ));
            value
        }
        other => {
            return Err(Error::local(format!(
                "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
            )));
        }
    })
}

/// Deletes an object so that another can have its name: returns when it is gone.
pub async fn for_another(
    session: &Session,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
    current: &Value,
) -> Result<()> {
    one(session, resource, namespace, name, true).await?;
    let uid = current["metadata"]["uid"].as_str().unwrap_or_default();
    let gone = Gone {
        resource: resource.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
    };
    wait_until_gone(session, &gone).await
}

/// Deletes an object, if it is there, says so, and waits until it is gone.
pub async fn and_wait(
    session: &Session,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
    timeout: Duration,
) -> Result<()> {
    let place = at(resource, namespace).name(name);
    let answer: Value = match session.client.delete(&place, options).await {
        Ok(object) => object.parse()?,
        Err(status) if status.is_not_found() => return Ok(()),
        Err(status) => return Err(status.into()),
    };
    print(&sentence(
        "deleted",
        resource,
        namespace,
        name,
        DryRun::None,
    ))?;
    let uid = answer["metadata"]["uid"]
        .as_str()
        .or(answer["details"]["uid"].as_str());
    let gone = Gone {
        resource: resource.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: uid.unwrap_or_default().to_owned(),
    };
    let limit = if timeout.is_zero() { FOR_EVER } else { timeout };
    let waiting = wait_until_gone(session, &gone);
    let timed_out = |_| Error::local("timed out waiting for the condition");
    tokio::time::timeout(limit, waiting)
        .await
        .map_err(timed_out)?
}

/// Deletes one object, if it is there, and does not wait for its end.
pub async fn one(
    session: &Session,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
    quiet: bool,
) -> Result<()> {
    let options = DeleteOptions {
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    match session
        .client
        .delete(&at(resource, namespace).name(name), &options)
        .await
    {
        Ok(_) if quiet => Ok(()),
        Ok(_) => print(&sentence(
            "deleted",
            resource,
            namespace,
            name,
            DryRun::None,
        )),
        Err(status) if status.is_not_found() => Ok(()),
        Err(status) => Err(status.into()),
    }
}

/// `pod "web" deleted from default namespace`.
fn sentence(
    done: &str,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
    dry_run: DryRun,
) -> String {
    let place = if resource.namespaced {
        format!(" from {namespace} namespace")
    } else {
        String::new()
    };
    format!(
        "{} {name:?} {done}{place}{}\n",
        singular(resource),
        write::suffix(dry_run)
    )
}

fn grace_period(args: &DeleteArgs) -> Result<Option<i64>> {
    if args.now && args.grace_period != -1 {
        return Err(Error::local(
            "--now and --grace-period cannot be specified together",
        ));
    }
    if args.force && args.now {
        return Err(Error::local(
            "--force and --grace-period greater than 0 cannot be specified together",
        ));
    }
    if args.now {
        return Ok(Some(1));
    }
    match args.grace_period {
        // Without --force the object waits for its kubelet all the same.
        0 if !args.force => Ok(Some(1)),
        seconds if seconds < 0 => Ok(args.force.then_some(0)),
        seconds if args.force && seconds > 0 => Err(Error::local(
            "--force and --grace-period greater than 0 cannot be specified together",
        )),
        seconds => Ok(Some(seconds)),
    }
}

type Chosen = (ApiResource, String, String, Option<String>);

async fn choose(
    session: &Session,
    args: &DeleteArgs,
    errors: &mut Vec<Error>,
) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    if !args.files.is_empty() {
        let resources = session.resources().await?;
        for file in crate::files::read(&args.files, "delete")? {
            let resource = match select::resource_of(session, resources, &file.object, &file.source)
            {
                Ok(resource) => resource,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let mut object = file.object.clone();
            let namespace = write::place(&mut object, &resource, session);
            let name = object["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            chosen.push((resource, namespace, name, Some(file.source)));
        }
        return Ok(chosen);
    }
    let (labels, fields) = (&args.select.selector, &args.select.field_selector);
    let selecting = labels.is_some() || fields.is_some();
    let everywhere = args.select.all_namespaces;
    let selection = Selection {
        command: "delete",
        words: &args.words,
        ..Selection::default()
    };
    for (target, namespace) in select::targets(session, &selection).await? {
        if !target.names.is_empty() {
            if args.all || selecting {
                return Err(Error::local(
                    "name cannot be provided when a selector is specified",
                ));
            }
            if everywhere {
                return Err(Error::local(
                    "a resource cannot be retrieved by name across all namespaces",
                ));
            }
            chosen.extend(target.names.iter().map(|name| {
                let (resource, namespace) = (target.resource.clone(), namespace.clone());
                (resource, namespace, name.clone(), None)
            }));
            continue;
        }
        if !args.all && !selecting {
            return Err(Error::local(
                "resource(s) were provided, but no name was specified",
            ));
        }
        let options = select::options(labels.as_deref(), fields.as_deref());
        let place = if everywhere { "" } else { &namespace };
        for object in select::list(session, &target.resource, place, &options).await? {
            let text = |field: &str| {
                let text = object["metadata"][field].as_str();
                text.unwrap_or_default().to_owned()
            };
            let resource = target.resource.clone();
            chosen.push((resource, text("namespace"), text("name"), None));
        }
    }
    Ok(chosen)
}

fn say(
    args: &DeleteArgs,
    grace: Option<i64>,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
) -> Result<()> {
    let kind = singular(resource);
    if args.output.as_deref() == Some("name") {
        return print(&format!("{kind}/{name}\n"));
    }
    let done = if args.force && grace == Some(0) {
        "force deleted"
    } else {
        "deleted"
    };
    print(&sentence(done, resource, namespace, name, args.dry_run))
}

/// Waits until the object is gone, or another one bears its name.
async fn wait_until_gone(session: &Session, object: &Gone) -> Result<()> {
    let place = at(&object.resource, &object.namespace);
    let other = |bytes: &[u8]| {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        !object.uid.is_empty() && value["metadata"]["uid"] != object.uid.as_str()
    };
    loop {
        let options = WatchOptions {
            field_selector: format!("metadata.name={}", object.name),
            send_initial_events: true,
            ..WatchOptions::default()
        };
        match session.client.watch(&place, &options).await {
            Ok(mut batches) => {
                let mut there = false;
                while let Some(Ok(batch)) = batches.next().await {
                    for change in &batch.changes {
                        if change.kind == EventType::EventDeleted || other(&change.object) {
                            return Ok(());
                        }
                        there = true;
                    }
                    if batch.initial_events_end && !there {
                        return Ok(());
                    }
                }
            }
            // A namespace that goes away takes its right to be watched along.
            Err(status) if status.is_not_found() => return Ok(()),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
