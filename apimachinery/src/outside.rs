//! Whatever arrives from outside is read or refused: no parser panics, and what one of them accepts
//! the next one understands.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::patch::PatchType;
use crate::quantity::Quantity;
use crate::schema::{Schema, json_syntax};
use crate::selector::{FieldSelector, LabelSelector};
use crate::{duration, names, time, yaml};

/// Bytes that look like JSON, most of the time.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        " ",
        "\n",
        "\"",
        "\\",
        "\"a\"",
        "\"metadata\"",
        "\"spec\"",
        "\"name\"",
        "\"containers\"",
        "\"ports\"",
        "\"labels\"",
        "null",
        "true",
        "nul",
        "0",
        "-1",
        "1e400",
        "99999999999999999999",
        "1.5",
        "01",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "\u{e9}",
        "\"500m\"",
        "\"$patch\"",
        "\"delete\"",
        "\"2026-01-01T00:00:00Z\"",
        "\u{7f}",
    ];
    let token = prop_oneof![
        20 => select(TOKENS).prop_map(|text| text.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// A tree of names and values that mean something to a Pod, or to a patch of one.
fn tree() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "metadata",
        "labels",
        "name",
        "spec",
        "containers",
        "volumes",
        "ports",
        "containerPort",
        "protocol",
        "tolerations",
        "finalizers",
        "hostPath",
        "emptyDir",
        "resources",
        "limits",
        "cpu",
        "$patch",
        "$retainKeys",
        "$deleteFromPrimitiveList/finalizers",
        "$setElementOrder/containers",
        "$setElementOrder/finalizers",
        "op",
        "path",
        "value",
        "from",
        "x",
    ];
    const TEXTS: &[&str] = &[
        "",
        "a",
        "b",
        "replace",
        "delete",
        "merge",
        "add",
        "remove",
        "move",
        "copy",
        "test",
        "/a",
        "/spec/-",
        "/spec/containers/0",
        "~2",
        "/~1~0",
        "500m",
        "TCP",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..70_000).prop_map(Value::from),
        select(TEXTS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((select(NAMES), inner), 0..5).prop_map(|entries| {
                let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(entries.collect())
            }),
        ]
    })
}

fn a_type() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "core/v1.Pod",
            "core/v1.Service",
            "apps/v1.Deployment",
            "core/v1.ConfigMap",
            "apiextensions.k8s.io/v1.CustomResourceDefinition",
        ][..],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_check_of_json_agrees_with_the_parser(bytes in nearly_json()) {
        let parsed = serde_json::from_slice::<Value>(&bytes);
        let checked = json_syntax::check(&bytes);
        // Go mends what the parser refuses: halves of characters, other bytes than UTF-8, numbers out of range.
        if parsed.is_ok() {
            prop_assert_eq!(checked, Ok(()));
        }
    }

    #[test]
    fn json_is_decoded_or_refused(name in a_type(), bytes in nearly_json()) {
        let schema = Schema::builtin();
        let id = schema.type_id(name).unwrap();
        if let Ok(decoded) = schema.decode_json(&bytes, id) {
            // What is kept is decoded as itself.
            let again = schema.decode_value(decoded.value.clone(), id).unwrap();
            prop_assert_eq!(again.value, decoded.value);
        }
    }

    #[test]
    fn trees_are_decoded_or_refused_and_written(name in a_type(), tree in tree()) {
        let schema = Schema::builtin();
        let id = schema.type_id(name).unwrap();
        if tree.is_object() && let Ok(mut decoded) = schema.decode_value(tree, id) {
            let json = decoded.value.to_string();
            let message = schema.write_message(id, json.as_bytes()).unwrap();
            let read = schema.read_message(id, &message).unwrap();
            schema.forget_empty(&mut decoded.value, id);
            prop_assert_eq!(schema.decode_value(read, id).unwrap().value, decoded.value);
        }
    }

    #[test]
    fn yaml_is_read_or_refused(
        lines in prop::collection::vec("[ ]{0,6}([a-z]{0,3}: ?|- |\\? |<<: |)([|>&*!\"'{}\\[\\],#~0-9a-z:.+-]{0,8})", 0..12)
    ) {
        let text = lines.join("\n");
        let _ = yaml::read(&text);
        let _ = yaml::split_documents(&text);
        if let Ok(document) = yaml::read_document(&text) {
            let _ = yaml::write(&document.value);
        }
    }

    #[test]
    fn any_text_is_yaml_or_is_not(text in any::<String>()) {
        let _ = yaml::read(&text);
    }

    #[test]
    fn patches_are_applied_or_refused(name in a_type(), object in tree(), patch in tree()) {
        let schema = Schema::builtin();
        let id = schema.type_id(name).unwrap();
        for form in [PatchType::Json, PatchType::Merge, PatchType::Strategic] {
            let _ = form.apply(schema, id, object.clone(), &patch);
        }
    }

    #[test]
    fn operations_are_applied_or_refused(
        object in tree(),
        operations in prop::collection::vec(tree(), 0..4),
    ) {
        let schema = Schema::builtin();
        let id = schema.type_id("core/v1.Pod").unwrap();
        let _ = PatchType::Json.apply(schema, id, object, &Value::from(operations));
    }

    #[test]
    fn patches_are_read_or_refused(bytes in nearly_json()) {
        for form in [PatchType::Json, PatchType::Merge, PatchType::Strategic] {
            let _ = form.read(&bytes);
        }
    }

    #[test]
    fn any_text_is_a_selector_or_is_not(text in any::<String>()) {
        if let Ok(selector) = LabelSelector::parse(&text) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }
        let _ = FieldSelector::parse(&text);
    }

    #[test]
    fn selectors_that_are_accepted_are_understood_again(
        text in prop::collection::vec(
            select(&["a", "b.c/d", "in", "notin", " ", "(", ")", ",", "=", "==", "!=", "!", ">", "<", "5", "é"][..]),
            0..14,
        )
    ) {
        if let Ok(selector) = LabelSelector::parse(&text.concat()) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
        }
        let _ = FieldSelector::parse(&text.concat());
    }

    #[test]
    fn label_selectors_of_objects_are_read_or_refused(tree in tree()) {
        let _ = LabelSelector::from_value(Some(&tree));
    }

    #[test]
    fn any_text_is_an_amount_or_is_not(text in any::<String>()) {
        if let Ok(quantity) = Quantity::parse(&text) {
            prop_assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
        }
    }

    #[test]
    fn other_texts_are_read_or_refused(text in any::<String>(), dated in "[-0-9]{0,5}[-0-9T:Z.+]{0,30}") {
        for text in [&text, &dated] {
            let _ = time::parse(text);
            let _ = time::parse_micro(text);
            let _ = duration::parse_signed(text);
            let _ = names::dns1123_subdomain(text);
            let _ = names::qualified_name(text);
        }
    }
}
