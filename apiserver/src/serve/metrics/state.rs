//! What is read only when somebody asks: requests in flight, and the store.

use std::fmt;
use std::sync::Arc;

use ferrule_component_base::metrics::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::serve::limits::InFlight;
use crate::store::{ResourceStats, StoreStats};
use crate::verbs::Api;

/// The state of the server.
pub(in crate::serve) struct State {
    pub(in crate::serve) api: Api,
    pub(in crate::serve) in_flight: Arc<InFlight>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl State {
    /// Adds the metrics to the registry.
    pub(in crate::serve) fn register(self, metrics: &Metrics) {
        metrics.register(|registry| registry.register_collector(Box::new(self)));
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(&mut encoder);
        let (reading, mutating) = self.in_flight.busy();
        out.gauges(
            "apiserver_current_inflight_requests",
            "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
            [("readOnly", reading), ("mutating", mutating)]
                .map(|(kind, count)| ([("request_kind", kind)], signed(count as u64))),
        )?;
        let store = self.api.store();
        let (stats, resources) = (store.stats(), store.stats_by_resource());
        out.objects(&resources)?;
        out.changes(&stats, &resources)?;
        out.reads(&resources)?;
        out.own(&stats)
    }
}

/// Upstream shows so many digits of a revision, which floats can tell apart.
const REVISIONS: i64 = 1_000_000_000_000_000;

/// A counter's name, its help, and which number of a resource it is.
type Named<'v> = (
    &'static str,
    &'static str,
    &'v dyn Fn(&ResourceStats) -> u64,
);

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn labels(of: &ResourceStats) -> [(&'static str, &str); 2] {
    [
        ("group", &*of.resource.group),
        ("resource", &*of.resource.plural),
    ]
}

/// Writes metrics whose values are known now.
struct Writer<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Writer<'_, '_> {
    /// What is stored.
    fn objects(&mut self, resources: &[ResourceStats]) -> fmt::Result {
        self.gauges(
            "apiserver_resource_objects",
            "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
            resources.iter().map(|of| (labels(of), signed(of.objects))),
        )?;
        self.gauges(
            "apiserver_resource_size_estimate_bytes",
            "[ALPHA] Estimated size of stored objects in database. Estimate is based on sum of last observed sizes of serialized objects. In case of a fetching error, the value will be -1.",
            resources.iter().map(|of| (labels(of), signed(of.bytes))),
        )?;
        self.counters_of(
            resources,
            "apiserver_storage_decode_errors",
            "[ALPHA] Number of stored object decode errors split by object type",
            |of| of.unreadable,
        )
    }

    /// What came from etcd, and what watches were told.
    fn changes(&mut self, stats: &StoreStats, resources: &[ResourceStats]) -> fmt::Result {
        self.gauges(
            "apiserver_watch_cache_resource_version",
            "[ALPHA] Current resource version of watch cache broken by resource type. This is truncated to the 15 least significant digits.",
            resources.iter().map(|of| (labels(of), stats.revision % REVISIONS)),
        )?;
        let loads = stats.reloads + 1;
        let counters: [Named<'_>; 6] = [
            (
                "apiserver_storage_events_received",
                "[BETA] Number of etcd events received split by kind.",
                &|of| of.received,
            ),
            (
                "apiserver_watch_cache_events_received",
                "[ALPHA] Counter of events received in watch cache broken by resource type.",
                &|of| of.received,
            ),
            (
                "apiserver_watch_cache_events_dispatched",
                "[ALPHA] Counter of events dispatched in watch cache broken by resource type.",
                &|of| of.dispatched,
            ),
            (
                "apiserver_init_events",
                "[ALPHA] Counter of init events processed in watch cache broken by resource type.",
                &|of| of.initial,
            ),
            (
                "apiserver_terminated_watchers",
                "[ALPHA] Counter of watchers closed due to unresponsiveness broken by resource type.",
                &|of| of.terminated,
            ),
            (
                "apiserver_watch_cache_initializations",
                "[ALPHA] Counter of watch cache initializations broken by resource type.",
                &|_| loads,
            ),
        ];
        for (name, help, value) in counters {
            self.counters_of(resources, name, help, value)?;
        }
        Ok(())
    }

    /// What was read from the cache.
    fn reads(&mut self, resources: &[ResourceStats]) -> fmt::Result {
        self.counters(
            "apiserver_watch_cache_consistent_read",
            "[ALPHA] Counter for consistent reads from cache.",
            resources.iter().flat_map(|of| {
                let [group, resource] = labels(of);
                [("true", of.fresh), ("false", of.stale)].map(|(success, count)| {
                    let labels = [group, resource, ("success", success), ("fallback", "false")];
                    (labels, count)
                })
            }),
        )?;
        let unindexed = |of, count| {
            let [group, resource] = labels(of);
            ([group, resource, ("index", "")], count)
        };
        self.counters(
            "apiserver_cache_list",
            "[ALPHA] Number of LIST requests served from watch cache",
            resources.iter().map(|of| unindexed(of, of.lists)),
        )?;
        self.counters(
            "apiserver_cache_list_fetched_objects",
            "[ALPHA] Number of objects read from watch cache in the course of serving a LIST request",
            resources.iter().map(|of| unindexed(of, of.fetched)),
        )?;
        self.counters_of(
            resources,
            "apiserver_cache_list_returned_objects",
            "[ALPHA] Number of objects returned for a LIST request from watch cache",
            |of| of.returned,
        )?;
        let help = "[ALPHA] Histogram of time spent waiting for a watch cache to become fresh.";
        let name = "apiserver_watch_cache_read_wait_seconds";
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for of in resources.iter().filter(|of| !of.waits.is_empty()) {
            of.waits.encode(metric.encode_family(&labels(of))?)?;
        }
        Ok(())
    }

    /// What upstream has no name for.
    fn own(&mut self, stats: &StoreStats) -> fmt::Result {
        let none: [(&str, &str); 0] = [];
        for (name, help, value) in [
            (
                "ferrule_store_history_bytes",
                "Bytes of past objects kept for resuming watches.",
                signed(stats.history_bytes),
            ),
            (
                "ferrule_store_compacted_revision",
                "The revision up to which this server has compacted etcd.",
                stats.compacted,
            ),
        ] {
            self.gauges(name, help, [(none, value)])?;
        }
        for (name, help, value) in [
            (
                "ferrule_store_commits",
                "Transactions carried out.",
                stats.commits,
            ),
            (
                "ferrule_store_conflicts",
                "Transactions whose compares did not hold.",
                stats.conflicts,
            ),
            (
                "ferrule_store_unknown_outcomes",
                "Requests to commit whose outcome was not known at first.",
                stats.unknown_outcomes,
            ),
            (
                "ferrule_store_reconnects",
                "Times that the stream from etcd was opened again.",
                stats.reconnects,
            ),
            (
                "ferrule_store_revision_requests",
                "Requests for the current revision; each may have served many reads.",
                stats.revision_requests,
            ),
            (
                "ferrule_store_expired_events",
                "Events removed for their age.",
                stats.expired_events,
            ),
        ] {
            self.counters(name, help, [(none, value)])?;
        }
        Ok(())
    }

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

    /// Under a name without its `_total`. What has not happened yet is left out, as upstream does, except
    /// for what has no labels.
    fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'l str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let counter = ConstCounter::new(value);
            if labels.is_empty() {
                return counter.encode(metric);
            }
            if value == 0 {
                continue;
            }
            counter.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A counter that every resource has.
    fn counters_of(
        &mut self,
        resources: &[ResourceStats],
        name: &str,
        help: &str,
        value: impl Fn(&ResourceStats) -> u64,
    ) -> fmt::Result {
        let values = resources.iter().map(|of| (labels(of), value(of)));
        self.counters(name, help, values)
    }
}
