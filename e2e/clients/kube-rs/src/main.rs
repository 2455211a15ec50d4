//! kube-rs against the API server of KUBECONFIG, used as its own examples use it.
//!
//! `ferrule-kube-rs [WORD...]` plays every check, or those whose names contain one of the words, and
//! exits 1 when one fails. `e2e/clients/run.sh` starts a control plane for it.

mod controller;
mod discovery;
mod lab;
mod leases;
mod objects;
mod patches;
mod recorder;
mod reflectors;
mod subresources;
mod watchers;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use kube::Client;
use tokio::task::{LocalSet, spawn_local};

use lab::Lab;

/// Longer than any check takes.
const WITHIN: Duration = Duration::from_secs(120);

/// How many checks are under way together, each in a namespace of its own.
const TOGETHER: usize = 4;

struct Check {
    name: &'static str,
    play: fn(Lab) -> LocalBoxFuture<'static, anyhow::Result<()>>,
}

macro_rules! checks {
    ($($module:ident::$check:ident,)*) => {
        [$(Check {
            name: concat!(stringify!($module), "::", stringify!($check)),
            play: |lab| Box::pin($module::$check(lab)),
        }),*]
    };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    LocalSet::new().run_until(play_all()).await
}

async fn play_all() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let checks = checks![
        objects::a_pod_is_created_runs_and_goes,
        objects::an_object_through_its_life,
        objects::refusals_say_why,
        objects::a_dry_run_changes_nothing,
        objects::entries_are_made_and_changed,
        objects::lists_are_paged_selected_and_of_a_revision,
        objects::many_are_deleted_at_once,
        objects::a_deletion_waits_for_dependents,
        objects::only_metadata,
        objects::unknown_fields_by_the_wish_of_the_client,
        patches::json_patch,
        patches::merge_patch,
        patches::strategic_merge_patch,
        patches::apply_owns_fields,
        patches::apply_of_what_nobody_typed,
        subresources::scale,
        subresources::status,
        subresources::eviction_and_other_parts_of_pods,
        subresources::a_restart_rolls_the_pods,
        discovery::every_resource_is_found_and_listed,
        discovery::both_forms_of_discovery_agree,
        discovery::the_server_says_what_it_is,
        watchers::changes_come_in_order_and_are_resumed,
        watchers::a_past_that_is_gone_is_an_event,
        watchers::list_and_watch,
        watchers::streaming_list,
        watchers::a_watcher_goes_on_where_the_server_ended,
        watchers::a_watcher_begins_anew_when_the_past_is_gone,
        watchers::metadata_and_dynamic_objects,
        watchers::one_object,
        reflectors::a_store_follows,
        reflectors::a_store_of_metadata_by_streaming_list,
        controller::children_follow_their_owner,
        controller::the_finalizer_holds_until_all_is_cleaned_up,
        recorder::the_same_event_again_becomes_a_series,
        leases::one_holds_it_at_a_time,
    ];
    let client = Client::try_default().await.context("no client")?;
    let chosen: Vec<Check> = checks
        .into_iter()
        .filter(|check| {
            words.is_empty() || words.iter().any(|word| check.name.contains(word.as_str()))
        })
        .collect();

    let mut results = futures::stream::iter(chosen)
        .map(|check| {
            let client = client.clone();
            async move {
                let started = Instant::now();
                (check.name, play(&check, client).await, started.elapsed())
            }
        })
        .buffer_unordered(TOGETHER);
    let (mut passed, mut failed) = (0, 0);
    while let Some((name, result, took)) = results.next().await {
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok      {name} ({:.1} s)", took.as_secs_f64());
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error:#}");
            }
        }
    }
    println!("kube-rs: {passed} passed, {failed} failed");
    anyhow::ensure!(
        passed + failed > 0,
        "no check has a name with one of {words:?}"
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Plays one check in a task of its own, so that a panic fails it alone.
async fn play(check: &Check, client: Client) -> anyhow::Result<()> {
    let lab = Lab::new(client).await?;
    let played = tokio::time::timeout(WITHIN, spawn_local((check.play)(lab.clone()))).await;
    lab.leave().await?;
    played
        .with_context(|| format!("not done within {} s", WITHIN.as_secs()))?
        .context("panicked")?
}
