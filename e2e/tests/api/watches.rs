//! Watches: what they begin with, what they tell, and how they end.

use std::thread;

use anyhow::{Context, ensure};
use ferrule_e2e::rest::Watch;
use serde_json::{Value, json};

use crate::stage::{Stage, map, number, revision, same, says_no_such_path, text, within};

/// A watch of the namespace's ConfigMaps.
pub fn watch(stage: &Stage, query: &str) -> anyhow::Result<Watch> {
    stage
        .rest
        .watch(&format!("{}?watch=true&{query}", stage.maps()))
}

/// A watch of the ConfigMaps with this label `watch`, from a resourceVersion.
pub fn watch_from(stage: &Stage, label: &str, version: &str) -> anyhow::Result<Watch> {
    let query = format!("labelSelector=watch%3D{label}&resourceVersion={version}");
    watch(stage, &query)
}

/// Fails unless the next event is this, of an object of this name.
pub fn sees(watch: &Watch, kind: &str, name: &str) -> anyhow::Result<Value> {
    let object = watch.event(kind)?;
    same(kind, text(&object, "metadata.name"), name)?;
    Ok(object)
}

fn label(stage: &Stage, name: &str, value: &str) -> anyhow::Result<Value> {
    let patch = json!({"metadata": {"labels": {"watch": value}}});
    let path = format!("{}/{name}", stage.maps());
    stage.rest.patch("merge", &path, &patch)?.ok()
}

pub fn write(stage: &Stage, name: &str, value: &str) -> anyhow::Result<Value> {
    let path = format!("{}/{name}", stage.maps());
    stage
        .rest
        .patch("merge", &path, &json!({"data": {"n": value}}))?
        .ok()
}

pub fn now(stage: &Stage) -> anyhow::Result<String> {
    Ok(revision(&stage.rest.get(&stage.maps())?.ok()?).to_owned())
}

pub fn each_watch_sees_what_it_selects(stage: &Stage) -> anyhow::Result<()> {
    let since = now(stage)?;
    let select = |what: &str| {
        watch(
            stage,
            &format!("resourceVersion={since}&labelSelector={what}"),
        )
    };
    let (a, b, either) = (
        select("watch%3Da")?,
        select("watch%3Db")?,
        select("watch%20in%20(a%2Cb)")?,
    );
    stage.make_map("of-a", json!({"watch": "a"}))?;
    for watch in [&a, &either] {
        sees(watch, "ADDED", "of-a")?;
    }
    for value in ["1", "2"] {
        let written = write(stage, "of-a", value)?;
        for watch in [&a, &either] {
            let seen = sees(watch, "MODIFIED", "of-a")?;
            same("the object as it was answered", &seen, &written)?;
        }
    }
    let path = format!("{}/of-a", stage.maps());
    stage.rest.delete(&path)?.ok()?;
    for watch in [&a, &either] {
        let last = sees(watch, "DELETED", "of-a")?;
        same("the last state", text(&last, "data.n"), "2")?;
        ensure!(
            number(&last)? > since.parse()?,
            "the revision of its end: {last}"
        );
    }
    stage.make_map("of-b", json!({"watch": "b"}))?;
    stage.rest.delete(&format!("{}/of-b", stage.maps()))?.ok()?;
    // Of `a`, nobody told the second watch.
    for watch in [&b, &either] {
        sees(watch, "ADDED", "of-b")?;
        sees(watch, "DELETED", "of-b")?;
    }
    stage.make_map("again", json!({"watch": "a"}))?;
    sees(&a, "ADDED", "again")?;
    Ok(())
}

pub fn an_object_that_leaves_a_selector_is_deleted_for_its_watchers(
    stage: &Stage,
) -> anyhow::Result<()> {
    let since = now(stage)?;
    let inside = watch_from(stage, "in", &since)?;
    stage.make_map("one", json!({"watch": "in"}))?;
    write(stage, "one", "1")?;
    let left = label(stage, "one", "out")?;
    write(stage, "one", "2")?;
    let entered = label(stage, "one", "in")?;
    write(stage, "one", "3")?;
    stage.rest.delete(&format!("{}/one", stage.maps()))?.ok()?;
    sees(&inside, "ADDED", "one")?;
    sees(&inside, "MODIFIED", "one")?;
    let gone = sees(&inside, "DELETED", "one")?;
    same("the revision of leaving", revision(&gone), revision(&left))?;
    same(
        "the last state inside",
        text(&gone, "metadata.labels.watch"),
        "in",
    )?;
    let back = sees(&inside, "ADDED", "one")?;
    same("the object as it enters", &back, &entered)?;
    sees(&inside, "MODIFIED", "one")?;
    let last = sees(&inside, "DELETED", "one")?;
    same("its last state", text(&last, "data.n"), "3")
}

pub fn a_field_selector_follows_a_pod_to_its_node(stage: &Stage) -> anyhow::Result<()> {
    let pods = stage.of("v1", "pods");
    let path = format!("{pods}?watch=true&resourceVersion={}", now(stage)?);
    let node = format!("node-of-{}", stage.namespace);
    let free = stage
        .rest
        .watch(&format!("{path}&fieldSelector=spec.nodeName%3D"))?;
    let bound = stage
        .rest
        .watch(&format!("{path}&fieldSelector=spec.nodeName%3D{node}"))?;
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "i"}]},
    });
    stage.rest.post(&pods, &pod)?.ok()?;
    sees(&free, "ADDED", "p")?;
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}});
    stage
        .rest
        .post(&format!("{pods}/p/binding"), &binding)?
        .ok()?;
    sees(&free, "DELETED", "p")?;
    let arrived = sees(&bound, "ADDED", "p")?;
    same("its node", text(&arrived, "spec.nodeName"), node.as_str())
}

pub fn concurrent_watches_see_the_same_order(stage: &Stage) -> anyhow::Result<()> {
    const WRITES: usize = 90;
    const WATCHES: usize = 12;
    let since = now(stage)?;
    let first = watch(stage, &format!("resourceVersion={since}"))?;
    let (rest, path) = (stage.rest.clone(), stage.maps());
    let writer = thread::spawn(move || -> anyhow::Result<String> {
        let mut last = String::new();
        for turn in 0..WRITES {
            // Each of a few objects is made, changed and removed in turn.
            let (name, step) = (format!("object-{}", turn / 3 % 5), turn % 3);
            let one = format!("{path}/{name}");
            let object = match step {
                0 => rest.post(&path, &map(&name, json!({}), json!({})))?.ok()?,
                1 => rest
                    .patch("merge", &one, &json!({"data": {"n": turn.to_string()}}))?
                    .ok()?,
                _ => rest.delete(&one)?.ok()?,
            };
            if step < 2 {
                last = revision(&object).to_owned();
            }
        }
        let end = rest
            .post(&path, &map("the-end", json!({}), json!({})))?
            .ok()?;
        ensure!(number(&end)? > last.parse()?, "revisions rise");
        Ok(revision(&end).to_owned())
    });
    // Further ones begin while writes go on, each where the first one has come to.
    let (mut told, mut others) = (Vec::new(), Vec::new());
    loop {
        let event = first.next()?.context("it has ended")?;
        let object = &event["object"];
        if text(object, "metadata.name") == "kube-root-ca.crt" {
            continue;
        }
        told.push((text(&event, "type").to_owned(), revision(object).to_owned()));
        if others.len() < WATCHES && told.len() % 7 == 0 {
            let (_, at) = told.last().context("an event")?;
            others.push((told.len(), watch(stage, &format!("resourceVersion={at}"))?));
        }
        if text(object, "metadata.name") == "the-end" {
            break;
        }
    }
    let end = writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    same("the last one", &told[told.len() - 1].1, &end)?;
    same("every write is told", told.len(), WRITES + 1)?;
    let ordered = told.windows(2).all(|pair| {
        let number = |at: &(String, String)| at.1.parse::<i64>().unwrap_or_default();
        number(&pair[0]) < number(&pair[1])
    });
    ensure!(ordered, "revisions rise: {told:?}");
    same("watches", others.len(), WATCHES)?;
    for (from, other) in others {
        let mut seen = Vec::new();
        while seen.len() < told.len() - from {
            let event = other.next()?.context("it has ended")?;
            if text(&event["object"], "metadata.name") != "kube-root-ca.crt" {
                seen.push((
                    text(&event, "type").to_owned(),
                    revision(&event["object"]).to_owned(),
                ));
            }
        }
        same("the same order", &seen[..], &told[from..])?;
    }
    Ok(())
}

pub fn without_a_revision_a_watch_begins_with_what_is_there(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_map("one", json!({"watch": "state"}))?;
    let changed = write(stage, "one", "1")?;
    for version in ["", "0"] {
        let from = watch_from(stage, "state", version)?;
        let seen = sees(&from, "ADDED", "one")?;
        same("its state", &seen, &changed)?;
    }
    let at = watch_from(stage, "state", revision(&made))?;
    same(
        "no state, but what followed",
        sees(&at, "MODIFIED", "one")?,
        changed,
    )
}

pub fn initial_events_end_with_a_bookmark(stage: &Stage) -> anyhow::Result<()> {
    for name in ["a", "b", "c"] {
        stage.make_map(name, json!({"watch": "initial"}))?;
    }
    let since = now(stage)?;
    for version in ["", "0", &since] {
        let query = format!(
            "labelSelector=watch%3Dinitial&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
             &allowWatchBookmarks=true&resourceVersion={version}"
        );
        let watch = watch(stage, &query)?;
        for name in ["a", "b", "c"] {
            sees(&watch, "ADDED", name)?;
        }
        let bookmark = watch.event("BOOKMARK")?;
        let mark = &bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"];
        same("the mark", mark, &json!("true"))?;
        same("its kind", text(&bookmark, "kind"), "ConfigMap")?;
        ensure!(number(&bookmark)? >= since.parse()?, "{bookmark}");
        let late = write(stage, "b", version)?;
        same("what follows", sees(&watch, "MODIFIED", "b")?, late)?;
    }
    // Where nothing is selected, the end comes at once.
    let nothing = watch(
        stage,
        "labelSelector=watch%3Dnone&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    )?;
    let bookmark = nothing.event("BOOKMARK")?;
    let mark = &bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"];
    same("the mark", mark, &json!("true"))
}

pub fn options_that_contradict_each_other_are_refused(stage: &Stage) -> anyhow::Result<()> {
    let since = now(stage)?;
    for (query, code, message) in [
        (
            "sendInitialEvents=true&allowWatchBookmarks=true".to_owned(),
            422,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            format!("resourceVersion={since}&resourceVersionMatch=NotOlderThan"),
            422,
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (
            format!("resourceVersion={since}&resourceVersionMatch=Exact&sendInitialEvents=true"),
            422,
            "Unsupported value: \"Exact\": supported values: \"NotOlderThan\"",
        ),
        (
            "resourceVersion=abc".to_owned(),
            500,
            "strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
        (
            "labelSelector=a%20b".to_owned(),
            400,
            "unable to parse requirement: found 'b', expected: ",
        ),
        (
            "fieldSelector=data.a%3Db".to_owned(),
            400,
            "\"data.a\" is not a known field selector",
        ),
        (
            "timeoutSeconds=x".to_owned(),
            400,
            "strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    ] {
        let answer = stage
            .rest
            .get(&format!("{}?watch=true&{query}", stage.maps()))?;
        let status = answer.refused(code)?;
        ensure!(
            text(&status, "message").contains(message),
            "{answer}\nexpected {message}"
        );
    }
    Ok(())
}

pub fn a_bookmark_tells_the_revision_before_the_end(stage: &Stage) -> anyhow::Result<()> {
    let since = now(stage)?;
    let query = format!("resourceVersion={since}&timeoutSeconds=3");
    let marked = watch(
        stage,
        &format!("{query}&allowWatchBookmarks=true&labelSelector=watch%3Dnone"),
    )?;
    let plain = watch(stage, &format!("{query}&labelSelector=watch%3Dnone"))?;
    let elsewhere = stage.make_map("elsewhere", json!({}))?;
    let events = marked.rest()?;
    let last = events.last().context("a bookmark")?;
    same("kind of event", text(last, "type"), "BOOKMARK")?;
    let object = &last["object"];
    ensure!(number(object)? >= number(&elsewhere)?, "{object}");
    let expected = json!({
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": revision(object)},
    });
    same("a bookmark", object, &expected)?;
    same("nobody asked for one", plain.rest()?, Vec::<Value>::new())?;
    let resumed = format!("resourceVersion={}", revision(object));
    let resumed = watch(stage, &resumed)?;
    stage.make_map("later", json!({}))?;
    sees(&resumed, "ADDED", "later")?;
    Ok(())
}

pub fn a_watch_ends_at_its_timeout(stage: &Stage) -> anyhow::Result<()> {
    let since = now(stage)?;
    let ends = watch(
        stage,
        &format!("resourceVersion={since}&timeoutSeconds=1&labelSelector=watch%3Dend"),
    )?;
    same("header", ends.header("content-type"), "application/json")?;
    stage.make_map("one", json!({"watch": "end"}))?;
    let events = ends.rest()?;
    same("events", events.len(), 1)
}

pub fn the_old_paths_below_watch_work(stage: &Stage) -> anyhow::Result<()> {
    let since = now(stage)?;
    let old = |end: &str| {
        let path = format!(
            "/api/v1/watch/namespaces/{}/configmaps{end}",
            stage.namespace
        );
        stage.rest.watch(&format!("{path}?resourceVersion={since}"))
    };
    let (all, one) = (old("")?, old("/two")?);
    stage.make_map("one", json!({}))?;
    stage.make_map("two", json!({}))?;
    sees(&all, "ADDED", "one")?;
    sees(&all, "ADDED", "two")?;
    sees(&one, "ADDED", "two")?;
    Ok(())
}

pub fn a_watch_of_all_namespaces_sees_each(stage: &Stage) -> anyhow::Result<()> {
    let since = now(stage)?;
    let all =
        format!("/api/v1/configmaps?watch=true&resourceVersion={since}&labelSelector=watch%3Dall");
    let all = stage.rest.watch(&all)?;
    stage.make_map("here", json!({"watch": "all"}))?;
    let there = within("v1", Some("default"), "configmaps");
    let name = format!("there-{}", stage.namespace);
    stage
        .rest
        .post(&there, &map(&name, json!({"watch": "all"}), json!({})))?
        .ok()?;
    let seen = sees(&all, "ADDED", "here")?;
    same(
        "namespace",
        text(&seen, "metadata.namespace"),
        stage.namespace.as_str(),
    )?;
    let seen = sees(&all, "ADDED", &name)?;
    same("namespace", text(&seen, "metadata.namespace"), "default")
}

pub fn an_unknown_resource_cannot_be_watched(stage: &Stage) -> anyhow::Result<()> {
    for path in ["things", "configmaps/one/status"] {
        let answer = stage
            .rest
            .get(&format!("{}?watch=true", stage.of("v1", path)))?;
        says_no_such_path(&answer)?;
    }
    Ok(())
}
