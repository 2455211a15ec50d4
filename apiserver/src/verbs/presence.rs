//! Which API servers there are: each renews a Lease of its own in `kube-system`, and the `kubernetes` Service
//! leads to all that did so lately.
//!
//! ```text
//! every 5 s:    renew my Lease ─▶ read all Leases with the label ─▶ write Endpoints and EndpointSlice, if they differ
//! at the end:   remove my Lease ─▶ write what the others are, if there are any
//! ```
//!
//! All servers of a cluster are expected to listen on the same port.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::status::Status;
use ferrule_apimachinery::time;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bootstrap::Advertised;
use super::options::DeleteOptions;
use super::{Api, Call};
use crate::store::ReadAt;

/// The label of such Leases, as upstream's servers have it.
const IDENTITY: (&str, &str) = ("apiserver.kubernetes.io/identity", "kube-apiserver");
/// How often a Lease is renewed.
const RENEWAL: Duration = Duration::from_secs(5);
/// A server whose Lease was not renewed for so long is not there, seconds.
const DURATION: i64 = 15;
/// How long one round may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// What a Lease says of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Presence {
    address: Ipv4Addr,
    renewed: Timestamp,
    lasts: SignedDuration,
}

impl Presence {
    fn read(lease: &Value) -> Option<Presence> {
        let spec = &lease["spec"];
        let (address, _) = spec["holderIdentity"].as_str()?.split_once(':')?;
        Some(Presence {
            address: address.parse().ok()?,
            renewed: time::parse_micro(spec["renewTime"].as_str()?).ok()?,
            lasts: SignedDuration::from_secs(spec["leaseDurationSeconds"].as_i64()?),
        })
    }
}

/// The servers that are there, `own` among them.
fn present(leases: &[Presence], own: Ipv4Addr, now: Timestamp) -> BTreeSet<Ipv4Addr> {
    leases
        .iter()
        .filter(|lease| now.duration_since(lease.renewed) < lease.lasts)
        .map(|lease| lease.address)
        .chain([own])
        .collect()
}

impl Api {
    /// Goes on saying that this server is there, as [`Api::bootstrap`] did, until `shutdown`; then says that it
    /// is not.
    ///
    /// A loopback address says nothing: nobody else could use it, and no Endpoints may name it.
    pub async fn be_present(&self, advertised: Advertised, shutdown: CancellationToken) {
        if advertised.address.is_loopback() {
            return;
        }
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(RENEWAL) => {}
            }
            if let Err(status) = self.say_presence(advertised).await {
                tracing::warn!(%status, "cannot say that this server is there");
            }
        }
        if let Err(status) = self.say_absence(advertised).await {
            tracing::warn!(%status, "cannot say that this server goes");
        }
    }

    /// One round: renews the Lease and names all servers that are there.
    pub async fn say_presence(&self, advertised: Advertised) -> Result<(), Status> {
        let now = Timestamp::now();
        self.make_equal(
            "coordination.k8s.io",
            "leases",
            lease(advertised, now),
            "spec",
        )
        .await?;
        let servers = present(&self.presences().await?, advertised.address, now);
        self.name_servers(&servers, advertised.port).await
    }

    async fn say_absence(&self, advertised: Advertised) -> Result<(), Status> {
        let call = Call::internal(Instant::now() + DEADLINE);
        let now = Timestamp::now();
        let lease = lease(advertised, now);
        let target = self.bootstrap_target("coordination.k8s.io", "leases", &lease)?;
        self.delete(&call, &target, &DeleteOptions::default())
            .await?;
        let mut servers = present(&self.presences().await?, advertised.address, now);
        servers.remove(&advertised.address);
        // The last one leaves its name: nobody would put it back before a server is there again.
        if servers.is_empty() {
            return Ok(());
        }
        self.name_servers(&servers, advertised.port).await
    }

    async fn presences(&self) -> Result<Vec<Presence>, Status> {
        let call = Call::internal(Instant::now() + DEADLINE);
        let leases = self
            .scheme()
            .lookup("coordination.k8s.io", "v1", "leases")
            .ok_or_else(Status::no_such_resource)?;
        let snapshot = self.read(leases, ReadAt::Latest, &call).await?;
        let is_server = |stored: &Stored| {
            let labels = &stored.header.labels;
            labels.get(IDENTITY.0) == Some(IDENTITY.1)
        };
        Ok(snapshot
            .iter_from(Some("kube-system"), None)
            .filter(|(_, stored)| is_server(stored))
            .filter_map(|(_, stored)| serde_json::from_slice(&stored.bytes).ok())
            .filter_map(|lease: Value| Presence::read(&lease))
            .collect())
    }

    /// Makes the `kubernetes` Service lead to `servers`.
    async fn name_servers(&self, servers: &BTreeSet<Ipv4Addr>, port: u16) -> Result<(), Status> {
        let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
        let addresses: Vec<Value> = servers.iter().map(|ip| json!({"ip": ip})).collect();
        let endpoints = json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [{"addresses": addresses, "ports": ports}],
        });
        self.make_equal("", "endpoints", endpoints, "subsets")
            .await?;
        let endpoints: Vec<Value> = servers
            .iter()
            .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
            .collect();
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        });
        self.make_equal("discovery.k8s.io", "endpointslices", slice, "endpoints")
            .await
    }
}

fn lease(advertised: Advertised, now: Timestamp) -> Value {
    let Advertised { address, port } = advertised;
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": format!("apiserver-{address}"),
            "namespace": "kube-system",
            "labels": {IDENTITY.0: IDENTITY.1},
        },
        "spec": {
            "holderIdentity": format!("{address}:{port}"),
            "leaseDurationSeconds": DURATION,
            "renewTime": time::format_micro(now),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_there_while_their_lease_lasts() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let own = Ipv4Addr::new(172, 30, 0, 2);
        let other = Advertised {
            address: Ipv4Addr::new(172, 30, 0, 3),
            port: 6443,
        };
        let renewed = |seconds| now - SignedDuration::from_secs(seconds);
        let cases: [(&str, &[i64], &[Ipv4Addr]); 4] = [
            ("alone", &[], &[own]),
            ("with another", &[14], &[own, other.address]),
            ("the other is gone", &[15], &[own]),
            ("the other's clock is ahead", &[-3], &[own, other.address]),
        ];
        for (what, ages, expected) in cases {
            let leases: Vec<Presence> = ages
                .iter()
                .filter_map(|age| Presence::read(&lease(other, renewed(*age))))
                .collect();
            assert_eq!(leases.len(), ages.len());
            let found: Vec<Ipv4Addr> = present(&leases, own, now).into_iter().collect();
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn leases_of_others_say_nothing() {
        for spec in [
            json!({}),
            json!({"holderIdentity": "node1", "renewTime": "2026-01-02T03:04:05.000000Z", "leaseDurationSeconds": 15}),
            json!({"holderIdentity": "172.30.0.3:6443", "renewTime": "yesterday", "leaseDurationSeconds": 15}),
        ] {
            assert_eq!(Presence::read(&json!({"spec": spec})), None);
        }
    }
}
