//! `kubectl wait`

use std::time::Duration;

use ferrule_client::client::WatchOptions;
use ferrule_proto::v1::EventType;
use futures::StreamExt;
use serde_json::Value;

use super::select::{self, Found, Selection};
use super::write::Report;
use crate::args::{DryRun, WaitArgs};
use crate::error::{Error, Result};
use crate::jsonpath::{Template, printed};
use crate::resources::at;
use crate::session::Session;

/// Negative means this long.
const WEEK: f64 = 7.0 * 24.0 * 3600.0;

/// What is waited for.
pub enum Condition {
    /// The object is gone.
    Deleted,
    /// The object is there.
    Created,
    /// A condition of the status has a value.
    Named(String, String),
    /// A path has a value, or any.
    Path(Template, Option<String>),
}

impl Condition {
    /// Reads the value of `--for`.
    pub fn read(text: &str) -> Result<Condition> {
        match text.to_lowercase().as_str() {
            "delete" => return Ok(Condition::Deleted),
            "create" => return Ok(Condition::Created),
            _ => {}
        }
        if let Some(condition) = text.strip_prefix("condition=") {
            let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
            return Ok(Condition::Named(name.to_owned(), value.to_owned()));
        }
        if let Some(path) = text.strip_prefix("jsonpath=") {
            let (path, value) = match around_equals(path).as_slice() {
                [path] => (path.clone(), None),
                [path, value] => (
                    path.clone(),
                    Some(value.trim_matches(['\'', '"']).to_owned()),
                ),
                _ => {
                    return Err(Error::local(
                        "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or \
                         --for=jsonpath='{.status.readyReplicas}'",
                    ));
                }
            };
            if value.as_deref() == Some("") {
                return Err(Error::local(
                    "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3",
                ));
            }
            let path = path.trim_matches(['\'', '"']);
            if path.is_empty() {
                return Err(Error::local("jsonpath expression cannot be empty"));
            }
            let template = Template::read_path(path).map_err(Error::local)?;
            return Ok(Condition::Path(template, value));
        }
        Err(Error::local(format!("unrecognized condition: {text:?}")))
    }

    /// Whether an object that is there fulfils it.
    pub fn holds(&self, object: &Value) -> Result<bool> {
        Ok(match self {
            Condition::Deleted => false,
            Condition::Created => true,
            Condition::Named(name, value) => {
                let conditions = object["status"]["conditions"].as_array();
                let mut conditions = conditions.into_iter().flatten();
                let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
                let current = |condition: &Value| {
                    // A condition about an older spec says nothing about this one.
                    let observed = condition["observedGeneration"].as_i64();
                    observed.is_none_or(|observed| observed >= generation)
                };
                conditions.any(|condition| {
                    let is = |field: &str, text: &str| {
                        condition[field]
                            .as_str()
                            .is_some_and(|own| own.eq_ignore_ascii_case(text))
                    };
                    is("type", name) && is("status", value) && current(condition)
                })
            }
            Condition::Path(template, value) => {
                let values = template.values(object).map_err(Error::local)?;
                match (values.as_slice(), value) {
                    ([], _) => false,
                    (_, None) => true,
                    ([Value::Array(_) | Value::Object(_)], Some(_)) => {
                        return Err(Error::local(
                            "jsonpath leads to a nested object or list which is not supported",
                        ));
                    }
                    ([one], Some(value)) => printed(one) == *value,
                    _ => {
                        return Err(Error::local(
                            "given jsonpath expression matches more than one value",
                        ));
                    }
                }
            }
        })
    }
}

/// The parts of a text between equal signs; two of them together compare, and stay.
fn around_equals(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(part) = parts.last_mut() else {
            break;
        };
        match letter {
            '=' if letters.next_if_eq(&'=').is_some() => part.push_str("=="),
            '=' => parts.push(String::new()),
            other => part.push(other),
        }
    }
    parts
}

/// Runs the command.
pub async fn run(session: &Session, args: &WaitArgs) -> Result<()> {
    let condition = args.r#for.last().map(String::as_str);
    let condition = Condition::read(condition.unwrap_or_default())?;
    let report = Report::of(&args.print, DryRun::None)?;
    let limit = if args.timeout < 0.0 {
        WEEK
    } else {
        args.timeout
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs_f64(limit);
    let selection = Selection {
        command: "wait",
        words: &args.words,
        files: Some(&args.files),
        labels: args.select.selector.as_deref(),
        fields: args.select.field_selector.as_deref(),
        all: args.all,
        everywhere: args.select.all_namespaces,
        local: false,
    };
    let deleted = matches!(condition, Condition::Deleted);
    let mut errors = Vec::new();
    let found = loop {
        let mut refused = Vec::new();
        let found = select::read(session, &selection, &mut refused).await?;
        let absent = refused.iter().any(Error::is_not_found);
        match condition {
            Condition::Deleted => refused.retain(|error| !error.is_not_found()),
            Condition::Created if absent || found.is_empty() => {
                if tokio::time::Instant::now() >= deadline {
                    return Err(Error::local("timed out waiting for the condition"));
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
                continue;
            }
            _ => {}
        }
        errors.append(&mut refused);
        break found;
    };
    if found.is_empty() && errors.is_empty() && !deleted {
        return Err(Error::local("no matching resources found"));
    }
    for one in found {
        if args.timeout == 0.0 {
            if condition.holds(&one.object)? {
                report.print(&one.object, &one.resource, "condition met")?;
            } else {
                let what = format!("{}/{}", one.resource.name, one.name);
                errors.push(Error::local(format!("condition not met for {what}")));
            }
            continue;
        }
        match tokio::time::timeout_at(deadline, until(session, &one, &condition)).await {
            Ok(Ok(object)) => report.print(&object, &one.resource, "condition met")?,
            Ok(Err(error)) => errors.push(error),
            Err(_) => errors.push(Error::local(format!(
                "timed out waiting for the condition on {}/{}",
                one.resource.name, one.name
            ))),
        }
    }
    Error::all(errors)
}

/// Waits until the condition holds; the object as it is then.
async fn until(session: &Session, one: &Found, condition: &Condition) -> Result<Value> {
    if condition.holds(&one.object)? {
        return Ok(one.object.clone());
    }
    loop {
        let options = WatchOptions {
            field_selector: format!("metadata.name={}", one.name),
            send_initial_events: true,
            ..WatchOptions::default()
        };
        let place = at(&one.resource, &one.namespace);
        let mut batches = session.client.watch(&place, &options).await?;
        let mut there = false;
        while let Some(Ok(batch)) = batches.next().await {
            for change in batch.changes {
                let object: Value = ferrule_client::client::parse(&change.object)?;
                let gone = change.kind == EventType::EventDeleted
                    || object["metadata"]["uid"] != one.object["metadata"]["uid"];
                match condition {
                    Condition::Deleted if gone => return Ok(object),
                    _ if gone => {}
                    condition if condition.holds(&object)? => return Ok(object),
                    _ => {}
                }
                there = true;
            }
            if batch.initial_events_end && !there {
                match condition {
                    Condition::Deleted => return Ok(one.object.clone()),
                    _ => {
                        return Err(Error::local(format!(
                            "{} {:?} not found",
                            one.resource.name, one.name
                        )));
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
