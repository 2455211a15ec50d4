//! What extends the API: `apiregistration.k8s.io`, `admissionregistration.k8s.io`, `apiextensions.k8s.io`.

use super::{Group, Row, STATUS, cluster};

/// Upstream's category of all that extends the API.
const fn extension(plural: &'static str, kind: &'static str, hash: &'static str) -> Row {
    cluster(plural, kind, hash).category(&["api-extensions"])
}

pub(super) const API_REGISTRATION: Group = Group {
    name: "apiregistration.k8s.io",
    version: "v1",
    rows: &[extension("apiservices", "APIService", "InPBPD7+PqM=").parts(&[STATUS])],
};

pub(super) const ADMISSION_REGISTRATION: Group = Group {
    name: "admissionregistration.k8s.io",
    version: "v1",
    rows: &[
        extension(
            "mutatingadmissionpolicies",
            "MutatingAdmissionPolicy",
            "LYmCf+UMVdg=",
        ),
        extension(
            "mutatingadmissionpolicybindings",
            "MutatingAdmissionPolicyBinding",
            "90V5FRZZ3Zg=",
        ),
        extension(
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
            "Sqi0GUgDaX0=",
        ),
        extension(
            "validatingadmissionpolicies",
            "ValidatingAdmissionPolicy",
            "6OxvlMmQ6is=",
        )
        .parts(&[STATUS]),
        extension(
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            "v9715VZqakg=",
        ),
        extension(
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
            "B0wHjQmsGNk=",
        ),
    ],
};

pub(super) const API_EXTENSIONS: Group = Group {
    name: "apiextensions.k8s.io",
    version: "v1",
    rows: &[extension(
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "jfWCUB31mvA=",
    )
    .short(&["crd", "crds"])
    .parts(&[STATUS])],
};
