//! An authority and the certificates that it signs.

#![allow(dead_code)]

use std::path::Path;

use ferrule_client::ClientConfig;
use ferrule_client::kubeconfig::Pem;
use ferrule_component_base::tls::TlsFiles;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};

/// The node whose kubelet a test may play.
pub const NODE: &str = "n1";

/// An authority and the certificates that it has signed.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn sign(&self, user: &str, group: &str) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1", NODE].map(str::to_owned)).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, user);
        if !group.is_empty() {
            let organization = DnType::OrganizationName;
            params.distinguished_name.push(organization, group);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            certificate.pem().into_bytes(),
            key.serialize_pem().into_bytes(),
        )
    }

    /// Files with a certificate for `user`, which serves at 127.0.0.1 and as the node.
    pub fn files(&self, dir: &Path, user: &str) -> TlsFiles {
        let (certificate, key) = self.sign(user, "");
        let at = |end: &str| dir.join(format!("{user}.{end}"));
        let files = TlsFiles {
            certificate: at("crt"),
            key: at("key"),
            client_ca: at("ca"),
        };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        std::fs::write(&files.client_ca, &self.pem).unwrap();
        files
    }

    /// How a user of a group, or somebody without a certificate, reaches these servers.
    pub fn config(&self, servers: &[&str], identity: Option<(&str, &str)>) -> ClientConfig {
        ClientConfig {
            servers: servers.iter().map(|server| (*server).to_owned()).collect(),
            authority: Some(Pem::Inline(self.pem.clone().into_bytes())),
            identity: identity.map(|(user, group)| {
                let (certificate, key) = self.sign(user, group);
                (Pem::Inline(certificate), Pem::Inline(key))
            }),
            token: None,
            server_name: None,
            user_agent: "test".to_owned(),
            namespace: "default".to_owned(),
        }
    }
}
