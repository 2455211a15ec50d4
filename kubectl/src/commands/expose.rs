//! `kubectl expose`

use serde_json::{Map, Value, json};

use super::select::{self, Selection};
use super::{overrides, pairs, write};
use crate::args::ExposeArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &ExposeArgs) -> Result<()> {
    let resources = session.resources().await?;
    let services = resources.find("services")?.clone();
    let mut errors = Vec::new();
    let selection = Selection {
        command: "expose",
        words: &args.words,
        files: Some(&args.files),
        ..Selection::default()
    };
    for one in select::read(session, &selection, &mut errors).await? {
        let exposed = async {
            let service = service(args, &one.resource.kind, &one.name, &one.object)?;
            let service = match &args.overrides {
                Some(text) => overrides::apply(service, text, &args.override_type)?,
                None => service,
            };
            write::create_typed(
                session,
                &services,
                service,
                &args.write,
                "kubectl-expose",
                "exposed",
            )
            .await
        };
        if let Err(error) = exposed.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// The Service that exposes an object.
pub fn service(args: &ExposeArgs, kind: &str, name: &str, object: &Value) -> Result<Value> {
    let selector = match &args.selector {
        Some(selector) => pairs(selector)?,
        None => selector(kind, object)?,
    };
    let labels = match &args.labels {
        Some(labels) => Value::Object(pairs(labels)?),
        None => object["metadata"]["labels"].clone(),
    };
    let ports = ports(args, kind, object)?;
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": args.name.as_deref().unwrap_or(name)},
        "spec": {"ports": ports, "selector": selector},
        "status": {"loadBalancer": {}},
    });
    if labels.is_object() {
        service["metadata"]["labels"] = labels;
    }
    let affinity = args.session_affinity.as_deref().unwrap_or_default();
    if !matches!(affinity, "" | "None" | "ClientIP") {
        return Err(Error::local(format!(
            "unknown session affinity: {affinity}"
        )));
    }
    let mut set = |field: &str, value: &Option<String>| {
        if let Some(value) = value {
            service["spec"][field] = Value::from(value.clone());
        }
    };
    set("type", &args.r#type);
    set("clusterIP", &args.cluster_ip);
    set("sessionAffinity", &args.session_affinity);
    if args.r#type.as_deref() == Some("LoadBalancer") {
        set("loadBalancerIP", &args.load_balancer_ip);
    }
    if let Some(address) = &args.external_ip {
        service["spec"]["externalIPs"] = json!([address]);
    }
    Ok(service)
}

fn selector(kind: &str, object: &Value) -> Result<Map<String, Value>> {
    let fail = |why: &str| {
        Err(Error::local(format!(
            "couldn't retrieve selectors via --selector flag or introspection: {why}"
        )))
    };
    match kind {
        "Pod" => match object["metadata"]["labels"]
            .as_object()
            .filter(|labels| !labels.is_empty())
        {
            Some(labels) => Ok(labels.clone()),
            None => fail("the pod has no labels and cannot be exposed"),
        },
        "Service" => match object["spec"]["selector"].as_object() {
            Some(selector) => Ok(selector.clone()),
            None => fail("the service has no pod selector set"),
        },
        "ReplicationController" => Ok(object["spec"]["selector"]
            .as_object()
            .cloned()
            .unwrap_or_default()),
        "Deployment" | "ReplicaSet" => {
            let selector = &object["spec"]["selector"];
            if selector["matchExpressions"]
                .as_array()
                .is_some_and(|list| !list.is_empty())
            {
                return fail(
                    "couldn't convert expressions - \"matchExpressions\" to map-based selector format",
                );
            }
            Ok(selector["matchLabels"]
                .as_object()
                .cloned()
                .unwrap_or_default())
        }
        _ => Err(Error::local(format!("cannot expose a {kind}"))),
    }
}

fn containers(kind: &str, object: &Value) -> Vec<Value> {
    let spec = if kind == "Pod" {
        &object["spec"]
    } else {
        &object["spec"]["template"]["spec"]
    };
    spec["containers"].as_array().cloned().unwrap_or_default()
}

/// The ports of the flag, or those of the object; each with its protocol.
fn ports(args: &ExposeArgs, kind: &str, object: &Value) -> Result<Vec<Value>> {
    let mut known: Vec<(i64, String)> = Vec::new();
    if kind == "Service" {
        for port in object["spec"]["ports"].as_array().into_iter().flatten() {
            known.push((port["port"].as_i64().unwrap_or(0), protocol(port)));
        }
    } else {
        for container in containers(kind, object) {
            for port in container["ports"].as_array().into_iter().flatten() {
                known.push((port["containerPort"].as_i64().unwrap_or(0), protocol(port)));
            }
        }
    }
    let wanted: Vec<i64> = match &args.port {
        Some(text) => text
            .split(',')
            .map(|port| {
                port.trim().parse().map_err(|_| {
                    Error::local(format!("strconv.Atoi: parsing {port:?}: invalid syntax"))
                })
            })
            .collect::<Result<_>>()?,
        None => known.iter().map(|(port, _)| *port).collect(),
    };
    if wanted.is_empty() {
        return Err(Error::local(
            "couldn't find port via --port flag or introspection",
        ));
    }
    let several = wanted.len() > 1;
    Ok(wanted
        .iter()
        .enumerate()
        .map(|(index, port)| {
            let inner = known
                .iter()
                .find(|(own, _)| own == port)
                .map(|(_, protocol)| protocol.clone());
            let protocol = args
                .protocol
                .clone()
                .or(inner)
                .unwrap_or_else(|| "TCP".to_owned());
            let target = match &args.target_port {
                Some(target) => target
                    .parse::<i64>()
                    .map_or_else(|_| Value::from(target.clone()), Value::from),
                None => Value::from(*port),
            };
            let mut entry = json!({"port": port, "protocol": protocol, "targetPort": target});
            if several {
                entry["name"] = Value::from(format!("port-{}", index + 1));
            }
            entry
        })
        .collect())
}

fn protocol(port: &Value) -> String {
    port["protocol"].as_str().unwrap_or("TCP").to_owned()
}
