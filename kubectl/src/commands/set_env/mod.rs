//! `kubectl set env`

mod changes;
mod resolve;

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Value, json};

use self::resolve::Place;
use super::select::{self, Found, Selection};
use super::set::{self, Change};
use super::{pods, print, warn};
use crate::args::SetEnvArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// The most that is read from standard input.
const INPUT_LIMIT: u64 = 64 << 20;

/// Runs the command.
pub async fn run(session: &Session, args: &SetEnvArgs) -> Result<()> {
    let selector = args.containers.selector.as_deref();
    if args.set.all && selector.is_some() {
        return Err(Error::local(
            "cannot set --all and --selector at the same time",
        ));
    }
    let (words, specs) = changes::split(&args.set.words)?;
    if words.is_empty() && args.set.files.is_empty() {
        return Err(Error::local(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    if args.list && args.set.write.print.output.is_some() {
        return Err(Error::local(
            "--list and --output may not be specified together",
        ));
    }
    if !args.keys.is_empty() && args.from.is_none() {
        return Err(Error::local(
            "when specifying --keys, a configmap or secret must be provided with --from",
        ));
    }
    let all: Vec<String> = args.env.iter().chain(specs).cloned().collect();
    let mut changes = changes::read(&all, standard_input)?;
    if let Some(from) = &args.from {
        changes.set.extend(from_object(session, args, from).await?);
    }
    for variable in &mut changes.set {
        variable["name"] = json!(format!("{}{}", args.prefix, pods::name(variable)));
    }
    let pattern = args.containers.containers.as_str();
    let mut listed: Vec<Listed> = Vec::new();
    let mut edit = |one: &Found, spec: &mut Value| {
        let containers = set::containers(spec, pattern);
        let (kind, name) = (&one.resource.kind, &one.name);
        if containers.is_empty() {
            warn(&format!(
                "Warning: {kind}/{name} does not have any containers matching {pattern:?}"
            ));
        }
        for container in containers {
            let title = pods::name(container).to_owned();
            let before = container["env"].as_array().cloned().unwrap_or_default();
            if !args.overwrite {
                changes
                    .keep(&before)
                    .map_err(|error| named(one, &error.message()))?;
            }
            let after = changes.apply(&before);
            if after != before {
                container["env"] = json!(after);
            }
            listed.push(Listed {
                title: format!("# {kind} {name}, container {title}\n"),
                object: one.object.clone(),
                container: container.clone(),
                variables: after,
            });
        }
        Ok(())
    };
    if args.list {
        let selection = Selection {
            command: "set",
            words,
            files: Some(&args.set.files),
            labels: selector,
            all: args.set.all,
            local: args.set.local,
            ..Selection::default()
        };
        for one in select::read_all(session, &selection).await? {
            let mut object = one.object.clone();
            if set::pod_spec(&one, &mut object).is_err() {
                continue;
            }
            let spec = set::pod_spec(&one, &mut object)?;
            edit(&one, spec)?;
        }
        return list(session, &listed, args.resolve).await;
    }
    let change = Change {
        words,
        args: &args.set,
        selector,
        done: "env updated",
        failed: "failed to patch env update to pod template: ",
        version: None,
        always: false,
    };
    set::run(session, &change, edit).await
}

/// The variables of a container.
struct Listed {
    title: String,
    object: Value,
    container: Value,
    variables: Vec<Value>,
}

/// Prints variables; with `resolve`, those that refer to something with its value. What leads
/// nowhere is told behind its container, and is no failure.
async fn list(session: &Session, listed: &[Listed], resolve: bool) -> Result<()> {
    for own in listed {
        let mut failed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let place = Place {
            object: &own.object,
            container: &own.container,
        };
        print(&own.title)?;
        for variable in &own.variables {
            let name = pods::name(variable);
            let source = variable.get("valueFrom").filter(|_| resolve);
            let line = match source {
                None => shown(variable),
                Some(source) => match resolve::value_of(session, &place, source).await {
                    Ok(value) => format!("{name}={value}\n"),
                    Err(why) => {
                        failed.entry(why).or_default().push(name);
                        shown(variable)
                    }
                },
            };
            print(&line)?;
        }
        let mut lines: Vec<String> = failed
            .into_iter()
            .map(|(why, mut names)| {
                names.sort_unstable();
                format!("error retrieving reference for {}: {why}", names.join(", "))
            })
            .collect();
        lines.sort();
        lines.iter().for_each(|line| warn(line));
    }
    Ok(())
}

fn standard_input() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(INPUT_LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| Error::local(format!("error reading STDIN: {error}")))?;
    Ok(text)
}

/// An error about an object.
fn named(one: &Found, why: &str) -> Error {
    Error::local(format!("error: {}/{} {why}", one.resource.name, one.name))
}

/// A line of `--list`.
fn shown(variable: &Value) -> String {
    let name = pods::name(variable);
    let Some(source) = variable.get("valueFrom") else {
        return format!(
            "{name}={}\n",
            variable["value"].as_str().unwrap_or_default()
        );
    };
    let text =
        |reference: &Value, field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    let from = if let Some(key) = source.get("configMapKeyRef") {
        format!("configmap {}, key {}", pods::name(key), text(key, "key"))
    } else if let Some(field) = source.get("fieldRef") {
        format!("field path {}", text(field, "fieldPath"))
    } else if let Some(resource) = source.get("resourceFieldRef") {
        let container = match text(resource, "containerName") {
            none if none.is_empty() => none,
            container => format!("{container}/"),
        };
        format!("resource field {container}{}", text(resource, "resource"))
    } else if let Some(key) = source.get("secretKeyRef") {
        format!("secret {}, key {}", pods::name(key), text(key, "key"))
    } else {
        "invalid valueFrom".to_owned()
    };
    format!("# {name} from {from}\n")
}

/// Variables that refer to the keys of a ConfigMap or Secret.
async fn from_object(session: &Session, args: &SetEnvArgs, from: &str) -> Result<Vec<Value>> {
    let words = [from.to_owned()];
    let selection = Selection {
        words: &words,
        all: args.set.all,
        ..Selection::default()
    };
    let mut variables = Vec::new();
    for one in select::read_all(session, &selection).await? {
        let reference = match one.resource.kind.as_str() {
            "ConfigMap" => "configMapKeyRef",
            "Secret" => "secretKeyRef",
            _ => return Err(Error::local("unsupported resource specified in --from")),
        };
        for (key, _) in one.object["data"].as_object().into_iter().flatten() {
            if args.keys.is_empty() || args.keys.contains(key) {
                let name = variable_name(key);
                if name != *key {
                    warn(&format!("Warning: key {key} transferred to {name}"));
                }
                variables.push(json!({
                    "name": name,
                    "valueFrom": {reference: {"name": one.name, "key": key}},
                }));
            }
        }
    }
    Ok(variables)
}

/// A key as the name of a variable: `log.level` is `LOG_LEVEL`.
fn variable_name(key: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = key
        .chars()
        .map(|c| if fits(c) { c.to_ascii_uppercase() } else { '_' });
    name.collect()
}
