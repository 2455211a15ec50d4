//! Logs, in tables.

use std::io::Write;

use super::*;
use serde_json::{Value, json};

const LOG: &str = "\
2026-11-21T04:00:00.000000001Z stdout F one\n\
2026-11-21T04:00:01.000000001Z stderr P tw\n\
2026-11-21T04:00:01.000000002Z stderr F o\n\
2026-11-21T04:00:02Z stdout F \n\
2026-11-21T04:00:03Z stdout F three\n";

fn file() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(LOG.as_bytes()).expect("written");
    file
}

fn text(options: Options) -> String {
    let own = file();
    let mut file = File::open(own.path()).expect("opened");
    if let Some(lines) = options.tail {
        let start = tail_start(&mut file, lines).expect("a start");
        file.seek(SeekFrom::Start(start)).expect("moved");
    }
    let (mut pending, mut writer) = (Vec::new(), Writer::new(options));
    while read(&mut file, &mut pending).expect("read") {}
    writer.take(&mut pending);
    String::from_utf8(writer.out).expect("text")
}

#[test]
fn entries_become_lines_from_the_place_and_to_the_length_that_were_asked_for() {
    let whole = Options::default();
    let table = [
        (whole.clone(), "one\ntwo\n\nthree\n"),
        (
            Options {
                tail: Some(0),
                ..whole.clone()
            },
            "",
        ),
        (
            Options {
                tail: Some(1),
                ..whole.clone()
            },
            "three\n",
        ),
        (
            Options {
                tail: Some(100),
                ..whole.clone()
            },
            "one\ntwo\n\nthree\n",
        ),
        (
            Options {
                limit: Some(6),
                ..whole.clone()
            },
            "one\ntw",
        ),
        (
            Options {
                since: "2026-11-21T04:00:02Z".parse().ok(),
                ..whole.clone()
            },
            "\nthree\n",
        ),
        (
            Options {
                timestamps: true,
                tail: Some(4),
                ..whole
            },
            "2026-11-21T04:00:01.000000001Z two\n2026-11-21T04:00:02Z \n2026-11-21T04:00:03Z three\n",
        ),
    ];
    for (options, expected) in table {
        assert_eq!(text(options.clone()), expected, "{options:?}");
    }
    assert_eq!(tail_text(file().path(), 2, 100), "\nthree\n");
    assert_eq!(tail_text(file().path(), 80, 4), "ree\n");
}

#[test]
fn the_attempt_is_chosen_by_the_containers_state() {
    let ended = |id: &str| json!({"terminated": {"exitCode": 1, "containerID": id}});
    let table: [(Value, Value, bool, Result<&str, &str>); 7] = [
        (
            json!({"running": {}}),
            ended("r://old"),
            false,
            Ok("r://now"),
        ),
        (
            json!({"running": {}}),
            ended("r://old"),
            true,
            Ok("r://old"),
        ),
        (
            json!({"running": {}}),
            json!({}),
            true,
            Err("previous terminated container \"c\" in pod \"p\" not found"),
        ),
        (ended("r://now"), json!({}), false, Ok("r://now")),
        (
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            ended("r://old"),
            false,
            Ok("r://old"),
        ),
        (
            json!({"waiting": {"reason": "ContainerCreating"}}),
            json!({}),
            false,
            Err("container \"c\" in pod \"p\" is waiting to start: ContainerCreating"),
        ),
        (
            json!({"waiting": {"reason": "ImagePullBackOff"}}),
            json!({}),
            false,
            Err(
                "container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image",
            ),
        ),
    ];
    for (state, last, previous, expected) in table {
        let status: PodStatus = serde_json::from_value(json!({"containerStatuses": [
            {"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "containerID": "r://now", "state": state, "lastState": last}
        ]}))
        .expect("a status");
        let found = attempt(&status, "p", "c", previous);
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }
}

#[test]
fn a_log_since_before_all_times_is_the_whole_log() {
    for seconds in [i64::MAX, 9_223_372_036] {
        let request = v1::LogsRequest {
            since_seconds: Some(seconds),
            ..v1::LogsRequest::default()
        };
        let options = Options::new(&request).expect("options");
        assert_eq!(text(options), "one\ntwo\n\nthree\n", "{seconds}");
    }
}

#[test]
fn an_entry_that_comes_in_pieces_is_one() {
    let mut writer = Writer::new(Options::default());
    let mut pending = Vec::new();
    for byte in LOG.bytes() {
        pending.push(byte);
        assert!(!writer.take(&mut pending));
    }
    assert_eq!(writer.out, b"one\ntwo\n\nthree\n");
}
