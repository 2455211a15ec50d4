//! ResourceQuotas and LimitRanges, alone and as a namespace shows them.

use std::collections::BTreeSet;

use ferrule_client::client::ListOptions;
use serde_json::Value;

use super::{Text, list, meta, plain, string};
use crate::error::Result;
use crate::resources::at;
use crate::session::Session;

/// What a scope of a quota means, in upstream's words.
const SCOPES: [(&str, &str); 4] = [
    (
        "Terminating",
        "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.",
    ),
    (
        "NotTerminating",
        "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.",
    ),
    (
        "BestEffort",
        "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.",
    ),
    (
        "NotBestEffort",
        "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.",
    ),
];

const LIMITS_HEAD: [&str; 2] = [
    "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio",
    "----\t--------\t---\t---\t---------------\t-------------\t-----------------------",
];

/// The quotas or the limit ranges of a namespace; none when the server does not know them.
pub async fn of_namespace(
    session: &Session,
    namespace: &Value,
    resource: &str,
) -> Result<Option<Vec<Value>>> {
    let Ok(resource) = session.resources().await?.find(resource) else {
        return Ok(None);
    };
    let place = at(resource, string(&namespace["metadata"], "name"));
    let found = session
        .client
        .list_all(&place, &ListOptions::default())
        .await?;
    let objects = found.items.iter();
    let objects = objects.map(|item| Ok(ferrule_client::client::parse(item)?));
    objects.collect::<Result<Vec<Value>>>().map(Some)
}

/// Describes a ResourceQuota.
pub fn resource_quota(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    scopes(text, 0, object, " * ");
    amounts(text, 0, object, "----\t----");
    false
}

fn scopes(text: &mut Text, level: usize, object: &Value, bullet: &str) {
    let mut scopes: Vec<String> = list(&object["spec"], "scopes").map(plain).collect();
    if scopes.is_empty() {
        return;
    }
    scopes.sort_unstable();
    text.field(level, "Scopes", scopes.join(", "));
    for scope in &scopes {
        if let Some((_, help)) = SCOPES.iter().find(|(own, _)| own == scope) {
            text.line(level, format!("{bullet}{help}"));
        }
    }
}

fn amounts(text: &mut Text, level: usize, object: &Value, rule: &str) {
    text.line(level, "Resource\tUsed\tHard");
    text.line(level, format!("--------\t{rule}"));
    let hard = object["status"]["hard"].as_object().into_iter().flatten();
    let mut hard: Vec<_> = hard.collect();
    hard.sort_by_key(|(name, _)| name.as_str());
    for (name, hard) in hard {
        let used = match &object["status"]["used"][name] {
            Value::Null => "0".to_owned(),
            used => plain(used),
        };
        text.line(level, format!("{name}\t{used}\t{}", plain(hard)));
    }
}

/// The quotas of a namespace.
pub fn resource_quotas(text: &mut Text, quotas: &[Value]) {
    if quotas.is_empty() {
        return text.line(0, "No resource quota.");
    }
    let mut quotas: Vec<&Value> = quotas.iter().collect();
    quotas.sort_by_key(|quota| string(&quota["metadata"], "name"));
    text.line(0, "Resource Quotas");
    for quota in quotas {
        text.field(1, "Name", string(&quota["metadata"], "name"));
        scopes(text, 1, quota, "* ");
        amounts(text, 1, quota, "---\t---");
    }
}

/// Describes a LimitRange.
pub fn limit_range(text: &mut Text, object: &Value) -> bool {
    meta::name(text, object);
    LIMITS_HEAD.iter().for_each(|line| text.line(0, line));
    limits(text, object, "");
    false
}

/// The limit ranges of a namespace.
pub fn limit_ranges(text: &mut Text, ranges: &[Value]) {
    if ranges.is_empty() {
        return text.line(0, "No LimitRange resource.");
    }
    text.line(0, "Resource Limits");
    LIMITS_HEAD
        .iter()
        .for_each(|line| text.line(0, format!(" {line}")));
    ranges.iter().for_each(|range| limits(text, range, " "));
}

fn limits(text: &mut Text, object: &Value, prefix: &str) {
    let fields = [
        "min",
        "max",
        "defaultRequest",
        "default",
        "maxLimitRequestRatio",
    ];
    for item in list(&object["spec"], "limits") {
        let named = fields.iter().filter_map(|field| item[field].as_object());
        let names: BTreeSet<&String> = named.flat_map(serde_json::Map::keys).collect();
        for name in names {
            let cells = fields.map(|field| match &item[field][name] {
                Value::Null => "-".to_owned(),
                amount => plain(amount),
            });
            text.line(
                0,
                format!(
                    "{prefix}{}\t{name}\t{}",
                    string(item, "type"),
                    cells.join("\t")
                ),
            );
        }
    }
}
