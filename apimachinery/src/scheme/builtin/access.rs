//! Who may do what: `authentication.k8s.io`, `authorization.k8s.io`, `rbac.authorization.k8s.io`, `certificates.k8s.io`.

use super::{CREATE, Group, PART, STATUS, cluster, field, namespaced, part};

pub(super) const AUTHENTICATION: Group = Group {
    name: "authentication.k8s.io",
    version: "v1",
    rows: &[
        cluster("selfsubjectreviews", "SelfSubjectReview", "").verbs(CREATE),
        cluster("tokenreviews", "TokenReview", "").verbs(CREATE),
    ],
};

pub(super) const AUTHORIZATION: Group = Group {
    name: "authorization.k8s.io",
    version: "v1",
    rows: &[
        namespaced("localsubjectaccessreviews", "LocalSubjectAccessReview", "").verbs(CREATE),
        cluster("selfsubjectaccessreviews", "SelfSubjectAccessReview", "").verbs(CREATE),
        cluster("selfsubjectrulesreviews", "SelfSubjectRulesReview", "").verbs(CREATE),
        cluster("subjectaccessreviews", "SubjectAccessReview", "").verbs(CREATE),
    ],
};

pub(super) const CERTIFICATES: Group = Group {
    name: "certificates.k8s.io",
    version: "v1",
    rows: &[cluster(
        "certificatesigningrequests",
        "CertificateSigningRequest",
        "95fRKMXA+00=",
    )
    .short(&["csr"])
    .parts(&[part("approval", "", PART), STATUS])
    .fields(&[field(&["spec.signerName"])])],
};

pub(super) const RBAC: Group = Group {
    name: "rbac.authorization.k8s.io",
    version: "v1",
    rows: &[
        cluster("clusterrolebindings", "ClusterRoleBinding", "48tpQ8gZHFc="),
        cluster("clusterroles", "ClusterRole", "bYE5ZWDrJ44="),
        namespaced("rolebindings", "RoleBinding", "eGsCzGH6b1g="),
        namespaced("roles", "Role", "7FuwZcIIItM="),
    ],
};
