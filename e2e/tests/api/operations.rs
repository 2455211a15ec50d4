//! Every built-in kind through every verb that it has, as upstream's tests "should support … API operations" do
//! kind by kind.

use anyhow::{Context, bail, ensure};
use ferrule_e2e::rest::{Answer, Rest};
use ferrule_e2e::wait::{seconds, until};
use serde_json::{Value, json};

use crate::discovery;
use crate::kinds::{Sample, sample};
use crate::stage::{
    Stage, at, includes, items, names, revision, same, text, within, without_owners,
};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A resource as it is played with.
struct Kind<'a> {
    stage: &'a Stage<'a>,
    version: String,
    /// As discovery tells it.
    resource: Value,
    parts: Vec<String>,
}

impl Kind<'_> {
    fn name(&self) -> &str {
        text(&self.resource, "name")
    }

    fn can(&self, verb: &str) -> bool {
        let verbs = self.resource["verbs"].as_array();
        verbs.into_iter().flatten().any(|own| own == verb)
    }

    fn namespaced(&self) -> bool {
        self.resource["namespaced"] == true
    }

    fn rest(&self) -> &Rest {
        &self.stage.rest
    }

    fn collection(&self) -> String {
        let namespace = self.namespaced().then_some(&*self.stage.namespace);
        within(&self.version, namespace, self.name())
    }

    /// A sample with kind, version and the label of this test.
    fn sample(&self, number: usize) -> anyhow::Result<Sample> {
        let name = format!("sample-{number}");
        let name = if self.namespaced() {
            name
        } else {
            format!("{}-{name}", self.stage.namespace)
        };
        let mut sample = sample(&self.version, self.name(), &self.stage.namespace, &name)
            .with_context(|| {
                format!("kinds.rs has no sample of {} {}", self.version, self.name())
            })?;
        let object = &mut sample.object;
        object["kind"] = self.resource["kind"].clone();
        object["apiVersion"] = json!(self.version);
        object["metadata"]["labels"] = json!({"e2e": self.stage.namespace});
        Ok(sample)
    }

    fn selector(&self) -> String {
        format!("labelSelector=e2e%3D{}", self.stage.namespace)
    }

    fn path_of(&self, object: &Value) -> String {
        format!("{}/{}", self.collection(), text(object, "metadata.name"))
    }

    /// Reads, changes and replaces, until nobody else has written in between.
    fn replace(
        &self,
        path: &str,
        read: &str,
        change: impl Fn(&mut Value),
    ) -> anyhow::Result<Value> {
        for _ in 0..20 {
            let mut object = self.rest().get(read)?.ok()?;
            change(&mut object);
            let answer = self.rest().put(path, &object)?;
            if answer.code != 409 {
                return answer.ok();
            }
        }
        bail!("{path}: always a conflict")
    }

    fn play(&self) -> anyhow::Result<()> {
        let before = self
            .rest()
            .get(&format!("{}?limit=1", self.collection()))?
            .ok()?;
        let watch = format!("{}?watch=true&{}", self.collection(), self.selector());
        let watch = format!("{watch}&resourceVersion={}", revision(&before));
        let watch = self.rest().watch(&watch)?;

        let Sample { object, status } = self.sample(1)?;
        let answer = self.rest().post(&self.collection(), &object)?;
        same("created", answer.code, 201)?;
        let made = answer.ok()?;
        same("kind", text(&made, "kind"), text(&object, "kind"))?;
        same("version", text(&made, "apiVersion"), self.version.as_str())?;
        let uid = text(&made, "metadata.uid").to_owned();
        let path = self.path_of(&made);
        self.refuses(&object, &path)?;
        self.reads(&path, &uid)?;

        let patch = json!({"metadata": {"annotations": {"patched": "true"}}});
        let kind = if self.can("patch") {
            "merge"
        } else {
            bail!("it cannot be patched")
        };
        let patched = self.rest().patch(kind, &path, &patch)?.ok()?;
        same(
            "patched",
            text(&patched, "metadata.annotations.patched"),
            "true",
        )?;
        let updated = self.replace(&path, &path, |object| {
            object["metadata"]["annotations"]["updated"] = json!("true");
        })?;
        same(
            "updated",
            text(&updated, "metadata.annotations.updated"),
            "true",
        )?;
        same(
            "patched before",
            text(&updated, "metadata.annotations.patched"),
            "true",
        )?;
        let apply = json!({
            "apiVersion": self.version, "kind": object["kind"],
            "metadata": {"name": made["metadata"]["name"], "annotations": {"applied": "true"}},
        });
        let query = format!("{path}?fieldManager=applier");
        let applied = self.rest().patch("apply", &query, &apply)?.ok()?;
        same(
            "applied",
            text(&applied, "metadata.annotations.applied"),
            "true",
        )?;
        self.encodings(&path)?;
        self.parts(&path, status)?;

        let deleted = self.rest().delete(&path)?.ok()?;
        ensure!(
            matches!(text(&deleted, "kind"), "Status") || text(&deleted, "metadata.uid") == uid,
            "{deleted}"
        );
        self.is_gone(&path, &uid)?;
        self.watched(&watch, &uid)?;
        self.collection_goes()
    }

    /// What must not work, of an object that is there.
    fn refuses(&self, object: &Value, path: &str) -> anyhow::Result<()> {
        let status = self.rest().post(&self.collection(), object)?.refused(409)?;
        same("reason", text(&status, "reason"), "AlreadyExists")?;
        let status = self
            .rest()
            .get(&format!("{}/none-such", self.collection()))?
            .refused(404)?;
        let (group, _) = self.version.rsplit_once('/').unwrap_or_default();
        let mut details = json!({"name": "none-such", "kind": self.name(), "group": group});
        if group.is_empty() {
            details.as_object_mut().context("details")?.remove("group");
        }
        same("details", &status["details"], &details)?;
        let mut faulty = self.sample(9)?.object;
        faulty["unknownField"] = json!("x");
        let strict = format!("{}?fieldValidation=Strict", self.collection());
        let status = self.rest().post(&strict, &faulty)?.refused(400)?;
        let fault = "strict decoding error: unknown field \"unknownField\"";
        ensure!(text(&status, "message").ends_with(fault), "{status}");
        let mut nameless = object.clone();
        nameless["metadata"] = json!({});
        self.rest()
            .post(&self.collection(), &nameless)?
            .refused(422)?;
        let mut stale = self.rest().get(path)?.ok()?;
        stale["metadata"]["resourceVersion"] = json!("1");
        let status = self.rest().put(path, &stale)?.refused(409)?;
        same("reason", text(&status, "reason"), "Conflict")?;
        stale["metadata"]["name"] = json!("other");
        self.rest().put(path, &stale)?.refused(400)?;
        let other = json!({"preconditions": {"uid": "11111111-1111-1111-1111-111111111111"}});
        self.rest()
            .request("DELETE", path)
            .json(&other)
            .send()?
            .refused(409)?;
        let media = self
            .rest()
            .request("PATCH", path)
            .body("application/json", "{}")
            .send()?;
        media.refused(415)?;
        let unknown = self.rest().get(&format!(
            "{}?fieldSelector=no.such%3Dfield",
            self.collection()
        ))?;
        let status = unknown.refused(400)?;
        ensure!(
            ["is not a known field selector", "field label not supported"]
                .iter()
                .any(|words| text(&status, "message").contains(words)),
            "{status}"
        );
        Ok(())
    }

    fn reads(&self, path: &str, uid: &str) -> anyhow::Result<()> {
        let read = self.rest().get(path)?.ok()?;
        same("read", text(&read, "metadata.uid"), uid)?;
        let mut lists = vec![self.collection()];
        if self.namespaced() {
            lists.push(within(&self.version, None, self.name()));
        }
        let name = text(&read, "metadata.name");
        for list in lists {
            for query in [
                self.selector(),
                format!("fieldSelector=metadata.name%3D{name}&{}", self.selector()),
            ] {
                let list = self.rest().get(&format!("{list}?{query}"))?.ok()?;
                same("listed", names(&list), [name])?;
                let kind = format!("{}List", text(&self.resource, "kind"));
                same("kind of the list", text(&list, "kind"), kind.as_str())?;
                same(
                    "version of the list",
                    text(&list, "apiVersion"),
                    self.version.as_str(),
                )?;
                same(
                    "items do not repeat it",
                    at(&items(&list)[0], "kind"),
                    &Value::Null,
                )?;
            }
            let none = format!(
                "{list}?{}&fieldSelector=metadata.name%3Dother",
                self.selector()
            );
            same(
                "none",
                names(&self.rest().get(&none)?.ok()?),
                Vec::<&str>::new(),
            )?;
        }
        Ok(())
    }

    /// The same object in the other encodings, there and back.
    fn encodings(&self, path: &str) -> anyhow::Result<()> {
        for media in [PROTOBUF, "application/yaml"] {
            let back = |_: ()| -> anyhow::Result<(Answer, Answer)> {
                let read = self.rest().request("GET", path).accept(media).send()?;
                same(media, read.header("content-type"), media)?;
                let write = self
                    .rest()
                    .request("PUT", &format!("{path}?dryRun=All&fieldValidation=Strict"));
                let written = write.body(media, read.body.clone()).send()?;
                Ok((read, written))
            };
            let (mut read, mut written) = back(())?;
            for _ in 0..20 {
                if written.code != 409 {
                    break;
                }
                (read, written) = back(())?;
            }
            if media == PROTOBUF {
                ensure!(read.body.starts_with(b"k8s\0"), "{media}: no envelope");
            }
            let written = written.ok().context(media)?;
            // It went there and back when nothing was changed by it.
            let now = self.rest().get(path)?.ok()?;
            if revision(&now) == revision(&written) {
                same(media, without_owners(written), without_owners(now))?;
            }
        }
        Ok(())
    }

    fn parts(&self, path: &str, status: Option<Value>) -> anyhow::Result<()> {
        if !self.parts.iter().any(|part| part == "status") {
            same("a sample of a status that it has not", status, None)?;
            return Ok(());
        }
        let status =
            status.with_context(|| format!("kinds.rs has no status of {}", self.name()))?;
        let part = format!("{path}/status");
        let read = self.rest().get(&part)?.ok()?;
        same("kind", text(&read, "kind"), text(&self.resource, "kind"))?;
        let patched = self
            .rest()
            .patch("merge", &part, &json!({"status": status}))?
            .ok()?;
        includes("patched status", &patched["status"], &status)?;
        let replaced = self.replace(&part, &part, |object| {
            for (field, value) in status.as_object().into_iter().flatten() {
                object["status"][field] = value.clone();
            }
        })?;
        includes("replaced status", &replaced["status"], &status)?;
        // By the main resource, the status cannot be written.
        let foreign = json!({"status": {"conditions": [{"type": "Forged"}], "message": "forged"}});
        let query = format!("{path}?fieldValidation=Ignore");
        let same_status = self.rest().patch("merge", &query, &foreign)?;
        if same_status.code == 200 {
            let now = same_status.ok()?;
            ensure!(
                !now["status"].to_string().to_lowercase().contains("forged"),
                "{now}"
            );
        }
        Ok(())
    }

    fn is_gone(&self, path: &str, uid: &str) -> anyhow::Result<()> {
        until("it is gone", seconds(60), || {
            let answer = self.rest().get(path)?;
            if answer.code == 200 {
                let object = answer.ok()?;
                if text(&object, "metadata.uid") != uid {
                    return Ok(());
                }
                anyhow::bail!("{answer}");
            }
            answer.refused(404).map(drop)
        })
    }

    /// What a watch told of an object: it came, it changed, it went.
    fn watched(&self, watch: &ferrule_e2e::rest::Watch, uid: &str) -> anyhow::Result<()> {
        let (mut kinds, mut seen) = (Vec::new(), Vec::new());
        loop {
            let event = watch.next()?.context("the watch has ended")?;
            if text(&event, "object.metadata.uid") != uid {
                continue;
            }
            let kind = text(&event, "type").to_owned();
            let annotations = &event["object"]["metadata"]["annotations"];
            for mark in ["patched", "updated", "applied"] {
                if annotations[mark] == "true" && !seen.contains(&mark) {
                    seen.push(mark);
                }
            }
            kinds.push(kind.clone());
            if kind == "DELETED" {
                break;
            }
        }
        same("first", kinds.first().map(String::as_str), Some("ADDED"))?;
        let changed = kinds.iter().filter(|kind| *kind == "MODIFIED").count();
        ensure!(changed >= 3 && kinds.len() == changed + 2, "{kinds:?}");
        same(
            "its changes in their order",
            seen,
            ["patched", "updated", "applied"],
        )
    }

    fn collection_goes(&self) -> anyhow::Result<()> {
        let mut made = Vec::new();
        for number in [2, 3] {
            let object = self
                .rest()
                .post(&self.collection(), &self.sample(number)?.object)?
                .ok()?;
            made.push((
                self.path_of(&object),
                text(&object, "metadata.uid").to_owned(),
            ));
        }
        if self.can("deletecollection") {
            let query = format!("{}?{}", self.collection(), self.selector());
            self.rest().delete(&query)?.ok()?;
        } else {
            self.rest().delete(&self.collection())?.refused(405)?;
            for (path, _) in &made {
                self.rest().delete(path)?.ok()?;
            }
        }
        for (path, uid) in &made {
            self.is_gone(path, uid)?;
        }
        Ok(())
    }
}

pub fn every_kind_supports_its_operations(stage: &Stage) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    let mut played = 0;
    for version in discovery::versions(stage)? {
        let resources = stage.rest.get(&discovery::root(&version))?.ok()?;
        let resources = resources["resources"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for resource in &resources {
            let name = text(resource, "name");
            let prefix = format!("{name}/");
            let parts = resources
                .iter()
                .filter_map(|other| text(other, "name").strip_prefix(&prefix));
            let kind = Kind {
                stage,
                version: version.clone(),
                resource: resource.clone(),
                parts: parts.map(str::to_owned).collect(),
            };
            if name.contains('/') || !kind.can("create") || !kind.can("get") {
                continue;
            }
            played += 1;
            if let Err(error) = kind.play() {
                faults.push(format!("{version} {name}: {error:#}"));
            }
        }
    }
    ensure!(played >= 60, "only {played} kinds");
    ensure!(
        faults.is_empty(),
        "{} of {played} kinds:\n{}",
        faults.len(),
        faults.join("\n")
    );
    Ok(())
}

pub fn what_is_not_kept_is_answered_only(stage: &Stage) -> anyhow::Result<()> {
    let attributes = json!({"verb": "get", "resource": "pods"});
    let user = json!({"user": "somebody", "resourceAttributes": attributes});
    let mut local = user.clone();
    local["resourceAttributes"]["namespace"] = json!(stage.namespace);
    for (version, resource, spec) in [
        (
            "authorization.k8s.io/v1",
            "selfsubjectaccessreviews",
            json!({"resourceAttributes": attributes}),
        ),
        ("authorization.k8s.io/v1", "subjectaccessreviews", user),
        (
            "authorization.k8s.io/v1",
            "localsubjectaccessreviews",
            local,
        ),
        (
            "authorization.k8s.io/v1",
            "selfsubjectrulesreviews",
            json!({"namespace": stage.namespace}),
        ),
        (
            "authentication.k8s.io/v1",
            "selfsubjectreviews",
            Value::Null,
        ),
    ] {
        let path = if resource.starts_with("local") {
            stage.of(version, resource)
        } else {
            within(version, None, resource)
        };
        let answer = stage.rest.post(&path, &json!({"spec": spec}))?;
        same(resource, answer.code, 201)?;
        let review = answer.ok()?;
        ensure!(review["status"].is_object(), "{resource}: {review}");
        same(resource, at(&review, "metadata.uid"), &Value::Null)?;
        for method in ["GET", "DELETE"] {
            stage.rest.request(method, &path).send()?.refused(405)?;
        }
    }
    let own = stage
        .rest
        .post(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            &json!({}),
        )?
        .ok()?;
    same(
        "who",
        text(&own, "status.userInfo.username"),
        "kubernetes-admin",
    )
}
