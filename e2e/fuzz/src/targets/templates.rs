//! Templates of kubectl.

use std::sync::LazyLock;

use ferrule_kubectl::commands::wait::Condition;
use ferrule_kubectl::gotemplate;
use ferrule_kubectl::jsonpath;
use ferrule_kubectl::output::custom::Columns;
use serde_json::{Value, json};

use crate::server::objects;

/// A list of some objects.
static LIST: LazyLock<Value> = LazyLock::new(|| {
    let items: Vec<Value> = objects().into_iter().skip(4).take(4).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items, "numbers": [1, -2, 3.5, 1e300], "none": null})
});

/// The input, if it is a text that comes to an end.
fn text(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    (!is_endless(text)).then_some(text)
}

/// Whether a template asks for more work than anybody waits for: loops within loops take as long as they say.
fn is_endless(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let long = (0..text.len()).any(|at| text.get(at..).is_some_and(|rest| digits(rest) > 3));
    let loops = text.matches("range").count();
    loops > 4
        || (loops > 0 && long)
        || text.matches("..").count() > 4
        || text.matches('*').count() > 12
}

/// A template of JSONPath, a path of columns, or what is waited for.
pub fn jsonpath(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    for read in [jsonpath::Template::read, jsonpath::Template::read_path] {
        let Ok(template) = read(text) else {
            continue;
        };
        for strict in [false, true] {
            let template = template.clone().strict(strict);
            let _ = template.format(&LIST);
            let _ = template.values(&LIST);
        }
    }
    if let Ok(condition) = Condition::read(text) {
        let _ = condition.holds(&LIST);
    }
}

/// Columns as an argument, and as a file.
pub fn custom_columns(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    for read in [Columns::read, Columns::read_file] {
        if let Ok(columns) = read(text)
            && let Ok(row) = columns.row(&LIST)
        {
            assert_eq!(row.len(), columns.heading().len());
        }
    }
}

/// A template of Go's.
pub fn go_template(data: &[u8]) {
    let Some(text) = text(data) else {
        return;
    };
    for strict in [false, true] {
        if let Ok(template) = gotemplate::Template::read(text, strict) {
            let _ = template.format(&LIST);
        }
    }
}
