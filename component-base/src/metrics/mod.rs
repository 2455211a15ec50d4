//! The metrics of a process: one registry, handed down, never global.

mod exposition;
mod histogram;
mod process;

use std::sync::{Arc, Mutex};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub use exposition::CONTENT_TYPE;
pub use histogram::LockFreeHistogram;
use process::ProcessCollector;

/// A shared registry that already knows the process's memory and CPU.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        Metrics(Arc::new(Mutex::new(registry)))
    }
}

impl Metrics {
    /// Lets `register` add metrics to the registry.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(
            &mut self
                .0
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let registry = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &registry) {
            tracing::warn!(%error, "cannot encode the metrics");
        }
        drop(registry);
        exposition::classic(&text)
    }
}
