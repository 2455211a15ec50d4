use proptest::prelude::*;
use serde_json::{Value, json};

use super::Template;

fn object() -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "x", "labels": {"app": "x", "tier": "a"}, "creationTimestamp": null},
        "spec": {"replicas": 1_000_000, "containers": [{"name": "a"}, {"name": "b", "image": "y"}]},
    })
}

fn text(source: &str) -> String {
    let template = match Template::read(source, false) {
        Ok(template) => template,
        Err(why) => return why,
    };
    match template.format(&object()) {
        (text, Ok(())) => text,
        (_, Err(why)) => why,
    }
}

#[test]
fn templates_say_what_go_says() {
    for (source, expected) in [
        ("{{.metadata.name}} {{.spec.replicas}}", "x 1000000"),
        (
            "{{.metadata}}",
            "map[creationTimestamp:<nil> labels:map[app:x tier:a] name:x]",
        ),
        ("{{.spec.containers}}", "[map[name:a] map[image:y name:b]]"),
        ("{{.nope}} {{.nope.x}}", "<no value> <no value>"),
        (
            "{{range $k, $v := .metadata}}{{$k}}={{$v}};{{end}}",
            "creationTimestamp=<no value>;labels=map[app:x tier:a];name=x;",
        ),
        (
            "{{range $i, $c := .spec.containers}}{{$i}}:{{$c.name}} {{end}}",
            "0:a 1:b ",
        ),
        (
            "{{range .spec.containers}}{{.name}}{{$.kind}} {{end}}",
            "aDeployment bDeployment ",
        ),
        ("{{range .nope}}a{{else}}none{{end}}", "none"),
        (
            "{{range .spec.containers}}{{if .image}}{{break}}{{end}}{{.name}}{{end}}",
            "a",
        ),
        (
            "{{range .spec.containers}}{{if not .image}}{{continue}}{{end}}{{.name}}{{end}}",
            "b",
        ),
        ("{{range 3}}{{.}}{{end}}", "012"),
        (
            "{{eq .spec.replicas 1000000}} {{ne .kind \"a\" }} {{lt 1 2}} {{ge \"b\" \"a\"}}",
            "true true true true",
        ),
        ("{{eq .kind \"a\" \"Deployment\"}}", "true"),
        (
            "{{printf \"%d %v %s %q\" .spec.replicas .spec.replicas .kind .kind}}",
            "1000000 1000000 Deployment \"Deployment\"",
        ),
        (
            "{{printf \"%5d|%-5s|%05d|%.2s|%x|%t\" 42 \"ab\" -42 \"abc\" 255 true}}",
            "   42|ab   |-0042|ab|ff|true",
        ),
        (
            "{{printf \"%d\" \"a\"}} {{printf \"%s\"}} {{printf \"a\" 1}}",
            "%!d(string=a) %!s(MISSING) a%!(EXTRA int64=1)",
        ),
        ("{{printf \"%v\" .nope}}", "<nil>"),
        (
            "{{len .metadata.labels}} {{index .metadata.labels \"app\"}} {{index .spec.containers 1 \"image\"}}",
            "2 x y",
        ),
        ("{{(index .spec.containers 0).name}}", "a"),
        (
            "{{\"aGk=\" | base64decode}} {{exists . \"metadata\" \"name\"}} {{exists . \"a\" \"b\"}}",
            "hi true false",
        ),
        (
            "{{if .x}}a{{else if .metadata}}b{{else}}c{{end}}{{with .metadata}}{{.name}}{{end}}",
            "bx",
        ),
        (
            "{{html \"<a>\"}} {{js \"a'b\"}} {{urlquery \"a b\"}} {{slice \"abcd\" 1 2}}",
            "&lt;a&gt; a\\'b a+b b",
        ),
        (
            "{{print 1 2 \"a\" \"b\" 3}}{{println \"x\" 1}}",
            "1 2ab3x 1\n",
        ),
        (
            "{{define \"a\"}}x{{.}}{{end}}{{template \"a\" .kind}} {{block \"b\" .}}z{{end}}",
            "xDeployment z",
        ),
        (
            "{{.kind | printf \"%s-%s\" \"a\"}} {{and 1 0 | not}} {{or \"\" \"b\"}}",
            "a-Deployment true b",
        ),
        ("a  {{- /* nothing */ -}}  b {{- \"c\" -}} \n d", "abcd"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        (
            "{{`raw\\n`}}{{\"\\u0041\\n\"}}{{'a'}}{{1.5}}{{0x10}}",
            "raw\\nA\n971.516",
        ),
    ] {
        assert_eq!(text(source), expected, "{source}");
    }
}

#[test]
fn errors_are_upstreams() {
    let executing = |source: &str, why: &str| {
        format!("error executing template {source:?}: template: output:{why}")
    };
    for (source, why) in [
        (
            "{{.metadata.name.x}}",
            "1:11: executing \"output\" at <.metadata.name.x>: can't evaluate field x in type interface {}",
        ),
        (
            "{{eq .spec.replicas 1.0}}",
            "1:2: executing \"output\" at <eq .spec.replicas 1.0>: error calling eq: incompatible types for comparison",
        ),
        (
            "{{index .spec.containers 5}}",
            "1:2: executing \"output\" at <index .spec.containers 5>: error calling index: index out of range: 5",
        ),
        (
            "{{template \"q\"}}",
            "1:11: executing \"output\" at <{{template \"q\"}}>: template \"q\" not defined",
        ),
        (
            "{{lt 1 \"a\"}}",
            "1:2: executing \"output\" at <lt 1 \"a\">: error calling lt: incompatible types for comparison",
        ),
    ] {
        assert_eq!(text(source), executing(source, why));
    }
    for (source, why) in [
        ("{{.metadata.name", "unclosed action"),
        ("{{foo .metadata}}", "function \"foo\" not defined"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{if .a}}", "unexpected EOF"),
        ("{{$x}}", "undefined variable \"$x\""),
        ("{{}}", "missing value for command"),
        ("{{break}}", "{{break}} outside {{range}}"),
    ] {
        let expected = format!("error parsing template {source}, template: output:1: {why}");
        assert_eq!(text(source), expected);
    }
}

#[test]
fn a_strict_template_wants_every_key() {
    let template = Template::read("{{.nope}}", true).unwrap();
    let (_, result) = template.format(&object());
    let why =
        "template: output:1:2: executing \"output\" at <.nope>: map has no entry for key \"nope\"";
    assert_eq!(
        result.unwrap_err(),
        format!("error executing template \"{{{{.nope}}}}\": {why}")
    );
}

#[test]
fn templates_that_call_themselves_come_to_an_end() {
    let source = "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}";
    assert!(
        text(source).ends_with("exceeded maximum template depth (500)"),
        "{}",
        text(source)
    );
}

#[test]
fn the_least_number_has_no_positive_one() {
    assert!(Template::read("{{-0x-8000000000000000}}", false).is_err());
}

#[test]
fn a_text_that_is_doubled_again_and_again_comes_to_an_end() {
    let doubled = "{{$x = printf \"%s%s\" $x $x}}".repeat(40);
    let source = format!("{{{{$x := \"aaaaaaaa\"}}}}{doubled}");
    let template = Template::read(&source, false).unwrap();
    let (_, result) = template.format(&object());
    assert!(result.unwrap_err().contains("the text is too long"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(source in "[{}. $a-c\"'`|()=:,0-9%/*\\\\\n-]{0,40}") {
        if let Ok(template) = Template::read(&source, false) {
            let _ = template.format(&object());
        }
    }

    #[test]
    fn words_in_any_order_are_read_or_refused(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "if", "else", "end", "range", "with", "define", "template", "block", "break", ".", ".spec", ".metadata.name",
            "$x", ":=", "=", "|", "(", ")", "printf", "index", "len", "eq", "\"%d %s\"", "1", "-2", "{{", "}}", "- ", " -}}", "nil", "slice",
        ]), 0..16)
    ) {
        let source = format!("{{{{{}}}}}", words.join(" "));
        if let Ok(template) = Template::read(&source, true) {
            let _ = template.format(&object());
        }
    }
}
