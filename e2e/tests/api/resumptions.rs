//! Watches that go on where another one ended.

use anyhow::{Context, ensure};
use ferrule_e2e::{Extent, Processes};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::stage::{Stage, items, map, revision, same, text, within};
use crate::watches::{now, sees, watch_from, write};

pub fn a_watch_starts_after_the_revision_that_it_names(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("one", json!({"watch": "from"}))?;
    let first = write(stage, "one", "1")?;
    write(stage, "one", "2")?;
    stage.rest.delete(&format!("{}/one", stage.maps()))?.ok()?;
    let from = watch_from(stage, "from", revision(&first))?;
    let seen = sees(&from, "MODIFIED", "one")?;
    same("the second write", text(&seen, "data.n"), "2")?;
    sees(&from, "DELETED", "one")?;
    Ok(())
}

pub fn a_watch_resumes_where_another_one_ended(stage: &Stage) -> anyhow::Result<()> {
    let begun = watch_from(stage, "resume", &now(stage)?)?;
    stage.make_map("one", json!({"watch": "resume"}))?;
    sees(&begun, "ADDED", "one")?;
    write(stage, "one", "1")?;
    let last = sees(&begun, "MODIFIED", "one")?;
    drop(begun);
    write(stage, "one", "2")?;
    stage.rest.delete(&format!("{}/one", stage.maps()))?.ok()?;
    let resumed = watch_from(stage, "resume", revision(&last))?;
    let seen = sees(&resumed, "MODIFIED", "one")?;
    same("what was missed", text(&seen, "data.n"), "2")?;
    sees(&resumed, "DELETED", "one")?;
    Ok(())
}

pub fn a_watch_resumes_across_a_restart_of_the_server(_: &Stage) -> anyhow::Result<()> {
    let processes = Processes::start(Extent::ApiServer)?;
    let rest = processes.rest()?;
    let path = within("v1", Some("default"), "configmaps");
    let made = |name: &str| {
        rest.post(&path, &map(name, json!({"watch": "restart"}), json!({})))?
            .ok()
    };
    let select = "watch=true&labelSelector=watch%3Drestart";
    let begin = made("zero")?;
    let mut at = revision(&begin).to_owned();
    for (turn, signal) in [Signal::SIGTERM, Signal::SIGKILL].into_iter().enumerate() {
        let watch = rest.watch(&format!("{path}?{select}&resourceVersion={at}"))?;
        let name = format!("before-{turn}");
        made(&name)?;
        let seen = watch.event("ADDED")?;
        same(
            "before the restart",
            text(&seen, "metadata.name"),
            name.as_str(),
        )?;
        at = revision(&seen).to_owned();
        let missed = format!("missed-{turn}");
        made(&missed)?;
        processes.restart_api_server(signal)?;
        // It ends with the server; what it still told or did not tell is the same to who resumes.
        watch.rest()?;
        let resumed = rest.watch(&format!("{path}?{select}&resourceVersion={at}"))?;
        let seen = resumed.event("ADDED")?;
        same(
            "what was missed",
            text(&seen, "metadata.name"),
            missed.as_str(),
        )?;
        at = revision(&seen).to_owned();
    }
    Ok(())
}

pub fn a_revision_that_is_too_old_is_told_with_410(_: &Stage) -> anyhow::Result<()> {
    let processes = Processes::start(Extent::ApiServer)?;
    let rest = processes.rest()?;
    let path = within("v1", Some("default"), "configmaps");
    let old = rest.post(&path, &map("one", json!({}), json!({})))?.ok()?;
    let mut last = String::new();
    for number in 0..5 {
        let patch = json!({"data": {"n": number.to_string()}});
        let written = rest.patch("merge", &format!("{path}/one"), &patch)?.ok()?;
        last = revision(&written).to_owned();
    }
    processes.etcdctl(&["compaction", &last])?;
    processes.restart_api_server(Signal::SIGTERM)?;
    let begin = format!("too old resource version: {} (", revision(&old));

    let watch = rest.watch(&format!(
        "{path}?watch=true&resourceVersion={}",
        revision(&old)
    ))?;
    let status = watch.event("ERROR")?;
    same("kind", text(&status, "kind"), "Status")?;
    same("code", &status["code"], &json!(410))?;
    same("reason", text(&status, "reason"), "Expired")?;
    ensure!(text(&status, "message").starts_with(&begin), "{status}");
    same("nothing follows", watch.rest()?, Vec::<Value>::new())?;

    let list = rest.get(&format!(
        "{path}?resourceVersion={}&resourceVersionMatch=Exact",
        revision(&old)
    ))?;
    same("reason", text(&list.refused(410)?, "reason"), "Expired")?;
    // The way on: list again, and watch from there.
    let list = rest.get(&path)?.ok()?;
    let one = items(&list)
        .iter()
        .find(|item| text(item, "metadata.name") == "one");
    same("its state", text(one.context("one")?, "data.n"), "4")?;
    let watch = rest.watch(&format!(
        "{path}?watch=true&resourceVersion={}",
        revision(&list)
    ))?;
    rest.delete(&format!("{path}/one"))?.ok()?;
    let gone = watch.event("DELETED")?;
    same("its end", text(&gone, "metadata.name"), "one")
}
