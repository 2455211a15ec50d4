//! Which rules cover which, as roles are compared.

use serde_json::{Value, json};

/// The parts of rules that no rule of others covers: each about one verb of one resource or path.
pub fn uncovered(others: &[Value], rules: &[Value]) -> Vec<Value> {
    let parts = rules.iter().flat_map(parts);
    parts
        .filter(|part| !others.iter().any(|own| covers(own, part)))
        .collect()
}

fn texts<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    let list = rule[field].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// A rule as many that have one verb, one resource and one name each.
fn parts(rule: &Value) -> Vec<Value> {
    let mut parts = Vec::new();
    let (verbs, names) = (texts(rule, "verbs"), texts(rule, "resourceNames"));
    for group in texts(rule, "apiGroups") {
        for resource in texts(rule, "resources") {
            for verb in &verbs {
                let part = json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
                if names.is_empty() {
                    parts.push(part);
                    continue;
                }
                for name in &names {
                    let mut part = part.clone();
                    part["resourceNames"] = json!([name]);
                    parts.push(part);
                }
            }
        }
    }
    for url in texts(rule, "nonResourceURLs") {
        for verb in &verbs {
            parts.push(json!({"nonResourceURLs": [url], "verbs": [verb]}));
        }
    }
    parts
}

fn covers(rule: &Value, part: &Value) -> bool {
    let (names, name) = (texts(rule, "resourceNames"), texts(part, "resourceNames"));
    let all = |field: &str| {
        let (own, wanted) = (texts(rule, field), texts(part, field));
        own.contains(&"*") || wanted.iter().all(|text| own.contains(text))
    };
    let resources = texts(rule, "resources");
    let of_resource = |wanted: &&str| {
        let subresource = wanted.split_once('/').map(|(_, own)| format!("*/{own}"));
        resources.contains(&"*")
            || resources.contains(wanted)
            || subresource.is_some_and(|own| resources.contains(&own.as_str()))
    };
    let urls = texts(rule, "nonResourceURLs");
    let of_url = |wanted: &&str| {
        urls.iter().any(|own| {
            let head = own.strip_suffix('*').map(|head| head.trim_end_matches('*'));
            own == wanted || head.is_some_and(|head| wanted.starts_with(head))
        })
    };
    all("verbs")
        && all("apiGroups")
        && texts(part, "resources").iter().all(of_resource)
        && texts(part, "nonResourceURLs").iter().all(of_url)
        && (names.is_empty() || !name.is_empty() && name.iter().all(|own| names.contains(own)))
}

/// A rule as Go prints it.
pub fn shown(rule: &Value) -> String {
    let list = |field: &str| texts(rule, field).join(" ");
    format!(
        "{{Verbs:[{}] APIGroups:[{}] Resources:[{}] ResourceNames:[{}] NonResourceURLs:[{}]}}",
        list("verbs"),
        list("apiGroups"),
        list("resources"),
        list("resourceNames"),
        list("nonResourceURLs")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Value {
        let mut rule = json!({});
        for (field, list) in text.split(';').filter_map(|own| own.split_once('=')) {
            rule[field] = list.split(',').collect();
        }
        rule
    }

    #[test]
    fn a_rule_is_covered_part_by_part() {
        for (owner, wanted, missing) in [
            (
                "apiGroups=;resources=pods;verbs=get",
                "apiGroups=;resources=pods;verbs=get,list",
                1,
            ),
            (
                "apiGroups=*;resources=*;verbs=*",
                "apiGroups=apps;resources=pods/log;verbs=get",
                0,
            ),
            (
                "apiGroups=;resources=*/log;verbs=*",
                "apiGroups=;resources=pods/log,pods;verbs=get",
                1,
            ),
            (
                "apiGroups=;resources=pods;verbs=get;resourceNames=a",
                "apiGroups=;resources=pods;verbs=get;resourceNames=a,b",
                1,
            ),
            (
                "apiGroups=;resources=pods;verbs=get;resourceNames=a",
                "apiGroups=;resources=pods;verbs=get",
                1,
            ),
            (
                "nonResourceURLs=/a*;verbs=get",
                "nonResourceURLs=/a/b,/c;verbs=get",
                1,
            ),
        ] {
            let found = uncovered(&[rule(owner)], &[rule(wanted)]);
            assert_eq!(found.len(), missing, "{owner} {wanted}: {found:?}");
        }
    }

    #[test]
    fn rules_are_shown_as_go_prints_them() {
        assert_eq!(
            shown(&rule("apiGroups=;resources=pods;verbs=get,list")),
            "{Verbs:[get list] APIGroups:[] Resources:[pods] ResourceNames:[] NonResourceURLs:[]}"
        );
    }
}
