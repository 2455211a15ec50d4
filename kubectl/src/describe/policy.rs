//! NetworkPolicies.

use jiff::Timestamp;
use serde_json::Value;

use super::{Text, list, meta, or_none, plain, string};

/// One way of the traffic, with its words.
struct Way {
    /// The type of the policy.
    name: &'static str,
    /// The field with the rules.
    rules: &'static str,
    /// The field of a rule with the peers.
    peers: &'static str,
    /// What stands before a peer.
    title: &'static str,
    /// What is said when there are no peers.
    anybody: &'static str,
}

const WAYS: [Way; 2] = [
    Way {
        name: "Ingress",
        rules: "ingress",
        peers: "from",
        title: "From",
        anybody: "From: <any> (traffic not restricted by source)",
    },
    Way {
        name: "Egress",
        rules: "egress",
        peers: "to",
        title: "To",
        anybody: "To: <any> (traffic not restricted by destination)",
    },
];

/// Describes a NetworkPolicy.
pub fn describe(text: &mut Text, object: &Value) -> bool {
    let spec = &object["spec"];
    meta::name(text, object);
    let created = string(&object["metadata"], "creationTimestamp").parse::<Timestamp>();
    let created = created.map_or_else(
        |_| String::new(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
    );
    text.field(0, "Created on", created);
    meta::labels_and_annotations(text, object);
    text.line(0, "Spec:");
    let selector = match meta::selector(&spec["podSelector"]) {
        none if none == "<none>" => {
            "<none> (Allowing the specific traffic to all pods in this namespace)".to_owned()
        }
        selector => selector,
    };
    text.line(1, format!("PodSelector:     {selector}"));
    let types: Vec<String> = list(spec, "policyTypes").map(plain).collect();
    for way in &WAYS {
        let lower = way.name.to_lowercase();
        if types.iter().any(|own| own == way.name) {
            text.line(1, format!("Allowing {lower} traffic:"));
            rules(text, way, spec);
        } else {
            text.line(1, format!("Not affecting {lower} traffic"));
        }
    }
    text.line(1, format!("Policy Types: {}", or_none(&types.join(", "))));
    false
}

fn rules(text: &mut Text, way: &Way, spec: &Value) {
    let rules: Vec<&Value> = list(spec, way.rules).collect();
    if rules.is_empty() {
        let lower = way.name.to_lowercase();
        return text.line(
            2,
            format!("<none> (Selected pods are isolated for {lower} connectivity)"),
        );
    }
    for (index, rule) in rules.iter().enumerate() {
        if index > 0 {
            text.line(2, "----------");
        }
        ports(text, rule);
        let mut peers = list(rule, way.peers).peekable();
        if peers.peek().is_none() {
            text.line(2, way.anybody);
        }
        for own in peers {
            text.line(2, format!("{}:", way.title));
            peer(text, own);
        }
    }
}

fn ports(text: &mut Text, rule: &Value) {
    let mut ports = list(rule, "ports").peekable();
    if ports.peek().is_none() {
        return text.line(2, "To Port: <any> (traffic allowed to all ports)");
    }
    for own in ports {
        let protocol = own["protocol"].as_str().unwrap_or("TCP");
        let port = match &own["port"] {
            Value::Null => "<nil>".to_owned(),
            port => plain(port),
        };
        text.line(
            2,
            match own["endPort"].as_i64() {
                Some(end) => format!("To Port Range: {port}-{end}/{protocol}"),
                None => format!("To Port: {port}/{protocol}"),
            },
        );
    }
}

fn peer(text: &mut Text, peer: &Value) {
    let selectors = [
        ("NamespaceSelector", "namespaceSelector"),
        ("PodSelector", "podSelector"),
    ];
    let mut selected = false;
    for (title, field) in selectors {
        if peer[field].is_object() {
            selected = true;
            text.line(3, format!("{title}: {}", meta::selector(&peer[field])));
        }
    }
    let block = &peer["ipBlock"];
    if !selected && block.is_object() {
        text.line(3, "IPBlock:");
        text.line(4, format!("CIDR: {}", string(block, "cidr")));
        let except: Vec<String> = list(block, "except").map(plain).collect();
        text.line(4, format!("Except: {}", except.join(", ")));
    }
}
