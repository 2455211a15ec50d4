//! What a Job may say, and what of it may change.

use std::collections::HashSet;

use ferrule_apimachinery::field::BadValue;
use ferrule_apimachinery::names;
use serde_json::Value;

use super::{NAME_LABELS, UID_LABELS, indexes};
use crate::resources::meta::{self, NameRule};
use crate::resources::pod::validation;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::{self, Tree};
use crate::resources::{go_form, selector};

const MAX_PARALLELISM: i64 = 100_000;
const MAX_FAILED_INDEXES: i64 = 100_000;
/// With more completions, failures for each index cost too much to remember.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_LIMIT: i64 = 10_000;
const MAX_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;
const MAX_SUCCEEDED_INDEXES: usize = 64 * 1024;
const MAX_MANAGED_BY: usize = 63;

pub(super) fn validate_create(job: &Value) -> Problems {
    let mut out = meta::validate_create(&without_own_labels(job), true, NameRule::Subdomain);
    validate_generated(&mut out, job);
    validate_with_selector(&mut out, &Path::new("spec"), job.at("spec"));
    let (spec, name) = (job.at("spec"), job.at("metadata").text("name"));
    if spec.text("completionMode") == "Indexed"
        && let Some(last) = spec.opt_int("completions").filter(|count| *count > 0)
    {
        let longest = format!("{name}-{}", last - 1);
        if !names::dns1123_label(&longest).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {longest}");
            out.invalid(&Path::new("metadata").child("name"), name, &detail);
        }
    }
    out
}

/// The Job without the labels that it has from its generated template: they are told of there.
fn without_own_labels(job: &Value) -> Value {
    let mut job = job.clone();
    let labels = job.at("spec").at("template").at("metadata").at("labels");
    let own = job.at("metadata").at("labels") == labels;
    if own && !job.at("spec").flag("manualSelector") {
        job.pointer_mut("/metadata")
            .and_then(|metadata| tree::remove(metadata, "labels"));
    }
    job
}

/// Whether the labels and the selector that were asked to be made are those that are made.
fn validate_generated(out: &mut Problems, job: &Value) {
    let (meta, spec, path) = (job.at("metadata"), job.at("spec"), Path::new("spec"));
    if spec.flag("manualSelector") || spec.at("selector").is_null() {
        return;
    }
    if meta.text("uid").is_empty() {
        out.required(&Path::new("metadata").child("uid"), "");
    }
    let own = spec.at("template").at("metadata").at("labels");
    let at = path.child("template").child("metadata").child("labels");
    let mut expected = serde_json::Map::new();
    let labels = [
        (UID_LABELS, meta.text("uid")),
        (NAME_LABELS, meta.text("name")),
    ];
    for label in [0, 1] {
        for (names, value) in labels {
            expected.insert(names[label].to_owned(), value.into());
            match own.opt_text(names[label]) {
                None => {
                    let detail = format!("must be '{value}'");
                    out.required(&at.key(names[label]), &detail);
                }
                Some(found) if found != value => {
                    let detail = format!("must be '{value}'");
                    out.invalid(&at.key(names[label]), own, &detail);
                }
                Some(_) => {}
            }
        }
    }
    let wanted = spec.at("selector");
    if selector::is_usable(wanted) && !selector::matches(wanted, &Value::Object(expected)) {
        let shown = go_form::label_selector(wanted);
        out.invalid_raw(
            &path.child("selector"),
            shown,
            "`selector` not auto-generated",
        );
    }
}

fn validate_with_selector(out: &mut Problems, path: &Path, spec: &Value) {
    validate_spec(out, path, spec);
    let (at, labels) = (path.child("selector"), spec.at("selector"));
    if labels.is_null() {
        out.required(&at, "");
    } else {
        selector::validate_label_selector(out, &at, labels);
    }
    let own = spec.at("template").at("metadata").at("labels");
    if selector::is_usable(labels) && !selector::matches(labels, own) {
        let at = path.child("template").child("metadata").child("labels");
        out.invalid(&at, own, "`selector` does not match template `labels`");
    }
}

/// The specification of a Job, or of those that a CronJob makes.
pub(super) fn validate_spec(out: &mut Problems, path: &Path, spec: &Value) {
    for name in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        out.non_negative(&path.child(name), spec.int(name));
    }
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") {
        let detail = "when maxFailedIndexes is specified";
        out.required(&path.child("backoffLimitPerIndex"), detail);
    }
    if let Some(manager) = spec.opt_text("managedBy") {
        validate_manager(out, &path.child("managedBy"), manager);
    }
    validate_mode(out, path, spec);
    if spec.has("podFailurePolicy") {
        validate_failure_policy(out, &path.child("podFailurePolicy"), spec);
    }
    if spec.has("successPolicy") {
        validate_success_policy(out, &path.child("successPolicy"), spec);
    }
    if let Some(policy) = spec.opt_text("podReplacementPolicy") {
        let known: &[&str] = match spec.has("podFailurePolicy") {
            true => &["Failed"],
            false => &["Failed", "TerminatingOrFailed"],
        };
        if !known.contains(&policy) {
            out.unsupported(&path.child("podReplacementPolicy"), policy, known);
        }
    }
    validation::validate_template(out, &path.child("template"), spec.at("template"));
    let at = path.child("template").child("spec").child("restartPolicy");
    match spec.at("template").at("spec").text("restartPolicy") {
        "" | "Always" => out.required(&at, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" if !spec.has("podFailurePolicy") => {}
        "OnFailure" => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            out.invalid(&at, "OnFailure", detail);
        }
        other => out.unsupported(&at, other, &["OnFailure", "Never"]),
    }
}

fn validate_manager(out: &mut Problems, path: &Path, manager: &str) {
    match manager.split_once('/') {
        _ if manager.is_empty() => out.required(path, ""),
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            out.dns_subdomain(path, domain);
        }
        _ => {
            let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            out.invalid(path, manager, detail);
        }
    }
    if manager.len() > MAX_MANAGED_BY {
        out.too_long(path, MAX_MANAGED_BY);
    }
}

fn validate_mode(out: &mut Problems, path: &Path, spec: &Value) {
    let at_most = |out: &mut Problems, name: &str, limit: i64, when: &str| {
        if spec.int(name) > limit {
            let detail = format!("must be less than or equal to {limit}{when}");
            out.invalid(&path.child(name), spec.int(name), &detail);
        }
    };
    match spec.text("completionMode") {
        "Indexed" => {
            if !spec.has("completions") {
                let detail = "when completion mode is Indexed";
                out.required(&path.child("completions"), detail);
            }
            let when = " when completion mode is Indexed";
            at_most(out, "parallelism", MAX_PARALLELISM, when);
            if let Some(all) = spec.opt_int("completions")
                && spec.int("maxFailedIndexes") > all
            {
                let detail = "must be less than or equal to completions";
                let at = path.child("maxFailedIndexes");
                out.invalid(&at, spec.int("maxFailedIndexes"), detail);
            }
            at_most(out, "maxFailedIndexes", MAX_FAILED_INDEXES, "");
            if spec.int("completions") > MANY_COMPLETIONS && spec.has("backoffLimitPerIndex") {
                if !spec.has("maxFailedIndexes") {
                    let detail =
                        format!("must be specified when completions is above {MANY_COMPLETIONS}");
                    out.required(&path.child("maxFailedIndexes"), &detail);
                }
                let when = format!(
                    " when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
                );
                at_most(out, "parallelism", MANY_LIMIT, &when);
                at_most(out, "maxFailedIndexes", MANY_LIMIT, &when);
            }
        }
        "" | "NonIndexed" => {
            for name in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(number) = spec.opt_int(name) {
                    out.invalid(
                        &path.child(name),
                        number,
                        "requires indexed completion mode",
                    );
                }
            }
        }
        other => {
            let known = ["NonIndexed", "Indexed"];
            out.unsupported(&path.child("completionMode"), other, &known);
        }
    }
}

fn validate_failure_policy(out: &mut Problems, path: &Path, spec: &Value) {
    let pod = spec.at("template").at("spec");
    let containers = pod
        .items("containers")
        .iter()
        .chain(pod.items("initContainers"));
    let containers: HashSet<&str> = containers.map(|one| one.text("name")).collect();
    let (at, rules) = (
        path.child("rules"),
        spec.at("podFailurePolicy").items("rules"),
    );
    if rules.len() > MAX_RULES {
        out.too_many(&at, rules.len(), MAX_RULES);
    }
    for (i, rule) in rules.iter().enumerate() {
        let at = at.index(i);
        let per_index = spec.has("backoffLimitPerIndex");
        validate_action(out, &at.child("action"), rule.text("action"), per_index);
        let (codes, conditions) = (rule.at("onExitCodes"), rule.items("onPodConditions"));
        if !codes.is_null() {
            validate_exit_codes(out, &at.child("onExitCodes"), codes, &containers);
        }
        validate_pod_conditions(out, &at.child("onPodConditions"), conditions);
        let detail = match (codes.is_null(), conditions.is_empty()) {
            (false, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (true, true) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        out.invalid(&at, BadValue::Omitted, detail);
    }
}

fn validate_action(out: &mut Problems, path: &Path, action: &str, per_index: bool) {
    let known = ["Count", "FailIndex", "FailJob", "Ignore"];
    match action {
        "" => out.required(path, &valid_values(&known)),
        "FailIndex" if !per_index => {
            out.invalid(path, action, "requires the backoffLimitPerIndex to be set");
        }
        action if !known.contains(&action) => out.unsupported(path, action, &known),
        _ => {}
    }
}

fn valid_values(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|value| format!("{value:?}")).collect();
    format!("valid values: [{}]", quoted.join(" "))
}

fn validate_pod_conditions(out: &mut Problems, path: &Path, conditions: &[Value]) {
    if conditions.len() > MAX_RULES {
        out.too_many(path, conditions.len(), MAX_RULES);
    }
    for (i, condition) in conditions.iter().enumerate() {
        let at = path.index(i);
        out.qualified_name(&at.child("type"), condition.text("type"));
        let known = ["False", "True", "Unknown"];
        match condition.text("status") {
            "" => out.required(&at.child("status"), &valid_values(&known)),
            status if !known.contains(&status) => {
                out.unsupported(&at.child("status"), status, &known);
            }
            _ => {}
        }
    }
}

fn validate_exit_codes(out: &mut Problems, path: &Path, codes: &Value, containers: &HashSet<&str>) {
    let (at, known) = (path.child("operator"), ["In", "NotIn"]);
    let operator = codes.text("operator");
    match operator {
        "" => out.required(&at, &valid_values(&known)),
        other if !known.contains(&other) => out.unsupported(&at, other, &known),
        _ => {}
    }
    if let Some(name) = codes.opt_text("containerName")
        && !containers.contains(name)
    {
        let detail = "must be one of the container or initContainer names in the pod template";
        out.invalid(&path.child("containerName"), name, detail);
    }
    let (at, values) = (path.child("values"), codes.items("values"));
    if values.is_empty() {
        out.invalid(&at, codes.at("values"), "at least one value is required");
    } else if values.len() > MAX_EXIT_CODES {
        out.too_many(&at, values.len(), MAX_EXIT_CODES);
    }
    let numbers: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
    let mut seen = HashSet::new();
    for (i, number) in numbers.iter().enumerate() {
        if operator == "In" && *number == 0 {
            out.invalid(&at.index(i), 0, "must not be 0 for the In operator");
        }
        if !seen.insert(number) {
            out.duplicate(&at.index(i), *number);
        }
    }
    if !numbers.is_sorted() {
        out.invalid(&at, codes.at("values"), "must be ordered");
    }
}

fn validate_success_policy(out: &mut Problems, path: &Path, spec: &Value) {
    let policy = spec.at("successPolicy");
    if spec.text("completionMode") != "Indexed" {
        let shown = go_form::compact("SuccessPolicy", policy);
        return out.invalid_raw(path, shown, "requires indexed completion mode");
    }
    let (at, rules) = (path.child("rules"), policy.items("rules"));
    if rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        out.required(&at, detail);
    }
    if rules.len() > MAX_RULES {
        out.too_many(&at, rules.len(), MAX_RULES);
    }
    for (i, rule) in rules.iter().enumerate() {
        validate_success_rule(out, &at.index(i), rule, spec.int("completions"));
    }
}

fn validate_success_rule(out: &mut Problems, path: &Path, rule: &Value, completions: i64) {
    let (count, listed) = (
        rule.opt_int("succeededCount"),
        rule.opt_text("succeededIndexes"),
    );
    if count.is_none() && listed.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        out.required(path, detail);
    }
    let mut total = 0;
    if let Some(listed) = listed {
        let at = path.child("succeededIndexes");
        if listed.len() > MAX_SUCCEEDED_INDEXES {
            out.too_long(&at, MAX_SUCCEEDED_INDEXES);
        }
        match indexes::count(listed, completions) {
            Ok(number) => total = number,
            Err(why) => {
                out.invalid(
                    &at,
                    listed,
                    &format!("error parsing succeededIndexes: {why}"),
                );
            }
        }
    }
    let Some(count) = count else { return };
    let at = path.child("succeededCount");
    out.non_negative(&at, count);
    if count > completions {
        let detail = format!(
            "must be less than or equal to {completions} (the number of specified completions)"
        );
        out.invalid(&at, count, &detail);
    }
    if listed.is_some() && count > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        out.invalid(&at, count, &detail);
    }
}

pub(super) fn validate_update(new: &Value, old: &Value) -> Problems {
    let mut out = validate_create(new);
    out.extend(meta::validate_update(new, old));
    let path = Path::new("spec");
    let (after, before) = (new.at("spec"), old.at("spec"));
    validate_with_selector(&mut out, &path, after);
    validate_completions(&mut out, &path.child("completions"), after, before);
    let at = path.child("selector");
    meta::validate_immutable_selector(&mut out, &at, after.at("selector"), before.at("selector"));
    validate_same_template(&mut out, &path.child("template"), after, old);
    let fixed = |out: &mut Problems, name: &str| {
        meta::validate_immutable(out, &path.child(name), after.at(name), before.at(name));
    };
    fixed(&mut out, "completionMode");
    let fixed_policy = |out: &mut Problems, name: &str, kind: &str| {
        let policy = after.at(name);
        if !tree::same(policy, before.at(name)) {
            let shown = match policy {
                Value::Null => "null".to_owned(),
                policy => go_form::compact(kind, policy),
            };
            out.invalid_raw(&path.child(name), shown, "field is immutable");
        }
    };
    fixed_policy(&mut out, "podFailurePolicy", "PodFailurePolicy");
    fixed(&mut out, "backoffLimitPerIndex");
    fixed(&mut out, "managedBy");
    fixed_policy(&mut out, "successPolicy", "SuccessPolicy");
    out
}

/// Only an indexed Job grows and shrinks, its pods and completions together.
fn validate_completions(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let (after, before) = (new.at("completions"), old.at("completions"));
    if new.text("completionMode") != "Indexed" {
        return meta::validate_immutable(out, path, after, before);
    }
    if !after.is_null() && after != before && after != new.at("parallelism") {
        let detail = "can only be modified in tandem with spec.parallelism";
        out.invalid(path, after, detail);
    }
}

/// While nothing has run yet, a suspended Job may still be told where to run.
fn validate_same_template(out: &mut Problems, path: &Path, new: &Value, old: &Value) {
    let (after, before) = (new.at("template"), old.at("spec").at("template"));
    let waits = old.at("spec").flag("suspend") && !old.at("status").has("startTime");
    if !waits {
        if !tree::same(after, before) {
            let shown = go_form::pod_template(after);
            out.invalid_raw(path, shown, "field is immutable");
        }
        return;
    }
    let (after, mut before) = (after.at("spec"), before.at("spec").clone());
    for name in ["nodeSelector", "tolerations", "schedulingGates"] {
        tree::copy(&mut before, after, name);
    }
    let own = after.at("affinity").at("nodeAffinity").clone();
    if let Some(affinity) = tree::child(&mut before, "affinity") {
        tree::set(affinity, "nodeAffinity", own);
    }
    if !tree::same(after, &before) {
        let shown = go_form::compact("PodSpec", &go_form::internal_pod_spec(after));
        out.invalid_raw(&path.child("spec"), shown, "field is immutable");
    }
}
