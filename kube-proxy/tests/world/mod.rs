//! A node, two pods and a client in network namespaces of their own, and services to program.

#![allow(dead_code)]

#[path = "../../../addons/network/tests/namespaces/mod.rs"]
pub mod namespaces;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_kube_proxy::health::ProxyHealth;
use ferrule_kube_proxy::health::services::ServiceHealth;
use ferrule_kube_proxy::introspection::Listing;
use ferrule_kube_proxy::objects::{
    Endpoint, EndpointSlice, Node, Protocol, Service, ServiceName, ServicePort,
};
use ferrule_kube_proxy::program::{Outcome, Programmer};
use ferrule_kube_proxy::ruleset::{Fragment, Settings, fragment};
use ferrule_kube_proxy::shell::{Options, Proxy};
pub use namespaces::{Namespace, connect};

pub const NODE_IP: &str = "172.31.9.11";
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// A node `172.31.9.11` with pods `10.244.1.2` and `10.244.1.3`, and a client `172.31.9.99` outside of the cluster.
pub struct World {
    pub node: Namespace,
    pub pods: [Namespace; 2],
    pub client: Namespace,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            node: Namespace::node(),
            pods: [Namespace::pod(), Namespace::pod()],
            client: Namespace::node(),
        };
        let node = &world.node;
        connect(
            "t0",
            (node, "172.31.9.11/24"),
            (&world.client, "172.31.9.99/24"),
        );
        node.run(
            "ip",
            &["route", "add", "10.96.0.0/16", "dev", "lo", "src", NODE_IP],
        );
        node.run("ip", &["link", "add", "cni0", "type", "bridge"]);
        node.run("ip", &["address", "add", "10.244.1.1/24", "dev", "cni0"]);
        node.run("ip", &["link", "set", "cni0", "up"]);
        node.inside(|| {
            for setting in [
                "all/route_localnet",
                "default/route_localnet",
                "cni0/route_localnet",
            ] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{setting}"), "1").unwrap();
            }
        });
        for (pod, number) in world.pods.iter().zip(2..) {
            let name = format!("p{number}");
            connect(
                &name,
                (node, "0.0.0.0"),
                (pod, &format!("10.244.1.{number}/32")),
            );
            node.run("ip", &["link", "set", &name, "master", "cni0"]);
            node.run("bridge", &["link", "set", "dev", &name, "hairpin", "on"]);
            pod.run("ip", &["link", "set", "lo", "up"]);
            pod.run("ip", &["route", "add", "10.244.1.1", "dev", &name]);
            pod.run("ip", &["route", "add", "default", "via", "10.244.1.1"]);
            serve(pod, number);
        }
        world
    }

    pub fn proxy(&self) -> Proxy {
        let options = Options {
            settings: settings(),
            node_name: "node1".to_owned(),
            node_ip: NODE_IP.parse().ok(),
            min_sync_period: Duration::ZERO,
            sync_period: Duration::from_secs(30),
        };
        let proxy_health = ProxyHealth::new(TIMEOUT);
        Proxy::new(
            options,
            Listing::default(),
            Health::default(),
            proxy_health.clone(),
            ServiceHealth::new(proxy_health, Arc::new(|_, _, _| {})),
            &Metrics::default(),
        )
    }

    pub fn apply(&self, proxy: &mut Proxy, wanted: &Wanted) -> Outcome {
        self.node.inside(|| proxy.apply(wanted.changes()).unwrap())
    }

    pub fn sync(&self, programmer: &mut Programmer, wanted: &Wanted) -> Outcome {
        self.node
            .inside(|| programmer.update(wanted.changes()).unwrap().0)
    }

    pub fn table(&self) -> String {
        self.node
            .run("nft", &["list", "table", "ip", "ferrule-proxy"])
    }
}

/// Answers TCP and UDP on port 8080 with the pod's number and who asks.
pub fn serve(pod: &Namespace, number: u8) {
    let listener = pod.inside(|| TcpListener::bind("0.0.0.0:8080").unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let peer = stream.peer_addr().unwrap().ip();
                let _ = stream.write_all(format!("{number} {peer}\n").as_bytes());
                // Echoes what comes, until the client is done.
                let mut bytes = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    let _ = stream.write_all(&bytes[..length]);
                }
            });
        }
    });
    let socket = pod.inside(|| UdpSocket::bind("0.0.0.0:8080").unwrap());
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((_, peer)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(format!("{number} {}", peer.ip()).as_bytes(), peer);
        }
    });
}

/// Connects and reads the pod's number and the address it saw.
pub fn ask(from: &Namespace, address: &str) -> io::Result<(u8, Ipv4Addr)> {
    let address: SocketAddr = address.parse().unwrap();
    from.inside(|| {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (number, peer) = text.trim().split_once(' ').unwrap();
        Ok((number.parse().unwrap(), peer.parse().unwrap()))
    })
}

pub fn refused(from: &Namespace, address: &str) {
    let begin = std::time::Instant::now();
    let error = ask(from, address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{address}");
    assert!(begin.elapsed() < TIMEOUT / 2);
}

pub fn settings() -> Settings {
    Settings {
        cluster_cidr: "10.244.0.0/16".parse().ok(),
        service_range: "10.96.0.0/16".parse().ok(),
        masquerade_bit: 14,
        masquerade_all: false,
    }
}

pub fn node() -> Node {
    Node {
        name: "node1".to_owned(),
        address: NODE_IP.parse().ok(),
        zone: String::new(),
    }
}

/// What each of the services `web-0` to `web-9` contributes.
#[derive(Default)]
pub struct Wanted(BTreeMap<ServiceName, Fragment>);

impl Wanted {
    pub fn of(services: &[(ServiceName, Service, EndpointSlice)]) -> Self {
        let fragments = services.iter().filter_map(|(name, service, slice)| {
            let fragment = fragment(&node(), name, service, [slice].into_iter())?;
            Some((name.clone(), fragment))
        });
        Self(fragments.collect())
    }

    fn changes(&self) -> BTreeMap<ServiceName, Option<Fragment>> {
        let none = (0..10).map(|number| (name(number), None));
        let some = self
            .0
            .iter()
            .map(|(name, fragment)| (name.clone(), Some(fragment.clone())));
        none.chain(some).collect()
    }
}

pub fn name(number: u32) -> ServiceName {
    ServiceName {
        namespace: Arc::from("default"),
        name: Arc::from(format!("web-{number}")),
    }
}

pub fn endpoint(address: &str, node: &str) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        ready: true,
        serving: true,
        terminating: false,
        node: Some(node.into()),
        zones: Vec::new(),
        nodes: Vec::new(),
    }
}

/// The service `10.96.1.9 + number`, TCP and UDP 80; the first one is at node port 30000 too.
pub fn service(number: u32, endpoints: &[&str]) -> (ServiceName, Service, EndpointSlice) {
    let name = name(number);
    let port = |name: &str, protocol, node_port| ServicePort {
        name: name.to_owned(),
        protocol,
        port: 80,
        node_port,
    };
    let node_port = if number == 0 { 30000 } else { 0 };
    let service = Service {
        cluster_ip: Some(Ipv4Addr::from(0x0a60_0109 + number)),
        ports: vec![
            port("http", Protocol::Tcp, node_port),
            port("udp", Protocol::Udp, node_port),
        ],
        ..Service::default()
    };
    let slice = EndpointSlice {
        service: (*name.name).into(),
        ports: vec![
            ("http".into(), Protocol::Tcp, 8080),
            ("udp".into(), Protocol::Udp, 8080),
        ],
        endpoints: endpoints
            .iter()
            .map(|address| endpoint(address, "node1"))
            .collect(),
    };
    (name, service, slice)
}

pub fn one_service(endpoints: &[&str]) -> Wanted {
    Wanted::of(&[service(0, endpoints)])
}

pub const BOTH: [&str; 2] = ["10.244.1.2", "10.244.1.3"];
