//! `kubectl create role`, `clusterrole`, `rolebinding` and `clusterrolebinding`

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::warn;
use super::one_name;
use crate::args::{CreateBindingArgs, CreateRoleArgs};
use crate::error::{Error, Result};
use crate::resources::Resources;

const API: &str = "rbac.authorization.k8s.io/v1";
const GROUP: &str = "rbac.authorization.k8s.io";
const VERBS: [&str; 14] = [
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
];
/// Verbs of paths that are no resource.
pub(in crate::commands) const URL_VERBS: [&str; 8] = [
    "*", "get", "post", "put", "delete", "patch", "head", "options",
];
/// Verbs that only some resources have, each with its group.
const SPECIAL: [(&str, &[(&str, &str)]); 4] = [
    (
        "use",
        &[
            ("policy", "podsecuritypolicies"),
            ("extensions", "podsecuritypolicies"),
        ],
    ),
    ("bind", &[(GROUP, "roles"), (GROUP, "clusterroles")]),
    ("escalate", &[(GROUP, "roles"), (GROUP, "clusterroles")]),
    (
        "impersonate",
        &[
            ("", "users"),
            ("", "serviceaccounts"),
            ("", "groups"),
            ("authentication.k8s.io", "userextras"),
        ],
    ),
];

/// A resource of a rule: `deployments.apps/scale`.
struct Wanted<'a> {
    group: &'a str,
    name: &'a str,
    subresource: Option<&'a str>,
}

/// The Role of the flags.
pub fn role(resources: &Resources, args: &CreateRoleArgs) -> Result<Value> {
    let name = one_name(&args.words, "create role")?;
    let verbs = verbs(&args.verb);
    if verbs.is_empty() {
        return Err(Error::local("at least one verb must be specified"));
    }
    warn_of(&verbs);
    let wanted = wanted(&args.resource);
    if wanted.is_empty() {
        return Err(Error::local("at least one resource must be specified"));
    }
    check(resources, &wanted, &verbs)?;
    let rules = rules(resources, &wanted, &verbs, &distinct(&args.resource_name));
    Ok(json!({"apiVersion": API, "kind": "Role", "metadata": {"name": name}, "rules": rules}))
}

/// The ClusterRole of the flags.
pub fn cluster_role(resources: &Resources, args: &CreateRoleArgs) -> Result<Value> {
    let name = one_name(&args.words, "create clusterrole")?;
    let mut object = json!({"apiVersion": API, "kind": "ClusterRole", "metadata": {"name": name}});
    if !args.aggregation_rule.is_empty() {
        let others = [
            &args.verb,
            &args.resource,
            &args.resource_name,
            &args.non_resource_url,
        ];
        if others.iter().any(|list| !list.is_empty()) {
            return Err(Error::local(
                "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
            ));
        }
        let mut labels = Map::new();
        for pair in &args.aggregation_rule {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Error::local(format!("malformed pair, expect string=string: {pair}"))
            })?;
            labels.insert(key.trim().to_owned(), json!(value.trim()));
        }
        object["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": labels}]});
        object["rules"] = Value::Null;
        return Ok(object);
    }
    let verbs = verbs(&args.verb);
    if verbs.is_empty() {
        return Err(Error::local("at least one verb must be specified"));
    }
    let (wanted, urls) = (wanted(&args.resource), distinct(&args.non_resource_url));
    if wanted.is_empty() && urls.is_empty() {
        return Err(Error::local(
            "one of resource or nonResourceURL must be specified",
        ));
    }
    if !wanted.is_empty() {
        warn_of(&verbs);
        check(resources, &wanted, &verbs)?;
    }
    check_urls(&urls, &verbs)?;
    let mut rules = rules(resources, &wanted, &verbs, &distinct(&args.resource_name));
    if !urls.is_empty() {
        rules.push(json!({"verbs": verbs, "nonResourceURLs": urls}));
    }
    object["rules"] = Value::Array(rules);
    Ok(object)
}

/// Each text once; `*` stands for all.
fn verbs(given: &[String]) -> Vec<String> {
    match given.iter().any(|verb| verb == "*") {
        true => vec!["*".to_owned()],
        false => distinct(given),
    }
}

fn distinct(given: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in given {
        if !found.contains(text) {
            found.push(text.clone());
        }
    }
    found
}

fn warn_of(verbs: &[String]) {
    for verb in verbs.iter().filter(|verb| !VERBS.contains(&verb.as_str())) {
        warn(&format!(
            "Warning: '{verb}' is not a standard resource verb"
        ));
    }
}

fn wanted(given: &[String]) -> Vec<Wanted<'_>> {
    let mut found = Vec::new();
    for text in given {
        let (name, subresource) = match text.split_once('/') {
            Some((name, subresource)) => (name, Some(subresource)),
            None => (text.as_str(), None),
        };
        let (name, group) = name.split_once('.').unwrap_or((name, ""));
        let own = Wanted {
            group,
            name,
            subresource,
        };
        if text == "*" {
            return vec![own];
        }
        found.push(own);
    }
    found
}

/// The group and plural of a resource that is served.
fn served(resources: &Resources, wanted: &Wanted<'_>) -> Option<(String, String)> {
    let text = match wanted.group {
        "" => wanted.name.to_owned(),
        group => format!("{}.{group}", wanted.name),
    };
    let found = resources.find(&text).ok()?;
    Some((found.group.clone(), found.name.clone()))
}

fn check(resources: &Resources, wanted: &[Wanted<'_>], verbs: &[String]) -> Result<()> {
    for own in wanted {
        if own.name.is_empty() {
            return Err(Error::local(
                "resource must be specified if apiGroup/subresource specified",
            ));
        }
        if own.name == "*" {
            return Ok(());
        }
        let found = served(resources, own);
        let known = found.is_some();
        let (group, name) = found.unwrap_or((own.group.to_owned(), own.name.to_owned()));
        let mut special = false;
        for verb in verbs {
            let Some((_, allowed)) = SPECIAL.iter().find(|(own, _)| own == verb) else {
                continue;
            };
            if !allowed.contains(&(group.as_str(), name.as_str())) {
                return Err(Error::local(format!(
                    "can not perform '{verb}' on '{name}' in group '{group}'"
                )));
            }
            special = true;
        }
        if !known && !special {
            let place = match own.group {
                "" => String::new(),
                group => format!(" in group {group:?}"),
            };
            let name = own.name;
            return Err(Error::Plain(format!(
                "the server doesn't have a resource type {name:?}{place}"
            )));
        }
    }
    Ok(())
}

fn check_urls(urls: &[String], verbs: &[String]) -> Result<()> {
    if urls.is_empty() {
        return Ok(());
    }
    if let Some(verb) = verbs
        .iter()
        .find(|verb| !URL_VERBS.contains(&verb.as_str()))
    {
        return Err(Error::local(format!(
            "invalid verb: '{verb}' for nonResourceURL"
        )));
    }
    for url in urls.iter().filter(|url| *url != "*") {
        if !url.starts_with('/') {
            return Err(Error::local("nonResourceURL should start with /"));
        }
        let last = url.char_indices().next_back().map_or(0, |(index, _)| index);
        if url[..last].contains('*') {
            return Err(Error::local(
                "nonResourceURL only supports wildcard matches when '*' is at the end",
            ));
        }
    }
    Ok(())
}

/// A rule for each group.
fn rules(
    resources: &Resources,
    wanted: &[Wanted<'_>],
    verbs: &[String],
    names: &[String],
) -> Vec<Value> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for own in wanted {
        let given = || (own.group.to_owned(), own.name.to_owned());
        let (group, mut name) = served(resources, own).unwrap_or_else(given);
        if let Some(subresource) = own.subresource {
            name = format!("{name}/{subresource}");
        }
        groups.entry(group).or_default().push(name);
    }
    groups
        .into_iter()
        .map(|(group, resources)| {
            let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": resources});
            if !names.is_empty() {
                rule["resourceNames"] = json!(names);
            }
            rule
        })
        .collect()
}

/// The RoleBinding of the flags.
pub fn role_binding(args: &CreateBindingArgs) -> Result<Value> {
    let name = one_name(&args.words, "create rolebinding")?;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (kind, role) = match (given(&args.role), given(&args.clusterrole)) {
        (Some(role), None) => ("Role", role),
        (None, Some(role)) => ("ClusterRole", role),
        _ => {
            return Err(Error::local(
                "exactly one of clusterrole or role must be specified",
            ));
        }
    };
    binding("RoleBinding", name, kind, &role, args)
}

/// The ClusterRoleBinding of the flags.
pub fn cluster_role_binding(args: &CreateBindingArgs) -> Result<Value> {
    let Some(role) = &args.clusterrole else {
        return Err(Error::local("required flag(s) \"clusterrole\" not set"));
    };
    let name = one_name(&args.words, "create clusterrolebinding")?;
    binding("ClusterRoleBinding", name, "ClusterRole", role, args)
}

fn binding(
    kind: &str,
    name: &str,
    of: &str,
    role: &str,
    args: &CreateBindingArgs,
) -> Result<Value> {
    let subjects = subjects(&args.user, &args.group, &args.serviceaccount, "")?;
    let mut object = json!({
        "apiVersion": API,
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": of, "name": role},
    });
    if !subjects.is_empty() {
        object["subjects"] = Value::Array(subjects);
    }
    Ok(object)
}

/// Users, groups and service accounts as subjects. An account without a namespace is of
/// `namespace`; when that is empty, too, it is refused.
pub fn subjects(
    users: &[String],
    groups: &[String],
    accounts: &[String],
    namespace: &str,
) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for (kind, names) in [("User", users), ("Group", groups)] {
        let subject = |name: &String| json!({"kind": kind, "apiGroup": GROUP, "name": name});
        found.extend(names.iter().map(subject));
    }
    for account in accounts {
        let parts: Vec<&str> = account.split(':').collect();
        let (own, name) = match parts.as_slice() {
            ["", name] if !name.is_empty() && !namespace.is_empty() => (namespace, *name),
            [own, name] if !own.is_empty() && !name.is_empty() => (*own, *name),
            _ => return Err(Error::local("serviceaccount must be <namespace>:<name>")),
        };
        found.push(json!({"kind": "ServiceAccount", "name": name, "namespace": own}));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use ferrule_proto::v1::ApiResource;

    use super::*;

    fn resources() -> Resources {
        let resource = |group: &str, name: &str, short: &str| ApiResource {
            group: group.into(),
            version: "v1".into(),
            name: name.into(),
            short_names: vec![short.into()],
            ..ApiResource::default()
        };
        Resources::new(vec![
            resource("", "pods", "po"),
            resource("apps", "deployments", "deploy"),
        ])
    }

    fn flags(text: &str) -> CreateRoleArgs {
        let mut args = CreateRoleArgs {
            words: vec!["r".to_owned()],
            ..CreateRoleArgs::default()
        };
        for flag in text.split(' ') {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            let values = value.split(',').map(str::to_owned);
            match name {
                "verb" => args.verb.extend(values),
                "resource" => args.resource.extend(values),
                "name" => args.resource_name.extend(values),
                "url" => args.non_resource_url.extend(values),
                "rule" => args.aggregation_rule.extend(values),
                _ => {}
            }
        }
        args
    }

    #[test]
    fn rules_are_one_for_each_group() {
        for (text, expected) in [
            (
                "verb=get,list,get resource=po,deploy,pods/log",
                r#"[{"apiGroups":[""],"resources":["pods","pods/log"],"verbs":["get","list"]},{"apiGroups":["apps"],"resources":["deployments"],"verbs":["get","list"]}]"#,
            ),
            (
                "verb=get,* resource=*",
                r#"[{"apiGroups":[""],"resources":["*"],"verbs":["*"]}]"#,
            ),
            (
                "verb=impersonate resource=users name=a,a",
                r#"[{"apiGroups":[""],"resourceNames":["a"],"resources":["users"],"verbs":["impersonate"]}]"#,
            ),
        ] {
            let role = role(&resources(), &flags(text)).unwrap();
            assert_eq!(role["rules"].to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_makes_no_rule_is_refused() {
        for (text, expected) in [
            ("resource=pods", "at least one verb must be specified"),
            (
                "verb=get",
                "one of resource or nonResourceURL must be specified",
            ),
            (
                "verb=bind resource=pods",
                "can not perform 'bind' on 'pods' in group ''",
            ),
            (
                "verb=get resource=none",
                "the server doesn't have a resource type \"none\"",
            ),
            (
                "verb=get resource=none.apps",
                "the server doesn't have a resource type \"none\" in group \"apps\"",
            ),
            (
                "verb=frob url=/a",
                "invalid verb: 'frob' for nonResourceURL",
            ),
            ("verb=get url=a", "nonResourceURL should start with /"),
            (
                "verb=get url=/*/a",
                "nonResourceURL only supports wildcard matches when '*' is at the end",
            ),
            (
                "verb=get rule=a=b",
                "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
            ),
        ] {
            let error = cluster_role(&resources(), &flags(text)).unwrap_err();
            assert_eq!(error.message(), expected, "{text}");
        }
    }
}
