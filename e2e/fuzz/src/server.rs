//! The REST front of an API server whose store is a map, inside this process and without a port.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use ferrule_apimachinery::object::meta;
use ferrule_apimachinery::scheme::{Resource, Scheme};
use ferrule_apimachinery::yaml;
use ferrule_apiserver::admission::TolerationSeconds;
use ferrule_apiserver::serve::{self, ServeOptions};
use ferrule_apiserver::store::{Store, StoreOptions};
use ferrule_apiserver::verbs::allocation::Ranges;
use ferrule_apiserver::verbs::bootstrap::Advertised;
use ferrule_apiserver::verbs::connect::Kubelets;
use ferrule_apiserver::verbs::{Api, ApiOptions};
use ferrule_component_base::identity::Identity;
use ferrule_component_base::metrics::Metrics;
use futures::FutureExt;
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::memory::Memory;

/// One object of most kinds, in YAML.
const OBJECTS: &str = include_str!("../objects.yaml");

/// One object of most kinds.
pub fn objects() -> Vec<Value> {
    yaml::read(OBJECTS).expect("the objects are YAML")
}

/// The row of an object's kind.
pub fn resource_of<'s>(scheme: &'s Scheme, object: &Value) -> Option<&'s Arc<Resource>> {
    scheme.by_api_version_kind(meta::api_version(object), meta::kind(object))
}

/// The path of a resource in the namespace `default`.
pub fn path_of(resource: &Resource) -> String {
    let root = match &*resource.group {
        "" => "/api".to_owned(),
        group => format!("/apis/{group}"),
    };
    let place = if resource.namespaced {
        "/namespaces/default"
    } else {
        ""
    };
    format!("{root}/{}{place}/{}", resource.version, resource.plural)
}

/// An API server with one object of most kinds, which no request changes.
pub struct Server {
    runtime: Runtime,
    routes: Router,
    /// What could not be made, and why.
    pub refused: Vec<(Value, String)>,
}

impl Server {
    /// Makes the store and its objects.
    pub fn start() -> Server {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // Nothing waits for a clock: when everything rests, the next timer rings.
            .start_paused(true)
            .build()
            .expect("a runtime");
        let memory = Arc::new(Memory::default());
        let backend = memory.clone();
        let routes = runtime.block_on(async move {
            let scheme = Arc::new(Scheme::builtin());
            let mut options = StoreOptions::new(["http://127.0.0.1:1"]);
            options.compaction_interval = None;
            options.event_ttl = None;
            let never = CancellationToken::new();
            let store = Store::open_on(backend, options, scheme.clone(), never);
            let store = store.await.expect("the store is loaded");
            let addresses = scheme.lookup("networking.k8s.io", "v1", "ipaddresses");
            let options = ApiOptions {
                ranges: Ranges {
                    network: "10.96.0.0/16".parse().expect("a network"),
                    ports: 30000..=32767,
                    addresses: addresses.expect("IPAddress exists").clone(),
                },
                kubelets: Kubelets::new(None),
                tolerations: TolerationSeconds::default(),
            };
            let api = Api::new(store, scheme, options);
            let advertised = Advertised {
                address: [127, 0, 0, 1].into(),
                port: 6443,
            };
            api.bootstrap(advertised).await.expect("the first objects");
            serve::rest_routes(api, ServeOptions::default(), &Metrics::default())
        });
        let mut server = Server {
            runtime,
            routes,
            refused: Vec::new(),
        };
        let scheme = Scheme::builtin();
        for object in objects() {
            let Some(resource) = resource_of(&scheme, &object) else {
                server.refused.push((object, "no such kind".to_owned()));
                continue;
            };
            let request = Request::post(path_of(resource)).body(Body::from(object.to_string()));
            let (code, answer) = server.call(request.expect("a request"));
            if code != 201 {
                let why = String::from_utf8_lossy(&answer).into_owned();
                server.refused.push((object, why));
            }
        }
        memory.freeze();
        server
    }

    /// The answer to a request of an administrator: its code, and as much of its body as is there at once.
    pub fn call(&self, mut request: Request<Body>) -> (u16, Bytes) {
        request.extensions_mut().insert(Identity {
            user: "admin".to_owned(),
            uid: String::new(),
            groups: vec!["system:masters".to_owned()],
        });
        let routes = self.routes.clone();
        self.runtime.block_on(async move {
            let Ok(response) = routes.oneshot(request).await;
            let code = response.status().as_u16();
            let mut body = response.into_body();
            let mut bytes = Vec::new();
            // A watch has no end; what it says first is enough.
            for _ in 0..64 {
                match body.frame().now_or_never() {
                    Some(Some(Ok(frame))) => {
                        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                    }
                    Some(_) => break,
                    None => tokio::task::yield_now().await,
                }
            }
            (code, bytes.into())
        })
    }
}
