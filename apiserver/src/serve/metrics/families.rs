//! The metrics of requests and watches, as they are counted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferrule_component_base::metrics::{LockFreeHistogram, Metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::asked::{Answered, Asked, Terminated, Timed, Watched, WatchedIn};

/// Upstream's buckets for the durations of requests, in seconds.
const DURATIONS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// Those of durations that are promised.
const PROMISED: [f64; 21] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0,
    30.0, 45.0, 60.0,
];

/// Those of the time until a watch has sent its first state.
const FIRST_STATES: [f64; 17] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// Those of answers, in bytes.
const ANSWERS: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Those of events, in bytes.
const EVENTS: [f64; 8] = [
    1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0,
];

type Histograms<L> = Family<L, LockFreeHistogram, fn() -> LockFreeHistogram>;

/// Counts, durations and sizes of requests, and of what watches send. Clones share them.
#[derive(Clone)]
pub struct RequestMetrics(Arc<Families>);

struct Families {
    requests: Family<Answered, Counter>,
    terminated: Family<Terminated, Counter>,
    durations: Histograms<Timed>,
    promised: Histograms<Asked>,
    answer_sizes: Histograms<Asked>,
    long_running: Family<Asked, Gauge>,
    events: Family<Watched, Counter>,
    event_sizes: Histograms<Watched>,
    first_states: Histograms<WatchedIn>,
}

impl RequestMetrics {
    /// The metrics, registered under upstream's names.
    pub fn register(metrics: &Metrics) -> RequestMetrics {
        let own = RequestMetrics(Arc::new(Families {
            requests: Family::default(),
            terminated: Family::default(),
            durations: Family::new_with_constructor(|| LockFreeHistogram::new(&DURATIONS)),
            promised: Family::new_with_constructor(|| LockFreeHistogram::new(&PROMISED)),
            answer_sizes: Family::new_with_constructor(|| LockFreeHistogram::new(&ANSWERS)),
            long_running: Family::default(),
            events: Family::default(),
            event_sizes: Family::new_with_constructor(|| LockFreeHistogram::new(&EVENTS)),
            first_states: Family::new_with_constructor(|| LockFreeHistogram::new(&FIRST_STATES)),
        }));
        metrics.register(|registry| registry.register_collector(Box::new(own.clone())));
        own
    }

    /// Counts a request that has been answered.
    pub(super) fn answered(&self, asked: &Asked, dry_run: &'static str, code: u16, took: Duration) {
        let own = &*self.0;
        let seconds = took.as_secs_f64();
        if dry_run.is_empty() {
            own.promised.get_or_create(asked).observe(seconds);
        }
        let asked = asked.clone();
        let timed = Timed { asked, dry_run };
        own.durations.get_or_create(&timed).observe(seconds);
        let answered = Answered {
            asked: timed.asked,
            dry_run,
            code: code.into(),
        };
        own.requests.get_or_create(&answered).inc();
    }

    /// Counts a request that the server could not afford.
    pub(super) fn terminated(&self, asked: &Asked, code: u16) {
        let terminated = Terminated {
            asked: asked.clone(),
            code: code.into(),
        };
        self.0.terminated.get_or_create(&terminated).inc();
    }

    /// Counts the size of an answer to a read.
    pub(super) fn sized(&self, asked: &Asked, bytes: u64) {
        #[allow(clippy::cast_precision_loss)] // Nobody answers with so much.
        let bytes = bytes as f64;
        self.0.answer_sizes.get_or_create(asked).observe(bytes);
    }

    /// The gauge of requests that go on.
    pub(super) fn long_running(&self, asked: &Asked) -> Gauge {
        self.0.long_running.get_or_create_owned(asked)
    }

    /// What counts the events of a watch.
    pub(crate) fn watch_events(&self, asked: &Asked) -> WatchEvents {
        let watched = asked.watched();
        WatchEvents {
            events: self.0.events.get_or_create_owned(&watched),
            sizes: self.0.event_sizes.get_or_create_owned(&watched),
        }
    }

    /// Counts a watch that has sent the whole of its first state.
    pub(super) fn first_state_sent(&self, asked: &Asked, took: Duration) {
        let watched = WatchedIn {
            watched: asked.watched(),
            scope: asked.scope(),
        };
        let histogram = self.0.first_states.get_or_create(&watched);
        histogram.observe(took.as_secs_f64());
    }
}

/// Counts the events of one watch: no lock is taken for them and nothing allocated.
pub(crate) struct WatchEvents {
    events: Counter,
    sizes: LockFreeHistogram,
}

impl WatchEvents {
    /// Counts an event of so many bytes.
    pub(crate) fn sent(&self, bytes: usize) {
        self.events.inc();
        #[allow(clippy::cast_precision_loss)] // Events are smaller.
        self.sizes.observe(bytes as f64);
    }
}

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestMetrics")
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let own = &*self.0;
        let all: [(&str, &str, &dyn EncodeFamily); 9] = [
            (
                "apiserver_request",
                "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
                &own.requests,
            ),
            (
                "apiserver_request_terminations",
                "[ALPHA] Number of requests which apiserver terminated in self-defense.",
                &own.terminated,
            ),
            (
                "apiserver_request_duration_seconds",
                "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
                &own.durations,
            ),
            (
                "apiserver_request_sli_duration_seconds",
                "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
                &own.promised,
            ),
            (
                "apiserver_response_sizes",
                "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
                &own.answer_sizes,
            ),
            (
                "apiserver_longrunning_requests",
                "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.",
                &own.long_running,
            ),
            (
                "apiserver_watch_events",
                "[ALPHA] Number of events sent in watch clients",
                &own.events,
            ),
            (
                "apiserver_watch_events_sizes",
                "[ALPHA] Watch event size distribution in bytes",
                &own.event_sizes,
            ),
            (
                "apiserver_watch_list_duration_seconds",
                "[ALPHA] Response latency distribution in seconds for watch list requests broken by group, version, resource and scope.",
                &own.first_states,
            ),
        ];
        for (name, help, family) in all {
            family.encode_as(name, help, &mut encoder)?;
        }
        Ok(())
    }
}

/// A family of any kind, under a name.
trait EncodeFamily {
    fn encode_as(&self, name: &str, help: &str, encoder: &mut DescriptorEncoder<'_>)
    -> fmt::Result;
}

impl<M: EncodeMetric> EncodeFamily for M {
    fn encode_as(
        &self,
        name: &str,
        help: &str,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let metric = encoder.encode_descriptor(name, help, None, self.metric_type())?;
        self.encode(metric)
    }
}
