//! Jobs and CronJobs.

use jiff::Timestamp;
use serde_json::Value;

use super::{Text, list, meta, number, or_none, pod_template, string};

/// Lists of indexes are cut at the first comma after as many characters.
const INDEXES_SHOWN: usize = 50;

/// Describes a Job.
pub fn job(text: &mut Text, object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    text.field(0, "Selector", meta::plain_selector(&spec["selector"]));
    meta::labels_and_annotations(text, object);
    meta::controller(text, object);
    optional(text, "Parallelism", &spec["parallelism"]);
    text.field(0, "Completions", meta::or_unset(&spec["completions"]));
    optional(text, "Completion Mode", &spec["completionMode"]);
    optional(text, "Suspend", &spec["suspend"]);
    optional(text, "Backoff Limit", &spec["backoffLimit"]);
    optional(
        text,
        "TTL Seconds After Finished",
        &spec["ttlSecondsAfterFinished"],
    );
    times(text, status);
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64() {
        text.field(0, "Active Deadline Seconds", format!("{seconds}s"));
    }
    let ready = match status["ready"].as_i64() {
        Some(ready) => format!(" ({ready} Ready)"),
        None => String::new(),
    };
    text.field(
        0,
        "Pods Statuses",
        format!(
            "{} Active{ready} / {} Succeeded / {} Failed",
            number(status, "active"),
            number(status, "succeeded"),
            number(status, "failed")
        ),
    );
    if string(spec, "completionMode") == "Indexed" {
        let indexes = indexes(string(status, "completedIndexes"));
        text.field(0, "Completed Indexes", or_none(&indexes));
    }
    pod_template::describe(text, &spec["template"]);
    true
}

fn optional(text: &mut Text, title: &str, value: &Value) {
    if !value.is_null() {
        text.field(0, title, super::plain(value));
    }
}

fn times(text: &mut Text, status: &Value) {
    let time = |field: &str| string(status, field).parse::<Timestamp>().ok();
    let (start, end) = (time("startTime"), time("completionTime"));
    for (title, field, own) in [
        ("Start Time", "startTime", start),
        ("Completed At", "completionTime", end),
    ] {
        if own.is_some() {
            text.field(0, title, meta::time(&status[field]));
        }
    }
    if let (Some(start), Some(end)) = (start, end) {
        let took = meta::human(end.as_second() - start.as_second());
        text.field(0, "Duration", took);
    }
}

fn indexes(text: &str) -> String {
    let rest = text.get(INDEXES_SHOWN..).unwrap_or_default();
    match rest.find(',') {
        Some(comma) => format!("{}...", &text[..=INDEXES_SHOWN + comma]),
        None => text.to_owned(),
    }
}

/// Describes a CronJob.
pub fn cron_job(text: &mut Text, object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    meta::name(text, object);
    meta::labels_and_annotations(text, object);
    text.field(0, "Schedule", string(spec, "schedule"));
    text.field(0, "Concurrency Policy", string(spec, "concurrencyPolicy"));
    text.field(0, "Suspend", meta::flag(&spec["suspend"]));
    text.field(0, "Time Zone", meta::or_unset(&spec["timeZone"]));
    for (title, field) in [
        ("Successful Job History Limit", "successfulJobsHistoryLimit"),
        ("Failed Job History Limit", "failedJobsHistoryLimit"),
    ] {
        text.field(0, title, meta::or_unset(&spec[field]));
    }
    let deadline = match spec["startingDeadlineSeconds"].as_i64() {
        Some(seconds) => format!("{seconds}s"),
        None => "<unset>".to_owned(),
    };
    text.field(0, "Starting Deadline Seconds", deadline);
    job_template(text, &spec["jobTemplate"]["spec"]);
    let last = match &status["lastScheduleTime"] {
        Value::Null => "<unset>".to_owned(),
        last => meta::time(last),
    };
    text.field(0, "Last Schedule Time", last);
    let active: Vec<&str> = list(status, "active")
        .map(|job| string(job, "name"))
        .collect();
    text.field(0, "Active Jobs", or_none(&active.join(", ")));
    true
}

fn job_template(text: &mut Text, spec: &Value) {
    let selector = match &spec["selector"] {
        Value::Null => "<unset>".to_owned(),
        selector => meta::plain_selector(selector),
    };
    text.field(0, "Selector", selector);
    text.field(0, "Parallelism", meta::or_unset(&spec["parallelism"]));
    text.field(0, "Completions", meta::or_unset(&spec["completions"]));
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64() {
        text.field(0, "Active Deadline Seconds", format!("{seconds}s"));
    }
    pod_template::describe(text, &spec["template"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_indexes_is_cut_behind_a_comma() {
        let long: Vec<String> = (10..40).map(|index| index.to_string()).collect();
        let long = long.join(",");
        for (text, expected) in [
            ("", ""),
            ("0-3,7", "0-3,7"),
            (
                &long,
                "10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,...",
            ),
        ] {
            assert_eq!(indexes(text), expected);
        }
    }
}
