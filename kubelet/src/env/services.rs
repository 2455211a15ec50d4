//! The variables that announce services to containers.

use std::collections::BTreeMap;

/// A service, as far as variables need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its cluster address; empty or `None` for headless ones.
    pub cluster_ip: String,
    /// Name, protocol and number of each port.
    pub ports: Vec<(String, String, i32)>,
}

/// The variables of the services that a pod in `namespace` sees: those of its own namespace when
/// it wants links, and always `kubernetes`.
pub fn variables<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    namespace: &str,
    links: bool,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut seen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        if service.cluster_ip.is_empty() || service.cluster_ip == "None" {
            continue;
        }
        let master = service.namespace == "default" && service.name == "kubernetes";
        if service.namespace == namespace && (links || master) {
            seen.insert(&service.name, service);
        } else if master {
            seen.entry(&service.name).or_insert(service);
        }
    }
    for service in seen.values() {
        add(&mut variables, service);
    }
    variables
}

fn add(variables: &mut BTreeMap<String, String>, service: &Service) {
    let name = variable(&service.name);
    let host = &service.cluster_ip;
    let in_url = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    variables.insert(format!("{name}_SERVICE_HOST"), host.clone());
    if let Some((_, protocol, port)) = service.ports.first() {
        variables.insert(format!("{name}_SERVICE_PORT"), port.to_string());
        let url = format!("{}://{in_url}:{port}", protocol.to_lowercase());
        variables.insert(format!("{name}_PORT"), url);
    }
    for (port_name, protocol, port) in &service.ports {
        if !port_name.is_empty() {
            variables.insert(
                format!("{name}_SERVICE_PORT_{}", variable(port_name)),
                port.to_string(),
            );
        }
        let prefix = format!("{name}_PORT_{port}_{}", protocol.to_uppercase());
        let protocol = protocol.to_lowercase();
        variables.insert(prefix.clone(), format!("{protocol}://{in_url}:{port}"));
        variables.insert(format!("{prefix}_PROTO"), protocol);
        variables.insert(format!("{prefix}_PORT"), port.to_string());
        variables.insert(format!("{prefix}_ADDR"), host.clone());
    }
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
