//! `kubectl set resources` and `kubectl set serviceaccount`

use ferrule_apimachinery::quantity::Quantity;
use serde_json::{Map, Value, json};

use super::select;
use super::set::{self, Change};
use crate::args::{SetResourcesArgs, SetServiceAccountArgs};
use crate::error::{Error, Result};
use crate::session::Session;

/// Runs `kubectl set resources`.
pub async fn run(session: &Session, args: &SetResourcesArgs) -> Result<()> {
    let (limits, requests) = (
        amounts(args.limits.as_deref())?,
        amounts(args.requests.as_deref())?,
    );
    if args.set.words.is_empty() && args.set.files.is_empty() {
        return Err(select::missing());
    }
    if limits.is_empty() && requests.is_empty() {
        return Err(Error::local(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        ));
    }
    let selector = args.containers.selector.as_deref();
    if args.set.all && selector.is_some() {
        return Err(Error::local(
            "cannot set --all and --selector at the same time",
        ));
    }
    let pattern = args.containers.containers.as_str();
    let change = Change {
        words: &args.set.words,
        args: &args.set,
        selector,
        done: "resource requirements updated",
        failed: "failed to patch resources update to pod template ",
        version: None,
        always: false,
    };
    set::run(session, &change, |_, spec| {
        let containers = set::containers(spec, pattern);
        if containers.is_empty() {
            return Err(Error::local(format!(
                "error: unable to find container named {pattern}"
            )));
        }
        for container in containers {
            for (field, amounts) in [("limits", &limits), ("requests", &requests)] {
                for (name, amount) in amounts {
                    container["resources"][field][name] = amount.clone();
                }
            }
        }
        Ok(())
    })
    .await
}

/// `cpu=100m,memory=256Mi` as a map.
pub fn amounts(text: Option<&str>) -> Result<Map<String, Value>> {
    let text = text.unwrap_or_default();
    let statements = text.split(',').filter(|_| !text.is_empty());
    statements
        .map(
            |statement| match statement.split('=').collect::<Vec<_>>().as_slice() {
                [name, amount] => {
                    let quantity = Quantity::parse(amount);
                    let quantity = quantity.map_err(|error| Error::local(error.to_string()))?;
                    Ok(((*name).to_owned(), json!(quantity.to_string())))
                }
                _ => Err(Error::local(format!(
                    "Invalid argument syntax {statement}, expected <resource>=<value>"
                ))),
            },
        )
        .collect()
}

/// Runs `kubectl set serviceaccount`.
pub async fn service_account(session: &Session, args: &SetServiceAccountArgs) -> Result<()> {
    let Some((account, words)) = args.set.words.split_last() else {
        return Err(Error::local("serviceaccount is required"));
    };
    if words.is_empty() && args.set.files.is_empty() {
        return Err(select::missing());
    }
    let change = Change {
        words,
        args: &args.set,
        selector: None,
        done: "serviceaccount updated",
        failed: "failed to patch ServiceAccountName ",
        version: None,
        always: true,
    };
    set::run(session, &change, |_, spec| {
        spec["serviceAccountName"] = json!(account);
        Ok(())
    })
    .await
}
