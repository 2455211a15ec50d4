//! Who calls: the subject of a client certificate.

use rustls::pki_types::CertificateDer;
use x509_parser::der_parser::oid;
use x509_parser::der_parser::oid::Oid;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// The attribute of a subject that holds the user's uid, as upstream reads it.
const UID: Oid<'static> = oid!(1.3.6.1.4.1.57683.2);

/// A user and the user's groups. Found in the request's extensions; absent for anonymous callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The common name of the certificate: `system:node:node1`.
    pub user: String,
    /// Tells the user from an earlier one of the same name; empty when the certificate has none.
    pub uid: String,
    /// Its organizations: `system:nodes`.
    pub groups: Vec<String>,
}

impl Identity {
    /// The identity in a certificate whose chain was verified already; `None` without a common name, or
    /// with a uid that is empty, no text, or not the only one.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Identity> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let subject = parsed.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|organization| organization.as_str().ok().map(str::to_owned))
            .collect();
        let uid = uid_in(subject)?;
        (!user.is_empty()).then_some(Identity { user, uid, groups })
    }

    /// Whether the caller belongs to `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// The uid in a subject, `""` when there is none; `None` when it is malformed.
fn uid_in(subject: &X509Name<'_>) -> Option<String> {
    let mut uids = subject.iter_by_oid(&UID);
    let Some(uid) = uids.next() else {
        return Some(String::new());
    };
    let uid = uid.as_str().ok().filter(|uid| !uid.is_empty())?;
    uids.next().is_none().then(|| uid.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    use super::*;

    /// The identity in a certificate with this common name and this uid.
    fn identity(name: &str, uid: Option<DnValue>) -> Option<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "g");
        if let Some(uid) = uid {
            let kind = DnType::from_oid(&[1, 3, 6, 1, 4, 1, 57683, 2]);
            params.distinguished_name.push(kind, uid);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Identity::of_certificate(certificate.der())
    }

    #[test]
    fn a_subject_may_have_a_uid() {
        let text = |text: &str| Some(DnValue::Utf8String(text.to_owned()));
        assert_eq!(identity("a", None).unwrap().uid, "");
        let known = identity("a", text("1042")).unwrap();
        assert_eq!((&*known.user, &*known.uid), ("a", "1042"));
        assert_eq!(known.groups, ["g"]);
        assert_eq!(identity("a", text("")), None);
        assert_eq!(identity("", text("1042")), None);
    }
}
