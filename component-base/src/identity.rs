//! Who calls: the subject of a client certificate.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A user and the user's groups. Found in the request's extensions; absent for anonymous callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The common name of the certificate: `system:node:node1`.
    pub user: String,
    /// Its organizations: `system:nodes`.
    pub groups: Vec<String>,
}

impl Identity {
    /// The identity in a certificate whose chain was verified already; `None` without a common name.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Identity> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let subject = parsed.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|organization| organization.as_str().ok().map(str::to_owned))
            .collect();
        (!user.is_empty()).then_some(Identity { user, groups })
    }

    /// Whether the caller belongs to `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
