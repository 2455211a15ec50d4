//! Trees as Go's `%#v` prints them, for messages about objects.

use serde_json::Value;

/// `map[string]interface {}{"a":[]interface {}{1, "b"}}`
pub fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), syntax(value)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    ferrule_apimachinery::field::quote(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trees_are_printed_with_their_types() {
        let tree = json!({"b": [1, "x\n", true, null], "a": {}});
        assert_eq!(
            syntax(&tree),
            r#"map[string]interface {}{"a":map[string]interface {}{}, "b":[]interface {}{1, "x\n", true, interface {}(nil)}}"#
        );
    }
}
