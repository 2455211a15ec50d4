//! YAML reads and writes as upstream's kubectl does it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn plain_scalars_follow_yaml_1_1() {
    for (text, expected) in [
        ("0644", json!(420)),
        ("0o644", json!(420)),
        ("0x1f", json!(31)),
        ("1_000", json!(1000)),
        ("-5", json!(-5)),
        ("1.5", json!(1.5)),
        ("1e3", json!(1000.0)),
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("~", Value::Null),
        ("\"0644\"", json!("0644")),
        ("'yes'", json!("yes")),
        ("!!str 5", json!("5")),
        (
            "0899",
            json!("0899").as_f64().map_or(json!(899.0), Value::from),
        ),
        ("1.2.3", json!("1.2.3")),
        ("2024-01-01", json!("2024-01-01")),
        ("12:30", json!("12:30")),
        ("v1", json!("v1")),
        ("100m", json!("100m")),
        ("18446744073709551615", json!(18446744073709551615u64)),
    ] {
        let read = read(&format!("a: {text}")).unwrap();
        assert_eq!(read[0]["a"], expected, "{text}");
    }
}

#[test]
fn streams_have_documents_comments_and_json() {
    let text =
        "# first\n---\na: 1\n---\n# nothing\n---\nb: [x, {c: d}]\n--- # more\nk: |\n  x\n  ---y\n";
    assert_eq!(
        read(text).unwrap(),
        [
            json!({"a": 1}),
            json!({"b": ["x", {"c": "d"}]}),
            json!({"k": "x\n---y\n"})
        ]
    );
    assert_eq!(
        read("{\"a\":1}\n{\"b\":2}").unwrap(),
        [json!({"a": 1}), json!({"b": 2})]
    );
    assert_eq!(read("").unwrap(), Vec::<Value>::new());
    assert_eq!(
        read("1: a\ntrue: b").unwrap(),
        [json!({"1": "a", "true": "b"})]
    );
}

#[test]
fn anchors_and_merge_keys_are_known() {
    let text = "base: &b {x: 1, w: 2}\nuse:\n  <<: *b\n  w: 3\nlist:\n  <<: [*b, {z: 4}]\n";
    let value = &read(text).unwrap()[0];
    assert_eq!(value["use"], json!({"x": 1, "w": 3}));
    assert_eq!(value["list"], json!({"x": 1, "w": 2, "z": 4}));
}

#[test]
fn malformed_documents_are_refused_in_upstream_words() {
    for (text, message) in [
        (
            "a: b: c\n",
            "yaml: mapping values are not allowed in this context",
        ),
        (
            "x: 1\na: b: c\n",
            "yaml: line 2: mapping values are not allowed in this context",
        ),
        (
            "a: 1\nb: 2\na: 3\n",
            "yaml: unmarshal errors:\n  line 3: key \"a\" already set in map",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), message);
    }
    let document = read_document("k: a\nk: b\n").unwrap();
    assert_eq!(document.value, json!({"k": "b"}));
    assert_eq!(
        document.duplicates,
        ["line 2: key \"k\" already set in map"]
    );
    assert!(read("a: *none").is_err());
    let bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    assert!(read(bomb).is_err());
}

#[test]
fn objects_are_written_as_kubectl_prints_them() {
    let object = json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "one", "creationTimestamp": "2026-11-21T04:16:40Z", "labels": {"x": "y"},
            "annotations": {"last": "{\"a\":1}\n"}, "finalizers": []},
        "data": {"a": "1", "b": "two", "empty": "", "cron": "*/5 * * * *", "image": "nginx:1.27",
            "sep": "a: b", "hash": "a #b", "tab": "a\tb", "lines": "x\n y\nz", "trail": "a \nb",
            "a10": "n", "a2": "n", "q": "it's: x", "time": "12:30", "v": "-", "star": "a*"},
        "list": [{"name": "c", "ports": [{"p": 80}]}, ["a", ["b"]], {}, "x", null, 1.5, true],
        "spec": {}
    });
    let expected = r##"apiVersion: v1
data:
  a: "1"
  a2: "n"
  a10: "n"
  b: two
  cron: '*/5 * * * *'
  empty: ""
  hash: 'a #b'
  image: nginx:1.27
  lines: |-
    x
     y
    z
  q: 'it''s: x'
  sep: 'a: b'
  star: a*
  tab: "a\tb"
  time: "12:30"
  trail: "a \nb"
  v: '-'
kind: ConfigMap
list:
- name: c
  ports:
  - p: 80
- - a
  - - b
- {}
- x
- null
- 1.5
- true
metadata:
  annotations:
    last: |
      {"a":1}
  creationTimestamp: "2026-11-21T04:16:40Z"
  finalizers: []
  labels:
    x: "y"
  name: one
spec: {}
"##;
    assert_eq!(write(&object), expected);
    assert_eq!(read(expected).unwrap(), [object]);
}

#[test]
fn long_lines_fold_at_blanks() {
    let message = "0/3 nodes are available: 3 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/3 nodes are available";
    assert_eq!(
        write(&json!({ "message": message })),
        "message: '0/3 nodes are available: 3 node(s) had untolerated taint(s). no new claims\n  to deallocate, preemption: 0/3 nodes are available'\n"
    );
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ a-z:#'\"\\-\\n\\t{}\\[\\],&*!|>%@`?0-9.~<=]{0,12}",
        ".{0,8}",
        "(yes|no|null|~|0644|1e3|0x1f|1_0|<<|2024-01-01|1:30|---|\\.inf|[a-z ]{60,120})",
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_itself(value in tree()) {
        let text = write(&json!({ "value": value }));
        let document = read_document(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(&document.value["value"], &value, "{}", text);
    }
}

#[test]
fn few_words_do_not_stand_for_more_than_there_is_memory() {
    let ten_of = |name: &str| format!("*{name},").repeat(10);
    let laughs: String = (1..10)
        .map(|level| {
            format!(
                "a{level}: &a{level} [{}]\n",
                ten_of(&format!("a{}", level - 1))
            )
        })
        .collect();
    let anchors: String = (0..90).map(|level| format!("&a{level} [")).collect();
    for text in [
        format!("a0: &a0 x\n{laughs}"),
        format!(
            "a: &a {}\nb: [{}]",
            "x".repeat(100_000),
            "*a,".repeat(10_000)
        ),
        format!("{anchors}{}{}", "x,".repeat(20_000), "]".repeat(90)),
    ] {
        let refused = read_document(&text).unwrap_err();
        assert_eq!(refused.0, "yaml: document contains excessive aliasing");
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(
        read_document(&deep).unwrap_err().0,
        "yaml: exceeded max depth"
    );
}
