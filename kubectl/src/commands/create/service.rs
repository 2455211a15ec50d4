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
    if kind == "ExternalName" {
        match &args.external_name {
            None => return Err(Error::local("required flag(s) \"external-name\" not set")),
            Some(name) if !is_subdomain(name) => {
                return Err(Error::local(format!(
                    "invalid service external name {name}"
                )));
            }
            Some(_) => {}
        }
    }
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
    let target = target(inner)?;
    let mut port = json!({
        "name": pair.replace(':', "-"), "port": number, "protocol": "TCP", "targetPort": target,
    });
    if args.node_port > 0 {
        port["nodePort"] = Value::from(args.node_port);
    }
    Ok(port)
}

/// The port of a pod, by its number or its name.
fn target(text: &str) -> Result<Value> {
    if let Ok(number) = text.parse::<i64>() {
        if !(1..=65535).contains(&number) {
            return Err(Error::local("must be between 1 and 65535, inclusive"));
        }
        return Ok(Value::from(number));
    }
    let mut wrong = Vec::new();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(fits) {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !text.contains(|c: char| c.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)");
    }
    match wrong.as_slice() {
        [] => Ok(Value::from(text)),
        wrong => Err(Error::local(wrong.join(","))),
    }
}

/// A name of the DNS in small letters.
fn is_subdomain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(fits)
            && label.ends_with(fits)
            && label.chars().all(|c| fits(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_port_is_a_number_or_a_name() {
        assert_eq!(target("8080").unwrap(), 8080);
        assert_eq!(target("http").unwrap(), "http");
        for (text, expected) in [
            ("0", "error: must be between 1 and 65535, inclusive"),
            (
                "",
                "error: must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-),must contain at least one letter (a-z)",
            ),
            (
                "Http",
                "error: must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
            ),
        ] {
            assert_eq!(target(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn an_external_name_is_a_subdomain() {
        assert!(is_subdomain("x.example"));
        for name in ["", "Bad_name", "a..b", "-a", "a-"] {
            assert!(!is_subdomain(name), "{name:?}");
        }
    }
}
