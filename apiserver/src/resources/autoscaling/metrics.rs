//! Metrics as the text of a table cell: what was measured, and what is wanted.

use serde_json::Value;

use super::source_of;
use crate::resources::tree::{Tree, display};

const UNKNOWN: &str = "<unknown>";
/// Metrics that are shown; of the others only the number.
const SHOWN: usize = 2;

/// The metrics of a specification with those of the status, by their place in the list.
pub(super) fn text(wanted: &[Value], measured: &[Value]) -> String {
    if wanted.is_empty() {
        return "<none>".to_owned();
    }
    let none = Value::Null;
    let shown: Vec<String> = wanted
        .iter()
        .enumerate()
        .take(SHOWN)
        .map(|(i, metric)| one(metric, measured.get(i).unwrap_or(&none)))
        .collect();
    let shown = shown.join(", ");
    match wanted.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn one(metric: &Value, measured: &Value) -> String {
    let kind = metric.text("type");
    let Some(field) = source_of(kind) else {
        return "<unknown type>".to_owned();
    };
    let (source, current) = (metric.at(field), measured.at(field).at("current"));
    let target = source.at("target");
    let measured = |name: &str| amount(current.at(name), UNKNOWN);
    let average = || amount(target.at("averageValue"), "<nil>");
    match kind {
        "Pods" => format!("{}/{}", measured("averageValue"), average()),
        "Resource" | "ContainerResource" => {
            let (now, wanted) = if target.has("averageValue") {
                (measured("averageValue"), average())
            } else {
                let percent = |value: &Value, otherwise: &str| match value.as_i64() {
                    Some(percent) => format!("{percent}%"),
                    None => otherwise.to_owned(),
                };
                (
                    percent(current.at("averageUtilization"), UNKNOWN),
                    percent(target.at("averageUtilization"), "<auto>"),
                )
            };
            format!("{}: {now}/{wanted}", source.text("name"))
        }
        _ if target.has("averageValue") => {
            format!("{}/{} (avg)", measured("averageValue"), average())
        }
        _ => format!(
            "{}/{}",
            measured("value"),
            amount(target.at("value"), "<nil>")
        ),
    }
}

fn amount(value: &Value, absent: &str) -> String {
    match value {
        Value::Null => absent.to_owned(),
        value => display(value).into_owned(),
    }
}
