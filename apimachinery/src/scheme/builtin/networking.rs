//! Services' addresses and what is let through: `networking.k8s.io`, `discovery.k8s.io`.

use super::{Group, STATUS, cluster, namespaced};

pub(super) const NETWORKING: Group = Group {
    name: "networking.k8s.io",
    version: "v1",
    rows: &[
        cluster("ingressclasses", "IngressClass", "l/iqIbDgFyQ="),
        namespaced("ingresses", "Ingress", "39NQlfNR+bo=")
            .short(&["ing"])
            .parts(&[STATUS]),
        cluster("ipaddresses", "IPAddress", "3f/plJFChNE=").short(&["ip"]),
        namespaced("networkpolicies", "NetworkPolicy", "YpfwF18m1G8=").short(&["netpol"]),
        cluster("servicecidrs", "ServiceCIDR", "gNLvruQhW2g=").parts(&[STATUS]),
    ],
};

pub(super) const DISCOVERY: Group = Group {
    name: "discovery.k8s.io",
    version: "v1",
    rows: &[namespaced(
        "endpointslices",
        "EndpointSlice",
        "qgS0xkrxYAI=",
    )],
};
