//! Sets and their JSON.

use crate::apply::{Element, Managers, Set};

fn set(json: &str) -> Set<'_> {
    Set::parse(json).expect("FieldsV1")
}

#[test]
fn fields_v1_is_read_and_written_in_one_form() {
    for (given, written) in [
        ("{}", "{}"),
        (r#"{"f:a":{}}"#, r#"{"f:a":{}}"#),
        // A parent without a dot is no member.
        (r#"{"f:a":{"f:b":{}}}"#, r#"{"f:a":{"f:b":{}}}"#),
        (
            r#"{"f:a":{"f:b":{},".":{}}}"#,
            r#"{"f:a":{".":{},"f:b":{}}}"#,
        ),
        // Sorted.
        (r#"{"f:b":{},"f:a":{}}"#, r#"{"f:a":{},"f:b":{}}"#),
        // Fields, keys, values, indices.
        (
            r#"{"i:2":{},"i:10":{},"v:3":{},"v:true":{},"v:\"x\"":{},"v:1.5":{},"k:{\"b\":1,\"a\":\"q\\\"\"}":{},"f:z":{}}"#,
            r#"{"f:z":{},"k:{\"a\":\"q\\\"\",\"b\":1}":{},"v:1.5":{},"v:3":{},"v:\"x\"":{},"v:true":{},"i:2":{},"i:10":{}}"#,
        ),
        // What is not known is left out, and a parent of nothing is a member.
        (r#"{"f:a":{"x:1":{}},"q:0":{}}"#, r#"{"f:a":{}}"#),
        // Repeated keys count together.
        (
            r#"{"f:a":{"f:x":{}},"f:a":{"f:y":{}}}"#,
            r#"{"f:a":{"f:x":{},"f:y":{}}}"#,
        ),
        ("{\"f:q\\\"\":{}}", "{\"f:q\\\"\":{}}"),
    ] {
        assert_eq!(set(given).to_json(), written, "{given}");
        assert_eq!(set(written).to_json(), written, "{written}");
    }
}

#[test]
fn malformed_fields_are_refused() {
    let deep = format!("{}{}", r#"{"f:a":"#.repeat(200), "}".repeat(200));
    for bad in [
        "",
        "[]",
        "{",
        r#"{"f:a":1}"#,
        r#"{"f":{}}"#,
        r#"{"fa":{}}"#,
        r#"{"k:x":{}}"#,
        r#"{"k:{\"a\":{}}":{}}"#,
        r#"{"v:":{}}"#,
        r#"{"i:x":{}}"#,
        "{} {}",
        &deep,
    ] {
        assert!(Set::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn sets_are_joined_and_taken_apart() {
    // a, b, union, intersection, difference, recursive difference
    for [a, b, union, both, difference, recursive] in [
        ["{}", r#"{"f:a":{}}"#, r#"{"f:a":{}}"#, "{}", "{}", "{}"],
        [
            r#"{"f:a":{},"f:b":{}}"#,
            r#"{"f:b":{},"f:c":{}}"#,
            r#"{"f:a":{},"f:b":{},"f:c":{}}"#,
            r#"{"f:b":{}}"#,
            r#"{"f:a":{}}"#,
            r#"{"f:a":{}}"#,
        ],
        // A parent and its child are different fields.
        [
            r#"{"f:a":{".":{},"f:x":{},"f:y":{}}}"#,
            r#"{"f:a":{}}"#,
            r#"{"f:a":{".":{},"f:x":{},"f:y":{}}}"#,
            r#"{"f:a":{}}"#,
            r#"{"f:a":{"f:x":{},"f:y":{}}}"#,
            "{}",
        ],
        [
            r#"{"f:a":{"f:x":{}}}"#,
            r#"{"f:a":{"f:x":{},"f:y":{}}}"#,
            r#"{"f:a":{"f:x":{},"f:y":{}}}"#,
            r#"{"f:a":{"f:x":{}}}"#,
            "{}",
            "{}",
        ],
        [
            r#"{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}"#,
            r#"{"k:{\"name\":\"b\"}":{}}"#,
            r#"{"k:{\"name\":\"a\"}":{".":{},"f:image":{}},"k:{\"name\":\"b\"}":{}}"#,
            "{}",
            r#"{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}"#,
            r#"{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}"#,
        ],
    ] {
        let what = format!("{a} and {b}");
        assert_eq!(set(a).union(set(b)).to_json(), union, "{what}");
        assert_eq!(set(b).union(set(a)).to_json(), union, "{what}");
        assert_eq!(set(a).intersection(&set(b)).to_json(), both, "{what}");
        assert_eq!(set(a).difference(&set(b)).to_json(), difference, "{what}");
        assert_eq!(
            set(a).recursive_difference(&set(b)).to_json(),
            recursive,
            "{what}"
        );
    }
}

#[test]
fn membership_is_of_exact_paths() {
    let set = set(r#"{"f:a":{"f:x":{}},"f:b":{".":{},"f:y":{}}}"#);
    let has = |path: &[&str]| set.has_path(path);
    assert!(!has(&["a"]) && has(&["a", "x"]) && has(&["b"]) && has(&["b", "y"]));
    assert!(!has(&[]) && !has(&["c"]) && !has(&["a", "x", "z"]));
    assert!(set.has(&[Element::field("b"), Element::field("y")]));
}

#[test]
fn entries_are_read_strictly() {
    let entry = |change: &str| {
        let whole = r#"{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:a":{}},"manager":"m","operation":"Update"}"#;
        format!(
            "[{}]",
            whole.replace(
                change.split('>').next().unwrap_or(""),
                change.split('>').nth(1).unwrap_or("")
            )
        )
    };
    for (change, why) in [
        ("Update>Upsert", "operation must be `Apply` or `Update`"),
        ("\"v1\">\"\"", "apiVersion must not be empty"),
        (
            "\"FieldsV1\">\"\"",
            "missing fieldsType in managed fields entry 0",
        ),
        (
            "\"FieldsV1\">\"FieldsV2\"",
            "invalid fieldsType \"FieldsV2\" in managed fields entry 0",
        ),
    ] {
        let json = entry(change);
        assert_eq!(Managers::parse(json.as_bytes()).unwrap_err(), why, "{json}");
    }
    let bad = entry("f:a>fa");
    assert!(
        Managers::parse(bad.as_bytes())
            .unwrap_err()
            .starts_with("error decoding set: ")
    );
    let good = entry("_>_");
    let managers = Managers::parse(good.as_bytes()).unwrap();
    assert_eq!(managers.to_json().unwrap(), good.as_bytes());
    assert_eq!(Managers::default().to_json(), None);
}

#[test]
fn entries_are_sorted_as_upstream_sorts_them() {
    let entry = |manager: &str, operation: &str, time: &str| {
        let time = if time.is_empty() {
            String::new()
        } else {
            format!(",\"time\":\"{time}\"")
        };
        format!(
            r#"{{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{{"f:a":{{}}}},"manager":"{manager}","operation":"{operation}"{time}}}"#
        )
    };
    let sorted = [
        entry("z", "Apply", ""),
        entry("y", "Apply", "2025-01-01T00:00:00Z"),
        entry("b", "Update", "2024-01-01T00:00:00Z"),
        entry("c", "Update", "2024-01-01T00:00:00Z"),
        entry("a", "Update", "2025-01-01T00:00:00Z"),
    ];
    let mut mixed = sorted.clone();
    mixed.reverse();
    let json = format!("[{}]", mixed.join(","));
    let written = Managers::parse(json.as_bytes()).unwrap().to_json().unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        format!("[{}]", sorted.join(","))
    );
}
