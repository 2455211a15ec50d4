//! Creates and updates: names, revisions, dry runs, and what a Status says of a refusal.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::stage::{Stage, at, causes, managers, map, names, number, revision, same, says, text};

pub fn an_object_is_answered_as_it_is_kept(stage: &Stage) -> anyhow::Result<()> {
    let object = map("a", json!({"l": "1"}), json!({"x": "1"}));
    let created = stage.rest.post(&stage.maps(), &object)?;
    same("code", created.code, 201)?;
    let made = created.ok()?;
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        ensure!(
            !text(&made["metadata"], field).is_empty(),
            "{field}: {made}"
        );
    }
    same(
        "namespace",
        text(&made, "metadata.namespace"),
        stage.namespace.as_str(),
    )?;
    same(
        "no link to itself",
        at(&made, "metadata.selfLink"),
        &Value::Null,
    )?;
    let path = format!("{}/a", stage.maps());
    same("read", &stage.rest.get(&path)?.ok()?, &made)?;
    let answer = stage.rest.post(&stage.maps(), &object)?;
    let status = says(
        &answer,
        409,
        "AlreadyExists",
        "configmaps \"a\" already exists",
    )?;
    same(
        "details",
        &status["details"],
        &json!({"name": "a", "kind": "configmaps"}),
    )
}

pub fn what_only_the_server_sets_cannot_be_given(stage: &Stage) -> anyhow::Result<()> {
    let mut object = map("a", json!({}), json!({}));
    let metadata = &mut object["metadata"];
    metadata["uid"] = json!("11111111-1111-1111-1111-111111111111");
    metadata["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    metadata["deletionTimestamp"] = json!("2001-01-01T00:00:00Z");
    metadata["generation"] = json!(77);
    let made = stage.rest.post(&stage.maps(), &object)?.ok()?;
    ensure!(
        text(&made, "metadata.uid") != "11111111-1111-1111-1111-111111111111",
        "{made}"
    );
    ensure!(
        !text(&made, "metadata.creationTimestamp").starts_with("2001"),
        "{made}"
    );
    same(
        "alive",
        at(&made, "metadata.deletionTimestamp"),
        &Value::Null,
    )?;
    let mut with_revision = map("b", json!({}), json!({}));
    with_revision["metadata"]["resourceVersion"] = json!("1");
    let answer = stage.rest.post(&stage.maps(), &with_revision)?;
    let status = answer.refused(500)?;
    same(
        "message",
        text(&status, "message"),
        "resourceVersion should not be set on objects to be created",
    )
}

pub fn an_update_needs_the_revision_that_it_was_made_from(stage: &Stage) -> anyhow::Result<()> {
    let made = stage.make_map("a", json!({}))?;
    let path = format!("{}/a", stage.maps());
    let with = |version: &str, value: &str| {
        let mut object = made.clone();
        object["metadata"]["resourceVersion"] = json!(version);
        object["data"] = json!({"n": value});
        object
    };
    let first = stage.rest.put(&path, &with(revision(&made), "1"))?.ok()?;
    ensure!(number(&first)? > number(&made)?, "{first}");
    same(
        "its uid",
        text(&first, "metadata.uid"),
        text(&made, "metadata.uid"),
    )?;
    let answer = stage.rest.put(&path, &with(revision(&made), "2"))?;
    let message = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your \
                   changes to the latest version and try again";
    says(&answer, 409, "Conflict", message)?;
    let unconditional = stage.rest.put(&path, &with("", "3"))?.ok()?;
    same("without one", text(&unconditional, "data.n"), "3")?;
    stage.rest.put(&path, &with("abc", "4"))?.refused(500)?;
    let mut other = with("", "5");
    other["metadata"]["uid"] = json!("11111111-1111-1111-1111-111111111111");
    let status = stage.rest.put(&path, &other)?.refused(409)?;
    ensure!(
        text(&status, "message").contains("Precondition failed: UID in precondition"),
        "{status}"
    );
    Ok(())
}

pub fn some_kinds_must_be_updated_from_a_revision(stage: &Stage) -> anyhow::Result<()> {
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let path = stage.of("v1", "services");
    let made = stage.rest.post(&path, &service)?.ok()?;
    let mut without = made.clone();
    without["metadata"]["resourceVersion"] = json!("");
    without["metadata"]["labels"] = json!({"a": "b"});
    let updated = stage.rest.put(&format!("{path}/s"), &without)?.ok()?;
    same("a Service may be", text(&updated, "metadata.labels.a"), "b")?;
    let path = stage.of("coordination.k8s.io/v1", "leases");
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}});
    stage.rest.post(&path, &lease)?.ok()?;
    let answer = stage.rest.put(&format!("{path}/l"), &lease)?;
    let message = "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be \
                   specified for an update";
    let status = says(&answer, 422, "Invalid", message)?;
    same(
        "causes",
        causes(&status),
        [("FieldValueInvalid", "metadata.resourceVersion")],
    )
}

pub fn an_update_creates_where_upstream_lets_it(stage: &Stage) -> anyhow::Result<()> {
    let body = |name: &str| json!({"metadata": {"name": name}});
    for (version, resource, mut object) in [
        ("coordination.k8s.io/v1", "leases", body("new")),
        ("rbac.authorization.k8s.io/v1", "roles", body("new")),
        ("v1", "endpoints", body("new")),
        (
            "v1",
            "services",
            json!({"metadata": {"name": "new"}, "spec": {"ports": [{"port": 80}]}}),
        ),
        ("v1", "limitranges", body("new")),
        (
            "v1",
            "events",
            json!({"metadata": {"name": "new"}, "involvedObject": {"namespace": stage.namespace}}),
        ),
    ] {
        let path = stage.of(version, &format!("{resource}/new"));
        let dry = stage.rest.put(&format!("{path}?dryRun=All"), &object)?;
        same(resource, dry.code, 201)?;
        stage.rest.get(&path)?.refused(404)?;
        let made = stage.rest.put(&path, &object)?;
        same(resource, made.code, 201)?;
        object["metadata"]["labels"] = json!({"a": "b"});
        object["metadata"]["resourceVersion"] = json!(revision(&made.ok()?));
        let changed = stage.rest.put(&path, &object)?;
        same(resource, changed.code, 200)?;
    }
    for (version, resource) in [
        ("v1", "configmaps"),
        ("v1", "secrets"),
        ("v1", "pods"),
        ("apps/v1", "deployments"),
    ] {
        let path = stage.of(version, &format!("{resource}/new"));
        let object = match resource {
            "deployments" => crate::stage::deployment("new"),
            "pods" => {
                json!({"metadata": {"name": "new"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
            }
            _ => body("new"),
        };
        let status = stage.rest.put(&path, &object)?.refused(404)?;
        same(resource, text(&status, "reason"), "NotFound")?;
    }
    Ok(())
}

pub fn names_are_generated(stage: &Stage) -> anyhow::Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let object = json!({"metadata": {"generateName": "gen-"}});
        let made = stage.rest.post(&stage.maps(), &object)?.ok()?;
        let name = text(&made, "metadata.name").to_owned();
        ensure!(
            name.len() == "gen-".len() + 5 && name.starts_with("gen-"),
            "{name}"
        );
        ensure!(
            name[4..]
                .chars()
                .all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)),
            "{name}"
        );
        same("kept", text(&made, "metadata.generateName"), "gen-")?;
        ensure!(seen.insert(name), "a name twice");
    }
    let both = json!({"metadata": {"generateName": "gen-", "name": "given"}});
    let made = stage.rest.post(&stage.maps(), &both)?.ok()?;
    same(
        "a name that is given",
        text(&made, "metadata.name"),
        "given",
    )?;
    // The prefix is cut, so that the name fits.
    let long = json!({"metadata": {"generateName": "l".repeat(80)}});
    let made = stage.rest.post(&stage.maps(), &long)?.ok()?;
    same("its length", text(&made, "metadata.name").len(), 63)?;
    let none = stage.rest.post(&stage.maps(), &json!({}))?;
    let status = says(
        &none,
        422,
        "Invalid",
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
    )?;
    same(
        "causes",
        causes(&status),
        [("FieldValueRequired", "metadata.name")],
    )
}

pub fn a_dry_run_answers_and_keeps_nothing(stage: &Stage) -> anyhow::Result<()> {
    let object = map("dry", json!({}), json!({"x": "1"}));
    let path = format!("{}/dry", stage.maps());
    let made = stage
        .rest
        .post(&format!("{}?dryRun=All", stage.maps()), &object)?;
    same("code", made.code, 201)?;
    ensure!(!text(&made.ok()?, "metadata.uid").is_empty(), "{made}");
    stage.rest.get(&path)?.refused(404)?;
    let kept = stage.rest.post(&stage.maps(), &object)?.ok()?;
    let again = stage
        .rest
        .post(&format!("{}?dryRun=All", stage.maps()), &object)?;
    again.refused(409)?;
    let changed = json!({"data": {"x": "2"}});
    let mut whole = kept.clone();
    whole["data"] = changed["data"].clone();
    for answer in [
        stage.rest.put(&format!("{path}?dryRun=All"), &whole)?,
        stage
            .rest
            .patch("merge", &format!("{path}?dryRun=All"), &changed)?,
        stage
            .rest
            .patch("strategic-merge", &format!("{path}?dryRun=All"), &changed)?,
    ] {
        same("what it would be", text(&answer.ok()?, "data.x"), "2")?;
    }
    stage.rest.delete(&format!("{path}?dryRun=All"))?.ok()?;
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
    stage
        .rest
        .request("DELETE", &path)
        .json(&body)
        .send()?
        .ok()?;
    let collection = format!("{}?dryRun=All&labelSelector=x!%3Dy", stage.maps());
    same(
        "one at least",
        names(&stage.rest.delete(&collection)?.ok()?).contains(&"dry"),
        true,
    )?;
    same("unchanged", &stage.rest.get(&path)?.ok()?, &kept)?;
    // A Service that is not kept takes no address.
    let service = json!({"metadata": {"name": "s"}, "spec": {"clusterIP": "10.96.77.77", "ports": [{"port": 80}]}});
    let services = stage.of("v1", "services");
    for _ in 0..2 {
        stage
            .rest
            .post(&format!("{services}?dryRun=All"), &service)?
            .ok()?;
    }
    let status = stage
        .rest
        .post(&format!("{}?dryRun=Maybe", stage.maps()), &object)?
        .refused(422)?;
    same(
        "causes",
        causes(&status),
        [("FieldValueNotSupported", "dryRun")],
    )
}

pub fn a_refusal_names_every_fault(stage: &Stage) -> anyhow::Result<()> {
    let mut object = crate::stage::deployment("Bad_Name");
    object["spec"]["replicas"] = json!(-1);
    object["spec"]["selector"] = json!({"matchLabels": {"app": "other"}});
    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("");
    let status = stage
        .rest
        .post(&stage.of("apps/v1", "deployments"), &object)?
        .refused(422)?;
    same("reason", text(&status, "reason"), "Invalid")?;
    let details = (
        text(&status, "details.group"),
        text(&status, "details.kind"),
        text(&status, "details.name"),
    );
    same("details", details, ("apps", "Deployment", "Bad_Name"))?;
    let found = causes(&status);
    for expected in [
        ("FieldValueInvalid", "metadata.name"),
        ("FieldValueInvalid", "spec.replicas"),
        ("FieldValueInvalid", "spec.template.metadata.labels"),
        (
            "FieldValueRequired",
            "spec.template.spec.containers[0].image",
        ),
    ] {
        ensure!(
            found.contains(&expected),
            "{expected:?} is not in {found:?}"
        );
    }
    let message = text(&status, "message");
    ensure!(
        message.starts_with("Deployment.apps \"Bad_Name\" is invalid: ["),
        "{message}"
    );
    Ok(())
}

pub fn what_does_not_fit_its_address_is_refused(stage: &Stage) -> anyhow::Result<()> {
    stage.make_map("there", json!({}))?;
    let one = format!("{}/there", stage.maps());
    let bare = |metadata: Value| json!({"metadata": metadata});
    let elsewhere =
        "the namespace of the provided object does not match the namespace sent on the request";
    for (answer, code, reason, message) in [
        (
            stage
                .rest
                .post(&stage.maps(), &bare(json!({"name": "n", "namespace": "x"})))?,
            400,
            "BadRequest",
            elsewhere,
        ),
        (
            stage
                .rest
                .put(&one, &bare(json!({"name": "there", "namespace": "x"})))?,
            400,
            "BadRequest",
            elsewhere,
        ),
        (
            stage.rest.put(&one, &bare(json!({"name": "other"})))?,
            400,
            "BadRequest",
            "the name of the object (other) does not match the name on the URL (there)",
        ),
        (
            stage.rest.put(&one, &json!({}))?,
            400,
            "BadRequest",
            "the name of the object (there based on URL) was undeterminable: name must be provided",
        ),
        (
            stage.rest.post(
                &stage.maps(),
                &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "k"}}),
            )?,
            400,
            "BadRequest",
            "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): \
             unknown conversion",
        ),
        (
            stage.rest.post(
                "/api/v1/namespaces/none/configmaps",
                &bare(json!({"name": "n"})),
            )?,
            404,
            "NotFound",
            "namespaces \"none\" not found",
        ),
        (
            stage.rest.post(&one, &bare(json!({"name": "there"})))?,
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        (
            stage
                .rest
                .put(&stage.maps(), &bare(json!({"name": "there"})))?,
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
    ] {
        says(&answer, code, reason, message)?;
    }
    Ok(())
}

pub fn a_large_object_can_be_made(stage: &Stage) -> anyhow::Result<()> {
    // As upstream's TestCreateVeryLargeObject: many long keys, whose owners take as much room again.
    let mut object = map("large", json!({}), json!({}));
    for number in 0..9999 {
        let key = format!(
            "this-key-is-very-long-so-as-to-create-a-very-large-serialized-fieldset-{number}"
        );
        object["data"][key] = json!("A");
    }
    let made = stage.rest.post(&stage.maps(), &object)?.ok()?;
    same(
        "it is whole",
        made["data"].as_object().map_or(0, serde_json::Map::len),
        9999,
    )?;
    // More than the limit of a request is too much; little more, so that it is sent before it is refused.
    let huge = map("huge", json!({}), json!({"x": "y".repeat(3 << 20)}));
    let status = stage.rest.post(&stage.maps(), &huge)?.refused(413)?;
    same("reason", text(&status, "reason"), "RequestEntityTooLarge")?;
    // And a ConfigMap has a limit of its own.
    let big = map("big", json!({}), json!({"x": "y".repeat((1 << 20) + 1)}));
    let status = stage.rest.post(&stage.maps(), &big)?.refused(422)?;
    ensure!(
        text(&status, "message").contains("Too long: may not be more than 1048576 bytes"),
        "{status}"
    );
    // What its owners would have taken was left out.
    same("owners", managers(&made), Vec::<&str>::new())?;
    Ok(())
}
