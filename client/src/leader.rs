//! Leader election through a Lease, with epochs.
//!
//! Whoever takes the lease raises `leaseTransitions`; holder and transitions together are the
//! [`Epoch`]. It travels with every write, and the API server compares it in the same
//! transaction: a leader that was paused past its lease cannot write any more.

use std::fmt;
use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::{Reason, Status};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::client::{At, Client, Object, Patch, WriteOptions};

/// One term of one leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub lease: String,
    /// The holder's identity.
    pub holder: String,
    /// The Lease's `leaseTransitions` in this term.
    pub transitions: i64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}/{}",
            self.namespace, self.lease, self.holder, self.transitions
        )
    }
}

/// The times of an election, as upstream's flags `--leader-elect-*` name them.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long others wait after the last renewal before they take over.
    pub lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// The pause between tries.
    pub retry_period: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// A candidate.
pub struct LeaderElection {
    client: Client,
    namespace: String,
    lease: String,
    identity: String,
    times: Times,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaseSpec {
    holder_identity: Option<String>,
    lease_transitions: Option<i64>,
    lease_duration_seconds: Option<i64>,
    renew_time: Option<String>,
}

#[derive(Deserialize)]
struct Lease {
    #[serde(default)]
    spec: LeaseSpec,
}

impl LeaderElection {
    /// A candidate for a Lease. `identity` must be the program's own: when it finds itself as the
    /// holder, it is its own successor and takes over at once, in a new term.
    pub fn new(
        client: &Client,
        namespace: &str,
        lease: &str,
        identity: &str,
        times: Times,
    ) -> LeaderElection {
        LeaderElection {
            client: client.clone(),
            namespace: namespace.to_owned(),
            lease: lease.to_owned(),
            identity: identity.replace('/', "_"),
            times,
        }
    }

    /// Waits for leadership, then runs `lead` with a client whose writes carry the epoch and a
    /// token that is cancelled when leadership or the process ends.
    ///
    /// Ends when `shutdown` is cancelled (the lease is given back then), or with an error when
    /// leadership was lost: the process should exit, as upstream's does.
    pub async fn run<F, Fut>(self, shutdown: CancellationToken, lead: F) -> Result<(), Status>
    where
        F: FnOnce(Client, CancellationToken) -> Fut,
        Fut: Future<Output = ()>,
    {
        let (epoch, mut version) = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            acquired = self.acquire() => acquired,
        };
        tracing::info!(lease = %self.lease, transitions = epoch.transitions, "became the leader");
        let term = shutdown.child_token();
        let renewing = async {
            let mut renewed = Instant::now();
            loop {
                tokio::time::sleep(self.times.retry_period).await;
                let began = Instant::now();
                let end = renewed + self.times.renew_deadline;
                match timeout_at(end, self.renew(&version)).await {
                    Ok(Ok(object)) => {
                        version = object.revision;
                        renewed = began;
                    }
                    // Somebody wrote the lease: it may still be ours (an unknown outcome of our own).
                    Ok(Err(status)) if status.reason == Reason::Conflict => {
                        match timeout_at(end, self.read()).await {
                            Ok(Ok(Some((spec, revision)))) if self.is_own_term(&spec, &epoch) => {
                                version = revision
                            }
                            Ok(Ok(_)) => return status,
                            _ => {}
                        }
                    }
                    Ok(Err(status)) => tracing::warn!(error = %status, "cannot renew the lease"),
                    Err(_) => {}
                }
                if Instant::now() >= renewed + self.times.renew_deadline {
                    return Status::timeout(
                        format!("the lease {} was not renewed in time", self.lease),
                        0,
                    );
                }
            }
        };
        let leading = lead(self.client.with_epoch(&epoch), term.clone());
        let result = tokio::select! {
            () = leading => Ok(()),
            lost = renewing => Err(lost),
        };
        term.cancel();
        if result.is_ok() {
            self.release(version).await;
        }
        result
    }

    fn at(&self) -> At {
        At::of(gvr::LEASES)
            .namespace(&self.namespace)
            .name(&self.lease)
    }

    fn is_own_term(&self, spec: &LeaseSpec, epoch: &Epoch) -> bool {
        spec.holder_identity.as_deref() == Some(&self.identity)
            && spec.lease_transitions.unwrap_or(0) == epoch.transitions
    }

    async fn acquire(&self) -> (Epoch, i64) {
        // Expiry is judged by this process's own clock, from when it saw the lease change.
        let mut seen: Option<(LeaseSpec, Instant)> = None;
        loop {
            match self.try_acquire(&mut seen).await {
                Ok(Some(acquired)) => return acquired,
                Ok(None) => {}
                Err(status) => tracing::debug!(error = %status, "cannot take the lease"),
            }
            tokio::time::sleep(self.times.retry_period).await;
        }
    }

    async fn try_acquire(
        &self,
        seen: &mut Option<(LeaseSpec, Instant)>,
    ) -> Result<Option<(Epoch, i64)>, Status> {
        let Some((spec, revision)) = self.read().await? else {
            let object = json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": self.namespace, "name": self.lease},
                "spec": self.spec(0),
            });
            let at = At::of(gvr::LEASES).namespace(&self.namespace);
            let created = self
                .client
                .create(&at, object.to_string(), &WriteOptions::default())
                .await?;
            return Ok(Some((self.epoch(0), created.revision)));
        };
        if seen.as_ref().is_none_or(|(before, _)| *before != spec) {
            *seen = Some((spec.clone(), Instant::now()));
        }
        let since = seen
            .as_ref()
            .map_or(Duration::ZERO, |(_, since)| since.elapsed());
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let duration = spec
            .lease_duration_seconds
            .and_then(|s| u64::try_from(s).ok())
            .map(Duration::from_secs);
        let expired = since > duration.unwrap_or(self.times.lease_duration);
        if !(holder.is_empty() || holder == self.identity || expired) {
            return Ok(None);
        }
        let transitions = spec.lease_transitions.unwrap_or(0) + 1;
        let taken = self.write(self.spec(transitions), revision).await?;
        Ok(Some((self.epoch(transitions), taken.revision)))
    }

    fn epoch(&self, transitions: i64) -> Epoch {
        Epoch {
            namespace: self.namespace.clone(),
            lease: self.lease.clone(),
            holder: self.identity.clone(),
            transitions,
        }
    }

    fn spec(&self, transitions: i64) -> Value {
        let now = micro_time();
        json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.times.lease_duration.as_secs(),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        })
    }

    async fn renew(&self, revision: &i64) -> Result<Object, Status> {
        self.write(json!({"renewTime": micro_time()}), *revision)
            .await
    }

    async fn release(&self, revision: i64) {
        let spec =
            json!({"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time()});
        if let Err(status) = self.write(spec, revision).await {
            tracing::debug!(error = %status, "the lease was not given back");
        }
    }

    async fn read(&self) -> Result<Option<(LeaseSpec, i64)>, Status> {
        match self.client.get(&self.at()).await {
            Ok(object) => Ok(Some((object.parse::<Lease>()?.spec, object.revision))),
            Err(status) if status.reason == Reason::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    async fn write(&self, spec: Value, revision: i64) -> Result<Object, Status> {
        let patch = json!({"metadata": {"resourceVersion": revision.to_string()}, "spec": spec});
        self.client
            .patch(&self.at(), &Patch::Merge(patch), &WriteOptions::default())
            .await
    }
}

/// The present time as a MicroTime.
fn micro_time() -> String {
    Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}
