//! `kubectl run`

use std::time::Duration;

use ferrule_apimachinery::status::Status;
use ferrule_client::client::WatchOptions;
use ferrule_proto::v1::{ApiResource, EventType};
use futures::StreamExt;
use serde_json::{Value, json};

use super::attach::{Join, attach};
use super::write::{self, Report};
use super::{delete, logs, overrides, pairs, pods, print, warn};
use crate::args::{DryRun, RunArgs};
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

const MANAGER: &str = "kubectl-run";

/// Runs the command.
pub async fn run(session: &Session, args: &RunArgs) -> Result<()> {
    let attach = args.attach.unwrap_or(args.stdin);
    let pod = pod(args)?;
    if args.rm && !attach {
        return Err(Error::usage(
            "run",
            "--rm should only be used for attached containers",
        ));
    }
    if attach && args.write.dry_run != DryRun::None {
        return Err(Error::usage(
            "run",
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        ));
    }
    let limit = pods::limit(&args.running, "run")?;
    let resources = session.resources().await?;
    let resource = resources.find("pods")?;
    let created = write::make(session, resource, pod.clone(), &args.write, MANAGER).await?;
    let mut all = vec![(resource, pods::name(&created["metadata"]).to_owned())];
    let mut exposed = Ok(());
    if args.expose {
        let services = resources.find("services")?;
        exposed = expose(session, services, &pod, args).await;
        if exposed.is_ok() {
            all.push((services, all[0].1.clone()));
        }
    }
    if !attach {
        Report::typed(&args.write)?.print(&created, resource, "created")?;
        return exposed;
    }
    let ended = attached(session, &created, args, limit).await;
    if args.rm {
        let namespace = created["metadata"]["namespace"].as_str();
        let namespace = namespace.unwrap_or(&session.namespace);
        for (resource, name) in all {
            delete::one(session, resource, namespace, &name, args.quiet).await?;
        }
    }
    ended
}

async fn expose(
    session: &Session,
    services: &ApiResource,
    pod: &Value,
    args: &RunArgs,
) -> Result<()> {
    let port = number(args.port.as_deref().unwrap_or_default())?;
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": pod["metadata"]["name"]},
        "spec": {
            "ports": [{"port": port, "protocol": "TCP", "targetPort": port}],
            "selector": pod["metadata"]["labels"],
        },
        "status": {"loadBalancer": {}},
    });
    write::create_typed(session, services, service, &args.write, MANAGER, "created").await?;
    if args.write.print.output.as_deref() == Some("yaml") {
        print("---\n")?;
    }
    Ok(())
}

/// Follows a new pod: its terminal while it runs, its log when it has ended; then its exit code.
async fn attached(session: &Session, pod: &Value, args: &RunArgs, limit: Duration) -> Result<()> {
    let pod = wait_for(session, pod, limit, |pod| ended(pod) || is_ready(pod)).await?;
    let name = pods::name(&pod["metadata"]);
    let join = Join {
        container: None,
        stdin: args.stdin,
        tty: args.tty,
        quiet: args.quiet,
    };
    if ended(&pod) {
        log(session, &pod).await?;
    } else if let Err(error) = attach(session, &pod, join).await {
        warn(&format!(
            "warning: couldn't attach to pod/{name}, falling back to streaming logs: {}",
            error.message()
        ));
        log(session, &pod).await?;
    }
    let policy = pod["spec"]["restartPolicy"].as_str().unwrap_or_default();
    if args.leave_stdin_open || policy == "Always" {
        return Ok(());
    }
    // A container that is started again until it succeeds has failed when it succeeds.
    let over = |pod: &Value| match policy {
        "OnFailure" => pod["status"]["phase"] == "Succeeded",
        _ => ended(pod),
    };
    outcome(&wait_for(session, &pod, limit, over).await?)
}

async fn log(session: &Session, pod: &Value) -> Result<()> {
    let (container, _) = pods::container(pod, None)?;
    let parameters = [("container", pods::name(container).to_owned())];
    logs::copy(session, pod, &parameters, "").await
}

fn ended(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    pod["status"]["phase"] == "Running"
        && conditions.any(|own| own["type"] == "Ready" && own["status"] == "True")
}

/// What the end of a pod means for our own.
pub fn outcome(pod: &Value) -> Result<()> {
    let metadata = &pod["metadata"];
    let shown = format!(
        "pod {}/{}",
        metadata["namespace"].as_str().unwrap_or_default(),
        pods::name(metadata)
    );
    match pod["status"]["phase"].as_str().unwrap_or_default() {
        "Succeeded" => Ok(()),
        "Failed" => {
            let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
            let text = |field: &str| state[field].as_str().unwrap_or_default();
            match state["exitCode"]
                .as_i64()
                .and_then(|code| u8::try_from(code).ok())
            {
                None | Some(0) => Err(Error::local(format!(
                    "{shown} failed with unknown exit code"
                ))),
                Some(code) => {
                    let said = format!(
                        "{shown} terminated ({})\n{}",
                        text("reason"),
                        text("message")
                    );
                    Err(Error::Ended(said.trim_end_matches('\n').to_owned(), code))
                }
            }
        }
        phase => Err(Error::local(format!("{shown} left in phase {phase}"))),
    }
}

/// The pod, once it is as the check wants it.
async fn wait_for(
    session: &Session,
    pod: &Value,
    limit: Duration,
    check: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let resources = session.resources().await?;
    let metadata = &pod["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let place = at(resources.find("pods")?, namespace);
    let options = WatchOptions {
        field_selector: format!("metadata.name={}", pods::name(metadata)),
        send_initial_events: true,
        ..WatchOptions::default()
    };
    let waiting = async {
        loop {
            let mut batches = session.client.watch(&place, &options).await?;
            while let Some(Ok(batch)) = batches.next().await {
                for change in batch.changes {
                    if change.kind == EventType::EventDeleted {
                        return Err(Error::from(Status::not_found("", "pods", "")));
                    }
                    let now: Value = ferrule_client::client::parse(&change.object)?;
                    if check(&now) {
                        return Ok(now);
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let late = || Error::local("timed out waiting for the condition");
    tokio::time::timeout(limit, waiting)
        .await
        .map_err(|_| late())?
}

/// The Pod of the flags.
pub fn pod(args: &RunArgs) -> Result<Value> {
    let name = match args.words.as_slice() {
        [] if args.image.is_none() => {
            return Err(Error::local("required flag(s) \"image\" not set"));
        }
        [] => return Err(Error::usage("run", "NAME is required for run")),
        [name] => name,
        _ => &args.words[0],
    };
    let image = args.image.as_deref().unwrap_or_default();
    if image.is_empty() {
        // An empty image and none are told apart, as upstream does.
        return Err(Error::local(match args.image {
            Some(_) => "--image is required",
            None => "required flag(s) \"image\" not set",
        }));
    }
    if image.contains(char::is_whitespace) {
        return Err(Error::local(format!(
            "Invalid image name {image:?}: invalid reference format"
        )));
    }
    if !matches!(args.restart.as_str(), "Always" | "OnFailure" | "Never") {
        let text = format_args!("invalid restart policy: {}", args.restart);
        return Err(Error::usage("run", text));
    }
    if args.tty && !args.stdin {
        return Err(Error::usage(
            "run",
            "-i/--stdin is required for containers with -t/--tty=true",
        ));
    }
    if args.expose && args.port.is_none() {
        return Err(Error::usage(
            "run",
            "--port must be set when exposing a service",
        ));
    }
    let mut container = json!({"image": image, "name": name, "resources": {}});
    let words: Vec<&String> = args.words[1..].iter().chain(&args.arguments).collect();
    if !words.is_empty() {
        container[if args.command { "command" } else { "args" }] = json!(words);
    }
    if let Some(port) = &args.port {
        container["ports"] = json!([{"containerPort": number(port)?}]);
    }
    if args.stdin {
        container["stdin"] = json!(true);
        if !args.leave_stdin_open {
            container["stdinOnce"] = json!(true);
        }
    }
    if args.tty {
        container["tty"] = json!(true);
    }
    if let Some(policy) = args
        .image_pull_policy
        .as_deref()
        .filter(|own| !own.is_empty())
    {
        if !matches!(policy, "Always" | "IfNotPresent" | "Never") {
            return Err(Error::usage(
                "run",
                format_args!("invalid image pull policy: {policy}"),
            ));
        }
        container["imagePullPolicy"] = json!(policy);
    }
    if args.privileged {
        container["securityContext"] = json!({"privileged": true});
    }
    for variable in &args.env {
        let (key, value) = variable
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::local(format!("invalid env: {variable}")))?;
        if !container["env"].is_array() {
            container["env"] = json!([]);
        }
        if let Some(list) = container["env"].as_array_mut() {
            list.push(json!({"name": key, "value": value}));
        }
    }
    let labels = match &args.labels {
        Some(labels) => pairs(labels)?,
        None => pairs(&format!("run={name}"))?,
    };
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": args.restart},
        "status": {},
    });
    for annotation in &args.annotations {
        if !annotation.is_empty() && !annotation.contains('=') {
            return Err(Error::local(format!(
                "invalid annotations format: {annotation}"
            )));
        }
        for (key, value) in pairs(annotation)? {
            pod["metadata"]["annotations"][key] = value;
        }
    }
    match &args.overrides {
        None => Ok(pod),
        Some(text) => overrides::apply(pod, text, &args.override_type),
    }
}

fn number(port: &str) -> Result<i64> {
    port.parse()
        .map_err(|_| Error::local(format!("strconv.Atoi: parsing {port:?}: invalid syntax")))
}
