//! What a name of the cluster answers: a pure function of services and endpoints.

use std::net::Ipv4Addr;

use crate::catalog::{Endpoint, Service, View};

/// What kind of record is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// Another name.
    Cname,
    /// A service's port and host.
    Srv,
    /// A text.
    Txt,
    /// Anything else exists for no name of the cluster.
    Other,
}

/// A record's contents; names without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// Another name.
    Cname(String),
    /// A port at a host.
    Srv {
        /// The port.
        port: u16,
        /// The host's name.
        target: String,
    },
    /// A text.
    Txt(String),
    /// The name of an address.
    Ptr(String),
}

/// A record.
pub type Record = (String, Data);

/// What a name answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name exists; perhaps with nothing of the kind asked for.
    Found {
        /// Records of the name asked for.
        records: Vec<Record>,
        /// Records of names that they point to.
        additional: Vec<Record>,
    },
    /// No such name in the cluster.
    NoSuchName,
    /// Not a name of the cluster.
    Foreign,
}

fn found(records: Vec<Record>) -> Answer {
    Answer::Found {
        records,
        additional: Vec::new(),
    }
}

/// Answers a question. `name` is in lower case, without the final dot.
pub fn answer(view: &impl View, domain: &str, name: &str, kind: Kind) -> Answer {
    if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
        return reverse(view, domain, name, reversed);
    }
    if name == domain {
        return found(Vec::new());
    }
    let Some(rest) = name
        .strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
    else {
        return Answer::Foreign;
    };
    let labels: Vec<&str> = rest.split('.').collect();
    match labels.as_slice() {
        ["dns-version"] => found(of_kind(name, vec![Data::Txt("1.1.0".to_owned())], kind)),
        // Empty nodes of the tree exist, as CoreDNS answers them.
        ["svc" | "pod"] => found(Vec::new()),
        [namespace, "svc"] if view.has_namespace(namespace) => found(Vec::new()),
        [address, _, "pod"] => match dashed(address) {
            Some(address) => found(of_kind(name, vec![Data::A(address)], kind)),
            None => Answer::NoSuchName,
        },
        [inner @ .., service, namespace, "svc"] => match view.service(namespace, service) {
            Some(service) => in_service(view, domain, name, service.as_ref(), inner, kind),
            None => Answer::NoSuchName,
        },
        _ => Answer::NoSuchName,
    }
}

fn in_service(
    view: &impl View,
    domain: &str,
    name: &str,
    service: &Service,
    inner: &[&str],
    kind: Kind,
) -> Answer {
    let own = service_name(service, domain);
    if let Some(target) = &service.external_name {
        let data = if inner.is_empty() {
            vec![Data::Cname(target.clone())]
        } else {
            return Answer::NoSuchName;
        };
        // A CNAME answers whatever was asked for.
        return found(
            data.into_iter()
                .map(|data| (name.to_owned(), data))
                .collect(),
        );
    }
    match inner {
        [] => {
            let addresses = match service.cluster_ip {
                Some(address) => vec![address],
                None => served(view, service)
                    .map(|endpoint| endpoint.address)
                    .collect(),
            };
            if addresses.is_empty() {
                return Answer::NoSuchName;
            }
            found(of_kind(
                name,
                addresses.into_iter().map(Data::A).collect(),
                kind,
            ))
        }
        [host] if service.cluster_ip.is_none() => {
            let addresses: Vec<Data> = served(view, service)
                .filter(|endpoint| host_label(endpoint) == *host)
                .map(|endpoint| Data::A(endpoint.address))
                .collect();
            if addresses.is_empty() {
                Answer::NoSuchName
            } else {
                found(of_kind(name, addresses, kind))
            }
        }
        [port, protocol] => ports(view, domain, name, service, &own, (port, protocol), kind),
        _ => Answer::NoSuchName,
    }
}

/// `_http._tcp.web.default.svc.cluster.local`
fn ports(
    view: &impl View,
    domain: &str,
    name: &str,
    service: &Service,
    own: &str,
    (port, protocol): (&str, &str),
    kind: Kind,
) -> Answer {
    let (Some(port), Some(protocol)) = (port.strip_prefix('_'), protocol.strip_prefix('_')) else {
        return Answer::NoSuchName;
    };
    let mut data = Vec::new();
    let mut additional = Vec::new();
    if let Some(address) = service.cluster_ip {
        for own_port in service
            .ports
            .iter()
            .filter(|own_port| own_port.is(port, protocol))
        {
            data.push(Data::Srv {
                port: own_port.port,
                target: own.to_owned(),
            });
            additional.push((own.to_owned(), Data::A(address)));
        }
    } else {
        for endpoint in served(view, service) {
            let target = format!(
                "{}.{}",
                host_label(&endpoint),
                service_name(service, domain)
            );
            for own_port in endpoint
                .ports
                .iter()
                .filter(|own_port| own_port.is(port, protocol))
            {
                data.push(Data::Srv {
                    port: own_port.port,
                    target: target.clone(),
                });
                additional.push((target.clone(), Data::A(endpoint.address)));
            }
        }
    }
    if data.is_empty() {
        return Answer::NoSuchName;
    }
    let records = of_kind(name, data, kind);
    if records.is_empty() {
        additional.clear();
    }
    additional.sort();
    additional.dedup();
    Answer::Found {
        records,
        additional,
    }
}

fn reverse(view: &impl View, domain: &str, name: &str, reversed: &str) -> Answer {
    let parts: Vec<u8> = reversed
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    let [d, c, b, a] = parts.as_slice() else {
        return Answer::Foreign;
    };
    let address = Ipv4Addr::new(*a, *b, *c, *d);
    let mut names: Vec<String> = view
        .services_at(address)
        .iter()
        .map(|service| service_name(service.as_ref(), domain))
        .chain(
            view.endpoints_at(address)
                .iter()
                .filter_map(|(service, endpoint)| {
                    // Only hosts of a service have names of their own.
                    endpoint.hostname.as_ref()?;
                    Some(format!(
                        "{}.{}",
                        host_label(endpoint),
                        service_name(service.as_ref(), domain)
                    ))
                }),
        )
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Answer::Foreign;
    }
    found(
        names
            .into_iter()
            .map(|target| (name.to_owned(), Data::Ptr(target)))
            .collect(),
    )
}

fn of_kind(name: &str, data: Vec<Data>, kind: Kind) -> Vec<Record> {
    let fits = |data: &Data| {
        matches!(
            (data, kind),
            (Data::A(_), Kind::A)
                | (Data::Srv { .. }, Kind::Srv)
                | (Data::Txt(_), Kind::Txt)
                | (Data::Cname(_), _)
        )
    };
    let mut records: Vec<Record> = data
        .into_iter()
        .filter(fits)
        .map(|data| (name.to_owned(), data))
        .collect();
    records.sort();
    records.dedup();
    records
}

fn served<'v>(view: &'v impl View, service: &'v Service) -> impl Iterator<Item = Endpoint> + 'v {
    let endpoints = view.endpoints(&service.namespace, &service.name);
    endpoints
        .into_iter()
        .filter(|endpoint| endpoint.ready || service.publish_not_ready)
}

fn service_name(service: &Service, domain: &str) -> String {
    format!("{}.{}.svc.{domain}", service.name, service.namespace)
}

/// An endpoint's host name, or its address with dashes.
fn host_label(endpoint: &Endpoint) -> String {
    match &endpoint.hostname {
        Some(hostname) => hostname.to_lowercase(),
        None => endpoint.address.to_string().replace('.', "-"),
    }
}

fn dashed(label: &str) -> Option<Ipv4Addr> {
    label.replace('-', ".").parse().ok()
}
