//! A controller with children and a finalizer.
//!
//! A ConfigMap of the group `source` is copied into a Secret, which it owns, together with a word of the
//! ConfigMap `settings`. What it has outside of its ownership, a ConfigMap `ledger-NAME`, is cleaned up
//! before the finalizer lets the source go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{self, finalizer};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::lab::{Lab, config_map, eventually, refusal, soon, value};

const FINALIZER: &str = "kube-rs.example.org/cleanup";
const MANAGER: &str = "kube-rs-copier";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the gate is closed")]
    Closed,
    #[error(transparent)]
    Finalizer(#[from] Box<finalizer::Error<Error>>),
}

struct Context {
    lab: Lab,
    /// Whether what a source has outside may be cleaned up now.
    gate: AtomicBool,
    /// Clean-ups that found the gate closed.
    held: AtomicUsize,
}

/// A controller that runs in a task.
struct Running {
    context: Arc<Context>,
    sources: Store<ConfigMap>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(lab: &Lab) -> Running {
        let context = Arc::new(Context {
            lab: lab.clone(),
            gate: AtomicBool::new(true),
            held: AtomicUsize::new(0),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let selected = watcher::Config::default().labels("group=source");
        let controller = Controller::new(lab.api::<ConfigMap>(), selected);
        let sources = controller.store();
        let all = sources.clone();
        let settings = watcher::Config::default().fields("metadata.name=settings");
        let run = controller
            .owns(lab.api::<Secret>(), watcher::Config::default())
            .watches(lab.api::<ConfigMap>(), settings, move |_| {
                let sources = all.state();
                sources
                    .iter()
                    .map(|source| ObjectRef::from_obj(source.as_ref()))
                    .collect::<Vec<_>>()
            })
            .graceful_shutdown_on(async {
                // Also when the sender is dropped with a check that failed.
                let _ = stopped.await;
            })
            .run(
                reconcile,
                |_, _, _| Action::requeue(Duration::from_millis(100)),
                context.clone(),
            )
            // What failed is tried again; the checks look at what comes of it.
            .for_each(|_| async {});
        let task = tokio::spawn(run);
        Running {
            context,
            sources,
            stop,
            task,
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.send(()).ok();
        soon("the controller ends", self.task).await??;
        Ok(())
    }
}

async fn reconcile(source: Arc<ConfigMap>, context: Arc<Context>) -> Result<Action, Error> {
    let maps = context.lab.api::<ConfigMap>();
    let reconciled = finalizer(&maps, FINALIZER, source, async |event| match event {
        finalizer::Event::Apply(source) => apply(&source, &context.lab).await,
        finalizer::Event::Cleanup(source) => clean_up(&source, &context).await,
    });
    reconciled
        .await
        .map_err(|error| Error::Finalizer(Box::new(error)))
}

async fn apply(source: &ConfigMap, lab: &Lab) -> Result<Action, Error> {
    let (maps, manager) = (lab.api::<ConfigMap>(), PatchParams::apply(MANAGER).force());
    let name = source.name_any();
    let ledger = config_map(&format!("ledger-{name}"), "ledger", &name);
    maps.patch(&ledger.name_any(), &manager, &Patch::Apply(&ledger))
        .await?;
    let word = maps
        .get_opt("settings")
        .await?
        .map(|settings| value(&settings).to_owned());
    let copy = Secret {
        metadata: ObjectMeta {
            name: Some(format!("copy-{name}")),
            owner_references: source.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([
            ("key".into(), ByteString(value(source).into())),
            ("word".into(), ByteString(word.unwrap_or_default().into())),
        ])),
        ..Secret::default()
    };
    let secrets = lab.api::<Secret>();
    secrets
        .patch(&copy.name_any(), &manager, &Patch::Apply(&copy))
        .await?;
    Ok(Action::await_change())
}

async fn clean_up(source: &ConfigMap, context: &Context) -> Result<Action, Error> {
    if !context.gate.load(Ordering::SeqCst) {
        context.held.fetch_add(1, Ordering::SeqCst);
        return Err(Error::Closed);
    }
    let maps = context.lab.api::<ConfigMap>();
    let ledger = format!("ledger-{}", source.name_any());
    match maps.delete(&ledger, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        deleted => drop(deleted?),
    }
    Ok(Action::await_change())
}

/// Waits until the copy of a source says this.
async fn copied(
    secrets: &Api<Secret>,
    name: &str,
    key: &str,
    word: &str,
) -> anyhow::Result<Secret> {
    let wanted = BTreeMap::from([
        ("key".to_owned(), ByteString(key.into())),
        ("word".to_owned(), ByteString(word.into())),
    ]);
    eventually(&format!("{name} says {key} and {word}"), async || {
        let seen = secrets.get_opt(name).await?;
        Ok(seen.filter(|seen| seen.data.as_ref() == Some(&wanted)))
    })
    .await
}

pub async fn children_follow_their_owner(lab: Lab) -> anyhow::Result<()> {
    let (maps, secrets) = (lab.api::<ConfigMap>(), lab.api::<Secret>());
    lab.config_map("one", "source", "1").await?;
    let running = Running::start(&lab);
    let copy = copied(&secrets, "copy-one", "1", "").await?;
    let owner = &copy.owner_references()[0];
    ensure!(owner.name == "one" && owner.controller == Some(true) && owner.kind == "ConfigMap");
    ensure!(
        copy.managed_fields()
            .iter()
            .any(|entry| entry.manager.as_deref() == Some(MANAGER))
    );
    ensure!(maps.get("one").await?.finalizers() == [FINALIZER]);

    lab.config_map("two", "source", "2").await?;
    copied(&secrets, "copy-two", "2", "").await?;
    let patch = Patch::Merge(json!({"data": {"key": "changed"}}));
    maps.patch("one", &PatchParams::default(), &patch).await?;
    copied(&secrets, "copy-one", "changed", "").await?;

    // A child that goes, or that somebody changes, comes back as it was.
    let uid = copy.uid();
    secrets.delete("copy-one", &DeleteParams::default()).await?;
    ensure!(copied(&secrets, "copy-one", "changed", "").await?.uid() != uid);
    let patch = Patch::Merge(json!({"stringData": {"key": "spoilt"}}));
    secrets
        .patch("copy-one", &PatchParams::default(), &patch)
        .await?;
    copied(&secrets, "copy-one", "changed", "").await?;

    // What all depend on reaches all.
    lab.config_map("settings", "settings", "word").await?;
    copied(&secrets, "copy-one", "changed", "word").await?;
    copied(&secrets, "copy-two", "2", "word").await?;
    ensure!(running.sources.len() == 2);

    for name in ["one", "two"] {
        maps.delete(name, &DeleteParams::default()).await?;
        gone(&lab, name).await?;
    }
    running.stop().await
}

/// Waits until a source is gone, with all that it had.
async fn gone(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let (maps, secrets) = (lab.api::<ConfigMap>(), lab.api::<Secret>());
    eventually(&format!("{name} is gone"), async || {
        Ok(maps.get_opt(name).await?.is_none().then_some(()))
    })
    .await?;
    ensure!(
        maps.get_opt(&format!("ledger-{name}")).await?.is_none(),
        "the ledger outlived {name}"
    );
    // The child goes by its owner reference, which is the garbage collector's work.
    eventually(&format!("the copy of {name} is collected"), async || {
        Ok(secrets
            .get_opt(&format!("copy-{name}"))
            .await?
            .is_none()
            .then_some(()))
    })
    .await
}

pub async fn the_finalizer_holds_until_all_is_cleaned_up(lab: Lab) -> anyhow::Result<()> {
    let (maps, secrets) = (lab.api::<ConfigMap>(), lab.api::<Secret>());
    for name in ["held", "orphaned"] {
        lab.config_map(name, "source", "1").await?;
    }
    let running = Running::start(&lab);
    for name in ["copy-held", "copy-orphaned"] {
        copied(&secrets, name, "1", "").await?;
    }
    running.context.gate.store(false, Ordering::SeqCst);
    let deleted = maps.delete("held", &DeleteParams::default()).await?;
    let deleted = deleted.left().context("gone at once")?;
    ensure!(deleted.meta().deletion_timestamp.is_some());
    let context = running.context.clone();
    eventually("the clean-up was tried more than once", async || {
        Ok((context.held.load(Ordering::SeqCst) > 1).then_some(()))
    })
    .await?;
    let held = maps.get("held").await?;
    ensure!(
        held.finalizers() == [FINALIZER]
            && held.meta().deletion_timestamp == deleted.meta().deletion_timestamp
    );
    ensure!(maps.get_opt("ledger-held").await?.is_some());
    // What is on its way out takes no further finalizer, and its time does not change.
    let more = Patch::Merge(json!({"metadata": {"finalizers": [FINALIZER, "example.org/more"]}}));
    refusal(
        maps.patch("held", &PatchParams::default(), &more).await,
        422,
        "Invalid",
    )?;
    running.context.gate.store(true, Ordering::SeqCst);
    gone(&lab, "held").await?;
    running.stop().await?;

    // Nobody is there to clean up: the object waits for the next controller.
    maps.delete("orphaned", &DeleteParams::default()).await?;
    ensure!(
        maps.get("orphaned")
            .await?
            .meta()
            .deletion_timestamp
            .is_some()
    );
    let running = Running::start(&lab);
    gone(&lab, "orphaned").await?;
    running.stop().await
}
