//! `kubectl set selector` and `kubectl set subject`

use ferrule_apimachinery::selector::{LabelSelector, Operator, Requirement};
use serde_json::{Map, Value, json};

use super::create::rbac;
use super::select;
use super::set::{self, Change};
use crate::args::{SetSelectorArgs, SetSubjectArgs};
use crate::error::{Error, Result};
use crate::session::Session;

/// Runs `kubectl set selector`.
pub async fn run(session: &Session, args: &SetSelectorArgs) -> Result<()> {
    let Some((selector, words)) = args.set.words.split_last() else {
        return Err(Error::local("one selector is required"));
    };
    if words.is_empty() && args.set.files.is_empty() {
        return Err(select::missing());
    }
    let labels = equalities(selector)?;
    let change = Change {
        words,
        args: &args.set,
        selector: None,
        done: "selector updated",
        failed: "",
        version: args.resource_version.as_deref(),
        always: true,
    };
    set::objects(session, &change, |one, object| {
        if one.resource.kind != "Service" || !one.resource.group.is_empty() {
            return Err(Error::local(
                "setting a selector is only supported for Services",
            ));
        }
        object["spec"]["selector"] = Value::Object(labels.clone());
        Ok(())
    })
    .await
}

/// The labels of a selector that only compares.
fn equalities(text: &str) -> Result<Map<String, Value>> {
    let selector = LabelSelector::parse(text).map_err(|why| {
        Error::local(format!(
            "couldn't parse the selector string {text:?}: {why}"
        ))
    })?;
    let mut labels = Map::new();
    for requirement in selector.requirements() {
        match (requirement.operator, &*requirement.values) {
            (Operator::Equals | Operator::DoubleEquals, [value]) => {
                labels.insert(requirement.key.to_string(), json!(value));
            }
            _ => {
                return Err(Error::local(format!(
                    "match expression [{{{}}}] not supported on this object",
                    shown(requirement)
                )));
            }
        }
    }
    Ok(labels)
}

/// A requirement as Go prints it.
fn shown(requirement: &Requirement) -> String {
    let operator = match requirement.operator {
        Operator::In => "In",
        Operator::NotIn | Operator::NotEquals => "NotIn",
        Operator::Exists => "Exists",
        Operator::DoesNotExist => "DoesNotExist",
        _ => "In",
    };
    format!(
        "{} {operator} [{}]",
        requirement.key,
        requirement.values.join(" ")
    )
}

/// Runs `kubectl set subject`.
pub async fn subject(session: &Session, args: &SetSubjectArgs) -> Result<()> {
    if args.set.all && args.selector.is_some() {
        return Err(Error::local(
            "cannot set --all and --selector at the same time",
        ));
    }
    if args.set.words.is_empty() && args.set.files.is_empty() {
        return Err(select::missing());
    }
    if args.user.is_empty() && args.group.is_empty() && args.serviceaccount.is_empty() {
        return Err(Error::local(
            "you must specify at least one value of user, group or serviceaccount",
        ));
    }
    let sorted = |list: &[String]| {
        let set: std::collections::BTreeSet<String> = list.iter().cloned().collect();
        set.into_iter().collect::<Vec<_>>()
    };
    let wanted = rbac::subjects(
        &sorted(&args.user),
        &sorted(&args.group),
        &sorted(&args.serviceaccount),
        &session.namespace,
    )?;
    let change = Change {
        words: &args.set.words,
        args: &args.set,
        selector: args.selector.as_deref(),
        done: "subjects updated",
        failed: "failed to patch subjects to rolebinding: ",
        version: None,
        always: false,
    };
    set::objects(session, &change, |one, object| {
        if !matches!(
            one.resource.kind.as_str(),
            "RoleBinding" | "ClusterRoleBinding"
        ) {
            return Err(Error::local(format!(
                "error: {}/{} setting subjects is only supported for RoleBinding/ClusterRoleBinding",
                one.resource.name, one.name
            )));
        }
        let mut subjects = object["subjects"].as_array().cloned().unwrap_or_default();
        let new: Vec<Value> = wanted
            .iter()
            .filter(|own| !subjects.contains(own))
            .cloned()
            .collect();
        if !new.is_empty() {
            subjects.extend(new);
            object["subjects"] = json!(subjects);
        }
        Ok(())
    })
    .await
}
