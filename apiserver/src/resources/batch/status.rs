//! What the status of a Job may say. What is wrong already may stay as it is.

use std::collections::HashSet;

use ferrule_apimachinery::field::BadValue;
use jiff::Timestamp;
use serde_json::Value;

use super::{indexes, is_true};
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{Tree, same};

/// A Job, and whether parts of it are not what they were.
struct Change<'a> {
    new: &'a Value,
    old: &'a Value,
}

impl Change<'_> {
    fn of(&self, fields: &[&str]) -> bool {
        let (after, before) = (self.new.at("status"), self.old.at("status"));
        fields
            .iter()
            .any(|name| !same(after.at(name), before.at(name)))
    }

    fn condition(&self, kinds: &[&str]) -> bool {
        kinds
            .iter()
            .any(|kind| is_true(self.new, kind) != is_true(self.old, kind))
    }

    fn finished(&self) -> bool {
        is_finished(self.new) != is_finished(self.old)
    }
}

fn is_finished(job: &Value) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
}

pub(super) fn validate(out: &mut Problems, new: &Value, old: &Value) {
    let (path, status) = (Path::new("status"), new.at("status"));
    for name in ["active", "succeeded", "failed", "ready", "terminating"] {
        out.non_negative(&path.child(name), status.int(name));
    }
    validate_uncounted(out, &path.child("uncountedTerminatedPods"), status);
    let change = Change { new, old };
    validate_conditions(out, &path.child("conditions"), &change);
    validate_times(out, &path, &change);
    validate_counts(out, &path, &change);
    validate_indexes(out, &path, &change);
    validate_history(out, &path, &change);
}

fn validate_uncounted(out: &mut Problems, path: &Path, status: &Value) {
    let mut seen = HashSet::new();
    for name in ["succeeded", "failed"] {
        let pods = status.at("uncountedTerminatedPods").items(name);
        for (i, uid) in pods.iter().enumerate() {
            let (at, uid) = (path.child(name).index(i), uid.as_str().unwrap_or_default());
            if uid.is_empty() {
                out.invalid(&at, uid, "must not be empty");
            } else if !seen.insert(uid) {
                out.duplicate(&at, uid);
            }
        }
    }
}

fn validate_conditions(out: &mut Problems, path: &Path, change: &Change<'_>) {
    let is = |kind: &str| is_true(change.new, kind);
    let mut refuse = |detail: &str| out.invalid(path, BadValue::Omitted, detail);
    let changed = |kinds: &[&str]| change.condition(kinds);
    if changed(&["Complete", "Failed"]) && is("Complete") && is("Failed") {
        refuse("cannot set Complete=True and Failed=true conditions");
    }
    if changed(&["Complete", "FailureTarget"]) && is("Complete") && is("FailureTarget") {
        refuse("cannot set Complete=True and FailureTarget=true conditions");
    }
    if changed(&["Failed", "FailureTarget"]) && is("Failed") && !is("FailureTarget") {
        refuse("cannot set Failed=True condition without the FailureTarget=true condition");
    }
    if changed(&["Complete", "SuccessCriteriaMet"]) && is("Complete") && !is("SuccessCriteriaMet") {
        refuse("cannot set Complete=True condition without the SuccessCriteriaMet=true condition");
    }
    if is("SuccessCriteriaMet") && is("Failed") {
        refuse("cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if is("SuccessCriteriaMet") && is("FailureTarget") {
        refuse("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    }
    let policy = change.new.at("spec").has("successPolicy");
    if policy && is("Complete") && !is("SuccessCriteriaMet") {
        refuse(
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        );
    }
}

fn validate_times(out: &mut Problems, path: &Path, change: &Change<'_>) {
    let (status, complete) = (change.new.at("status"), is_true(change.new, "Complete"));
    let at = path.child("completionTime");
    let (start, end) = (status.at("startTime"), status.at("completionTime"));
    if change.condition(&["Complete"]) || change.of(&["completionTime"]) {
        if !end.is_null() && !complete {
            let detail = "cannot set completionTime when there is no Complete=True condition";
            out.invalid(&at, end, detail);
        }
        if end.is_null() && complete {
            out.required(&at, "completionTime is required for Complete jobs");
        }
    }
    let time = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    if change.of(&["startTime", "completionTime"])
        && let (Some(start), Some(finished)) = (time(start), time(end))
        && finished < start
    {
        out.invalid(&at, end, "completionTime cannot be set before startTime");
    }
    let spec = change.new.at("spec");
    let never_ran = spec.flag("suspend") && spec.opt_int("completions") == Some(0);
    if (change.finished() || change.of(&["startTime"]))
        && !never_ran
        && start.is_null()
        && is_finished(change.new)
    {
        let detail = "startTime is required for finished job";
        out.required(&path.child("startTime"), detail);
    }
}

fn validate_counts(out: &mut Problems, path: &Path, change: &Change<'_>) {
    let (status, finished) = (change.new.at("status"), is_finished(change.new));
    for name in ["active", "terminating"] {
        if finished && status.int(name) > 0 && (change.finished() || change.of(&[name])) {
            let detail = format!("{name}>0 is invalid for finished job");
            out.invalid(&path.child(name), status.int(name), &detail);
        }
    }
    let uncounted = status.at("uncountedTerminatedPods");
    let some = ["succeeded", "failed"]
        .iter()
        .any(|name| !uncounted.items(name).is_empty());
    if finished && some && (change.finished() || change.of(&["uncountedTerminatedPods"])) {
        let detail = "uncountedTerminatedPods needs to be empty for finished job";
        out.invalid(&path.child("uncountedTerminatedPods"), uncounted, detail);
    }
    if change.of(&["ready", "active"]) && status.int("ready") > status.int("active") {
        let detail = "cannot set more ready pods than active";
        out.invalid(&path.child("ready"), status.int("ready"), detail);
    }
}

fn validate_indexes(out: &mut Problems, path: &Path, change: &Change<'_>) {
    let (spec, status) = (change.new.at("spec"), change.new.at("status"));
    let (completed, failed) = (
        status.text("completedIndexes"),
        status.opt_text("failedIndexes"),
    );
    let completions = spec.opt_int("completions");
    let malformed = |out: &mut Problems, name: &str, text: &str| {
        if let Some(Err(why)) = completions.map(|all| indexes::count(text, all)) {
            let detail = format!("error parsing {name}: {why}");
            out.invalid(&path.child(name), text, &detail);
        }
    };
    if change.of(&["completedIndexes"]) {
        malformed(out, "completedIndexes", completed);
        if !completed.is_empty() && spec.text("completionMode") != "Indexed" {
            let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
            out.invalid(&path.child("completedIndexes"), completed, detail);
        }
    }
    let Some(failed) = failed else { return };
    let at = path.child("failedIndexes");
    if change.of(&["failedIndexes"]) {
        if spec.has("backoffLimitPerIndex") {
            malformed(out, "failedIndexes", failed);
        } else {
            let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            out.invalid(&at, failed, detail);
        }
    }
    if change.of(&["failedIndexes", "completedIndexes"])
        && let Some(index) = completions.and_then(|all| indexes::overlap(completed, failed, all))
    {
        let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
        out.invalid(&at, failed, &detail);
    }
}

/// What has ended stays ended, and counts do not fall.
fn validate_history(out: &mut Problems, path: &Path, change: &Change<'_>) {
    let (new, old) = (change.new, change.old);
    let (spec, status, before) = (new.at("spec"), new.at("status"), old.at("status"));
    let at = path.child("conditions");
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if is_true(old, kind) && !is_true(new, kind) {
            let detail = format!("cannot disable the terminal {kind}=True condition");
            out.invalid(&at, BadValue::Omitted, &detail);
        }
    }
    // An elastic indexed Job forgets the successes of the indexes that it loses.
    let elastic = spec.text("completionMode") == "Indexed"
        && spec.at("completions") == spec.at("parallelism");
    for name in ["failed", "succeeded"] {
        let may_fall = name == "succeeded" && elastic;
        if status.int(name) < before.int(name) && !may_fall {
            let detail = format!("cannot decrease the {name} counter");
            out.invalid(&path.child(name), status.int(name), &detail);
        }
    }
    let (end, ended) = (status.at("completionTime"), before.at("completionTime"));
    if !end.is_null() && !ended.is_null() && end != ended {
        let detail = "completionTime cannot be mutated";
        out.invalid(&path.child("completionTime"), end, detail);
    }
    let started = before.at("startTime");
    if !started.is_null() && started != status.at("startTime") && !spec.flag("suspend") {
        let detail = "startTime cannot be removed for unsuspended job";
        out.required(&path.child("startTime"), detail);
    }
    let met = "SuccessCriteriaMet";
    if is_true(old, met) && !is_true(new, met) {
        let detail = "cannot disable the SuccessCriteriaMet=True condition";
        out.invalid(&at, BadValue::Omitted, detail);
    }
    if is_true(old, "Complete") && !is_true(old, met) && is_true(new, met) {
        let detail =
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        out.invalid(&at, BadValue::Omitted, detail);
    }
}
