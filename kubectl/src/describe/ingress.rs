//! Ingresses and their classes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Text, list, meta, network, number, or_none, plain, string};
use crate::error::Result;
use crate::resources::at;
use crate::session::Session;

/// What stands behind the Services that an Ingress names: a Service with its slices, or why it
/// cannot be read.
pub type Services = BTreeMap<String, std::result::Result<(Value, Vec<Value>), String>>;

/// The backends of an Ingress.
fn backends(ingress: &Value) -> impl Iterator<Item = &Value> {
    let rules = list(&ingress["spec"], "rules");
    let paths = rules.flat_map(|rule| list(&rule["http"], "paths"));
    std::iter::once(&ingress["spec"]["defaultBackend"]).chain(paths.map(|path| &path["backend"]))
}

/// Reads the Services that an Ingress names.
pub async fn services(session: &Session, ingress: &Value) -> Result<Services> {
    let resource = session.resources().await?.find("services")?;
    let namespace = string(&ingress["metadata"], "namespace");
    let mut services = Services::new();
    for name in backends(ingress).filter_map(|own| own["service"]["name"].as_str()) {
        if services.contains_key(name) {
            continue;
        }
        let answer = session
            .client
            .get(&at(resource, namespace).name(name))
            .await;
        let behind = match answer {
            Ok(object) => {
                let service: Value = object.parse()?;
                let slices = network::slices(session, &service).await?;
                Ok((service, slices))
            }
            Err(status) => Err(status.message),
        };
        services.insert(name.to_owned(), behind);
    }
    Ok(services)
}

/// Describes an Ingress.
pub fn describe(text: &mut Text, object: &Value, services: &Services) -> bool {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    text.field(0, "Name", string(metadata, "name"));
    meta::labels(text, 0, "Labels", &metadata["labels"]);
    text.field(0, "Namespace", string(metadata, "namespace"));
    text.field(0, "Address", addresses(object));
    let class = or_none(string(spec, "ingressClassName"));
    text.field(0, "Ingress Class", class);
    let default = match &spec["defaultBackend"] {
        Value::Null => "<default>".to_owned(),
        backend => self::backend(backend, services),
    };
    text.field(0, "Default backend", &default);
    tls(text, spec);
    text.line(0, "Rules:\n  Host\tPath\tBackends");
    text.line(1, "----\t----\t--------");
    let mut rules = list(spec, "rules")
        .filter(|rule| rule["http"].is_object())
        .peekable();
    if rules.peek().is_none() {
        text.line(1, format!("*\t*\t{default}"));
    }
    for rule in rules {
        let host = match string(rule, "host") {
            "" => "*",
            host => host,
        };
        text.line(1, format!("{host}\t"));
        for path in list(&rule["http"], "paths") {
            let backend = backend(&path["backend"], services);
            text.line(2, format!("\t{} \t{backend}", string(path, "path")));
        }
    }
    meta::annotations(text, 0, &metadata["annotations"]);
    true
}

fn addresses(object: &Value) -> String {
    let all = list(&object["status"]["loadBalancer"], "ingress");
    let mut all: Vec<&str> = all
        .map(|own| match string(own, "ip") {
            "" => string(own, "hostname"),
            address => address,
        })
        .filter(|address| !address.is_empty())
        .collect();
    all.sort_unstable();
    all.dedup();
    all.join(",")
}

fn backend(backend: &Value, services: &Services) -> String {
    let service = &backend["service"];
    if service.is_object() {
        let name = string(service, "name");
        let port = match number(&service["port"], "number") {
            0 => string(&service["port"], "name").to_owned(),
            port => port.to_string(),
        };
        let behind = match services.get(name) {
            Some(Ok((object, slices))) => {
                let ports = list(&object["spec"], "ports");
                let same = |own: &&Value| {
                    number(own, "port") == number(&service["port"], "number")
                        || (!port.is_empty() && string(own, "name") == port)
                };
                let own = ports.into_iter().find(same).unwrap_or(&Value::Null);
                network::endpoints_of(slices, string(own, "name"))
            }
            Some(Err(why)) => format!("<error: {why}>"),
            None => String::new(),
        };
        return format!("{name}:{port} ({behind})");
    }
    let resource = &backend["resource"];
    if resource.is_object() {
        let (kind, name) = (string(resource, "kind"), string(resource, "name"));
        let group = or_none(string(resource, "apiGroup"));
        return format!("APIGroup: {group}, Kind: {kind}, Name: {name}");
    }
    String::new()
}

fn tls(text: &mut Text, spec: &Value) {
    let mut all = list(spec, "tls").peekable();
    if all.peek().is_none() {
        return;
    }
    text.line(0, "TLS:");
    for own in all {
        let hosts: Vec<String> = list(own, "hosts").map(plain).collect();
        let hosts = hosts.join(",");
        text.line(
            1,
            match string(own, "secretName") {
                "" => format!("SNI routes {hosts}"),
                secret => format!("{secret} terminates {hosts}"),
            },
        );
    }
}

/// Describes an IngressClass.
pub fn class(text: &mut Text, object: &Value) -> bool {
    let spec = &object["spec"];
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
    text.field(0, "Controller", string(spec, "controller"));
    let parameters = &spec["parameters"];
    if parameters.is_object() {
        text.line(0, "Parameters:");
        for (title, field) in [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")] {
            if let Some(value) = parameters[field].as_str() {
                text.field(1, title, value);
            }
        }
    }
    true
}
