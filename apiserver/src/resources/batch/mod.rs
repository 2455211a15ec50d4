//! Rules of Jobs and CronJobs, whose pods run until they are done.

mod cron_job;
mod indexes;
mod schedule;
mod status;
#[cfg(test)]
mod tests;
mod validation;

use ferrule_apimachinery::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use super::pod::{defaults, warnings};
use super::table::{self, Column, Row, or_none};
use super::tree::{Tree, child, fill, fill_unset, items_mut, set};
use super::workload::containers_and_images;
use super::{Context, Rules, Strategy, meta, selector};

pub use cron_job::CronJob;

/// Rules of Jobs.
pub struct Job;

const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::text("Status", "Whether it runs, or how it ended."),
    Column::text("Completions", "Pods that succeeded, of those that must."),
    Column::text("Duration", "How long it has run."),
    Column::AGE,
    Column::text("Containers", "Names of the template's containers.").wide(),
    Column::text("Images", "Images of the template's containers.").wide(),
    Column::text("Selector", "Which pods belong to it.").wide(),
];

/// The labels by which the pods of a Job are known, with those that they had before.
const UID_LABELS: [&str; 2] = [UID_LABEL, "controller-uid"];
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];
const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";

impl Rules for Job {
    fn default(&self, object: &mut Value) {
        let labels = template_labels(object).clone();
        let Some(spec) = child(object, "spec") else {
            return;
        };
        if !spec.has("completions") && !spec.has("parallelism") {
            set(spec, "completions", 1);
        }
        fill(spec, "parallelism", 1);
        let retries = match spec.has("backoffLimitPerIndex") {
            true => i64::from(i32::MAX),
            false => 6,
        };
        fill(spec, "backoffLimit", retries);
        fill(spec, "completionMode", "NonIndexed");
        fill(spec, "suspend", false);
        fill(spec, "manualSelector", false);
        default_failure_policy(spec);
        let replaced = match spec.has("podFailurePolicy") {
            true => "Failed",
            false => "TerminatingOrFailed",
        };
        fill(spec, "podReplacementPolicy", replaced);
        if let Some(template) = child(spec, "template") {
            defaults::default_template(template);
        }
        default_labels(object, labels);
    }

    fn prepare_create(&self, new: &mut Value, _context: &Context<'_>) {
        if !new.at("spec").flag("manualSelector") {
            generate_selector(new);
        }
        let labels = template_labels(new).clone();
        default_labels(new, labels);
        self.strategy().begin(new);
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_create(new).into_errors()
    }

    fn strategy(&self) -> Strategy {
        Strategy::BOTH
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        validation::validate_update(new, old).into_errors()
    }

    fn validate_status(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        status::validate(&mut out, new, old);
        out.into_errors()
    }

    fn warnings(&self, new: &Value, old: Option<&Value>) -> Vec<String> {
        warnings::of_workload(new, old)
    }

    fn warning_of_delete(&self) -> Option<&'static str> {
        Some(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
             them or set propagationPolicy=Orphan to suppress this warning",
        )
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, object: &Value, now: Timestamp) -> Row {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let [containers, images] = containers_and_images(spec.at("template"));
        vec![
            table::name(object),
            state(object).into(),
            completions(spec, status).into(),
            duration(status, now).into(),
            table::age(object, now),
            containers,
            images,
            or_none(&selector::to_text(spec.at("selector"))).into(),
        ]
        .into()
    }
}

fn template_labels(object: &Value) -> &Value {
    object.at("spec").at("template").at("metadata").at("labels")
}

/// A Job without labels has those of its pods.
fn default_labels(object: &mut Value, labels: Value) {
    let some = |value: &Value| value.as_object().is_some_and(|map| !map.is_empty());
    if let Some(metadata) = child(object, "metadata")
        && some(&labels)
        && !some(metadata.at("labels"))
    {
        set(metadata, "labels", labels);
    }
}

fn default_failure_policy(spec: &mut Value) {
    let Some(policy) = spec.get_mut("podFailurePolicy") else {
        return;
    };
    for rule in items_mut(policy, "rules") {
        for condition in items_mut(rule, "onPodConditions") {
            fill_unset(condition, "status", "True");
        }
    }
}

/// Labels the template with the Job's name and uid, and selects the uid.
fn generate_selector(job: &mut Value) {
    let metadata = job.at("metadata");
    let [uid, name] = ["uid", "name"].map(|field| metadata.text(field).to_owned());
    let Some(spec) = child(job, "spec") else {
        return;
    };
    if let Some(template) = child(spec, "template")
        && let Some(metadata) = child(template, "metadata")
        && let Some(labels) = child(metadata, "labels")
    {
        NAME_LABELS
            .iter()
            .for_each(|label| fill(labels, label, name.clone()));
        UID_LABELS
            .iter()
            .for_each(|label| fill(labels, label, uid.clone()));
    }
    if let Some(selector) = child(spec, "selector")
        && let Some(labels) = child(selector, "matchLabels")
    {
        fill(labels, UID_LABEL, uid);
    }
}

/// Whether a condition of this type is true.
fn is_true(job: &Value, kind: &str) -> bool {
    let conditions = job.at("status").items("conditions");
    conditions
        .iter()
        .any(|condition| condition.text("type") == kind && condition.text("status") == "True")
}

fn state(job: &Value) -> &'static str {
    let ended = ["Complete", "Failed"].into_iter();
    let open = ["Suspended", "FailureTarget", "SuccessCriteriaMet"].into_iter();
    let deleted = job.at("metadata").has("deletionTimestamp");
    ended
        .filter(|kind| is_true(job, kind))
        .chain(deleted.then_some("Terminating"))
        .chain(open.filter(|kind| is_true(job, kind)))
        .next()
        .unwrap_or("Running")
}

fn completions(spec: &Value, status: &Value) -> String {
    let done = status.int("succeeded");
    match (spec.opt_int("completions"), spec.int("parallelism")) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

fn duration(status: &Value, now: Timestamp) -> String {
    let time = |name: &str| status.text(name).parse::<Timestamp>().ok();
    time("startTime").map_or_else(String::new, |start| {
        let end = time("completionTime").unwrap_or(now);
        table::human_duration(end.duration_since(start).as_secs_f64())
    })
}
