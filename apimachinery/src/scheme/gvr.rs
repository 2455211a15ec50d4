//! The names of the built-in resources.

use super::GroupVersionResource;

macro_rules! names {
    ($($name:ident = $group:literal / $version:literal / $resource:literal;)*) => {
        $(
            #[doc = concat!("`", $resource, "` of `", $group, "/", $version, "`.")]
            pub const $name: GroupVersionResource =
                GroupVersionResource::new($group, $version, $resource);
        )*
    };
}

names! {
    BINDINGS = "" / "v1" / "bindings";
    CONFIG_MAPS = "" / "v1" / "configmaps";
    ENDPOINTS = "" / "v1" / "endpoints";
    EVENTS = "" / "v1" / "events";
    NAMESPACES = "" / "v1" / "namespaces";
    NODES = "" / "v1" / "nodes";
    PODS = "" / "v1" / "pods";
    SECRETS = "" / "v1" / "secrets";
    SERVICE_ACCOUNTS = "" / "v1" / "serviceaccounts";
    SERVICES = "" / "v1" / "services";
    DEPLOYMENTS = "apps" / "v1" / "deployments";
    REPLICA_SETS = "apps" / "v1" / "replicasets";
    EVENTS_V1 = "events.k8s.io" / "v1" / "events";
    IP_ADDRESSES = "networking.k8s.io" / "v1" / "ipaddresses";
    POD_DISRUPTION_BUDGETS = "policy" / "v1" / "poddisruptionbudgets";
    PRIORITY_CLASSES = "scheduling.k8s.io" / "v1" / "priorityclasses";
    LEASES = "coordination.k8s.io" / "v1" / "leases";
    ENDPOINT_SLICES = "discovery.k8s.io" / "v1" / "endpointslices";
}
