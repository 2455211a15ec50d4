//! `kubectl cluster-info` and `cluster-info dump`

use std::collections::BTreeSet;
use std::path::Path;

use ferrule_client::client::status_of;
use ferrule_proto::v1::ApiResource;
use ferrule_proto::v1::connect_response::Frame;
use futures::StreamExt;
use serde_json::{Value, json};

use super::{print, select};
use crate::args::{ClusterInfoArgs, ClusterInfoCommand, DumpArgs};
use crate::error::{Error, Result};
use crate::output::{Format, go, objects};
use crate::resources::{api_version, at};
use crate::session::Session;

/// What is dumped of each namespace, with the names of the files.
const OF_NAMESPACES: [(&str, &str); 7] = [
    ("events", "events"),
    ("replicationcontrollers", "replication-controllers"),
    ("services", "services"),
    ("daemonsets", "daemonsets"),
    ("deployments", "deployments"),
    ("replicasets", "replicasets"),
    ("pods", "pods"),
];
/// The longest log that is dumped.
const LOG_LIMIT: usize = 64 << 20;

/// Runs the command.
pub async fn run(session: &Session, args: &ClusterInfoArgs) -> Result<()> {
    if let Some(ClusterInfoCommand::Dump(args)) = &args.command {
        return dump(session, args).await;
    }
    session.client.version().await?;
    // Colours only where they are seen.
    let color = std::io::IsTerminal::is_terminal(&std::io::stdout());
    let paint = |code: &str, text: &str| match color {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    print(&format!(
        "{} is running at {}\n\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n",
        paint("0;32", "Kubernetes control plane"),
        paint("0;33", &format!("https://{}", session.server))
    ))
}

/// Where a dump goes: to standard output, or into files of a folder.
struct Out<'a>(Option<&'a Path>);

impl Out<'_> {
    fn write(&self, file: &str, text: &str) -> Result<()> {
        let Some(folder) = self.0 else {
            return print(text);
        };
        let path = folder.join(file);
        let refuse = |error: std::io::Error| {
            Error::local(format!("open {}: {}", path.display(), go(&error)))
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(refuse)?;
        }
        std::fs::write(&path, text).map_err(refuse)
    }
}

async fn dump(session: &Session, args: &DumpArgs) -> Result<()> {
    let (format, ending) = match args.output.as_str() {
        "json" => (Format::Json, "json"),
        "yaml" => (Format::Yaml, "yaml"),
        "name" => {
            return Err(Error::local(
                "list types are not supported by name printing: *v1.NodeList",
            ));
        }
        other => {
            return Err(Error::local(format!(
                "unable to match a printer suitable for the output format {other:?}, allowed formats are: json,yaml"
            )));
        }
    };
    let folder = args.output_directory.as_deref();
    let folder = folder.filter(|folder| !matches!(*folder, "" | "-"));
    let out = Out(folder.map(Path::new));
    let resources = session.resources().await?;
    let whole = async |plural: &str, namespace: &str| -> Result<(Value, Vec<Value>)> {
        let resource = resources.find(plural)?;
        let options = select::options(None, None);
        let items = select::list(session, resource, namespace, &options).await?;
        Ok((list(resource, &items), items))
    };
    let text = |list: &Value| match format {
        Format::Json => objects::list_first(list),
        _ => objects::format(list, &format),
    };
    let (nodes, _) = whole("nodes", "").await?;
    out.write(&format!("nodes.{ending}"), &text(&nodes))?;
    for namespace in namespaces(session, args).await? {
        let mut pods = Vec::new();
        for (plural, file) in OF_NAMESPACES {
            // A server that has no such resource has nothing to dump.
            if resources.find(plural).is_err() {
                continue;
            }
            let (list, items) = whole(plural, &namespace).await?;
            out.write(&format!("{namespace}/{file}.{ending}"), &text(&list))?;
            if plural == "pods" {
                pods = items;
            }
        }
        for pod in &pods {
            logs(session, &out, &namespace, pod).await?;
        }
    }
    match folder {
        Some(folder) => print(&format!("Cluster info dumped to {folder}\n")),
        None => Ok(()),
    }
}

async fn namespaces(session: &Session, args: &DumpArgs) -> Result<BTreeSet<String>> {
    if args.all_namespaces {
        let resource = session.resources().await?.find("namespaces")?;
        let all = select::list(session, resource, "", &select::options(None, None)).await?;
        let names = all
            .iter()
            .filter_map(|own| own["metadata"]["name"].as_str());
        return Ok(names.map(str::to_owned).collect());
    }
    if !args.namespaces.is_empty() {
        return Ok(args.namespaces.iter().cloned().collect());
    }
    Ok(["kube-system".to_owned(), session.namespace.clone()].into())
}

fn list(resource: &ApiResource, items: &[Value]) -> Value {
    json!({
        "kind": format!("{}List", resource.kind),
        "apiVersion": api_version(resource),
        "metadata": {},
        "items": items,
    })
}

/// The logs of a pod's containers; what cannot be read is said in its place.
async fn logs(session: &Session, out: &Out<'_>, namespace: &str, pod: &Value) -> Result<()> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let file = format!("{namespace}/{name}/logs.txt");
    let mut all = String::new();
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array().into_iter().flatten() {
            let container = container["name"].as_str().unwrap_or_default();
            let title = format!("logs for container {container} of pod {namespace}/{name}");
            let log = match log(session, namespace, name, container).await {
                Ok(log) => log,
                Err(error) => format!("Request log error: {}\n", error.message()),
            };
            all.push_str(&format!(
                "==== START {title} ====\n{log}==== END {title} ====\n"
            ));
        }
    }
    out.write(&file, &all)
}

async fn log(session: &Session, namespace: &str, pod: &str, container: &str) -> Result<String> {
    let resource = session.resources().await?.find("pods")?;
    let place = at(resource, namespace).name(pod).subresource("log");
    let parameters = [("container", container.to_owned())];
    let input = futures::stream::empty();
    let mut frames = session.client.connect(&place, &parameters, input).await?;
    let mut bytes = Vec::new();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| Error::from(status_of(error)))?;
        if let Some(Frame::Stdout(more)) = frame.frame {
            bytes.extend_from_slice(&more);
        }
        if bytes.len() > LOG_LIMIT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
