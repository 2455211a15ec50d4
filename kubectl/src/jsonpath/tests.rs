//! Templates over one object.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Template;

#[test]
fn templates_print_what_upstream_prints() {
    let object = json!({
        "kind": "List",
        "metadata": {"name": "one", "labels": {"a.b/c": "d"}},
        "items": [
            {"name": "x", "size": 1, "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
            {"name": "y", "size": 2, "conditions": [{"type": "Ready", "status": "False"}]},
            {"name": "z", "size": 3},
        ],
    });
    let cases = [
        ("{.metadata.name}", "one"),
        ("{.nothing.at.all}", ""),
        ("a{.kind}b{\"\\n\"}", "aListb\n"),
        ("{.items[*].name}", "x y z"),
        ("{.items[0].name} {.items[-1].name}", "x z"),
        ("{.items[0:2].name}", "x y"),
        ("{.items[::2].name}", "x z"),
        ("{.items[0,2].name}", "x z"),
        ("{.items[*]['name','size']}", "x 1 y 2 z 3"),
        ("{.metadata.labels}", "{\"a.b/c\":\"d\"}"),
        ("{.metadata.labels.a\\.b/c}", "d"),
        ("{.metadata.labels['a.b/c']}", "d"),
        ("{range .items[*]}{.name}={.size};{end}", "x=1;y=2;z=3;"),
        ("{.items[?(@.size>1)].name}", "y z"),
        ("{.items[?(@.name==\"y\")].size}", "2"),
        ("{.items[?(@.conditions)].name}", "x y"),
        ("{.items[0].conditions[?(@.type=='Ready')].status}", "True"),
        ("{..status}", "True False False"),
        ("{$.kind}", "List"),
    ];
    for (template, expected) in cases {
        let text = Template::read(template).unwrap().format(&object).unwrap();
        assert_eq!(text, expected, "{template}");
    }
}

#[test]
fn a_path_may_be_written_in_four_ways() {
    let object = json!({"a": {"b": 1}});
    for path in ["a.b", ".a.b", "{a.b}", "{.a.b}"] {
        let template = Template::read_path(path).unwrap();
        assert_eq!(template.values(&object).unwrap(), [&json!(1)], "{path}");
    }
}

#[test]
fn templates_that_do_not_end_are_refused() {
    let cases = [
        ("{.bad", "error parsing jsonpath {.bad, unclosed action"),
        ("{.a[0}", "error parsing jsonpath {.a[0}, unclosed action"),
        (
            "{end}",
            "error parsing jsonpath {end}, not in range, nothing to end",
        ),
        (
            "{nonsense}",
            "error parsing jsonpath {nonsense}, unrecognized identifier nonsense",
        ),
    ];
    for (template, expected) in cases {
        assert_eq!(Template::read(template).unwrap_err(), expected);
    }
}

#[test]
fn a_strict_template_wants_every_field() {
    let object = json!({"a": {"b": 1}});
    let strict = |source: &str| Template::read(source).unwrap().strict(true);
    assert_eq!(strict("{.a.b}").format(&object).unwrap(), "1");
    let error = strict("{.a.c}").format(&object).unwrap_err();
    assert!(
        error.contains("Error executing template: c is not found."),
        "{error}"
    );
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    for source in [
        format!("{{.a{}", "[?(@.b".repeat(5_000)),
        "{range .a}".repeat(5_000),
        format!("{{.a{}{}}}", "[".repeat(5_000), "]".repeat(5_000)),
    ] {
        let error = Template::read(&source).unwrap_err();
        assert!(
            error.ends_with("the template is nested too deeply"),
            "{error}"
        );
    }
}

fn object() -> Value {
    json!({
        "a": [{"b": 1, "c": "x"}, {"b": -2.5, "c": null}, [1, 2, 3]],
        "b": {"c": {"a": true}},
        "": "empty",
    })
}

proptest! {
    #[test]
    fn no_text_makes_a_template_panic(source in "[{}.$@*\\[\\]()?'\"\\\\,:=!<>abc01 -]{0,40}") {
        let read = [Template::read(&source), Template::read_path(&source)];
        for template in read.into_iter().flatten() {
            let _ = template.format(&object());
            let _ = template.values(&object());
            let _ = template.strict(true).format(&object());
        }
    }

    #[test]
    fn paths_of_any_words_are_followed_or_refused(
        words in proptest::collection::vec(proptest::sample::select(vec![
            ".a", ".b", "..", "..c", "[*]", "[0]", "[-1]", "[0:2]", "[::2]", "[1:9223372036854775807:9223372036854775807]",
            "[0,1]", "['a','b']", "[?(@.b>1)]", "[?(@.c==\"x\")]", "[?(@.b)]", "$", "@", "\"t\"", "1", "true", " ",
            "}{", "}{range .a[*]}{", "}{end}{", ".*",
        ]), 0..12)
    ) {
        let source = format!("{{{}}}", words.concat());
        if let Ok(template) = Template::read(&source) {
            let _ = template.format(&object());
            let _ = template.values(&object());
        }
    }
}
