//! Events that a controller publishes about its objects.

use anyhow::{Context, ensure};
use k8s_openapi::api::{core, events};
use kube::Resource;
use kube::api::ListParams;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::lab::Lab;

pub async fn the_same_event_again_becomes_a_series(lab: Lab) -> anyhow::Result<()> {
    let about = lab.config_map("subject", "x", "1").await?.object_ref(&());
    let reporter = Reporter {
        controller: "kube-rs.example.org".into(),
        instance: Some("one".into()),
    };
    let recorder = Recorder::new(lab.client.clone(), reporter);
    let event = |note: &str| Event {
        type_: EventType::Normal,
        reason: "Tested".into(),
        note: Some(note.into()),
        action: "Testing".into(),
        secondary: None,
    };
    recorder.publish(&event("once"), &about).await?;
    let events = lab.api::<events::v1::Event>();
    let reason = ListParams::default().fields("reason=Tested");
    let first = events
        .list(&reason)
        .await?
        .items
        .pop()
        .context("no event")?;
    ensure!(first.series.is_none() && first.note.as_deref() == Some("once"));
    ensure!(
        first
            .regarding
            .as_ref()
            .and_then(|about| about.uid.as_ref())
            == about.uid.as_ref()
    );
    for _ in 0..2 {
        recorder.publish(&event("once"), &about).await?;
    }
    let all = events.list(&reason).await?.items;
    ensure!(
        all.len() == 1
            && all[0]
                .series
                .as_ref()
                .is_some_and(|series| series.count == 3),
        "{all:?}"
    );

    // The same in the older form.
    let older = lab.api::<core::v1::Event>();
    let fields = "involvedObject.kind=ConfigMap,involvedObject.name=subject,reason=Tested";
    let seen = older
        .list(&ListParams::default().fields(fields))
        .await?
        .items;
    ensure!(seen.len() == 1 && seen[0].message.as_deref() == Some("once"));
    ensure!(seen[0].reporting_component.as_deref() == Some("kube-rs.example.org"));
    Ok(())
}
