//! Selectors read, match and refuse as upstream's do.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[test]
fn label_selectors_match_as_written() {
    let web = labels(&[("app", "web"), ("tier", "a"), ("n", "5")]);
    for (text, expected) in [
        ("", true),
        ("app=web", true),
        ("app==web", true),
        ("app = web , tier", true),
        ("app!=web", false),
        ("other!=x", true),
        ("app in (web, db)", true),
        ("app notin (web)", false),
        ("app in (in)", false),
        ("!app", false),
        ("!other", true),
        ("n>4", true),
        ("n<4", false),
        ("app>4", false),
        ("app in ()", false),
        ("app=", false),
        ("app in (,web)", true),
    ] {
        let selector = LabelSelector::parse(text).unwrap();
        assert_eq!(selector.matches(&web), expected, "{text}");
    }
}

#[test]
fn malformed_label_selectors_are_refused_in_upstream_words() {
    for (text, message) in [
        ("app=a=b", "found '=', expected: ',' or 'end of string'"),
        (
            "app in a",
            "unable to parse requirement: found 'a' expected: '('",
        ),
        (
            "in (a)",
            "unable to parse requirement: found '(', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            "a b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            "=x",
            "found '=', expected: !, identifier, or 'end of string'",
        ),
        (
            "-bad=x",
            "unable to parse requirement: <nil>: Invalid value: \"-bad\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
        (
            "app>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("a,", "found '', expected: identifier after ','"),
    ] {
        assert_eq!(LabelSelector::parse(text).unwrap_err(), message, "{text}");
    }
}

#[test]
fn selectors_of_workloads_are_read_from_their_tree() {
    let web = labels(&[("app", "web")]);
    let selector = json!({"matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]});
    let selector = LabelSelector::from_value(Some(&selector)).unwrap();
    assert!(selector.matches(&web));
    assert_eq!(selector.to_string(), "app=web,!old");
    assert!(!LabelSelector::from_value(None).unwrap().matches(&web));
    assert!(
        LabelSelector::from_value(Some(&json!({})))
            .unwrap()
            .matches(&web)
    );
    let bad = json!({"matchExpressions": [{"key": "a", "operator": "Eq"}]});
    assert_eq!(
        LabelSelector::from_value(Some(&bad)).unwrap_err(),
        "\"Eq\" is not a valid label selector operator"
    );
}

#[test]
fn field_selectors_match_and_refuse() {
    let value_of = |field: &str| match field {
        "metadata.name" => Some("web"),
        "spec.nodeName" => Some(""),
        "a" => Some("x,y=z"),
        _ => None,
    };
    for (text, expected) in [
        ("", true),
        ("metadata.name=web", true),
        ("metadata.name==web,spec.nodeName=", true),
        ("metadata.name!=web", false),
        ("spec.nodeName!=", false),
        ("a=x\\,y\\=z", true),
    ] {
        let selector = FieldSelector::parse(text).unwrap();
        assert_eq!(selector.matches(value_of), expected, "{text}");
    }
    for (text, message) in [
        ("abc", "invalid selector: 'abc'; can't understand 'abc'"),
        (
            "metadata.name in (a)",
            "invalid selector: 'metadata.name in (a)'; can't understand 'metadata.name in (a)'",
        ),
    ] {
        assert_eq!(FieldSelector::parse(text).unwrap_err(), message);
    }
    let selector = FieldSelector::parse("spec.nodeName=n1").unwrap();
    assert_eq!(selector.exact("spec.nodeName"), Some("n1"));
}

proptest! {
    #[test]
    fn a_printed_label_selector_reads_back_as_itself(
        parts in prop::collection::vec(("[a-z]{1,5}", 0..7usize, prop::collection::vec("[a-z0-9]{1,4}", 1..3)), 0..5)
    ) {
        let text: Vec<String> = parts.iter().map(|(key, kind, values)| match kind {
            0 => format!("{key}={}", values[0]),
            1 => format!("{key}!={}", values[0]),
            2 => format!("{key} in ({})", values.join(",")),
            3 => format!("{key} notin ({})", values.join(",")),
            4 => key.clone(),
            5 => format!("!{key}"),
            _ => format!("{key}>5"),
        }).collect();
        let selector = LabelSelector::parse(&text.join(",")).unwrap();
        prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "[a-z=!,()<> \\\\\u{e9}]{0,12}") {
        let _ = LabelSelector::parse(&text);
        let _ = FieldSelector::parse(&text);
    }
}
