//! The resolver configuration of a pod by its DNS policy.

use k8s_openapi::api::core::v1::Pod;

use crate::pod::spec;

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;

/// What a resolv.conf says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Addresses of name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options: `ndots:5`.
    pub options: Vec<String>,
}

/// Reads a resolv.conf.
pub fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => resolver.servers.extend(words.next().map(str::to_owned)),
            // The last line of its kind wins.
            Some("search") => {
                resolver.searches = words
                    .map(|word| word.trim_end_matches('.').to_owned())
                    .collect();
                resolver.searches.retain(|search| !search.is_empty());
            }
            Some("options") => resolver.options = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    resolver
}

/// The resolver of `pod`, given the node's own and the cluster's.
pub fn resolver(
    pod: &Pod,
    node: &Resolver,
    cluster_dns: &[String],
    cluster_domain: &str,
) -> Resolver {
    let spec = spec::of(pod);
    let policy = spec
        .and_then(|spec| spec.dns_policy.as_deref())
        .unwrap_or("ClusterFirst");
    let cluster = match policy {
        "ClusterFirst" => !spec::host_network(pod),
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut resolver = if policy == "None" {
        Resolver::default()
    } else if cluster && !cluster_dns.is_empty() {
        let namespace = spec::namespace(pod);
        let mut searches = if cluster_domain.is_empty() {
            Vec::new()
        } else {
            vec![
                format!("{namespace}.svc.{cluster_domain}"),
                format!("svc.{cluster_domain}"),
                cluster_domain.to_owned(),
            ]
        };
        append(&mut searches, &node.searches);
        Resolver {
            servers: cluster_dns.to_vec(),
            searches,
            options: vec!["ndots:5".to_owned()],
        }
    } else {
        node.clone()
    };
    if let Some(config) = spec.and_then(|spec| spec.dns_config.as_ref()) {
        append(
            &mut resolver.servers,
            config.nameservers.as_deref().unwrap_or_default(),
        );
        append(
            &mut resolver.searches,
            config.searches.as_deref().unwrap_or_default(),
        );
        for option in config.options.iter().flatten() {
            let name = option.name.as_deref().unwrap_or_default();
            let named = |own: &String| own.split(':').next() == Some(name);
            resolver.options.retain(|own| !named(own));
            resolver.options.push(
                match option.value.as_deref().filter(|value| !value.is_empty()) {
                    Some(value) => format!("{name}:{value}"),
                    None => name.to_owned(),
                },
            );
        }
    }
    resolver.servers.truncate(MAX_SERVERS);
    resolver.searches.truncate(MAX_SEARCHES);
    resolver
}

fn append(list: &mut Vec<String>, more: &[String]) {
    for entry in more {
        if !list.contains(entry) {
            list.push(entry.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn each_policy_has_its_servers_searches_and_options() {
        let node = parse(
            "# by hand\nnameserver 192.0.2.1\nsearch corp.example lab.\noptions rotate timeout:1\n",
        );
        assert_eq!(node.searches, ["corp.example", "lab"]);
        let cluster = ["10.96.0.10".to_owned()];
        let searches = [
            "shop.svc.cluster.local",
            "svc.cluster.local",
            "cluster.local",
            "corp.example",
            "lab",
        ];
        type Row = (
            Value,
            Vec<&'static str>,
            Vec<&'static str>,
            Vec<&'static str>,
        );
        let table: [Row; 6] = [
            (
                json!({}),
                vec!["10.96.0.10"],
                searches.to_vec(),
                vec!["ndots:5"],
            ),
            (
                json!({"hostNetwork": true}),
                vec!["192.0.2.1"],
                vec!["corp.example", "lab"],
                vec!["rotate", "timeout:1"],
            ),
            (
                json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}),
                vec!["10.96.0.10"],
                searches.to_vec(),
                vec!["ndots:5"],
            ),
            (
                json!({"dnsPolicy": "Default"}),
                vec!["192.0.2.1"],
                vec!["corp.example", "lab"],
                vec!["rotate", "timeout:1"],
            ),
            (
                json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}}),
                vec!["1.1.1.1"],
                vec!["a"],
                vec!["ndots:2", "edns0"],
            ),
            (
                json!({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}], "nameservers": ["10.96.0.10"]}}),
                vec!["10.96.0.10"],
                searches.to_vec(),
                vec!["ndots:1"],
            ),
        ];
        for (spec, servers, searches, options) in table {
            let mut spec = spec;
            spec["containers"] = json!([]);
            let pod: Pod = serde_json::from_value(
                json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": spec}),
            )
            .expect("a pod");
            let own = resolver(&pod, &node, &cluster, "cluster.local");
            assert_eq!(
                (own.servers, own.searches, own.options),
                (strings(servers), strings(searches), strings(options))
            );
        }
    }

    fn strings(list: Vec<&str>) -> Vec<String> {
        list.into_iter().map(str::to_owned).collect()
    }
}
