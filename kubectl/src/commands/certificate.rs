//! `kubectl certificate approve` and `deny`

use ferrule_client::WriteOptions;
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::select::{self, Selection};
use super::write::Report;
use crate::args::{CertificateCommand, DryRun};
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// How often a conflict with another writer is tried again.
const TRIES: usize = 10;

/// Runs a command below `certificate`.
pub async fn run(session: &Session, command: &CertificateCommand) -> Result<()> {
    let (args, wanted, other, reason, message, done) = match command {
        CertificateCommand::Approve(args) => (
            args,
            "Approved",
            "Denied",
            "KubectlApprove",
            "This CSR was approved by kubectl certificate approve.",
            "approved",
        ),
        CertificateCommand::Deny(args) => (
            args,
            "Denied",
            "Approved",
            "KubectlDeny",
            "This CSR was denied by kubectl certificate deny.",
            "denied",
        ),
    };
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Error::local(
            "one or more CSRs must be specified as <name> or -f <filename>",
        ));
    }
    let report = Report::of(&args.print, DryRun::None)?;
    let mut words = vec!["certificatesigningrequests.v1.certificates.k8s.io".to_owned()];
    words.extend(args.words.iter().cloned());
    let selection = Selection {
        command: "certificate",
        words: if args.words.is_empty() { &[] } else { &words },
        files: Some(&args.files),
        ..Selection::default()
    };
    let mut errors = Vec::new();
    for mut one in select::read(session, &selection, &mut errors).await? {
        let place = at(&one.resource, "").name(&one.name);
        for turn in 1.. {
            if !decide(&mut one.object, wanted, other, args.force, reason, message)? {
                report.print(&one.object, &one.resource, done)?;
                break;
            }
            let approval = place.clone().subresource("approval");
            let options = WriteOptions::default();
            let sent = session
                .client
                .update(&approval, one.object.to_string(), &options)
                .await;
            match sent {
                Ok(answer) => {
                    report.print(&answer.parse()?, &one.resource, done)?;
                    break;
                }
                Err(status) if status.is_conflict() && turn < TRIES => {
                    one.object = session.client.get(&place).await?.parse()?;
                }
                Err(status) => {
                    errors.push(status.into());
                    break;
                }
            }
        }
    }
    Error::all(errors)
}

/// Adds the condition; whether anything is to be sent.
fn decide(
    object: &mut Value,
    wanted: &str,
    other: &str,
    force: bool,
    reason: &str,
    message: &str,
) -> Result<bool> {
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let has = |kind: &str| conditions.iter().any(|own| own["type"] == kind);
    if has(wanted) && !force {
        return Ok(false);
    }
    if has(other) && !force {
        return Err(Error::local(format!(
            "certificate signing request {name:?} is already {other}"
        )));
    }
    let mut after: Vec<Value> = conditions
        .into_iter()
        .filter(|own| own["type"] != wanted && own["type"] != other)
        .collect();
    let now = Timestamp::now()
        .round(Unit::Second)
        .unwrap_or_default()
        .to_string();
    after.push(json!({
        "type": wanted, "status": "True", "reason": reason, "message": message, "lastUpdateTime": now,
    }));
    object["status"]["conditions"] = json!(after);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_made_once_unless_it_is_forced() {
        let mut object = json!({"metadata": {"name": "a"}, "status": {}});
        let mut approve =
            |force| decide(&mut object, "Approved", "Denied", force, "r", "m").unwrap();
        assert!(approve(false));
        assert!(!approve(false));
        assert!(approve(true));
        assert_eq!(
            object["status"]["conditions"].as_array().map(Vec::len),
            Some(1)
        );
        let error = decide(&mut object, "Denied", "Approved", false, "r", "m").unwrap_err();
        assert_eq!(
            error.message(),
            "certificate signing request \"a\" is already Approved"
        );
    }
}
