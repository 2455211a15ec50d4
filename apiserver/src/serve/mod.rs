//! One TLS port with two thin fronts, gRPC and REST, over the same verbs.

mod bodies;
pub mod grpc;
mod limits;
mod metrics;
pub mod rest;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Server;
use ferrule_proto::v1::discovery_server::DiscoveryServer;
use ferrule_proto::v1::resources_server::ResourcesServer;

use crate::openapi::Documents;
use crate::verbs::Api;
use bodies::{Bodies, BoundedService};

pub use limits::InFlight;
pub use metrics::RequestMetrics;

/// The largest body of a request.
pub const BODY_LIMIT: usize = 3 << 20;

/// The largest message over gRPC. Larger than a body, so that one that is too large is told so.
const MESSAGE_LIMIT: usize = 8 << 20;

/// How long a request may take; watches, logs and exec take as long as they like.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests at a time.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Reading requests, watches aside.
    pub max_reading: usize,
    /// Writing requests.
    pub max_mutating: usize,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            max_reading: 400,
            max_mutating: 200,
        }
    }
}

/// What both fronts share.
pub(crate) struct Front {
    pub api: Api,
    pub in_flight: Arc<InFlight>,
    pub bodies: Bodies,
    pub metrics: RequestMetrics,
    pub documents: Documents,
}

impl Front {
    fn new(api: Api, options: ServeOptions, metrics: &Metrics) -> Arc<Front> {
        let in_flight = Arc::new(InFlight::new(options.max_reading, options.max_mutating));
        let state = metrics::State {
            api: api.clone(),
            in_flight: in_flight.clone(),
        };
        state.register(metrics);
        Arc::new(Front {
            documents: Documents::new(api.scheme().clone()),
            api,
            bodies: Bodies::new(),
            in_flight,
            metrics: RequestMetrics::register(metrics),
        })
    }
}

/// A server of the verbs, ready to listen.
pub fn server(api: Api, options: ServeOptions, health: Health, metrics: Metrics) -> Server {
    let front = Front::new(api, options, &metrics);
    let resources = ResourcesServer::new(grpc::ResourcesService::new(front.clone()))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(usize::MAX);
    let discovery = DiscoveryServer::new(grpc::DiscoveryService::new(front.clone()));
    let bodies = front.bodies.clone();
    Server::new(health, metrics)
        .authenticate_inside()
        .grpc(BoundedService::new(resources, bodies))
        .grpc(discovery)
        .http(rest::routes(front))
}

/// The REST front alone, without a port: each request says by an extension whose
/// [`Identity`](ferrule_component_base::identity::Identity) it is.
pub fn rest_routes(api: Api, options: ServeOptions, metrics: &Metrics) -> Router {
    rest::routes(Front::new(api, options, metrics))
}

/// Refuses a body that is too large, in upstream's words.
pub(crate) fn check_size(length: usize) -> Result<(), Status> {
    if length > BODY_LIMIT {
        return Err(Status::request_entity_too_large(format_args!(
            "limit is {BODY_LIMIT}"
        )));
    }
    Ok(())
}
