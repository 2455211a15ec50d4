//! Rules of the networking group: Ingresses and their classes, network policies, ranges of service addresses.

mod ingress;
mod ingress_class;
mod network_policy;
mod service_cidr;
#[cfg(test)]
mod tests;

use ferrule_apimachinery::names;
use serde_json::Value;

pub use ingress::Ingress;
pub use ingress_class::IngressClass;
pub use network_policy::NetworkPolicy;
pub use service_cidr::ServiceCidr;

use super::problems::{Path, Problems};
use super::tree::Tree;

/// Group, kind and name of an object that is referred to.
fn validate_reference(out: &mut Problems, path: &Path, reference: &Value) {
    if let Some(group) = reference.opt_text("apiGroup") {
        out.dns_subdomain(&path.child("apiGroup"), group);
    }
    for name in ["kind", "name"] {
        let (at, text) = (path.child(name), reference.text(name));
        if text.is_empty() {
            out.required(&at, "");
        } else {
            out.invalid_each(&at, text, names::path_segment(text));
        }
    }
}
