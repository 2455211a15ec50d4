//! The services and endpoints that names are answered from.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ferrule_apimachinery::Header;
use ferrule_client::{Cached, Key, Projection, Reader};
use serde::Deserialize;

/// A port with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// `http`; may be empty.
    pub name: String,
    /// `tcp`, in lower case.
    pub protocol: String,
    /// The number.
    pub port: u16,
}

impl Port {
    /// Whether this is the port of that name and protocol.
    pub fn is(&self, name: &str, protocol: &str) -> bool {
        self.name == name && self.protocol == protocol
    }
}

/// What is kept of a Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// `None` for a headless service.
    pub cluster_ip: Option<Ipv4Addr>,
    /// Where an ExternalName points.
    pub external_name: Option<String>,
    /// Endpoints that are not ready have names, too.
    pub publish_not_ready: bool,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// What is kept of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// The service that it belongs to.
    pub service: Box<str>,
    /// Its endpoints, with the slice's ports.
    pub endpoints: Vec<Endpoint>,
}

/// One address behind a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The pod's host name, where it has one in this service.
    pub hostname: Option<String>,
    /// Whether it takes traffic.
    pub ready: bool,
    /// The ports behind the service's.
    pub ports: Arc<[Port]>,
}

mod wire {
    use serde::Deserialize;

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    pub struct Port {
        pub name: Option<String>,
        pub protocol: Option<String>,
        pub port: Option<u16>,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    pub struct ServiceSpec {
        #[serde(rename = "clusterIP")]
        pub cluster_ip: String,
        pub external_name: String,
        pub r#type: String,
        pub publish_not_ready_addresses: bool,
        pub ports: Vec<Port>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub struct Conditions {
        pub ready: Option<bool>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub struct Endpoint {
        pub addresses: Vec<String>,
        pub hostname: Option<String>,
        pub conditions: Conditions,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireService {
    spec: wire::ServiceSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireSlice {
    endpoints: Option<Vec<wire::Endpoint>>,
    ports: Option<Vec<wire::Port>>,
}

fn ports(ports: Vec<wire::Port>) -> Vec<Port> {
    ports
        .into_iter()
        .filter_map(|port| {
            Some(Port {
                name: port.name.unwrap_or_default(),
                protocol: port
                    .protocol
                    .unwrap_or_else(|| "TCP".to_owned())
                    .to_lowercase(),
                port: port.port?,
            })
        })
        .collect()
}

impl Projection for Service {
    fn project(header: &Header, json: &[u8]) -> Result<Service, serde_json::Error> {
        let WireService { spec } = serde_json::from_slice(json)?;
        let external = spec.r#type == "ExternalName";
        Ok(Service {
            namespace: header.namespace.clone(),
            name: header.name.clone(),
            cluster_ip: spec.cluster_ip.parse().ok(),
            external_name: external
                .then(|| spec.external_name.trim_end_matches('.').to_lowercase()),
            publish_not_ready: spec.publish_not_ready_addresses,
            ports: ports(spec.ports),
        })
    }
}

impl Projection for Slice {
    fn project(header: &Header, json: &[u8]) -> Result<Slice, serde_json::Error> {
        let slice: WireSlice = serde_json::from_slice(json)?;
        let shared: Arc<[Port]> = ports(slice.ports.unwrap_or_default()).into();
        let endpoints = slice.endpoints.unwrap_or_default();
        let endpoints = endpoints.into_iter().flat_map(|endpoint| {
            let ready = endpoint.conditions.ready.unwrap_or(true);
            let (hostname, ports) = (endpoint.hostname, shared.clone());
            endpoint.addresses.into_iter().filter_map(move |address| {
                let address = address.parse().ok()?;
                Some(Endpoint {
                    address,
                    hostname: hostname.clone(),
                    ready,
                    ports: ports.clone(),
                })
            })
        });
        let service = header
            .labels
            .get("kubernetes.io/service-name")
            .unwrap_or_default();
        Ok(Slice {
            service: service.into(),
            endpoints: endpoints.collect(),
        })
    }
}

/// Services and endpoints, as answers need them.
pub trait View {
    /// A service.
    fn service(&self, namespace: &str, name: &str) -> Option<impl AsRef<Service>>;
    /// The endpoints of a service.
    fn endpoints(&self, namespace: &str, service: &str) -> Vec<Endpoint>;
    /// Whether a namespace has any service.
    fn has_namespace(&self, namespace: &str) -> bool;
    /// The services with this cluster IP.
    fn services_at(&self, address: Ipv4Addr) -> Vec<impl AsRef<Service>>;
    /// The endpoints with this address, with their services.
    fn endpoints_at(&self, address: Ipv4Addr) -> Vec<(impl AsRef<Service>, Endpoint)>;
}

impl AsRef<Service> for Service {
    fn as_ref(&self) -> &Service {
        self
    }
}

/// A service in the cache.
pub struct CachedService(Arc<Cached<Service>>);

impl AsRef<Service> for CachedService {
    fn as_ref(&self) -> &Service {
        &self.0.value
    }
}

/// The view of the informers' caches.
#[derive(Clone)]
pub struct Catalog {
    /// Every service.
    pub services: Reader<Service>,
    /// Every endpoint slice.
    pub slices: Reader<Slice>,
}

impl View for Catalog {
    fn service(&self, namespace: &str, name: &str) -> Option<impl AsRef<Service>> {
        self.services
            .get(&Key::new(namespace, name))
            .map(CachedService)
    }

    fn endpoints(&self, namespace: &str, service: &str) -> Vec<Endpoint> {
        let slices = self.slices.in_namespace(namespace);
        let own = slices
            .iter()
            .filter(|slice| &*slice.value.service == service);
        own.flat_map(|slice| slice.value.endpoints.iter().cloned())
            .collect()
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        !self.services.in_namespace(namespace).is_empty()
    }

    fn services_at(&self, address: Ipv4Addr) -> Vec<impl AsRef<Service>> {
        let services = self.services.list().into_iter();
        services
            .filter(|service| service.value.cluster_ip == Some(address))
            .map(CachedService)
            .collect()
    }

    fn endpoints_at(&self, address: Ipv4Addr) -> Vec<(impl AsRef<Service>, Endpoint)> {
        let mut found = Vec::new();
        for slice in self.slices.list() {
            for endpoint in slice
                .value
                .endpoints
                .iter()
                .filter(|endpoint| endpoint.address == address)
            {
                let key = Key::new(&*slice.header.namespace, &*slice.value.service);
                if let Some(service) = self.services.get(&key) {
                    found.push((CachedService(service), endpoint.clone()));
                }
            }
        }
        found
    }
}
