//! A lock over a Lease: the server's refusal of stale writes is what keeps two from holding it.

use anyhow::ensure;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, PostParams};

use crate::lab::Lab;

/// Seconds that a lease is held without being renewed.
const HELD: i32 = 15;

/// A candidate's attempt at the moment `now`, from what it reads itself.
async fn acquire(leases: &Api<Lease>, holder: &str, now: Timestamp) -> anyhow::Result<bool> {
    let entry = leases.entry("lock").await?;
    if let Some(Lease {
        spec: Some(spec), ..
    }) = entry.get()
    {
        let until = spec
            .renew_time
            .as_ref()
            .map(|MicroTime(at)| *at + SignedDuration::from_secs(HELD.into()));
        if spec.holder_identity.as_deref() != Some(holder) && until.is_some_and(|until| until > now)
        {
            return Ok(false);
        }
    }
    let mut entry = entry.or_insert(Lease::default).and_modify(|lease| {
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if spec.holder_identity.as_deref() != Some(holder) {
            spec.acquire_time = Some(MicroTime(now));
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count + 1));
        }
        spec.holder_identity = Some(holder.into());
        spec.lease_duration_seconds = Some(HELD);
        spec.renew_time = Some(MicroTime(now));
    });
    match entry.commit(&PostParams::default()).await {
        Ok(()) => Ok(true),
        Err(kube::api::entry::CommitError::Save(kube::Error::Api(status)))
            if status.is_conflict() || status.is_already_exists() =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn one_holds_it_at_a_time(lab: Lab) -> anyhow::Result<()> {
    let leases = lab.api::<Lease>();
    let mut now: Timestamp = "2026-01-02T03:04:05.678901Z".parse()?;
    // Ten at once for a lease that is not there, and again for one that has run out: one wins each time.
    for round in 0..3 {
        let names: Vec<String> = (0..10)
            .map(|number| format!("candidate-{round}-{number}"))
            .collect();
        let attempts = names.iter().map(|name| acquire(&leases, name, now));
        let won = futures::future::try_join_all(attempts).await?;
        ensure!(won.iter().filter(|won| **won).count() == 1, "{won:?}");
        let spec = leases.get("lock").await?.spec.unwrap_or_default();
        let winner = won.iter().position(|won| *won).map(|at| names[at].clone());
        ensure!(
            spec.holder_identity == winner && spec.renew_time == Some(MicroTime(now)),
            "{spec:?}"
        );
        ensure!(spec.lease_transitions == Some(round));
        // The holder renews, others wait.
        now += SignedDuration::from_micros(1);
        ensure!(acquire(&leases, &winner.unwrap_or_default(), now).await?);
        ensure!(!acquire(&leases, "another", now).await?);
        now += SignedDuration::from_secs(60);
    }
    Ok(())
}
