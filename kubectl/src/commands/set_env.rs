//! `kubectl set env`

use base64::Engine;
use serde_json::{Value, json};

use super::select::{self, Found, Selection};
use super::set::{self, Change};
use super::{pods, print, warn};
use crate::args::SetEnvArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// What becomes of the variables of a container.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Variables that are set, as objects.
    pub set: Vec<Value>,
    /// Names of those that go.
    pub remove: Vec<String>,
}

/// Runs the command.
pub async fn run(session: &Session, args: &SetEnvArgs) -> Result<()> {
    let selector = args.containers.selector.as_deref();
    if args.set.all && selector.is_some() {
        return Err(Error::local(
            "cannot set --all and --selector at the same time",
        ));
    }
    let (words, specs) = split(&args.set.words)?;
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
    let specs: Vec<String> = args.env.iter().chain(specs).cloned().collect();
    let mut changes = read(&specs)?;
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
                "warning: {kind}/{name} does not have any containers matching {pattern:?}"
            ));
        }
        for container in containers {
            let title = pods::name(container).to_owned();
            let before = container["env"].as_array().cloned().unwrap_or_default();
            if !args.overwrite {
                keep(&before, &changes)?;
            }
            let after = changes.apply(&before);
            if after != before {
                container["env"] = json!(after);
            }
            listed.push(Listed {
                title: format!("# {kind} {name}, container {title}\n"),
                namespace: one.namespace.clone(),
                object: one.object.clone(),
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
            ..Selection::default()
        };
        for one in select::read_all(session, &selection).await? {
            let mut object = one.object.clone();
            let spec = match one.resource.kind.as_str() {
                "Pod" => &mut object["spec"],
                _ => &mut object["spec"]["template"]["spec"],
            };
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
    namespace: String,
    object: Value,
    variables: Vec<Value>,
}

/// Prints variables; with `resolve`, those that refer to something with its value.
async fn list(session: &Session, listed: &[Listed], resolve: bool) -> Result<()> {
    let mut failed: Vec<String> = Vec::new();
    for own in listed {
        print(&own.title)?;
        for variable in &own.variables {
            let source = variable.get("valueFrom").filter(|_| resolve);
            let line = match source {
                None => shown(variable),
                Some(source) => match value_of(session, own, source).await {
                    Ok(value) => format!("{}={value}\n", pods::name(variable)),
                    Err(why) => {
                        if !failed.contains(&why) {
                            failed.push(why);
                        }
                        shown(variable)
                    }
                },
            };
            print(&line)?;
        }
    }
    Error::all(
        failed
            .into_iter()
            .map(|why| Error::local(format!("error retrieving reference: {why}")))
            .collect(),
    )
}

/// What a reference leads to.
async fn value_of(
    session: &Session,
    own: &Listed,
    source: &Value,
) -> std::result::Result<String, String> {
    for (reference, plural) in [
        ("configMapKeyRef", "configmaps"),
        ("secretKeyRef", "secrets"),
    ] {
        let Some(reference) = source.get(reference) else {
            continue;
        };
        let (name, key) = (
            pods::name(reference),
            reference["key"].as_str().unwrap_or_default(),
        );
        let read = async {
            let resource = session.resources().await?.find(plural)?;
            let place = crate::resources::at(resource, &own.namespace).name(name);
            Ok::<Value, Error>(session.client.get(&place).await?.parse()?)
        };
        let object = read.await.map_err(|error| error.message())?;
        let Some(text) = object["data"][key].as_str() else {
            return Err(format!(
                "key {key} not found in {} {name}",
                plural.trim_end_matches('s')
            ));
        };
        if plural == "configmaps" {
            return Ok(text.to_owned());
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        let bytes = bytes.map_err(|error| error.to_string())?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        let template = crate::jsonpath::Template::read_path(path)?;
        let values = template.values(&own.object)?;
        return match values.as_slice() {
            [value] => Ok(crate::jsonpath::printed(value)),
            _ => Err(format!("unsupported fieldPath: {path}")),
        };
    }
    Err("resource fields of a container are known on its node only".to_owned())
}

/// Resources, and the changes behind them.
fn split(words: &[String]) -> Result<(&[String], &[String])> {
    let is_change = |word: &String| word.contains('=') || (word.ends_with('-') && word.len() > 1);
    let place = words.iter().position(is_change).unwrap_or(words.len());
    let (resources, changes) = words.split_at(place);
    if changes.iter().all(is_change) {
        return Ok((resources, changes));
    }
    Err(Error::local(format!(
        "all resources must be specified before environment changes: {}",
        words.join(" ")
    )))
}

/// Reads `KEY=VALUE` and `KEY-`.
pub fn read(specs: &[String]) -> Result<Changes> {
    let mut changes = Changes::default();
    for spec in specs {
        match (spec.split_once('='), spec.strip_suffix('-')) {
            (Some((name, value)), _) => changes.set.push(json!({"name": name, "value": value})),
            (None, Some(name)) => changes.remove.push(name.to_owned()),
            (None, None) => {
                return Err(Error::local(format!(
                    "unknown environment variable: {spec}"
                )));
            }
        }
    }
    let both = |name: &String| changes.set.iter().any(|own| pods::name(own) == name);
    if changes.remove.iter().any(both) {
        return Err(Error::local(
            "can not both modify and remove the same environment variable in the same command",
        ));
    }
    Ok(changes)
}

impl Changes {
    /// The variables of a container after the changes, in their order; new ones come last.
    pub fn apply(&self, before: &[Value]) -> Vec<Value> {
        let removed = |own: &Value| self.remove.iter().any(|name| name == pods::name(own));
        let newest = |own: &Value| {
            let same = |new: &&Value| pods::name(new) == pods::name(own);
            self.set.iter().find(same).unwrap_or(own).clone()
        };
        let mut after: Vec<Value> = Vec::new();
        for own in before
            .iter()
            .filter(|own| !removed(own))
            .map(newest)
            .chain(self.set.clone())
        {
            if !after
                .iter()
                .any(|other| pods::name(other) == pods::name(&own))
            {
                after.push(own);
            }
        }
        after
    }
}

fn keep(before: &[Value], changes: &Changes) -> Result<()> {
    for new in &changes.set {
        let same = before.iter().find(|own| pods::name(own) == pods::name(new));
        if let Some(own) = same {
            return Err(Error::local(format!(
                "'{}' already has a value ({}), and --overwrite is false",
                pods::name(own),
                own["value"].as_str().unwrap_or_default()
            )));
        }
    }
    Ok(())
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
                variables.push(json!({
                    "name": variable_name(key),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_changed_in_place_removed_and_added_at_the_end() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let before = [
            json!({"name": "A", "value": "1"}),
            json!({"name": "B", "value": "2"}),
        ];
        for (specs, expected) in [
            (
                "A=3",
                r#"[{"name":"A","value":"3"},{"name":"B","value":"2"}]"#,
            ),
            (
                "C=3 A-",
                r#"[{"name":"B","value":"2"},{"name":"C","value":"3"}]"#,
            ),
            ("A- B-", "[]"),
        ] {
            let after = read(&words(specs)).unwrap().apply(&before);
            assert_eq!(json!(after).to_string(), expected, "{specs}");
        }
        for (specs, expected) in [
            (
                "A=1 A-",
                "can not both modify and remove the same environment variable in the same command",
            ),
            ("A", "unknown environment variable: A"),
        ] {
            assert_eq!(read(&words(specs)).unwrap_err().message(), expected);
        }
        assert_eq!(variable_name("log.level"), "LOG_LEVEL");
    }
}
