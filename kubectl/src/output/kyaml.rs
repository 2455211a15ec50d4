//! Objects as KYAML: YAML in braces and brackets, with every text in quotes and no meaning in
//! blanks (KEP-5295).

use std::fmt::Write;

use serde_json::Value;

/// The continuation of a text that is folded over several lines.
const FOLD: &str = "\\\n";

/// A document of a value, with its head and line end.
pub fn write(value: &Value) -> String {
    let mut out = String::from("---\n");
    node(value, 0, &mut out);
    out.push('\n');
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn node(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Object(map) => {
            out.push_str("{\n");
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            for (key, value) in entries {
                indent(depth + 1, out);
                match needs_quotes(key) {
                    true => text(key, depth + 1, false, out),
                    false => out.push_str(key),
                }
                out.push_str(": ");
                node(value, depth + 1, out);
                out.push_str(",\n");
            }
            indent(depth, out);
            out.push('}');
        }
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        // Brackets of lists and maps in a list stand together.
        Value::Array(items) if items.iter().all(|item| item.is_object() || item.is_array()) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                node(item, depth, out);
            }
            out.push(']');
        }
        Value::Array(items) => {
            out.push_str("[\n");
            for item in items {
                indent(depth + 1, out);
                node(item, depth + 1, out);
                out.push_str(",\n");
            }
            indent(depth, out);
            out.push(']');
        }
        Value::String(own) => text(own, depth + 1, true, out),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// A text in quotes; one of several lines is folded at its line ends.
fn text(own: &str, depth: usize, folds: bool, out: &mut String) {
    let folds = folds && own.contains('\n');
    out.push('"');
    if folds {
        out.push_str(FOLD);
    }
    let mut line_begins = folds;
    for c in own.chars() {
        if line_begins {
            indent(depth, out);
            // Blanks at the beginning of a line would be lost.
            out.push(if c.is_whitespace() && c != '\n' {
                '\\'
            } else {
                ' '
            });
        }
        line_begins = false;
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' if folds => {
                out.push_str("\\n");
                out.push_str(FOLD);
                line_begins = true;
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            '\0' => out.push_str("\\0"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    if folds {
        if !line_begins {
            out.push_str(FOLD);
        }
        indent(depth, out);
    }
    out.push('"');
}

/// Whether a key without quotes could be taken for something else.
fn needs_quotes(key: &str) -> bool {
    let last = key.chars().count().saturating_sub(1);
    let plain = key.chars().enumerate().all(|(index, c)| {
        c.is_alphanumeric()
            || c == '_'
            || (index > 0 && index < last && matches!(c, '-' | '.' | '/'))
    });
    key.is_empty() || !plain || looks_otherwise(key)
}

/// Texts that YAML 1.1 reads as truth values, numbers, null or times.
fn looks_otherwise(key: &str) -> bool {
    let word = key.to_lowercase();
    let words = [
        "null", "true", "t", "y", "yes", "on", "false", "f", "n", "no", "off",
    ];
    if words.contains(&word.as_str()) {
        return true;
    }
    let bare = word.replace('_', "");
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .any(|(prefix, radix)| {
            bare.strip_prefix(prefix)
                .is_some_and(|rest| digits(rest, *radix))
        });
    let date = word.split('-').collect::<Vec<_>>();
    let is_date = matches!(date.as_slice(), [year, month, day]
        if year.len() == 4 && [year, month, day].iter().all(|part| digits(part, 10)));
    prefixed || is_date || bare.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_quoted_and_brackets_stand_together() {
        let object = json!({
            "kind": "ConfigMap",
            "data": {"no": "yes", "a.b/c": "1", "8080": "x", "1e3": "", "-x": "\ttab"},
            "list": [{"a": 1}, {"b": [true, null]}],
            "empty": [{}, []],
            "script": "one\n  two\n",
            "open": "a\nb",
        });
        let expected = r#"---
{
  data: {
    "-x": "\ttab",
    "1e3": "",
    "8080": "x",
    a.b/c: "1",
    "no": "yes",
  },
  empty: [{}, []],
  kind: "ConfigMap",
  list: [{
    a: 1,
  }, {
    b: [
      true,
      null,
    ],
  }],
  open: "\
     a\n\
     b\
    ",
  script: "\
     one\n\
    \  two\n\
    ",
}
"#;
        assert_eq!(write(&object), expected);
        let read = ferrule_apimachinery::yaml::read(expected).unwrap();
        assert_eq!(read, [object]);
    }
}
