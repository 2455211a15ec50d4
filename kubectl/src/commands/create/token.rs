//! `kubectl create token`

use std::io::IsTerminal;

use ferrule_client::WriteOptions;
use serde_json::{Value, json};

use super::super::print;
use super::super::write::Report;
use super::one_name;
use crate::args::{CreateTokenArgs, DryRun};
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// What a token can be bound to.
const BOUND: [&str; 3] = ["Node", "Pod", "Secret"];

/// Asks for a token, and prints it.
pub async fn run(session: &Session, args: &CreateTokenArgs) -> Result<()> {
    let name = one_name(&args.words, "create token")?;
    let request = request(args)?;
    let report = Report::of(&args.print, DryRun::None)?;
    let accounts = session.resources().await?.find("serviceaccounts")?;
    let place = at(accounts, &session.namespace)
        .name(name)
        .subresource("token");
    let failed = |status| Error::from(status).failed("failed to create token: ");
    let options = WriteOptions::default();
    let created = session.client.create(&place, request.to_string(), &options);
    let answer: Value = created.await.map_err(failed)?.parse()?;
    let token = answer["status"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Error::local(
            "failed to create token: no token in server response",
        ));
    }
    if !report.format.is_table() {
        return crate::output::print(&answer, &report.format, &format!("tokenrequest/{name}"));
    }
    let end = if std::io::stdout().is_terminal() {
        "\n"
    } else {
        ""
    };
    print(&format!("{token}{end}"))
}

/// The TokenRequest of the flags.
fn request(args: &CreateTokenArgs) -> Result<Value> {
    let refuse = |why: &str| Err(Error::local(why));
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (kind, name, uid) = (
        given(&args.bound_object_kind),
        given(&args.bound_object_name),
        given(&args.bound_object_uid),
    );
    if args.duration < 0.0 {
        return refuse("--duration must be greater than or equal to 0");
    }
    if args.duration.fract() != 0.0 {
        return refuse("--duration cannot contain fractional seconds");
    }
    if args.audience.iter().any(String::is_empty) {
        return refuse("--audience must not be an empty string");
    }
    let mut spec = json!({"audiences": args.audience});
    if args.audience.is_empty() {
        spec["audiences"] = Value::Null;
    }
    if args.duration > 0.0 {
        spec["expirationSeconds"] = json!(args.duration as i64);
    }
    match (kind, name) {
        (None, Some(_)) => {
            return refuse(
                "--bound-object-name can only be set if --bound-object-kind is provided",
            );
        }
        (None, None) if uid.is_some() => {
            return refuse("--bound-object-uid can only be set if --bound-object-kind is provided");
        }
        (None, None) => {}
        (Some(kind), _) if !BOUND.contains(&kind.as_str()) => {
            return refuse(&format!(
                "supported --bound-object-kind values are {}",
                BOUND.join(", ")
            ));
        }
        (Some(_), None) => {
            return refuse("--bound-object-name is required if --bound-object-kind is provided");
        }
        (Some(kind), Some(name)) => {
            spec["boundObjectRef"] = json!({"apiVersion": "v1", "kind": kind, "name": name});
            if let Some(uid) = uid {
                spec["boundObjectRef"]["uid"] = json!(uid);
            }
        }
    }
    Ok(
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_be_bound_and_short_lived() {
        let text = |text: &str| Some(text.to_owned());
        let args = CreateTokenArgs {
            duration: 600.0,
            bound_object_kind: text("Pod"),
            bound_object_name: text("web"),
            ..CreateTokenArgs::default()
        };
        let spec = &request(&args).unwrap()["spec"];
        assert_eq!(spec["expirationSeconds"], 600);
        assert_eq!(spec["boundObjectRef"]["name"], "web");
        for (args, expected) in [
            (
                CreateTokenArgs {
                    duration: 0.5,
                    ..Default::default()
                },
                "--duration cannot contain fractional seconds",
            ),
            (
                CreateTokenArgs {
                    bound_object_kind: text("Job"),
                    ..Default::default()
                },
                "supported --bound-object-kind values are Node, Pod, Secret",
            ),
            (
                CreateTokenArgs {
                    bound_object_name: text("a"),
                    ..Default::default()
                },
                "--bound-object-name can only be set if --bound-object-kind is provided",
            ),
        ] {
            assert_eq!(request(&args).unwrap_err().message(), expected);
        }
    }
}
