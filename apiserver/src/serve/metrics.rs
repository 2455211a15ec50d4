//! What `/metrics` says of requests and of the store, under upstream's names.
//!
//! A request costs two look-ups under labels that are borrowed from the scheme; everything else is
//! read when somebody asks.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use ferrule_apimachinery::scheme::Resource;
use ferrule_component_base::metrics::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::limits::InFlight;
use crate::verbs::Api;

/// Upstream's buckets for the durations of requests, in seconds.
const DURATIONS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

type Text = Cow<'static, str>;

/// What was asked for.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    verb: &'static str,
    group: Text,
    version: Text,
    resource: Text,
    subresource: Text,
    scope: &'static str,
    component: &'static str,
    dry_run: &'static str,
}

/// What was asked for, and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    #[prometheus(flatten)]
    asked: Asked,
    code: u32,
}

/// Counts and durations of requests.
pub struct RequestMetrics {
    requests: Family<Answered, Counter>,
    refused: Family<Answered, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
}

impl RequestMetrics {
    /// The metrics, registered under upstream's names.
    pub fn register(metrics: &Metrics) -> RequestMetrics {
        let own = RequestMetrics {
            requests: Family::default(),
            refused: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
        };
        metrics.register(|registry| {
            registry.register(
                "apiserver_request",
                "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code",
                own.requests.clone(),
            );
            registry.register(
                "apiserver_request_terminations",
                "Number of requests which apiserver terminated in self-defense",
                own.refused.clone(),
            );
            registry.register(
                "apiserver_request_duration_seconds",
                "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component",
                own.durations.clone(),
            );
        });
        own
    }

    /// Counts a request that has been answered.
    pub fn answered(
        &self,
        verb: &'static str,
        resource: &Resource,
        subresource: &str,
        code: u16,
        began: Instant,
    ) {
        let part = resource.subresource(subresource);
        let asked = Asked {
            verb: upstream_verb(verb),
            group: resource.group.clone(),
            version: resource.version.clone(),
            resource: resource.plural.clone(),
            subresource: part.map_or(Text::Borrowed(""), |part| part.name.clone()),
            scope: scope(verb, resource),
            component: "apiserver",
            dry_run: "",
        };
        if verb != "watch" {
            let duration = began.elapsed().as_secs_f64();
            self.durations.get_or_create(&asked).observe(duration);
        }
        let code = code.into();
        let answered = Answered { asked, code };
        if code == 429 {
            self.refused.get_or_create(&answered).inc();
        }
        self.requests.get_or_create(&answered).inc();
    }
}

/// A verb as upstream's metrics name it.
fn upstream_verb(verb: &'static str) -> &'static str {
    match verb {
        "get" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" => "POST",
        "update" => "PUT",
        "patch" => "PATCH",
        "delete" => "DELETE",
        "deletecollection" => "DELETECOLLECTION",
        other => other,
    }
}

fn scope(verb: &str, resource: &Resource) -> &'static str {
    match verb {
        "list" | "watch" | "deletecollection" if resource.namespaced => "namespace",
        "list" | "watch" | "deletecollection" => "cluster",
        _ => "resource",
    }
}

/// What is read only when somebody asks: requests in flight, and the store.
pub(super) struct State {
    pub(super) api: Api,
    pub(super) in_flight: Arc<InFlight>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl State {
    /// Adds the metrics to the registry.
    pub(super) fn register(self, metrics: &Metrics) {
        metrics.register(|registry| registry.register_collector(Box::new(self)));
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(&mut encoder);
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let (reading, mutating) = self.in_flight.busy();
        out.gauges(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind in last second",
            [("readOnly", reading), ("mutating", mutating)]
                .map(|(kind, count)| ([("request_kind", kind)], number(count as u64))),
        )?;
        let stats = self.api.store().stats();
        out.gauges(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests",
            [(
                [("verb", "WATCH"), ("component", "apiserver")],
                number(stats.watchers),
            )],
        )?;
        let objects = self.api.store().objects();
        out.gauges(
            "apiserver_resource_objects",
            "Number of stored objects at the time of last check split by kind",
            objects.iter().map(|(resource, count)| {
                let labels = [("group", &*resource.group), ("resource", &*resource.plural)];
                (labels, number(*count as u64))
            }),
        )?;
        out.gauges(
            "apiserver_watch_cache_resource_version",
            "Current resource version of watch cache broken by resource type",
            objects.iter().map(|(resource, _)| {
                let labels = [("group", &*resource.group), ("resource", &*resource.plural)];
                (labels, stats.revision)
            }),
        )?;
        let none: [(&str, &str); 0] = [];
        out.gauges(
            "ferrule_store_history_bytes",
            "Bytes of past objects kept for resuming watches",
            [(none, number(stats.history_bytes))],
        )?;
        out.gauges(
            "ferrule_store_compacted_revision",
            "The revision up to which this server has compacted etcd",
            [(none, stats.compacted)],
        )?;
        for (name, help, value) in [
            (
                "apiserver_terminated_watchers",
                "Counter of watchers closed due to unresponsiveness",
                stats.slow_watchers,
            ),
            (
                "apiserver_watch_cache_initializations",
                "Counter of watch cache initializations",
                stats.reloads + 1,
            ),
            (
                "ferrule_store_commits",
                "Transactions carried out",
                stats.commits,
            ),
            (
                "ferrule_store_conflicts",
                "Transactions whose compares did not hold",
                stats.conflicts,
            ),
            (
                "ferrule_store_unknown_outcomes",
                "Requests to commit whose outcome was not known at first",
                stats.unknown_outcomes,
            ),
            (
                "ferrule_store_reconnects",
                "Times that the stream from etcd was opened again",
                stats.reconnects,
            ),
            (
                "ferrule_store_revision_requests",
                "Requests for the current revision; each may have served many reads",
                stats.revision_requests,
            ),
            (
                "ferrule_store_expired_events",
                "Events removed for their age",
                stats.expired_events,
            ),
        ] {
            out.counter(name, help, value)?;
        }
        Ok(())
    }
}

/// Writes metrics whose values are known now.
struct Writer<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Writer<'_, '_> {
    fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'l str, &'l str); N], i64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            if labels.is_empty() {
                metric.encode_gauge(&value)?;
            } else {
                metric.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        let metric = self
            .0
            .encode_descriptor(name, help, None, counter.metric_type())?;
        counter.encode(metric)
    }
}
