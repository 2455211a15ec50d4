//! Services and their endpoints.

use ferrule_client::client::ListOptions;
use serde_json::Value;

use super::{Text, list, meta, number, or_none, string};
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

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
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
    if !string(spec, "externalName").is_empty() {
        text.field(0, "External Name", string(spec, "externalName"));
    }
    let ingress: Vec<&str> = list(&object["status"]["loadBalancer"], "ingress")
        .map(|own| {
            if string(own, "ip").is_empty() {
                string(own, "hostname")
            } else {
                string(own, "ip")
            }
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
        if number(port, "nodePort") > 0 {
            text.line(
                0,
                format!("NodePort:\t{name}\t{}/{protocol}", number(port, "nodePort")),
            );
        }
        text.field(0, "Endpoints", endpoints_of(slices, string(port, "name")));
    }
    text.field(0, "Session Affinity", string(spec, "sessionAffinity"));
    if !string(spec, "externalTrafficPolicy").is_empty() {
        text.field(
            0,
            "External Traffic Policy",
            string(spec, "externalTrafficPolicy"),
        );
    }
    if !string(spec, "internalTrafficPolicy").is_empty() {
        text.field(
            0,
            "Internal Traffic Policy",
            string(spec, "internalTrafficPolicy"),
        );
    }
    true
}

/// The ready addresses of a port: the first three, and how many more.
fn endpoints_of(slices: &[Value], port_name: &str) -> String {
    let mut addresses = Vec::new();
    for slice in slices {
        for port in list(slice, "ports").filter(|port| string(port, "name") == port_name) {
            for endpoint in
                list(slice, "endpoints").filter(|own| own["conditions"]["ready"] != false)
            {
                for address in list(endpoint, "addresses").filter_map(Value::as_str) {
                    addresses.push(format!("{address}:{}", number(port, "port")));
                }
            }
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
        text.line(1, "Ports:");
        text.line(2, "Name\tPort\tProtocol");
        text.line(2, "----\t----\t--------");
        for port in list(subset, "ports") {
            let name = match string(port, "name") {
                "" => "<unset>",
                name => name,
            };
            text.line(
                2,
                format!(
                    "{name}\t{}\t{}",
                    number(port, "port"),
                    string(port, "protocol")
                ),
            );
        }
        text.line(0, "");
    }
    true
}

/// Describes an EndpointSlice.
pub fn endpoint_slice(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.field(0, "AddressType", string(object, "addressType"));
    text.line(0, "Ports:");
    text.line(1, "Name\tPort\tProtocol");
    text.line(1, "----\t----\t--------");
    for port in list(object, "ports") {
        let name = match string(port, "name") {
            "" => "<unset>",
            name => name,
        };
        text.line(
            1,
            format!(
                "{name}\t{}\t{}",
                number(port, "port"),
                string(port, "protocol")
            ),
        );
    }
    text.line(0, "Endpoints:");
    for endpoint in list(object, "endpoints") {
        text.field(
            1,
            "- Addresses",
            joined(endpoint, "addresses").replace(", ", ","),
        );
        text.line(2, "Conditions:");
        text.field(3, "Ready", plain(&endpoint["conditions"]["ready"]));
        text.field(
            2,
            "Hostname",
            match string(endpoint, "hostname") {
                "" => "<unset>",
                name => name,
            },
        );
        let target = &endpoint["targetRef"];
        if target.is_object() {
            text.field(
                2,
                "TargetRef",
                format!("{}/{}", string(target, "kind"), string(target, "name")),
            );
        }
        text.field(
            2,
            "NodeName",
            match string(endpoint, "nodeName") {
                "" => "<unset>",
                name => name,
            },
        );
        text.field(
            2,
            "Zone",
            match string(endpoint, "zone") {
                "" => "<unset>",
                name => name,
            },
        );
    }
    true
}
