//! Both outputs over a small document.

use serde_json::json;

use super::document::{Document, Gvr};
use super::{plaintext, plaintext_v2, wrap};

fn document() -> Document {
    let kind = json!({"group": "apps", "version": "v1", "kind": "Thing"});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/io.example.{name}")});
    Document(json!({
        "paths": {"/apis/apps/v1/namespaces/{namespace}/things/{name}": {
            "get": {"x-kubernetes-group-version-kind": kind},
        }},
        "components": {"schemas": {
            "io.example.Thing": {
                "type": "object",
                "description": "Thing is an example.",
                "x-kubernetes-group-version-kind": [kind],
                "properties": {
                    "kind": {"type": "string", "description": "The kind."},
                    "spec": {"allOf": [reference("Spec")], "default": {}, "description": "What is wanted."},
                },
            },
            "io.example.Spec": {
                "type": "object",
                "description": "Spec says what a thing is.",
                "required": ["mode"],
                "properties": {
                    "children": {"type": "array", "items": {"allOf": [reference("Spec")]}},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "mode": {"type": "string", "enum": ["", "A", "B", "C", "D"], "description": "How."},
                    "size": {"allOf": [reference("Size")]},
                },
            },
            "io.example.Size": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        }},
    }))
}

fn gvr() -> Gvr {
    Gvr {
        group: "apps".into(),
        version: "v1".into(),
        resource: "things".into(),
    }
}

fn explained(field: &str, recursive: bool) -> String {
    let mut out = String::new();
    plaintext::explain(&document(), &gvr(), &path(field), recursive, &mut out).unwrap();
    out
}

fn path(text: &str) -> Vec<String> {
    let parts = text.split('.').filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

#[test]
fn a_kind_is_explained_with_its_fields() {
    let text = explained("", false);
    assert_eq!(
        text,
        "GROUP:      apps\nKIND:       Thing\nVERSION:    v1\n\n\
         DESCRIPTION:\n    Thing is an example.\n    \nFIELDS:\n\
         \x20 kind\t<string>\n    The kind.\n\n\
         \x20 spec\t<Spec>\n    What is wanted.\n\n\n"
    );
}

#[test]
fn fields_are_listed_with_types_values_and_circles_end() {
    let text = explained("spec", true);
    let fields = text.split_once("FIELDS:\n").unwrap().1;
    assert_eq!(
        fields,
        "  children\t<[]Spec>\n\
         \x20 labels\t<map[string]string>\n\
         \x20 mode\t<string> -required-\n  enum: \"\", A, B, C, ....\n\
         \x20 size\t<Size>\n\n"
    );
}

#[test]
fn a_field_has_all_its_values() {
    let text = explained("spec.children.mode", false);
    let field = text.split_once("VERSION:    v1\n\n").unwrap().1;
    assert_eq!(
        field,
        "FIELD: mode <string>\nENUM:\n    \"\"\n    A\n    B\n    C\n    D\n\n\
         DESCRIPTION:\n    How.\n    \n\n"
    );
}

#[test]
fn the_older_form_calls_objects_objects() {
    let mut text = String::new();
    plaintext_v2::explain(&document(), &gvr(), &path("spec"), false, &mut text).unwrap();
    assert_eq!(
        text,
        "KIND:     Thing\nVERSION:  apps/v1\n\nRESOURCE: spec <Object>\n\n\
         DESCRIPTION:\n     What is wanted.\n\n     Spec says what a thing is.\n\nFIELDS:\n\
         \x20  children\t<[]Object>\n\n   labels\t<map[string]string>\n\n\
         \x20  mode\t<string> -required-\n     How.\n\n   size\t<string>\n\n"
    );
}

#[test]
fn what_does_not_exist_is_said() {
    let mut out = String::new();
    for field in ["nothing", "spec.labels.a.b", "kind.more"] {
        out.clear();
        let last = field.rsplit('.').next().unwrap();
        let said = plaintext::explain(&document(), &gvr(), &path(field), false, &mut out);
        let said = said.unwrap_err().message();
        assert_eq!(said, format!("field \"{last}\" does not exist"));
        assert_eq!(
            out,
            "GROUP:      apps\nKIND:       Thing\nVERSION:    v1\n\n"
        );
    }
    let mut other = gvr();
    other.resource = "others".into();
    let said = plaintext::explain(&document(), &other, &[], false, &mut out);
    assert_eq!(
        said.unwrap_err().message(),
        "GVR (apps/v1, Resource=others) not found in OpenAPI schema"
    );
}

#[test]
fn lines_break_between_words() {
    assert_eq!(wrap::words("one two three", 8), "one two\nthree");
    assert_eq!(wrap::words("a verylongword b", 5), "a\nverylongword\nb");
    assert_eq!(wrap::words("one\ntwo", 8), "one\ntwo");
    let text = "Say:\nthis\n- one\n- two\nand so\non\n\n    code  here";
    assert_eq!(
        wrap::paragraphs(text, 20),
        [
            "Say:",
            "this",
            "- one",
            "- two and so on",
            "",
            "    code  here"
        ]
    );
}
