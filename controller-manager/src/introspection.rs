//! What the controllers do: `ControllerIntrospection` for people, metrics for machines.

use std::sync::atomic::Ordering;

use ferrule_proto::v1;
use ferrule_proto::v1::controller_introspection_server::ControllerIntrospection;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tonic::{Request, Response, Status};

use crate::manager::{Registered, Registry};

/// Answers from the registry.
pub struct Introspection(pub Registry);

#[tonic::async_trait]
impl ControllerIntrospection for Introspection {
    async fn list_controllers(
        &self,
        _: Request<v1::ListControllersRequest>,
    ) -> Result<Response<v1::ListControllersResponse>, Status> {
        let controllers: Vec<v1::ControllerState> =
            self.0.with(|all| all.iter().map(state).collect());
        Ok(Response::new(v1::ListControllersResponse {
            leader: !controllers.is_empty(),
            controllers,
        }))
    }
}

fn state(registered: &Registered) -> v1::ControllerState {
    let stats = &registered.stats;
    let last = stats
        .last_error
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .clone();
    let (time, key, error) = last.map_or_else(Default::default, |(time, key, error)| {
        (time.to_string(), key.to_string(), error)
    });
    v1::ControllerState {
        name: registered.name.to_owned(),
        queue_length: registered.queue.len() as u64,
        reconciled: stats.reconciled.load(Ordering::Relaxed),
        failed: stats.failed.load(Ordering::Relaxed),
        last_error: error,
        last_error_key: key,
        last_error_time: time,
    }
}

/// The same as metrics, under the names that upstream's work queues have.
#[derive(Clone)]
pub struct QueueMetrics(pub Registry);

impl std::fmt::Debug for QueueMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueMetrics")
    }
}

impl Collector for QueueMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let all: Vec<(&'static str, u64, u64, u64)> = self.0.with(|all| {
            let count = |registered: &Registered| {
                let stats = &registered.stats;
                let reconciled = stats.reconciled.load(Ordering::Relaxed);
                (
                    registered.name,
                    registered.queue.len() as u64,
                    reconciled,
                    stats.failed.load(Ordering::Relaxed),
                )
            };
            all.iter().map(count).collect()
        });
        let depth = ConstGauge::new(0_i64);
        let mut family = encoder.encode_descriptor(
            "workqueue_depth",
            "Keys that wait",
            None,
            depth.metric_type(),
        )?;
        for (name, waiting, ..) in &all {
            let value = ConstGauge::new(i64::try_from(*waiting).unwrap_or(i64::MAX));
            value.encode(family.encode_family(&[("name", *name)])?)?;
        }
        let counter = ConstCounter::new(0_u64);
        let mut family = encoder.encode_descriptor(
            "workqueue_reconciles",
            "Reconciliations that went well",
            None,
            counter.metric_type(),
        )?;
        for (name, _, reconciled, _) in &all {
            ConstCounter::new(*reconciled).encode(family.encode_family(&[("name", *name)])?)?;
        }
        let mut family = encoder.encode_descriptor(
            "workqueue_retries",
            "Reconciliations that failed and are tried again",
            None,
            counter.metric_type(),
        )?;
        for (name, .., failed) in &all {
            ConstCounter::new(*failed).encode(family.encode_family(&[("name", *name)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ferrule_client::controller::Stats;
    use ferrule_client::{Key, Queue};

    use super::*;

    fn registry() -> Registry {
        let (registry, queue) = (Registry::default(), Queue::new());
        queue.add(Key::cluster("a"));
        let stats = Stats::default();
        stats.failed.store(3, Ordering::Relaxed);
        *stats.last_error.lock().unwrap() = Some((
            jiff::Timestamp::UNIX_EPOCH,
            Key::new("shop", "web"),
            "conflict".to_owned(),
        ));
        registry.add(Registered {
            name: "deployment",
            queue,
            stats: Arc::new(stats),
        });
        registry
    }

    #[tokio::test]
    async fn introspection_shows_queues_and_the_last_error() {
        let introspection = Introspection(registry());
        let answer = introspection.list_controllers(Request::new(v1::ListControllersRequest {}));
        let answer = answer.await.unwrap().into_inner();
        assert!(answer.leader);
        let controller = &answer.controllers[0];
        assert_eq!(
            (
                controller.name.as_str(),
                controller.queue_length,
                controller.failed
            ),
            ("deployment", 1, 3)
        );
        assert_eq!(controller.last_error_key, "shop/web");
        assert_eq!(controller.last_error_time, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn each_controller_has_its_metrics() {
        let mut all = prometheus_client::registry::Registry::default();
        all.register_collector(Box::new(QueueMetrics(registry())));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &all).unwrap();
        assert!(
            text.contains("workqueue_depth{name=\"deployment\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("workqueue_retries_total{name=\"deployment\"} 3\n"),
            "{text}"
        );
    }
}
