//! Tables over the names of a small cluster.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ferrule_apimachinery::header::Header;
use ferrule_client::Projection;

use crate::catalog::{Endpoint, Port, Service, Slice, View};
use crate::records::{Answer, Data, Kind, answer};

#[derive(Default)]
struct Lab {
    services: Vec<Service>,
    endpoints: Vec<(&'static str, Endpoint)>,
}

impl View for Lab {
    fn service(&self, namespace: &str, name: &str) -> Option<impl AsRef<Service>> {
        self.services
            .iter()
            .find(|own| &*own.namespace == namespace && &*own.name == name)
            .cloned()
    }

    fn endpoints(&self, _: &str, service: &str) -> Vec<Endpoint> {
        self.endpoints
            .iter()
            .filter(|(own, _)| *own == service)
            .map(|(_, endpoint)| endpoint.clone())
            .collect()
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        self.services.iter().any(|own| &*own.namespace == namespace)
    }

    fn services_at(&self, address: Ipv4Addr) -> Vec<impl AsRef<Service>> {
        self.services
            .iter()
            .filter(|own| own.cluster_ip == Some(address))
            .cloned()
            .collect()
    }

    fn endpoints_at(&self, address: Ipv4Addr) -> Vec<(impl AsRef<Service>, Endpoint)> {
        let mut found = Vec::new();
        for (service, endpoint) in self
            .endpoints
            .iter()
            .filter(|(_, own)| own.address == address)
        {
            for own in self
                .services
                .iter()
                .filter(|own| own.name.as_ref() == *service)
            {
                found.push((own.clone(), endpoint.clone()));
            }
        }
        found
    }
}

fn port(name: &str, port: u16) -> Port {
    Port {
        name: name.to_owned(),
        protocol: "tcp".to_owned(),
        port,
    }
}

fn lab() -> Lab {
    let service = |name: &str| Service {
        namespace: "default".into(),
        name: name.into(),
        ..Service::default()
    };
    let endpoint = |last: u8, hostname: Option<&str>, ready: bool| Endpoint {
        address: Ipv4Addr::new(10, 244, 1, last),
        hostname: hostname.map(str::to_owned),
        ready,
        ports: Arc::new([port("http", 8080)]),
    };
    Lab {
        services: vec![
            Service {
                cluster_ip: Some(Ipv4Addr::new(10, 96, 0, 7)),
                ports: vec![port("http", 80)],
                ..service("web")
            },
            service("db"),
            Service {
                publish_not_ready: true,
                ..service("peers")
            },
            Service {
                external_name: Some("elsewhere.example".into()),
                ..service("out")
            },
            service("empty"),
        ],
        endpoints: vec![
            ("db", endpoint(2, Some("db-0"), true)),
            ("db", endpoint(3, None, true)),
            ("db", endpoint(4, Some("db-2"), false)),
            ("peers", endpoint(5, None, false)),
        ],
    }
}

fn data(name: &str, kind: Kind) -> Option<Vec<Data>> {
    match answer(&lab(), "cluster.local", name, kind) {
        Answer::Found { records, .. } => Some(records.into_iter().map(|(_, data)| data).collect()),
        _ => None,
    }
}

#[test]
fn names_of_the_cluster_answer_as_kubernetes_says() {
    let a = |c: u8, d: u8, e: u8| Data::A(Ipv4Addr::new(10, c, d, e));
    let srv = |port: u16, target: &str| Data::Srv {
        port,
        target: target.to_owned(),
    };
    let cases = [
        (
            "web.default.svc.cluster.local",
            Kind::A,
            Some(vec![a(96, 0, 7)]),
        ),
        ("web.default.svc.cluster.local", Kind::Other, Some(vec![])),
        (
            "db.default.svc.cluster.local",
            Kind::A,
            Some(vec![a(244, 1, 2), a(244, 1, 3)]),
        ),
        (
            "db-0.db.default.svc.cluster.local",
            Kind::A,
            Some(vec![a(244, 1, 2)]),
        ),
        (
            "10-244-1-3.db.default.svc.cluster.local",
            Kind::A,
            Some(vec![a(244, 1, 3)]),
        ),
        ("db-2.db.default.svc.cluster.local", Kind::A, None),
        (
            "peers.default.svc.cluster.local",
            Kind::A,
            Some(vec![a(244, 1, 5)]),
        ),
        (
            "out.default.svc.cluster.local",
            Kind::A,
            Some(vec![Data::Cname("elsewhere.example".into())]),
        ),
        ("empty.default.svc.cluster.local", Kind::A, None),
        (
            "10-244-1-9.default.pod.cluster.local",
            Kind::A,
            Some(vec![a(244, 1, 9)]),
        ),
        ("nothing.default.pod.cluster.local", Kind::A, None),
        (
            "_http._tcp.web.default.svc.cluster.local",
            Kind::Srv,
            Some(vec![srv(80, "web.default.svc.cluster.local")]),
        ),
        (
            "_http._tcp.db.default.svc.cluster.local",
            Kind::Srv,
            Some(vec![
                srv(8080, "10-244-1-3.db.default.svc.cluster.local"),
                srv(8080, "db-0.db.default.svc.cluster.local"),
            ]),
        ),
        ("_https._tcp.web.default.svc.cluster.local", Kind::Srv, None),
        ("nobody.default.svc.cluster.local", Kind::A, None),
        ("default.svc.cluster.local", Kind::A, Some(vec![])),
        (
            "dns-version.cluster.local",
            Kind::Txt,
            Some(vec![Data::Txt("1.1.0".into())]),
        ),
        (
            "7.0.96.10.in-addr.arpa",
            Kind::Other,
            Some(vec![Data::Ptr("web.default.svc.cluster.local".into())]),
        ),
        (
            "2.1.244.10.in-addr.arpa",
            Kind::Other,
            Some(vec![Data::Ptr("db-0.db.default.svc.cluster.local".into())]),
        ),
    ];
    for (name, kind, expected) in cases {
        assert_eq!(data(name, kind), expected, "{name} {kind:?}");
    }
}

#[test]
fn names_outside_the_cluster_are_left_to_others() {
    for name in [
        "example.com",
        "cluster.local.example",
        "9.9.9.9.in-addr.arpa",
        "xcluster.local",
    ] {
        assert_eq!(
            answer(&lab(), "cluster.local", name, Kind::A),
            Answer::Foreign,
            "{name}"
        );
    }
}

#[test]
fn a_slice_without_endpoints_or_ports_is_read_as_empty() {
    for text in [
        r#"{"endpoints":null,"ports":null}"#,
        r#"{"endpoints":[],"ports":[]}"#,
        "{}",
    ] {
        let slice = Slice::project(&Header::default(), text.as_bytes()).expect(text);
        assert!(slice.endpoints.is_empty(), "{text}");
    }
}
