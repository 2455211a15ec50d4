//! The rules of Jobs and CronJobs, in tables.

use serde_json::{Value, json};

use super::{CronJob, Job, indexes, schedule};
use crate::resources::Rules;
use crate::resources::tests::{context, lines, with};

fn template() -> Value {
    json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1"}]}})
}

/// An indexed Job as it is stored.
fn job() -> Value {
    let mut object = json!({
        "metadata": {"name": "j", "namespace": "default", "uid": "1-2"},
        "spec": {"completions": 5, "parallelism": 2, "completionMode": "Indexed", "suspend": false, "template": template()},
    });
    Job.default(&mut object);
    Job.prepare_create(&mut object, &context());
    object
}

fn cron_job() -> Value {
    let mut object = json!({
        "metadata": {"name": "cj", "namespace": "default"},
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": template()}}},
    });
    CronJob.default(&mut object);
    object
}

#[test]
fn a_job_selects_its_own_uid() {
    let job = job();
    let labels = json!({"batch.kubernetes.io/controller-uid": "1-2", "controller-uid": "1-2",
        "batch.kubernetes.io/job-name": "j", "job-name": "j"});
    assert_eq!(job["spec"]["template"]["metadata"]["labels"], labels);
    assert_eq!(job["metadata"]["labels"], labels);
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "1-2"}})
    );
    assert_eq!(
        lines(Job.validate_create(&job, &context())),
        Vec::<String>::new()
    );
}

#[test]
fn a_bad_job_is_told_in_upstreams_words() {
    let cases: [(&str, Value, &[&str]); 9] = [
        (
            "spec.template.spec.restartPolicy",
            json!("Always"),
            &[
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ],
        ),
        (
            "spec.completionMode",
            json!("Random"),
            &[
                "spec.completionMode: Unsupported value: \"Random\": supported values: \"NonIndexed\", \"Indexed\"",
            ],
        ),
        (
            "spec.completions",
            Value::Null,
            &["spec.completions: Required value: when completion mode is Indexed"],
        ),
        (
            "spec.maxFailedIndexes",
            json!(9),
            &[
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "spec.maxFailedIndexes: Invalid value: 9: must be less than or equal to completions",
            ],
        ),
        (
            "spec.selector.matchLabels.a",
            json!("b"),
            &[
                "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"1-2\"}}: `selector` not auto-generated",
                "spec.template.metadata.labels: Invalid value: {\"batch.kubernetes.io/controller-uid\":\"1-2\",\"batch.kubernetes.io/job-name\":\"j\",\"controller-uid\":\"1-2\",\"job-name\":\"j\"}: `selector` does not match template `labels`",
            ],
        ),
        (
            "spec.podFailurePolicy",
            json!({"rules": [{"action": "Explode", "onExitCodes": {"operator": "In", "values": [3, 0]}}]}),
            &[
                "spec.podFailurePolicy.rules[0].action: Unsupported value: \"Explode\": supported values: \"Count\", \"FailIndex\", \"FailJob\", \"Ignore\"",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0]: must be ordered",
                "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
            ],
        ),
        (
            "spec.successPolicy",
            json!({"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}),
            &[
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)",
            ],
        ),
        (
            "spec.managedBy",
            json!("me"),
            &[
                "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            ],
        ),
        (
            "spec.parallelism",
            json!(-1),
            &["spec.parallelism: Invalid value: -1: must be greater than or equal to 0"],
        ),
    ];
    for (path, value, expected) in cases {
        let found = lines(Job.validate_create(&with(job(), path, value), &context()));
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn a_name_too_long_for_a_label_is_told_where_the_pods_have_it() {
    let name = "j".repeat(64);
    let mut object = with(job(), "metadata.name", json!(name));
    object["metadata"]["labels"] = Value::Null;
    object["spec"]["selector"] = Value::Null;
    object["spec"]["template"]["metadata"] = Value::Null;
    Job.prepare_create(&mut object, &context());
    let found = lines(Job.validate_create(&object, &context()));
    let fields: Vec<&str> = found
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.template.labels",
            "spec.template.labels",
            "metadata.name"
        ]
    );
}

#[test]
fn a_job_changes_little() {
    let immutable = "field is immutable";
    for (path, value, expected) in [
        ("spec.parallelism", json!(3), None),
        ("spec.suspend", json!(true), None),
        ("spec.completions", json!(2), None),
        ("spec.completions", json!(6), Some("spec.completions: Invalid value: 6: can only be modified in tandem with spec.parallelism".to_owned())),
        ("spec.completionMode", json!("NonIndexed"), Some(format!("spec.completionMode: Invalid value: \"NonIndexed\": {immutable}"))),
    ] {
        let old = job();
        let new = with(old.clone(), path, value);
        let found = lines(Job.validate_update(&new, &old, &context()));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{path}");
    }
    let old = job();
    let new = with(
        old.clone(),
        "spec.template.spec.containers.0.image",
        json!("z"),
    );
    let found = lines(Job.validate_update(&new, &old, &context()));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("spec.template: Invalid value: {\"labels\":{\"batch."),
        "{found:?}"
    );
    let waiting = with(old, "spec.suspend", json!(true));
    let new = with(
        waiting.clone(),
        "spec.template.spec.containers.0.image",
        json!("z"),
    );
    let found = lines(Job.validate_update(&new, &waiting, &context()));
    assert!(
        found[0].starts_with("spec.template.spec: Invalid value: {\"Volumes\":null"),
        "{found:?}"
    );
    let new = with(
        waiting.clone(),
        "spec.template.spec.nodeSelector",
        json!({"a": "b"}),
    );
    assert!(Job.validate_update(&new, &waiting, &context()).is_empty());
}

#[test]
fn a_status_ends_once() {
    let condition = |kind| json!({"type": kind, "status": "True"});
    let mut done = job();
    done["status"] = json!({"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z", "succeeded": 5,
        "conditions": [condition("SuccessCriteriaMet"), condition("Complete")]});
    let check = |new: &Value, old: &Value| lines(Job.validate_status(new, old, &context()));
    assert_eq!(check(&done, &job()), Vec::<String>::new());

    let mut early = done.clone();
    early["status"]["conditions"] = json!([condition("Complete")]);
    early["status"]["completionTime"] = Value::Null;
    assert_eq!(
        check(&early, &job()),
        [
            "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
            "status.completionTime: Required value: completionTime is required for Complete jobs",
        ]
    );
    let mut undone = done.clone();
    undone["status"] = json!({"startTime": "2026-01-01T00:00:00Z", "succeeded": 4});
    assert_eq!(
        check(&undone, &done),
        [
            "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
            "status.succeeded: Invalid value: 4: cannot decrease the succeeded counter",
            "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
        ]
    );
    let mut overlapping = job();
    overlapping["spec"]["backoffLimitPerIndex"] = json!(1);
    let old = overlapping.clone();
    overlapping["status"] = json!({"completedIndexes": "0-2", "failedIndexes": "2,4"});
    assert_eq!(
        check(&overlapping, &old),
        [
            "status.failedIndexes: Invalid value: \"2,4\": failedIndexes and completedIndexes overlap at index: 2",
        ]
    );
}

#[test]
fn indexes_are_read_and_counted() {
    assert_eq!(indexes::count("", 5), Ok(0));
    assert_eq!(indexes::count("0-2,4", 5), Ok(4));
    for (text, why) in [
        ("3,1", "non-increasing order, previous: 3, current: 1"),
        ("x", "cannot convert string to integer for index: \"x\""),
        ("7", "too large index: \"7\""),
        ("2-2", "non-increasing order, previous: 2, current: 2"),
    ] {
        assert_eq!(indexes::count(text, 5), Err(why.to_owned()));
    }
    assert_eq!(indexes::overlap("0,4", "1-3", 5), None);
}

#[test]
fn schedules_are_refused_in_the_words_of_the_parser() {
    for good in [
        "* * * * *",
        "0 3 * * 1",
        "*/5 1-3,7 ? JAN-mar mon",
        "@hourly",
        "@every 1h30m",
        "5/15 * * * *",
    ] {
        assert_eq!(schedule::check(good), Ok(()), "{good}");
    }
    for (bad, why) in [
        (
            "every day",
            "expected exactly 5 fields, found 2: [every day]",
        ),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        (
            "5-1 * * * *",
            "beginning of range (5) beyond end of range (1): 5-1",
        ),
        (
            "*/0 * * * *",
            "step of range should be a positive number: */0",
        ),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        (
            "x * * * *",
            "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        ("@never", "unrecognized descriptor: @never"),
    ] {
        assert_eq!(schedule::check(bad), Err(why.to_owned()));
    }
}

#[test]
fn a_bad_cron_job_is_told_in_upstreams_words() {
    assert!(CronJob.validate_create(&cron_job(), &context()).is_empty());
    let cases: [(&str, Value, &[&str]); 8] = [
        (
            "metadata.name",
            json!("c".repeat(53)),
            &[
                "metadata.name: Invalid value: \"ccccccccccccccccccccccccccccccccccccccccccccccccccccc\": must be no more than 52 characters",
            ],
        ),
        (
            "spec.schedule",
            json!(""),
            &["spec.schedule: Required value"],
        ),
        (
            "spec.schedule",
            json!("TZ=UTC 0 * * * *"),
            &[
                "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ],
        ),
        (
            "spec.timeZone",
            json!("Mars/Base!"),
            &["spec.timeZone: Invalid value: \"Mars/Base!\": unknown time zone Mars/Base!"],
        ),
        (
            "spec.timeZone",
            json!("Local"),
            &[
                "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ],
        ),
        (
            "spec.concurrencyPolicy",
            json!("Maybe"),
            &[
                "spec.concurrencyPolicy: Unsupported value: \"Maybe\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            ],
        ),
        (
            "spec.jobTemplate.spec.selector",
            json!({"matchLabels": {"a": "b"}}),
            &[
                "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated",
            ],
        ),
        (
            "spec.failedJobsHistoryLimit",
            json!(-1),
            &["spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0"],
        ),
    ];
    for (path, value, expected) in cases {
        let found = lines(CronJob.validate_create(&with(cron_job(), path, value), &context()));
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn rows_say_how_far_they_are() {
    let mut object = job();
    object["status"] = json!({"startTime": "2025-12-31T23:59:00Z", "succeeded": 3});
    let row = Job.row(&object, context().now);
    assert_eq!(
        row.cells[1..4],
        [json!("Running"), json!("3/5"), json!("60s")]
    );
    let mut object = cron_job();
    object["status"] = json!({"lastScheduleTime": "2025-12-31T23:59:00Z", "active": [{}]});
    let row = CronJob.row(&object, context().now);
    let expected = [
        json!("*/5 * * * *"),
        json!("<none>"),
        json!("False"),
        json!(1),
        json!("60s"),
    ];
    assert_eq!(row.cells[1..6], expected);
}
