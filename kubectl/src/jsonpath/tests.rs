//! Templates over one object.

use serde_json::json;

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
