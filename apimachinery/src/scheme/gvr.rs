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
    COMPONENT_STATUSES = "" / "v1" / "componentstatuses";
    CONFIG_MAPS = "" / "v1" / "configmaps";
    ENDPOINTS = "" / "v1" / "endpoints";
    EVENTS = "" / "v1" / "events";
    LIMIT_RANGES = "" / "v1" / "limitranges";
    NAMESPACES = "" / "v1" / "namespaces";
    NODES = "" / "v1" / "nodes";
    PERSISTENT_VOLUMES = "" / "v1" / "persistentvolumes";
    PERSISTENT_VOLUME_CLAIMS = "" / "v1" / "persistentvolumeclaims";
    PODS = "" / "v1" / "pods";
    REPLICATION_CONTROLLERS = "" / "v1" / "replicationcontrollers";
    RESOURCE_QUOTAS = "" / "v1" / "resourcequotas";
    SECRETS = "" / "v1" / "secrets";
    SERVICE_ACCOUNTS = "" / "v1" / "serviceaccounts";
    SERVICES = "" / "v1" / "services";
    CONTROLLER_REVISIONS = "apps" / "v1" / "controllerrevisions";
    DAEMON_SETS = "apps" / "v1" / "daemonsets";
    DEPLOYMENTS = "apps" / "v1" / "deployments";
    REPLICA_SETS = "apps" / "v1" / "replicasets";
    STATEFUL_SETS = "apps" / "v1" / "statefulsets";
    HORIZONTAL_POD_AUTOSCALERS = "autoscaling" / "v2" / "horizontalpodautoscalers";
    HORIZONTAL_POD_AUTOSCALERS_V1 = "autoscaling" / "v1" / "horizontalpodautoscalers";
    CRON_JOBS = "batch" / "v1" / "cronjobs";
    JOBS = "batch" / "v1" / "jobs";
    EVENTS_V1 = "events.k8s.io" / "v1" / "events";
    IP_ADDRESSES = "networking.k8s.io" / "v1" / "ipaddresses";
    INGRESSES = "networking.k8s.io" / "v1" / "ingresses";
    NETWORK_POLICIES = "networking.k8s.io" / "v1" / "networkpolicies";
    POD_DISRUPTION_BUDGETS = "policy" / "v1" / "poddisruptionbudgets";
    PRIORITY_CLASSES = "scheduling.k8s.io" / "v1" / "priorityclasses";
    LEASES = "coordination.k8s.io" / "v1" / "leases";
    ENDPOINT_SLICES = "discovery.k8s.io" / "v1" / "endpointslices";
}
