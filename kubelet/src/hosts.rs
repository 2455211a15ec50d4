//! The `/etc/hosts` that containers of a pod share.

use k8s_openapi::api::core::v1::{HostAlias, Pod};

use crate::pod::spec;

const HEADER: &str = "# Kubernetes-managed hosts file.\n";
const HEADER_HOST_NETWORK: &str = "# Kubernetes-managed hosts file (host network).\n";

/// The file of `pod`. Pods on the node's network see `node`, the node's own file.
pub fn file(pod: &Pod, pod_ips: &[String], cluster_domain: &str, node: &str) -> String {
    let spec = spec::of(pod);
    let aliases = spec
        .and_then(|spec| spec.host_aliases.as_deref())
        .unwrap_or_default();
    if spec::host_network(pod) {
        return format!("{HEADER_HOST_NETWORK}{node}{}", alias_lines(aliases));
    }
    let mut text = HEADER.to_owned();
    text.push_str("127.0.0.1\tlocalhost\n");
    text.push_str("::1\tlocalhost ip6-localhost ip6-loopback\n");
    text.push_str("fe00::0\tip6-localnet\n");
    text.push_str("fe00::0\tip6-mcastprefix\n");
    text.push_str("fe00::1\tip6-allnodes\n");
    text.push_str("fe00::2\tip6-allrouters\n");
    let hostname = spec::hostname(pod);
    let subdomain = spec
        .and_then(|spec| spec.subdomain.as_deref())
        .filter(|own| !own.is_empty());
    for ip in pod_ips {
        match subdomain {
            Some(subdomain) => {
                let namespace = spec::namespace(pod);
                text.push_str(&format!(
                    "{ip}\t{hostname}.{subdomain}.{namespace}.svc.{cluster_domain}\t{hostname}\n"
                ));
            }
            None => text.push_str(&format!("{ip}\t{hostname}\n")),
        }
    }
    text + &alias_lines(aliases)
}

fn alias_lines(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = "\n# Entries added by HostAliases.\n".to_owned();
    for alias in aliases {
        let names = alias.hostnames.iter().flatten().map(String::as_str);
        text.push_str(&format!(
            "{}\t{}\n",
            alias.ip,
            names.collect::<Vec<_>>().join("\t")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_file_names_the_pod_and_its_aliases() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-0", "namespace": "shop"},
            "spec": {"subdomain": "web", "containers": [], "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["a", "b"]}]}
        }))
        .expect("a pod");
        let text = file(&pod, &["10.244.0.9".to_owned()], "cluster.local", "");
        assert!(
            text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"),
            "{text}"
        );
        assert!(
            text.contains("10.244.0.9\tweb-0.web.shop.svc.cluster.local\tweb-0\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\n# Entries added by HostAliases.\n192.0.2.7\ta\tb\n"),
            "{text}"
        );
    }
}
