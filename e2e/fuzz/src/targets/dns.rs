//! Questions to the DNS server of a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};

use ferrule_dns::catalog::{Endpoint, Port, Service, View};
use ferrule_dns::forward::Forwarder;
use ferrule_dns::server::Handler;
use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::net::NetError;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;
use tokio::runtime::Runtime;

/// A service with an address, and a headless one.
struct Lab;

fn service(name: &str) -> Option<Service> {
    let cluster_ip = match name {
        "web" => Some(Ipv4Addr::new(10, 96, 0, 10)),
        "db" | "out" => None,
        _ => return None,
    };
    Some(Service {
        namespace: "default".into(),
        name: name.into(),
        cluster_ip,
        external_name: (name == "out").then(|| "web.default.svc.cluster.local".to_owned()),
        publish_not_ready: false,
        ports: vec![port()],
    })
}

fn port() -> Port {
    Port {
        name: "http".to_owned(),
        protocol: "tcp".to_owned(),
        port: 80,
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        address: Ipv4Addr::new(10, 244, 1, 5),
        hostname: Some("one".to_owned()),
        ready: true,
        ports: Arc::from([port()]),
    }
}

impl View for Lab {
    fn service(&self, _: &str, name: &str) -> Option<impl AsRef<Service>> {
        service(name)
    }

    fn endpoints(&self, _: &str, _: &str) -> Vec<Endpoint> {
        vec![endpoint()]
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        namespace == "default"
    }

    fn services_at(&self, _: Ipv4Addr) -> Vec<impl AsRef<Service>> {
        Vec::from_iter(service("web"))
    }

    fn endpoints_at(&self, _: Ipv4Addr) -> Vec<(impl AsRef<Service>, Endpoint)> {
        let found = service("db").map(|service| (service, endpoint()));
        Vec::from_iter(found)
    }
}

/// Keeps the answer.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

#[async_trait::async_trait]
impl ResponseHandler for Kept {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut bytes = Vec::new();
        let mut encoder = BinEncoder::new(&mut bytes);
        encoder.set_max_size(response.edns().map_or(512, |edns| edns.max_payload()));
        let info = response.destructive_emit(&mut encoder)?;
        *self.0.lock().expect("one thread") = bytes;
        Ok(info)
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime")
});

static HANDLER: LazyLock<Handler<Lab>> = LazyLock::new(|| Handler {
    view: Lab,
    domain: "cluster.local".to_owned(),
    // Nothing is ever forwarded from here.
    forwarder: Forwarder::default(),
    questions: Default::default(),
});

/// A message as it arrives.
pub fn dns(data: &[u8]) {
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let Ok(request) = Request::from_bytes(data.to_vec(), from, Protocol::Udp) else {
        return;
    };
    let kept = Kept::default();
    RUNTIME.block_on(HANDLER.handle_request::<_, TokioTime>(&request, kept.clone()));
    let answer = kept.0.lock().expect("one thread");
    // An answer repeats the question: a name that goes on in the header reads differently there.
    if !answer.is_empty() && !points_back(data) {
        Message::from_vec(&answer).expect("an answer is a message");
    }
}

/// Whether the first name of a message goes on somewhere before it, where no name can be.
fn points_back(message: &[u8]) -> bool {
    const POINTER: u8 = 0xc0;
    let mut at = 12;
    while let Some(&length) = message.get(at) {
        match length {
            0 => return false,
            POINTER.. => return true,
            length => at += 1 + usize::from(length),
        }
    }
    false
}
