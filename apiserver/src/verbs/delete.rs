//! Delete: preconditions, grace, finalizers, and what becomes of dependents.
//!
//! ```text
//!            ┌─ grace > 0 ──────────> marked; removed when its kubelet says so (grace 0)
//!  delete ───┼─ finalizers ─────────> marked; removed when the last finalizer goes
//!            ├─ namespace ──────────> Terminating; removed when spec.finalizers are empty
//!            └─ otherwise ──────────> removed
//! ```

use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::Status;
use futures::{FutureExt, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::allocation::World;
use super::change::{Current, Outcome, Step};
use super::effects::Effects;
use super::metadata::{meta_text, metadata, seconds};
use super::options::Propagation;
use super::{Answer, Api, Call, DeleteOptions, ListOptions, Page, Target, errors};
use crate::admission;
use crate::resources;

/// The finalizer of an object whose dependents lose it as their owner first.
const ORPHAN: &str = "orphan";
/// The finalizer of an object whose dependents are deleted first.
const FOREGROUND: &str = "foregroundDeletion";
/// How many objects of a collection are deleted at the same time.
const AT_ONCE: usize = 16;

impl Api {
    /// Deletes an object, or marks it as being deleted.
    pub async fn delete(
        &self,
        call: &Call,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        if !target.subresource.is_empty() {
            return Err(Status::method_not_allowed());
        }
        admission::check_delete(&target.resource, &target.name)?;
        warn(call, target, options);
        self.delete_one(call, target, options).await
    }

    async fn delete_one(
        &self,
        call: &Call,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        let mut plan = |current: Option<&Current>, world: &World| {
            let current =
                current.ok_or_else(|| errors::not_found(&target.resource, &target.name))?;
            self.plan_delete(target, options, current, world)
        };
        let answer = match self
            .change(call, target, options.dry_run, &mut plan)
            .await?
        {
            Outcome::Removed(answer) if !answers_object(&target.resource) => {
                success(target, answer)
            }
            outcome => outcome.answer(),
        };
        self.shown(&target.resource, answer)
    }

    pub(super) fn plan_delete(
        &self,
        target: &Target,
        options: &DeleteOptions,
        current: &Current,
        world: &World,
    ) -> Result<Step, Status> {
        let resource = &target.resource;
        check_preconditions(resource, options, current)?;
        let mut new = current.value.clone();
        metadata(&mut new).remove("resourceVersion");
        match end(&mut new, resource, options, world.now) {
            End::AsItIs => Ok(Step::Keep),
            End::Later => Ok(Step::Put(new, Effects::default())),
            End::Now => {
                let effects = self.effects(target, Some(&current.value), None, world)?;
                Ok(Step::Remove(new, effects))
            }
        }
    }

    /// Deletes every object that is selected, and answers with them as they were. With a limit it is a
    /// page of them, and the answer says where to go on.
    pub async fn delete_collection(
        &self,
        call: &Call,
        target: &Target,
        options: &DeleteOptions,
        list: &ListOptions,
    ) -> Result<Page, Status> {
        warn(call, target, options);
        let page = self.list(call, target, list).await?;
        let mut deletions = Vec::with_capacity(page.items.len());
        for stored in &page.items {
            let target = Target {
                namespace: stored.header.namespace.to_string(),
                ..target.named(&stored.header.name)
            };
            deletions.push(self.delete_listed(call, target, options).boxed());
        }
        let revision = futures::stream::iter(deletions)
            .buffer_unordered(AT_ONCE)
            .try_fold(page.revision, async |latest, revision| {
                Ok(latest.max(revision))
            })
            .await?;
        Ok(Page { revision, ..page })
    }

    /// Deletes an object of a list, which may be gone by now; answers with the revision.
    async fn delete_listed(
        &self,
        call: &Call,
        target: Target,
        options: &DeleteOptions,
    ) -> Result<i64, Status> {
        match self.delete_one(call, &target, options).await {
            Ok(answer) => Ok(answer.revision),
            Err(status) if status.is_not_found() => Ok(0),
            Err(status) => Err(status),
        }
    }
}

/// Tells a client what becomes of the dependents that it says nothing about.
fn warn(call: &Call, target: &Target, options: &DeleteOptions) {
    let warning = resources::rules_for(&target.resource).warning_of_delete();
    if let Some(warning) = warning.filter(|_| options.propagation.is_none()) {
        call.warn(warning);
    }
}

/// Kinds whose deletion is answered with the object itself.
fn answers_object(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_ref(), resource.plural.as_ref()),
        (
            "",
            "pods"
                | "services"
                | "serviceaccounts"
                | "resourcequotas"
                | "replicationcontrollers"
                | "persistentvolumes"
                | "persistentvolumeclaims"
                | "podtemplates"
        ) | ("storage.k8s.io" | "resource.k8s.io", _)
    )
}

/// The Status that answers the removal of an object.
fn success(target: &Target, removed: Answer) -> Answer {
    let object: Value = serde_json::from_slice(&removed.bytes).unwrap_or_default();
    let mut details = json!({
        "name": target.name,
        "kind": target.resource.plural,
        "uid": object["metadata"]["uid"],
    });
    if !target.resource.group.is_empty() {
        details["group"] = target.resource.group.as_ref().into();
    }
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    });
    Answer::other(&status, removed.revision)
}

fn check_preconditions(
    resource: &Resource,
    options: &DeleteOptions,
    current: &Current,
) -> Result<(), Status> {
    let (uid, revision) = (
        meta_text(&current.value, "uid"),
        current.stored.revision.to_string(),
    );
    let uid = options
        .uid
        .as_deref()
        .filter(|wanted| *wanted != uid)
        .map(|wanted| ("UID", wanted, uid, "deleted and then recreated"));
    let version = options
        .resource_version
        .as_deref()
        .filter(|wanted| *wanted != revision)
        .map(|wanted| ("ResourceVersion", wanted, &*revision, "modified"));
    let Some((what, wanted, found, perhaps)) = uid.or(version) else {
        return Ok(());
    };
    let name = &current.stored.header.name;
    if is_namespaces(resource) {
        let why = format!(
            "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
        );
        return Err(errors::conflict(resource, name, why));
    }
    let why = format!(
        "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). \
         The object might have been {perhaps}"
    );
    // Upstream names the kind here, not the resource.
    let (group, kind) = (&resource.group, &resource.kind);
    Err(Status::conflict(group, kind, name, why))
}

/// What becomes of an object that is deleted.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It ends already, and not later than asked.
    AsItIs,
    /// It is marked; somebody else removes it, or lets it go.
    Later,
    /// Nothing holds it.
    Now,
}

fn end(new: &mut Value, resource: &Resource, options: &DeleteOptions, now: Timestamp) -> End {
    if is_namespaces(resource) {
        if meta_text(new, "deletionTimestamp").is_empty() {
            terminate_namespace(new, options, now);
            return End::Later;
        }
        if has_items(&new["spec"]["finalizers"]) {
            return End::AsItIs;
        }
    }
    let asked = options
        .grace
        .map(|seconds| if seconds < 0 { 1 } else { seconds });
    let graceful = match grace(new, resource, asked, now) {
        Grace::AlreadyEnding => return End::AsItIs,
        Grace::Marked => true,
        Grace::None => false,
    };
    set_finalizers(new, default_propagation(resource), options.propagation);
    let held = has_items(&new["metadata"]["finalizers"]);
    if graceful && (held || new["metadata"]["deletionGracePeriodSeconds"] != 0) {
        return End::Later;
    }
    if held {
        mark(new, now);
        return End::Later;
    }
    End::Now
}

fn is_namespaces(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.plural == "namespaces"
}

fn has_items(list: &Value) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

fn terminate_namespace(new: &mut Value, options: &DeleteOptions, now: Timestamp) {
    metadata(new).insert("deletionTimestamp".into(), seconds(now).into());
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    new["status"]["phase"] = "Terminating".into();
    set_finalizers(new, Some(Propagation::Background), options.propagation);
}

enum Grace {
    /// The kind ends at once.
    None,
    /// The object ends already, and not later than asked.
    AlreadyEnding,
    /// The object has got its time and its grace now.
    Marked,
}

/// Marks an object whose kind takes time to end. A grace that runs may only become shorter.
fn grace(new: &mut Value, resource: &Resource, asked: Option<i64>, now: Timestamp) -> Grace {
    let rules = resources::rules_for(resource);
    let Some(mut period) = rules.grace_period(new, asked) else {
        return Grace::None;
    };
    let running = new["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let since = new["metadata"]["deletionTimestamp"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let Some(since) = since else {
        if let Some(generation) = new["metadata"]["generation"]
            .as_i64()
            .filter(|number| *number > 0)
        {
            new["metadata"]["generation"] = (generation + 1).into();
        }
        if period < 0 {
            period = 1;
        }
        set_deletion(new, now + SignedDuration::from_secs(period), period);
        return Grace::Marked;
    };
    match (running, asked) {
        // Grace 0 and still there: finalizers hold it, or a removal was lost.
        (None | Some(0), _) => Grace::None,
        (Some(running), Some(asked)) if asked < running => {
            set_deletion(
                new,
                since + SignedDuration::from_secs(asked - running),
                asked,
            );
            Grace::Marked
        }
        _ => Grace::AlreadyEnding,
    }
}

fn set_deletion(new: &mut Value, when: Timestamp, period: i64) {
    let metadata = metadata(new);
    metadata.insert("deletionTimestamp".into(), seconds(when).into());
    metadata.insert("deletionGracePeriodSeconds".into(), period.into());
}

/// Marks an object that only its finalizers keep.
fn mark(new: &mut Value, now: Timestamp) {
    let metadata = metadata(new);
    let first = metadata.get("deletionTimestamp").is_none_or(Value::is_null);
    let later = || {
        let when = metadata.get("deletionTimestamp").and_then(Value::as_str);
        when.and_then(|text| text.parse::<Timestamp>().ok())
            .is_some_and(|when| when > now)
    };
    let set = first || later();
    if set {
        metadata.insert("deletionTimestamp".into(), seconds(now).into());
    }
    metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
    if first
        && let Some(generation) = metadata.get("generation").and_then(Value::as_i64)
        && generation > 0
    {
        metadata.insert("generation".into(), (generation + 1).into());
    }
}

/// What becomes of dependents when neither the request nor the object says. `None` for kinds that
/// never have any, whatever is asked.
fn default_propagation(resource: &Resource) -> Option<Propagation> {
    match (resource.group.as_ref(), resource.plural.as_ref()) {
        ("batch", "jobs") | ("", "replicationcontrollers") => Some(Propagation::Orphan),
        ("" | "events.k8s.io", "events") => None,
        _ => Some(Propagation::Background),
    }
}

/// Records the wanted propagation as upstream's finalizers; the other finalizers stay.
fn set_finalizers(new: &mut Value, default: Option<Propagation>, asked: Option<Propagation>) {
    let metadata = metadata(new);
    let old: Vec<Value> = metadata
        .get("finalizers")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let has = |name: &str| old.iter().any(|finalizer| finalizer == name);
    let recorded = || {
        let known = old.iter().filter_map(Value::as_str);
        known
            .filter_map(|name| match name {
                ORPHAN => Some(Propagation::Orphan),
                FOREGROUND => Some(Propagation::Foreground),
                _ => None,
            })
            .next()
    };
    let wanted = default.map(|default| asked.or_else(recorded).unwrap_or(default));
    let wanted = match wanted {
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Background) | None => None,
    };
    let same = [ORPHAN, FOREGROUND]
        .iter()
        .all(|name| has(name) == (wanted == Some(*name)));
    if same {
        return;
    }
    let others = |finalizer: &&Value| **finalizer != ORPHAN && **finalizer != FOREGROUND;
    let mut finalizers: Vec<Value> = old.iter().filter(others).cloned().collect();
    finalizers.extend(wanted.map(Value::from));
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), finalizers.into());
    }
}

#[cfg(test)]
mod tests;
