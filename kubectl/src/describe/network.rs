//! Services and their endpoints.

use ferrule_client::client::ListOptions;
use serde_json::Value;

use super::{Text, list, meta, number, or_none, plain, string};
use crate::error::Result;
use crate::output::table;
use crate::resources::at;
use crate::session::Session;

/// More endpoints than this are only counted.
const SHOWN: usize = 3;

/// The endpoint slices of a Service.
pub async fn slices(session: &Session, service: &Value) -> Result<Vec<Value>> {
    let resource = session.resources().await?.find("endpointslices")?;
    let metadata = &service["metadata"];
    let options = ListOptions {
        label_selector: format!("kubernetes.io/service-name={}", string(metadata, "name")),
        ..ListOptions::default()
    };
    let found = session
        .client
        .list_all(&at(resource, string(metadata, "namespace")), &options)
        .await?;
    found
        .items
        .iter()
        .map(|item| Ok(ferrule_client::client::parse(item)?))
        .collect()
}

fn joined(value: &Value, field: &str) -> String {
    let texts: Vec<String> = list(value, field).map(plain).collect();
    texts.join(", ")
}

/// Describes a Service.
pub fn service(text: &mut Text, object: &Value, slices: &[Value]) -> bool {
    let spec = &object["spec"];
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.field(0, "Selector", table::labels(&spec["selector"]));
    text.field(0, "Type", string(spec, "type"));
    if !string(spec, "ipFamilyPolicy").is_empty() {
        text.field(0, "IP Family Policy", string(spec, "ipFamilyPolicy"));
    }
    if spec["ipFamilies"].is_array() {
        text.field(
            0,
            "IP Families",
            joined(spec, "ipFamilies").replace(", ", ","),
        );
    } else {
        text.line(0, "IP Families:\t<none>");
    }
    text.field(0, "IP", string(spec, "clusterIP"));
    text.field(
        0,
        "IPs",
        or_none(&joined(spec, "clusterIPs").replace(", ", ",")),
    );
    if spec["externalIPs"].is_array() {
        text.field(
            0,
            "External IPs",
            joined(spec, "externalIPs").replace(", ", ","),
        );
    }
    if !string(spec, "loadBalancerIP").is_empty() {
        let wanted = string(spec, "loadBalancerIP");
        text.field(0, "Desired LoadBalancer IP", wanted);
    }
    if !string(spec, "externalName").is_empty() {
        text.field(0, "External Name", string(spec, "externalName"));
    }
    let ingress: Vec<String> = list(&object["status"]["loadBalancer"], "ingress")
        .map(|own| match (string(own, "ip"), own["ipMode"].as_str()) {
            ("", _) => string(own, "hostname").to_owned(),
            (address, Some(mode)) => format!("{address} ({mode})"),
            (address, None) => address.to_owned(),
        })
        .collect();
    if !ingress.is_empty() {
        text.field(0, "LoadBalancer Ingress", ingress.join(", "));
    }
    for port in list(spec, "ports") {
        let name = match string(port, "name") {
            "" => "<unset>",
            name => name,
        };
        let protocol = string(port, "protocol");
        text.line(
            0,
            format!("Port:\t{name}\t{}/{protocol}", number(port, "port")),
        );
        let target = if port["targetPort"].is_number() || port["targetPort"].is_string() {
            plain(&port["targetPort"])
        } else {
            number(port, "port").to_string()
        };
        text.line(0, format!("TargetPort:\t{target}/{protocol}"));
        if !string(port, "appProtocol").is_empty() {
            text.field(0, "AppProtocol", string(port, "appProtocol"));
        }
        if number(port, "nodePort") > 0 {
            text.line(
                0,
                format!("NodePort:\t{name}\t{}/{protocol}", number(port, "nodePort")),
            );
        }
        text.field(0, "Endpoints", endpoints_of(slices, string(port, "name")));
    }
    text.field(0, "Session Affinity", string(spec, "sessionAffinity"));
    for (title, field) in [
        ("External Traffic Policy", "externalTrafficPolicy"),
        ("Internal Traffic Policy", "internalTrafficPolicy"),
    ] {
        if !string(spec, field).is_empty() {
            text.field(0, title, string(spec, field));
        }
    }
    if number(spec, "healthCheckNodePort") > 0 {
        let port = number(spec, "healthCheckNodePort");
        text.field(0, "HealthCheck NodePort", port.to_string());
    }
    if list(spec, "loadBalancerSourceRanges").next().is_some() {
        let ranges = joined(spec, "loadBalancerSourceRanges").replace(", ", ",");
        text.field(0, "LoadBalancer Source Ranges", ranges);
    }
    if !string(spec, "trafficDistribution").is_empty() {
        let distribution = string(spec, "trafficDistribution");
        text.field(0, "Traffic Distribution", distribution);
    }
    true
}

/// The ready addresses of a port: the first three, and how many more.
pub fn endpoints_of(slices: &[Value], port_name: &str) -> String {
    if slices.is_empty() {
        return "<none>".to_owned();
    }
    let mut addresses = Vec::new();
    for slice in slices {
        let ready = || list(slice, "endpoints").filter(|own| own["conditions"]["ready"] != false);
        let first = |endpoint: &Value| plain(&endpoint["addresses"][0]);
        // A headless Service may have no ports.
        if list(slice, "ports").next().is_none() {
            addresses.extend(ready().map(first));
        }
        for port in list(slice, "ports").filter(|port| string(port, "name") == port_name) {
            let number = number(port, "port");
            addresses.extend(ready().map(|own| match first(own) {
                six if six.contains(':') => format!("[{six}]:{number}"),
                address => format!("{address}:{number}"),
            }));
        }
    }
    let more = addresses.len().saturating_sub(SHOWN);
    addresses.truncate(SHOWN);
    match more {
        0 => addresses.join(","),
        more => format!("{} + {more} more...", addresses.join(",")),
    }
}

/// Describes Endpoints.
pub fn endpoints(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.line(0, "Subsets:");
    for subset in list(object, "subsets") {
        for (field, title) in [
            ("addresses", "Addresses"),
            ("notReadyAddresses", "NotReadyAddresses"),
        ] {
            let addresses: Vec<&str> = list(subset, field).map(|own| string(own, "ip")).collect();
            text.field(1, title, or_none(&addresses.join(",")));
        }
        if list(subset, "ports").next().is_some() {
            text.line(1, "Ports:");
            ports(text, 2, subset);
        }
        text.line(0, "");
    }
    true
}

fn ports(text: &mut Text, level: usize, object: &Value) {
    text.line(level, "Name\tPort\tProtocol");
    text.line(level, "----\t----\t--------");
    for port in list(object, "ports") {
        let name = or_unset(string(port, "name"));
        let number = match port["port"].as_i64() {
            Some(number) => number.to_string(),
            None => "<unset>".to_owned(),
        };
        let protocol = string(port, "protocol");
        text.line(level, format!("{name}\t{number}\t{protocol}"));
    }
}

fn or_unset(text: &str) -> &str {
    if text.is_empty() { "<unset>" } else { text }
}

/// Describes an EndpointSlice.
pub fn endpoint_slice(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.field(0, "AddressType", string(object, "addressType"));
    if list(object, "ports").next().is_none() {
        text.line(0, "Ports: <unset>");
    } else {
        text.line(0, "Ports:");
        ports(text, 1, object);
    }
    let mut endpoints = list(object, "endpoints").peekable();
    if endpoints.peek().is_none() {
        text.line(0, "Endpoints: <none>");
        return true;
    }
    text.line(0, "Endpoints:");
    for endpoint in endpoints {
        let addresses = joined(endpoint, "addresses");
        text.field(1, "- Addresses", or_none(&addresses));
        text.line(2, "Conditions:");
        text.field(3, "Ready", meta::or_unset(&endpoint["conditions"]["ready"]));
        text.field(2, "Hostname", meta::or_unset(&endpoint["hostname"]));
        let target = &endpoint["targetRef"];
        if target.is_object() {
            let (kind, name) = (string(target, "kind"), string(target, "name"));
            text.field(2, "TargetRef", format!("{kind}/{name}"));
        }
        text.field(2, "NodeName", meta::or_unset(&endpoint["nodeName"]));
        text.field(2, "Zone", meta::or_unset(&endpoint["zone"]));
    }
    true
}
