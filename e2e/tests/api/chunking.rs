//! Lists in chunks: `limit`, `continue`, `remainingItemCount`.

use anyhow::{Context, ensure};
use ferrule_e2e::{Extent, Processes};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::stage::{Stage, at, items, map, names, number, revision, same, says, text, within};

const COUNT: usize = 17;

/// Makes PodTemplates, as upstream's test does; their names in order.
fn templates(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for number in 0..COUNT {
        let name = format!("template-{number:04}");
        let template = json!({
            "metadata": {"name": name, "labels": {"half": (number % 2).to_string()}},
            "template": {"spec": {"containers": [{"name": "test", "image": "test2"}]}},
        });
        let path = stage.of("v1", "podtemplates");
        stage.rest.post(&path, &template)?.ok()?;
        names.push(name);
    }
    Ok(names)
}

pub fn chunks_of_a_list_are_one_list_at_one_revision(stage: &Stage) -> anyhow::Result<()> {
    let expected = templates(stage)?;
    let path = stage.of("v1", "podtemplates");
    let whole = stage.rest.get(&path)?.ok()?;
    same("without a limit", names(&whole), expected.clone())?;
    same("no token", at(&whole, "metadata.continue"), &Value::Null)?;
    for limit in [1, 5, 8, COUNT - 1, COUNT, COUNT + 1] {
        let (mut found, mut token, mut at_revision) = (Vec::new(), String::new(), None);
        loop {
            let page = stage
                .rest
                .get(&format!("{path}?limit={limit}&continue={token}"))?;
            let page = page.ok()?;
            found.extend(names(&page).into_iter().map(str::to_owned));
            ensure!(items(&page).len() <= limit, "more than {limit}");
            let first = at_revision.get_or_insert_with(|| revision(&page).to_owned());
            same("revision of a chunk", revision(&page), first.as_str())?;
            let left = &page["metadata"]["remainingItemCount"];
            token = text(&page, "metadata.continue").to_owned();
            if token.is_empty() {
                same("nothing remains", left, &Value::Null)?;
                break;
            }
            same("what remains", left, &json!(COUNT - found.len()))?;
        }
        same("all chunks", &found, &expected)?;
    }
    Ok(())
}

pub fn what_is_written_between_chunks_is_not_in_them(stage: &Stage) -> anyhow::Result<()> {
    let expected = templates(stage)?;
    let path = stage.of("v1", "podtemplates");
    let first = stage.rest.get(&format!("{path}?limit=6"))?.ok()?;
    let mut found: Vec<String> = names(&first).into_iter().map(str::to_owned).collect();
    stage.rest.delete(&format!("{path}/template-0010"))?.ok()?;
    let patch = json!({"metadata": {"labels": {"late": "1"}}});
    let changed = format!("{path}/template-0011");
    stage.rest.patch("merge", &changed, &patch)?.ok()?;
    let late = json!({
        "metadata": {"name": "template-0012-late"},
        "template": {"spec": {"containers": [{"name": "test", "image": "test2"}]}},
    });
    stage.rest.post(&path, &late)?.ok()?;
    let token = text(&first, "metadata.continue");
    let rest = stage.rest.get(&format!("{path}?continue={token}"))?.ok()?;
    same("revision", revision(&rest), revision(&first))?;
    found.extend(names(&rest).into_iter().map(str::to_owned));
    same("the list of the first moment", found, expected)?;
    let unchanged = items(&rest)
        .iter()
        .all(|item| item["metadata"]["labels"]["late"].is_null());
    ensure!(unchanged, "a change is in it: {rest}");
    Ok(())
}

pub fn a_selector_hides_how_many_remain(stage: &Stage) -> anyhow::Result<()> {
    templates(stage)?;
    let path = stage.of("v1", "podtemplates");
    let (mut token, mut found) = (String::new(), 0);
    loop {
        let page = format!("{path}?limit=4&labelSelector=half%3D0&continue={token}");
        let page = stage.rest.get(&page)?.ok()?;
        found += items(&page).len();
        let left = at(&page, "metadata.remainingItemCount");
        same("what remains", left, &Value::Null)?;
        token = text(&page, "metadata.continue").to_owned();
        if token.is_empty() {
            break;
        }
        same("a full chunk", items(&page).len(), 4)?;
    }
    same("of the label", found, COUNT.div_ceil(2))
}

pub fn tables_and_metadata_come_in_chunks_too(stage: &Stage) -> anyhow::Result<()> {
    templates(stage)?;
    let path = stage.of("v1", "podtemplates");
    for (media, kind, field) in [
        (
            "application/json;as=Table;g=meta.k8s.io;v=v1",
            "Table",
            "rows",
        ),
        (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            "PartialObjectMetadataList",
            "items",
        ),
    ] {
        let (mut token, mut found) = (String::new(), 0);
        loop {
            let page = format!("{path}?limit=3&continue={token}");
            let page = stage
                .rest
                .request("GET", &page)
                .accept(media)
                .send()?
                .ok()?;
            same("kind", text(&page, "kind"), kind)?;
            found += page[field].as_array().map_or(0, Vec::len);
            token = text(&page, "metadata.continue").to_owned();
            let left = at(&page, "metadata.remainingItemCount");
            if token.is_empty() {
                break;
            }
            same("what remains", left, &json!(COUNT - found))?;
        }
        same(kind, found, COUNT)?;
    }
    Ok(())
}

pub fn a_malformed_token_or_limit_is_refused(stage: &Stage) -> anyhow::Result<()> {
    templates(stage)?;
    let path = stage.of("v1", "podtemplates");
    let first = stage.rest.get(&format!("{path}?limit=6"))?.ok()?;
    let token = text(&first, "metadata.continue");
    let number = revision(&first);
    let bad = |query: String| stage.rest.get(&format!("{path}?{query}"));
    let malformed = bad("continue=rubbish".to_owned())?.refused(400)?;
    let message = text(&malformed, "message");
    let begin = "invalid continue token: continue key is not valid: ";
    ensure!(message.starts_with(begin), "{message}");
    says(
        &bad(format!("continue={token}&resourceVersion={number}"))?,
        400,
        "BadRequest",
        "specifying resource version is not allowed when using continue",
    )?;
    let status = bad(format!("continue={token}&resourceVersionMatch=Exact"))?.refused(422)?;
    same(
        "causes",
        status["details"]["causes"].as_array().map_or(0, Vec::len),
        2,
    )?;
    says(
        &bad("limit=x".to_owned())?,
        400,
        "BadRequest",
        "strconv.ParseInt: parsing \"x\": invalid syntax",
    )?;
    // A negative limit is none.
    same(
        "all",
        items(&bad("limit=-1".to_owned())?.ok()?).len(),
        COUNT,
    )
}

pub fn an_expired_token_goes_on_inconsistently(_: &Stage) -> anyhow::Result<()> {
    let processes = Processes::start(Extent::ApiServer)?;
    let rest = processes.rest()?;
    let path = within("v1", Some("default"), "configmaps");
    let selected = "fieldSelector=metadata.name%21%3Dkube-root-ca.crt";
    for number in 0..12 {
        let made = map(&format!("map-{number:02}"), json!({}), json!({}));
        rest.post(&path, &made)?.ok()?;
    }
    let first = rest.get(&format!("{path}?limit=4&{selected}"))?.ok()?;
    let token = text(&first, "metadata.continue").to_owned();
    rest.delete(&format!("{path}/map-07"))?.ok()?;
    let last = rest
        .post(&path, &map("map-05-late", json!({}), json!({})))?
        .ok()?;
    processes.etcdctl(&["compaction", revision(&last)])?;
    // The server still has in memory what etcd has forgotten; another one has not.
    processes.restart_api_server(Signal::SIGTERM)?;

    let expired = rest.get(&format!("{path}?limit=4&{selected}&continue={token}"))?;
    let status = says(
        &expired,
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new \
         list without the continue parameter, or use the continue token in this response to retrieve the \
         remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
         that were created, modified, or deleted between the time the first chunk was returned and now may show up \
         in the list.",
    )?;
    let token = text(&status, "metadata.continue");
    ensure!(!token.is_empty(), "a token to go on with: {status}");
    let second = rest
        .get(&format!("{path}?limit=4&{selected}&continue={token}"))?
        .ok()?;
    same(
        "what follows, as it is now",
        names(&second),
        ["map-04", "map-05", "map-05-late", "map-06"],
    )?;
    ensure!(
        number(&second)? >= number(&last)?,
        "a new revision: {second}"
    );
    // From here on it is one list again.
    let token = text(&second, "metadata.continue").to_owned();
    rest.delete(&format!("{path}/map-11"))?.ok()?;
    let third = rest
        .get(&format!("{path}?{selected}&continue={token}"))?
        .ok()?;
    same("revision", revision(&third), revision(&second))?;
    same(
        "the rest",
        names(&third),
        ["map-08", "map-09", "map-10", "map-11"],
    )?;

    let old = revision(&first);
    let exact = rest.get(&format!(
        "{path}?resourceVersion={old}&resourceVersionMatch=Exact"
    ))?;
    let status = exact.refused(410)?;
    same("reason", text(&status, "reason"), "Expired")?;
    let newer = rest.get(&format!(
        "{path}?resourceVersion={old}&resourceVersionMatch=NotOlderThan"
    ))?;
    let newer = newer.ok().context("a list that is newer")?;
    ensure!(number(&newer)? > old.parse()?, "{newer}");
    Ok(())
}
