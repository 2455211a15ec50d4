//! The store speaks to an etcd that asks for certificates.

#[path = "support/etcd.rs"]
mod etcd;
#[path = "support/store.rs"]
mod support;

use etcd::EtcdServer;
use ferrule_apiserver::store::backend::Backend;
use ferrule_apiserver::store::{Etcd, EtcdTls, ReadAt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::*;

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    CertificateParams::new(names).expect("valid names")
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_is_reached_with_a_certificate_and_not_without() {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca_params = params(&[]);
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key).expect("a certificate").pem();
    let issuer = Issuer::new(ca_params, ca_key);
    let issue = |names: &[&str]| {
        let key = KeyPair::generate().expect("a key");
        let cert = params(names).signed_by(&key, &issuer);
        (cert.expect("a certificate").pem(), key.serialize_pem())
    };
    let (cert, key) = issue(&["127.0.0.1", "localhost"]);
    let etcd = EtcdServer::start_with_tls(&ca, &cert, &key);

    let mut with = options(&etcd.endpoint());
    let (cert, key) = issue(&["apiserver-etcd-client"]);
    with.tls = Some(EtcdTls {
        ca: ca.clone().into_bytes(),
        cert: cert.into_bytes(),
        key: key.into_bytes(),
    });
    let opened = open(with.clone()).await;
    opened.create("web", "a", "").await;
    assert_eq!(opened.read(ReadAt::Latest).await.len(), 1);

    let other_key = KeyPair::generate().expect("a key");
    let stranger = params(&["stranger"])
        .self_signed(&other_key)
        .expect("a certificate");
    with.tls = Some(EtcdTls {
        ca: ca.into_bytes(),
        cert: stranger.pem().into_bytes(),
        key: other_key.serialize_pem().into_bytes(),
    });
    let direct = Etcd::new(&with).expect("valid options");
    assert!(direct.revision().await.is_err());
}
