//! The events of an object.

use ferrule_client::client::ListOptions;
use serde_json::Value;

use super::{Text, meta, string};
use crate::error::Result;
use crate::resources::at;
use crate::session::Session;

/// The events about an object, oldest first.
pub async fn of(session: &Session, object: &Value) -> Result<Vec<Value>> {
    let Ok(events) = session.resources().await?.find("events") else {
        return Ok(Vec::new());
    };
    let metadata = &object["metadata"];
    let mut selector = format!("involvedObject.name={}", string(metadata, "name"));
    for (field, value) in [
        ("namespace", string(metadata, "namespace")),
        ("uid", string(metadata, "uid")),
    ] {
        if !value.is_empty() {
            selector.push_str(&format!(",involvedObject.{field}={value}"));
        }
    }
    // The events of a node bear its name as their uid, as upstream's kubelet writes them.
    if object["kind"] == "Node" {
        selector = format!(
            "involvedObject.name={},involvedObject.kind=Node",
            string(metadata, "name")
        );
    }
    let options = ListOptions {
        field_selector: selector,
        ..ListOptions::default()
    };
    let list = session
        .client
        .list_all(&at(events, string(metadata, "namespace")), &options)
        .await?;
    let mut found: Vec<Value> = list
        .items
        .iter()
        .map(|item| ferrule_client::client::parse(item))
        .collect::<std::result::Result<_, _>>()?;
    sort(&mut found);
    Ok(found)
}

/// Oldest first, by the last time that they were seen.
pub fn sort(events: &mut [Value]) {
    events.sort_by_key(|event| {
        let times = [
            &event["series"]["lastObservedTime"],
            &event["lastTimestamp"],
            &event["eventTime"],
        ];
        let time = times.into_iter().find_map(Value::as_str);
        time.and_then(|time| time.parse::<jiff::Timestamp>().ok())
    });
}

/// How long ago an event was seen: `5s`, or `5s (x3 over 2m)`.
pub fn interval(event: &Value) -> String {
    let times = [&event["eventTime"], &event["firstTimestamp"]];
    let first = times.into_iter().find(|time| time.is_string());
    let first = meta::age(first.unwrap_or(&Value::Null));
    let repeated =
        |last: &Value, count: i64| format!("{} (x{count} over {first})", meta::age(last));
    match (&event["series"], event["count"].as_i64()) {
        (series, _) if series.is_object() => {
            let count = series["count"].as_i64().unwrap_or(0);
            repeated(&series["lastObservedTime"], count)
        }
        (_, Some(count)) if count > 1 => repeated(&event["lastTimestamp"], count),
        _ => first,
    }
}

/// The table of events.
pub fn describe(text: &mut Text, events: &[Value]) {
    if events.is_empty() {
        return text.line(0, "Events:\t<none>");
    }
    text.line(0, "Events:");
    text.line(1, "Type\tReason\tAge\tFrom\tMessage");
    text.line(1, "----\t------\t----\t----\t-------");
    for event in events {
        let age = interval(event);
        let source = match string(&event["source"], "component") {
            "" => string(event, "reportingComponent"),
            component => component,
        };
        let message = string(event, "message").trim().replace('\n', "\\n");
        text.line(
            1,
            format!(
                "{}\t{}\t{age}\t{source}\t{message}",
                string(event, "type"),
                string(event, "reason")
            ),
        );
    }
}
