//! `kubectl create job`, `cronjob` and `quota`

use serde_json::{Map, Value, json};

use super::super::select::{self, Selection};
use super::super::set_resources::amounts;
use super::one_name;
use crate::args::{CreateCronJobArgs, CreateJobArgs, CreateQuotaArgs};
use crate::error::{Error, Result};
use crate::session::Session;

/// A pod template with one container.
fn template(name: &str, image: &str, command: &[String], restart: &str) -> Value {
    let mut container = json!({"name": name, "image": image, "resources": {}});
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    json!({"metadata": {}, "spec": {"containers": [container], "restartPolicy": restart}})
}

/// The Job of the flags.
pub async fn job(session: &Session, args: &CreateJobArgs) -> Result<Value> {
    let name = one_name(&args.words, "create job")?;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (given(&args.image), given(&args.from)) {
        (Some(image), None) => Ok(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"template": template(name, &image, &args.command, "Never")},
            "status": {},
        })),
        (None, Some(_)) if !args.command.is_empty() => {
            Err(Error::local("cannot specify --from and command"))
        }
        (None, Some(from)) => job_of(session, name, &from).await,
        _ => Err(Error::local("either --image or --from must be specified")),
    }
}

/// A Job as a CronJob would make it now.
async fn job_of(session: &Session, name: &str, from: &str) -> Result<Value> {
    let words = [from.to_owned()];
    let selection = Selection {
        command: "create",
        words: &words,
        ..Selection::default()
    };
    let found = select::read_all(session, &selection).await?;
    let [one] = found.as_slice() else {
        return Err(Error::local("from must be an existing cronjob"));
    };
    let (kind, version) = (&one.resource.kind, &one.resource.version);
    if kind != "CronJob" {
        return Err(Error::local(format!(
            "unknown object type *{version}.{kind}"
        )));
    }
    Ok(job_from(name, &one.object))
}

fn job_from(name: &str, cron_job: &Value) -> Value {
    let template = &cron_job["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    annotations.insert(
        "cronjob.kubernetes.io/instantiate".to_owned(),
        json!("manual"),
    );
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("annotations".to_owned(), Value::Object(annotations));
    if let Some(labels) = template["metadata"].get("labels") {
        metadata.insert("labels".to_owned(), labels.clone());
    }
    let owner = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
        "controller": true,
    });
    metadata.insert("ownerReferences".to_owned(), json!([owner]));
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"], "status": {}})
}

/// The CronJob of the flags.
pub fn cron_job(args: &CreateCronJobArgs) -> Result<Value> {
    let missing: Vec<&str> = [("image", &args.image), ("schedule", &args.schedule)]
        .into_iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name)
        .collect();
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|name| format!("{name:?}")).collect();
        return Err(Error::local(format!(
            "required flag(s) {} not set",
            missing.join(", ")
        )));
    }
    let name = one_name(&args.words, "create cronjob")?;
    let image = args.image.as_deref().unwrap_or_default();
    let restart = args
        .restart
        .as_deref()
        .filter(|text| !text.is_empty())
        .unwrap_or("OnFailure");
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "jobTemplate": {
                "metadata": {"name": name},
                "spec": {"template": template(name, image, &args.command, restart)},
            },
            "schedule": args.schedule,
        },
        "status": {},
    }))
}

/// The ResourceQuota of the flags.
pub fn quota(args: &CreateQuotaArgs) -> Result<Value> {
    let name = one_name(&args.words, "create quota")?;
    let mut spec = json!({});
    let hard = amounts(args.hard.as_deref())?;
    if !hard.is_empty() {
        spec["hard"] = Value::Object(hard);
    }
    if let Some(scopes) = args.scopes.as_deref().filter(|text| !text.is_empty()) {
        let scopes: Vec<&str> = scopes.split(',').collect();
        if scopes.contains(&"") {
            return Err(Error::local("invalid resource quota scope \"\""));
        }
        spec["scopes"] = json!(scopes);
    }
    Ok(
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec, "status": {}}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_a_cron_job_is_owned_by_it_and_marked_as_manual() {
        let cron_job = json!({
            "metadata": {"name": "tick", "uid": "u"},
            "spec": {"jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {}}}},
        });
        let job = job_from("now", &cron_job);
        assert_eq!(
            job["metadata"]["annotations"],
            json!({"cronjob.kubernetes.io/instantiate": "manual"})
        );
        assert_eq!(job["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(job["metadata"]["ownerReferences"][0]["controller"], true);
        assert_eq!(job["spec"], json!({"template": {}}));
    }

    #[test]
    fn a_cron_job_wants_an_image_and_a_schedule() {
        let mut args = CreateCronJobArgs {
            words: vec!["c".to_owned()],
            ..CreateCronJobArgs::default()
        };
        let error = cron_job(&args).unwrap_err().message();
        assert_eq!(error, "required flag(s) \"image\", \"schedule\" not set");
        args.image = Some("x".to_owned());
        args.schedule = Some("@daily".to_owned());
        let pod = &cron_job(&args).unwrap()["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "OnFailure");
    }
}
