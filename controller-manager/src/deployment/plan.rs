//! What a Deployment needs done: the state of its ReplicaSets as it should be next.
//!
//! ```text
//!  deleting ────────────> status only
//!  paused, or resized ──> sizes in proportion ──> status
//!  Recreate ────────────> old to 0 ──(their pods are gone)──> newest to full ──> status, clean-up
//!  RollingUpdate ───────> newest up │ else old down │ else clean-up ──> status
//! ```
//!
//! Each plan takes one such step from what was observed; the changes it causes lead to the next.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{annotations, sizes, status, template};
use crate::objects::meta::{Map, Meta, OwnerReference};
use crate::objects::pod::Pod;
use crate::objects::workload::{Deployment, DeploymentStatus, POD_TEMPLATE_HASH, ReplicaSet};

/// What is known about a Deployment.
pub struct Observed<'a> {
    /// The Deployment.
    pub deployment: &'a Deployment,
    /// The ReplicaSets that it manages.
    pub sets: Vec<&'a ReplicaSet>,
    /// The pods of its namespace.
    pub pods: Vec<&'a Pod>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Changes of ReplicaSets.
    pub steps: Vec<Step>,
    /// The revision that the Deployment's annotation should say.
    pub revision: Option<String>,
    /// The status, when it changed.
    pub status: Option<DeploymentStatus>,
    /// When to look again.
    pub next: Option<SignedDuration>,
    /// Whether the Deployment wrongly selects every pod.
    pub selects_everything: bool,
}

/// A change of a ReplicaSet.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Make it.
    Create {
        /// Its name.
        name: String,
        /// The object.
        object: Value,
        /// Its size.
        replicas: i64,
    },
    /// Change size, annotations or minReadySeconds.
    Change {
        /// The ReplicaSet as it was observed.
        meta: Meta,
        /// Size before and after.
        replicas: (i64, i64),
        /// The merge patch, without preconditions.
        patch: Value,
    },
    /// Delete it.
    Delete(Meta),
}

/// Plans one step.
pub fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let deployment = observed.deployment;
    if deployment.spec.selector.is_empty() {
        let mut status = deployment.status.clone();
        status.observed_generation = deployment.meta().generation;
        let status = Some(status).filter(|status| *status != deployment.status);
        return Plan {
            selects_everything: true,
            status,
            ..Plan::default()
        };
    }
    let mut work = Work::new(observed);
    let mut base = deployment.status.clone();
    let rollout = if deployment.meta().is_deleting() {
        false
    } else {
        status::note_pause(deployment, &mut base, now);
        work.name_newest(&mut base, now);
        if deployment.spec.paused || work.was_rescaled() {
            work.rescale();
            false
        } else {
            work.roll(observed, &mut base, now);
            true
        }
    };
    let newest = work.newest.map(|index| &work.sets[index]);
    let make = if rollout {
        status::of_rollout
    } else {
        status::counted
    };
    let status = make(deployment, &base, &work.sets, newest, now);
    let next = if rollout {
        status::check_again(deployment, &status, now)
    } else {
        None
    };
    Plan {
        revision: newest
            .and_then(|set| set.metadata.annotations.get(annotations::REVISION))
            .filter(|revision| {
                deployment.metadata.annotations.get(annotations::REVISION) != Some(revision)
            })
            .filter(|_| !deployment.meta().is_deleting())
            .cloned(),
        steps: work.steps(observed),
        status: Some(status).filter(|status| *status != deployment.status),
        next,
        selects_everything: false,
    }
}

/// The ReplicaSets as they should be next.
struct Work<'a> {
    deployment: &'a Deployment,
    /// By age; a new one comes last.
    sets: Vec<ReplicaSet>,
    newest: Option<usize>,
    created: bool,
    deleted: Vec<usize>,
    template: Value,
}

impl<'a> Work<'a> {
    fn new(observed: &Observed<'a>) -> Work<'a> {
        let mut sets: Vec<ReplicaSet> = observed.sets.iter().map(|set| (*set).clone()).collect();
        sets.sort_by(|a, b| {
            let key = |set: &ReplicaSet| (set.meta().creation_timestamp, set.meta().name.clone());
            key(a).cmp(&key(b))
        });
        let template = template::normal(&observed.deployment.spec.template);
        let newest = sets
            .iter()
            .position(|set| template::normal(&set.spec.template) == template);
        Work {
            deployment: observed.deployment,
            sets,
            newest,
            created: false,
            deleted: Vec::new(),
            template,
        }
    }

    fn old(&self) -> Vec<usize> {
        (0..self.sets.len())
            .filter(|index| Some(*index) != self.newest)
            .collect()
    }

    fn highest_old_revision(&self) -> i64 {
        self.old()
            .into_iter()
            .map(|index| annotations::revision(&self.sets[index]))
            .max()
            .unwrap_or(0)
    }

    /// Hands annotations and minReadySeconds on to the newest ReplicaSet, if there is one.
    fn name_newest(&mut self, base: &mut DeploymentStatus, now: Timestamp) {
        let Some(newest) = self.newest else { return };
        let highest = self.highest_old_revision();
        let set = &mut self.sets[newest];
        set.metadata.annotations =
            annotations::of_newest(self.deployment, &set.metadata.annotations, highest);
        set.spec.min_ready_seconds = self.deployment.spec.min_ready_seconds;
        if self.deployment.has_deadline() && status::condition(base, "Progressing").is_none() {
            let message = format!("Found new replica set \"{}\"", set.meta().name);
            status::set(
                base,
                status::say("Progressing", "True", "FoundNewReplicaSet", message, now),
            );
        }
    }

    /// Whether the Deployment's size changed since its ReplicaSets were last sized.
    fn was_rescaled(&self) -> bool {
        self.sets
            .iter()
            .filter(|set| set.replicas() > 0)
            .any(|set| {
                annotations::number(set, annotations::DESIRED_REPLICAS)
                    .is_some_and(|desired| desired != self.deployment.replicas())
            })
    }

    fn rescale(&mut self) {
        let old: Vec<usize> = self.old();
        let sizes = {
            let old: Vec<&ReplicaSet> = old.iter().map(|index| &self.sets[*index]).collect();
            sizes::rescale(
                self.deployment,
                self.newest.map(|index| &self.sets[index]),
                &old,
            )
        };
        for (index, size) in old.into_iter().chain(self.newest).zip(sizes) {
            let set = &mut self.sets[index];
            if size != set.replicas() || size > 0 {
                set.spec.replicas = Some(size);
                annotations::set_sizes(&mut set.metadata.annotations, self.deployment);
            }
        }
        if self.deployment.spec.paused {
            self.clean_up();
        }
    }

    fn resize(&mut self, index: usize, size: i64) -> bool {
        let set = &mut self.sets[index];
        if set.replicas() == size {
            return false;
        }
        set.spec.replicas = Some(size);
        annotations::set_sizes(&mut set.metadata.annotations, self.deployment);
        true
    }

    fn roll(&mut self, observed: &Observed<'_>, base: &mut DeploymentStatus, now: Timestamp) {
        if !self.deployment.is_rolling() {
            let mut shrunk = false;
            for index in self.old() {
                shrunk |= self.resize(index, 0);
            }
            if shrunk || self.old_pods_run(observed) {
                return;
            }
        }
        let newest = self.ensure_newest(base, now);
        if self.created {
            return;
        }
        let wanted = sizes::wanted(&self.sets);
        let present = self.sets[newest].replicas();
        let size = match present.cmp(&self.deployment.replicas()) {
            std::cmp::Ordering::Less => sizes::newest(self.deployment, wanted, present),
            _ => self.deployment.replicas(),
        };
        if self.resize(newest, size) {
            return;
        }
        if self.deployment.is_rolling() {
            let old = self.old();
            let sizes = {
                let old: Vec<&ReplicaSet> = old.iter().map(|index| &self.sets[*index]).collect();
                sizes::shrink_old(self.deployment, &self.sets[newest], &old)
            };
            let mut shrunk = false;
            for (index, size) in old.into_iter().zip(sizes) {
                shrunk |= self.resize(index, size);
            }
            if shrunk {
                return;
            }
        }
        if status::is_complete(self.deployment, &self.deployment.status) {
            self.clean_up();
        }
    }

    fn old_pods_run(&self, observed: &Observed<'_>) -> bool {
        let old = self.old();
        if old
            .iter()
            .any(|index| self.sets[*index].status.replicas > 0)
        {
            return true;
        }
        observed.pods.iter().any(|pod| {
            let owner = pod.meta().controller();
            !pod.is_terminal()
                && owner.is_some_and(|owner| {
                    old.iter()
                        .any(|index| self.sets[*index].meta().uid == owner.uid)
                })
        })
    }

    fn ensure_newest(&mut self, base: &mut DeploymentStatus, now: Timestamp) -> usize {
        if let Some(newest) = self.newest {
            return newest;
        }
        let deployment = self.deployment;
        let hash = template::hash(&self.template, deployment.status.collision_count);
        let mut set = ReplicaSet::default();
        let meta = &mut set.metadata.meta;
        meta.name = format!("{}-{hash}", deployment.meta().name);
        meta.namespace = deployment.meta().namespace.clone();
        let highest = self.highest_old_revision();
        let wanted = sizes::wanted(&self.sets);
        set.spec.replicas = Some(sizes::newest(deployment, wanted, 0));
        set.spec.min_ready_seconds = deployment.spec.min_ready_seconds;
        set.spec.selector = deployment.spec.selector.clone();
        set.spec
            .selector
            .match_labels
            .insert(POD_TEMPLATE_HASH.to_owned(), hash.clone());
        let mut template = self.template.clone();
        template["metadata"]["labels"][POD_TEMPLATE_HASH] = json!(hash);
        set.spec.template = template.into();
        set.metadata.meta.labels = set.spec.template.labels();
        set.metadata.annotations = annotations::of_newest(deployment, &Map::new(), highest);
        annotations::set_sizes(&mut set.metadata.annotations, deployment);
        if deployment.has_deadline() {
            let message = format!("Created new replica set \"{}\"", set.meta().name);
            status::set(
                base,
                status::say("Progressing", "True", "NewReplicaSetCreated", message, now),
            );
        }
        self.sets.push(set);
        self.created = true;
        let newest = self.sets.len() - 1;
        self.newest = Some(newest);
        newest
    }

    /// Forgets the oldest ReplicaSets beyond the limit that are empty.
    fn clean_up(&mut self) {
        let Some(limit) = self.deployment.spec.revision_history_limit else {
            return;
        };
        let mut old = self.old();
        old.retain(|index| !self.sets[*index].meta().is_deleting());
        let surplus = old
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(0));
        old.sort_by_key(|index| annotations::revision(&self.sets[*index]));
        self.deleted = old
            .into_iter()
            .take(surplus)
            .filter(|index| {
                let set = &self.sets[*index];
                set.status.replicas == 0
                    && set.replicas() == 0
                    && set.meta().generation <= set.status.observed_generation
            })
            .collect();
    }

    /// The differences from what was observed.
    fn steps(&self, observed: &Observed<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, set) in self.sets.iter().enumerate() {
            let meta = set.meta();
            if self.deleted.contains(&index) {
                steps.push(Step::Delete(meta.clone()));
                continue;
            }
            let Some(before) = observed
                .sets
                .iter()
                .find(|before| before.meta().uid == meta.uid)
            else {
                steps.push(Step::Create {
                    name: meta.name.clone(),
                    object: self.object(set),
                    replicas: set.replicas(),
                });
                continue;
            };
            if let Some(patch) = difference(before, set) {
                let replicas = (before.replicas(), set.replicas());
                steps.push(Step::Change {
                    meta: meta.clone(),
                    replicas,
                    patch,
                });
            }
        }
        steps
    }

    fn object(&self, set: &ReplicaSet) -> Value {
        let mut spec = json!({
            "replicas": set.replicas(),
            "selector": set.spec.selector,
            "template": set.spec.template.tree(),
        });
        if set.spec.min_ready_seconds > 0 {
            spec["minReadySeconds"] = json!(set.spec.min_ready_seconds);
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": set.meta().name,
                "namespace": set.meta().namespace,
                "labels": set.meta().labels,
                "annotations": set.metadata.annotations,
                "ownerReferences": [OwnerReference::controller("apps/v1", "Deployment", self.deployment.meta())],
            },
            "spec": spec,
        })
    }
}

fn difference(before: &ReplicaSet, after: &ReplicaSet) -> Option<Value> {
    let annotations =
        crate::objects::meta::map_patch(&before.metadata.annotations, &after.metadata.annotations);
    let mut patch = json!({});
    if !annotations.is_empty() {
        patch["metadata"]["annotations"] = Value::Object(annotations);
    }
    if before.replicas() != after.replicas() {
        patch["spec"]["replicas"] = json!(after.replicas());
    }
    if before.spec.min_ready_seconds != after.spec.min_ready_seconds {
        patch["spec"]["minReadySeconds"] =
            crate::objects::meta::unless_zero(after.spec.min_ready_seconds);
    }
    patch
        .as_object()
        .is_some_and(|patch| !patch.is_empty())
        .then_some(patch)
}
