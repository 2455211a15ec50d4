//! Limits on requests in flight, and their counts and durations.

use std::sync::Arc;
use std::time::Instant;

use ferrule_apimachinery::status::Status;
use ferrule_component_base::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests; watches, logs and exec need none.
pub struct InFlight {
    reading: Arc<Semaphore>,
    mutating: Arc<Semaphore>,
}

impl InFlight {
    /// So many places.
    pub fn new(reading: usize, mutating: usize) -> InFlight {
        InFlight {
            reading: Arc::new(Semaphore::new(reading)),
            mutating: Arc::new(Semaphore::new(mutating)),
        }
    }

    /// A place for a request, given back when dropped; 429 when there is none.
    pub fn enter(&self, verb: &str) -> Result<OwnedSemaphorePermit, Status> {
        let places = match verb {
            "get" | "list" => &self.reading,
            _ => &self.mutating,
        };
        places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Status::too_many_requests("Too many requests, please try again later.", 1))
    }
}

/// What a request was.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    code: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerbLabels {
    verb: String,
    resource: String,
}

/// Counts and durations of requests.
pub struct RequestMetrics {
    requests: Family<Labels, Counter>,
    durations: Family<VerbLabels, Histogram>,
}

impl RequestMetrics {
    /// The metrics, registered under upstream's names.
    pub fn register(metrics: &Metrics) -> RequestMetrics {
        let requests = Family::<Labels, Counter>::default();
        let durations = Family::<VerbLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 2.0, 16))
        });
        metrics.register(|registry| {
            registry.register(
                "apiserver_request",
                "Requests by verb, resource and code",
                requests.clone(),
            );
            registry.register(
                "apiserver_request_duration_seconds",
                "How long requests took, watches aside",
                durations.clone(),
            );
        });
        RequestMetrics {
            requests,
            durations,
        }
    }

    /// Counts a request that has been answered.
    pub fn answered(
        &self,
        verb: &'static str,
        resource: &ferrule_apimachinery::scheme::Resource,
        subresource: &str,
        code: u16,
        began: Instant,
    ) {
        let labels = Labels {
            verb: verb.to_owned(),
            group: resource.group.to_string(),
            resource: resource.plural.to_string(),
            subresource: subresource.to_owned(),
            code: code.into(),
        };
        self.requests.get_or_create(&labels).inc();
        if verb != "watch" {
            let labels = VerbLabels {
                verb: verb.to_owned(),
                resource: resource.plural.to_string(),
            };
            self.durations
                .get_or_create(&labels)
                .observe(began.elapsed().as_secs_f64());
        }
    }
}
