//! `kubectl create service`

use serde_json::{Value, json};

use super::one_name;
use crate::args::{ServiceArgs, ServiceGenerator, WriteArgs};
use crate::error::{Error, Result};

/// The Service of the flags, and how to write it.
pub fn generate(generator: ServiceGenerator) -> Result<(Value, WriteArgs)> {
    let (kind, command, args) = match generator {
        ServiceGenerator::Clusterip(args) => ("ClusterIP", "clusterip", args),
        ServiceGenerator::Nodeport(args) => ("NodePort", "nodeport", args),
        ServiceGenerator::Loadbalancer(args) => ("LoadBalancer", "loadbalancer", args),
        ServiceGenerator::Externalname(args) => ("ExternalName", "externalname", args),
    };
    let name = one_name(&args.words, &format!("create service {command}"))?;
    let headless = args.clusterip.as_deref() == Some("None");
    if args.tcp.is_empty() && kind != "ExternalName" && !headless {
        return Err(Error::local(
            "at least one tcp port specifier must be provided",
        ));
    }
    let ports: Vec<Value> = args
        .tcp
        .iter()
        .map(|pair| port(pair, &args))
        .collect::<Result<_>>()?;
    let mut spec = json!({"selector": {"app": name}, "type": kind});
    if !ports.is_empty() {
        spec["ports"] = Value::Array(ports);
    }
    if let Some(address) = &args.clusterip {
        spec["clusterIP"] = Value::from(address.clone());
    }
    if let Some(external) = &args.external_name {
        spec["externalName"] = Value::from(external.clone());
    }
    let object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
        "status": {"loadBalancer": {}},
    });
    Ok((object, args.write))
}

/// `80`, or `80:8080`.
fn port(pair: &str, args: &ServiceArgs) -> Result<Value> {
    let (outer, inner) = pair.split_once(':').unwrap_or((pair, pair));
    let number: i64 = outer.parse().map_err(|_| {
        Error::local(format!(
            "strconv.ParseUint: parsing {outer:?}: invalid syntax"
        ))
    })?;
    let target = inner
        .parse::<i64>()
        .map_or_else(|_| Value::from(inner), Value::from);
    let mut port = json!({
        "name": pair.replace(':', "-"), "port": number, "protocol": "TCP", "targetPort": target,
    });
    if args.node_port > 0 {
        port["nodePort"] = Value::from(args.node_port);
    }
    Ok(port)
}
