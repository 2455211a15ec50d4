//! Labels, annotations, selectors, times and owners.

use jiff::Timestamp;
use serde_json::Value;

use super::{Text, list, string};

const HIDDEN: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Annotations longer than this stand on a line of their own.
const LONG: usize = 140;

/// `Name:` and, where it has one, `Namespace:`.
pub fn name(text: &mut Text, object: &Value) {
    text.field(0, "Name", string(&object["metadata"], "name"));
    let namespace = string(&object["metadata"], "namespace");
    if !namespace.is_empty() {
        text.field(0, "Namespace", namespace);
    }
}

/// A map, a line an entry.
pub fn labels(text: &mut Text, level: usize, title: &str, map: &Value) {
    multi_line(text, level, title, map, "=", &[]);
}

fn multi_line(
    text: &mut Text,
    level: usize,
    title: &str,
    map: &Value,
    separator: &str,
    skip: &[&str],
) {
    let mut pairs: Vec<(&str, &str)> = map
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !skip.contains(&key.as_str()))
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort_unstable();
    if pairs.is_empty() {
        return text.line(level, format!("{title}:\t<none>"));
    }
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        // Only the first line is indented: the others begin with an empty cell.
        match index {
            0 => text.line(level, format!("{title}:\t{key}{separator}{value}")),
            _ => text.line(0, format!("\t{key}{separator}{value}")),
        }
    }
}

/// `Labels:` and `Annotations:`.
pub fn labels_and_annotations(text: &mut Text, object: &Value) {
    labels(text, 0, "Labels", &object["metadata"]["labels"]);
    annotations(text, 0, &object["metadata"]["annotations"]);
}

/// `Annotations:`, without what kubectl itself keeps there.
pub fn annotations(text: &mut Text, level: usize, map: &Value) {
    let mut pairs: Vec<(&str, &str)> = map
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != HIDDEN)
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort_unstable();
    if pairs.is_empty() {
        return text.line(level, "Annotations:\t<none>");
    }
    let indent = "  ".repeat(level);
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        let head = if index == 0 { "Annotations:" } else { "" };
        let value = value.trim_end_matches('\n');
        if key.len() + value.len() + 2 > LONG || value.contains('\n') {
            text.line(level, format!("{head}\t{key}:"));
            for line in value.split('\n') {
                let cut: String = line.chars().take(LONG - 2).collect();
                let cut = if cut.len() < line.len() {
                    format!("{cut}...")
                } else {
                    cut
                };
                text.line(level, format!("{indent}\t  {cut}"));
            }
        } else {
            text.line(level, format!("{head}\t{key}: {value}"));
        }
    }
}

/// A meta/v1 LabelSelector as a query: empty when it selects all.
pub fn plain_selector(selector: &Value) -> String {
    match self::selector(selector) {
        none if none == "<none>" => String::new(),
        selector => selector,
    }
}

/// A meta/v1 LabelSelector in one line.
pub fn selector(selector: &Value) -> String {
    let mut parts: Vec<String> = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in list(selector, "matchExpressions") {
        let key = string(expression, "key");
        let values: Vec<&str> = list(expression, "values")
            .filter_map(Value::as_str)
            .collect();
        parts.push(match string(expression, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.sort();
    if parts.is_empty() {
        "<none>".to_owned()
    } else {
        parts.join(",")
    }
}

/// A time as RFC 1123 with the zone's offset, as Go prints it.
pub fn time(value: &Value) -> String {
    match value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok())
    {
        Some(time) => time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string(),
        None => String::new(),
    }
}

/// A time; the year 1 when there is none, as Go prints it.
pub fn time_or_zero(value: &Value) -> String {
    match time(value) {
        none if none.is_empty() => "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(),
        time => time,
    }
}

/// `CreationTimestamp:`
pub fn created(text: &mut Text, object: &Value) {
    let created = time(&object["metadata"]["creationTimestamp"]);
    text.field(0, "CreationTimestamp", created);
}

/// `True`, `False` or `<unset>`.
pub fn flag(value: &Value) -> &'static str {
    match value.as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    }
}

/// A value, or `<unset>`.
pub fn or_unset(value: &Value) -> String {
    match value {
        Value::Null => "<unset>".to_owned(),
        value => super::plain(value),
    }
}

/// `Controlled By:`, when there is a controller.
pub fn controller(text: &mut Text, object: &Value) {
    let owner =
        list(&object["metadata"], "ownerReferences").find(|owner| owner["controller"] == true);
    if let Some(owner) = owner {
        text.line(
            0,
            format!(
                "Controlled By:\t{}/{}",
                string(owner, "kind"),
                string(owner, "name")
            ),
        );
    }
}

/// How long ago, as `5m3s`.
pub fn age(value: &Value) -> String {
    match value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok())
    {
        Some(time) => human(Timestamp::now().as_second() - time.as_second()),
        None => "<unknown>".to_owned(),
    }
}

/// A number of seconds as upstream's `HumanDuration`.
pub fn human(seconds: i64) -> String {
    let with = |large: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{small_unit}")
        }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => with(minutes, "m", seconds % 60, "s"),
        600..10800 => format!("{minutes}m"),
        10800..28800 => with(hours, "h", minutes % 60, "m"),
        28800..172_800 => format!("{hours}h"),
        172_800..691_200 => with(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => with(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}
