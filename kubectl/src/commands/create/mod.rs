//! `kubectl create`: from files, and from flags.

mod batch;
mod budget;
pub mod data;
mod ingress;
pub mod rbac;
mod service;
mod token;

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{edit, raw, select, write};
use crate::args::{
    CreateArgs, CreateDeploymentArgs, CreateRoleArgs, DryRun, Generator, SecretGenerator,
    ServiceGenerator, WriteArgs,
};
use crate::error::{Error, Result};
use crate::resources::{Resources, offline};
use crate::session::Session;

const MANAGER: &str = "kubectl-create";

/// Runs the command.
pub async fn run(session: &Session, args: CreateArgs) -> Result<()> {
    if let Some(path) = &args.raw {
        if args.files.is_empty() {
            return Err(Error::local("must specify one of -f and -k"));
        }
        return raw::send(session, "POST", path, &args.files).await;
    }
    if args.edit && args.generator.is_none() {
        return edit::before_create(session, &args).await;
    }
    match args.generator {
        None if args.files.is_empty() => Err(Error::local("must specify one of -f and -k")),
        None => from_files(session, &args).await,
        Some(Generator::Token(args)) => token::run(session, &args).await,
        Some(generator) => {
            let (object, write, failed) = generate(session, generator).await?;
            let resource = match write.dry_run {
                DryRun::Client => offline(&object),
                _ => select::resource_of(session, session.resources().await?, &object, "flags")?,
            };
            write::create_typed(session, &resource, object, &write, MANAGER, "created")
                .await
                .map_err(|error| match failed {
                    Some(failed) => error.failed(failed),
                    None => error,
                })
        }
    }
}

async fn from_files(session: &Session, args: &CreateArgs) -> Result<()> {
    let resources = session.resources().await?;
    let mut errors = Vec::new();
    for file in super::apply::chosen(&args.files, args.selector.as_deref(), "create")? {
        let created = async {
            let resource = select::resource_of(session, resources, &file.object, &file.source)?;
            let object = file.object.clone();
            write::create(session, &resource, object, &args.write, MANAGER, "created")
                .await
                .map_err(|error| error.when("creating", &file.source))
        };
        if let Err(error) = created.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// An object, how to write it, and how a failure to do so begins.
type Generated = (Value, WriteArgs, Option<&'static str>);

async fn generate(session: &Session, generator: Generator) -> Result<Generated> {
    Ok(match generator {
        Generator::Clusterrole(args) => {
            let object = rbac::cluster_role(known(session, &args).await?, &args)?;
            (object, args.write, None)
        }
        Generator::Role(args) => {
            let object = rbac::role(known(session, &args).await?, &args)?;
            (object, args.write, None)
        }
        Generator::Clusterrolebinding(args) => {
            let object = rbac::cluster_role_binding(&args)?;
            (
                object,
                args.write,
                Some("failed to create clusterrolebinding: "),
            )
        }
        Generator::Rolebinding(args) => {
            let object = rbac::role_binding(&args)?;
            (object, args.write, Some("failed to create rolebinding: "))
        }
        Generator::Ingress(args) => {
            let object = ingress::object(&args)?;
            (object, args.write, Some("failed to create ingress: "))
        }
        Generator::Job(args) => {
            let object = batch::job(session, &args).await?;
            (object, args.write, Some("failed to create job: "))
        }
        Generator::Cronjob(args) => {
            let object = batch::cron_job(&args)?;
            (object, args.write, Some("failed to create cronjob: "))
        }
        Generator::Quota(args) => {
            let object = batch::quota(&args)?;
            (object, args.write, Some("failed to create quota: "))
        }
        Generator::Secret(SecretGenerator::DockerRegistry(args)) => {
            let name = one_name(&args.words, "create secret docker-registry")?;
            let object = data::docker_registry(name, &args)?;
            (object, args.write, Some("failed to create secret "))
        }
        Generator::Secret(SecretGenerator::Tls(args)) => {
            let object = data::tls(one_name(&args.words, "create secret tls")?, &args)?;
            (object, args.write, Some("failed to create secret "))
        }
        // A token is no object that is created.
        Generator::Token(_) => return Err(Error::local("a token is asked for, not created")),
        Generator::Deployment(args) => {
            let object = deployment(&args)?;
            (object, args.write, Some("failed to create deployment: "))
        }
        Generator::Namespace { words, write } => {
            let name = one_name(&words, "create namespace")?;
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}, "status": {}});
            (object, write, None)
        }
        Generator::Configmap {
            words,
            data: keys,
            write,
        } => {
            let object = data::config_map(one_name(&words, "create configmap")?, &keys)?;
            (object, write, Some("failed to create configmap: "))
        }
        Generator::Secret(SecretGenerator::Generic {
            words,
            data: keys,
            r#type,
            write,
        }) => {
            let name = one_name(&words, "create secret generic")?;
            let object = data::secret(name, &keys, r#type.as_deref())?;
            (object, write, Some("failed to create secret "))
        }
        Generator::Poddisruptionbudget(args) => {
            let object =
                budget::object(one_name(&args.words, "create poddisruptionbudget")?, &args)?;
            (
                object,
                args.write,
                Some("failed to create poddisruptionbudgets: "),
            )
        }
        Generator::Priorityclass(args) => {
            let name = one_name(&args.words, "create priorityclass")?;
            let mut object = json!({
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": args.value,
                "preemptionPolicy": args.preemption_policy,
            });
            if args.global_default {
                object["globalDefault"] = json!(true);
            }
            if let Some(description) = args.description.filter(|text| !text.is_empty()) {
                object["description"] = json!(description);
            }
            (object, args.write, Some("failed to create priorityclass: "))
        }
        Generator::Serviceaccount { words, write } => {
            let name = one_name(&words, "create serviceaccount")?;
            let object =
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
            (object, write, Some("failed to create serviceaccount: "))
        }
        Generator::Service(generator) => {
            let failed = match &generator {
                ServiceGenerator::Clusterip(_) => "failed to create ClusterIP service: ",
                ServiceGenerator::Nodeport(_) => "failed to create NodePort service: ",
                ServiceGenerator::Loadbalancer(_) => "failed to create LoadBalancer service: ",
                ServiceGenerator::Externalname(_) => "failed to create ExternalName service: ",
            };
            let (object, write) = service::generate(generator)?;
            (object, write, Some(failed))
        }
    })
}

/// What the server serves, when a role names resources; without verbs it is refused anyway.
async fn known<'a>(session: &'a Session, args: &CreateRoleArgs) -> Result<&'a Resources> {
    static NOTHING: OnceLock<Resources> = OnceLock::new();
    if args.verb.is_empty() || args.resource.is_empty() {
        return Ok(NOTHING.get_or_init(|| Resources::new(Vec::new())));
    }
    session.resources().await
}

/// The one name that a generator takes.
pub fn one_name<'a>(words: &'a [String], command: &str) -> Result<&'a str> {
    match words {
        [name] => Ok(name),
        words => Err(Error::usage(
            command,
            format_args!("exactly one NAME is required, got {}", words.len()),
        )),
    }
}

/// The Deployment of `create deployment`.
pub fn deployment(args: &CreateDeploymentArgs) -> Result<Value> {
    if args.image.is_empty() {
        return Err(Error::local("required flag(s) \"image\" not set"));
    }
    let name = one_name(&args.words, "create deployment")?;
    if args.image.len() > 1 && !args.command.is_empty() {
        return Err(Error::local(
            "cannot specify multiple --image options and command",
        ));
    }
    let mut containers = Vec::new();
    for image in args.image.iter().filter(|image| !image.is_empty()) {
        let mut container = json!({"name": container_name(image), "image": image, "resources": {}});
        if !args.command.is_empty() {
            container["command"] = json!(args.command);
        }
        containers.push(container);
    }
    // Of several containers the first one listens.
    if let Some(first) = containers.first_mut()
        && args.port >= 0
    {
        first["ports"] = json!([{"containerPort": args.port}]);
    }
    let labels = json!({"app": name});
    Ok(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": args.replicas,
            "selector": {"matchLabels": labels},
            "strategy": {},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
        "status": {},
    }))
}

/// The last part of an image's name, without its tag: `library/nginx:1.27` is `nginx`.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let end = last.find([':', '@']).unwrap_or(last.len());
    let name: String = last[..end]
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    name.trim_matches('-').to_owned()
}
