//! Roles and bindings, and rules as rows.

use serde_json::Value;

use super::{Text, list, meta, string};

/// A rule about one resource, or one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    group: String,
    resource: String,
    names: Vec<String>,
    urls: Vec<String>,
    verbs: Vec<String>,
}

impl Rule {
    /// As Go prints it, by which rules are sorted.
    fn key(&self) -> String {
        let (verbs, names, urls) = (
            self.verbs.join(" "),
            self.names.join(" "),
            self.urls.join(" "),
        );
        let (group, resource) = (&self.group, &self.resource);
        format!(
            "Verbs:[{verbs}],APIGroups:[{group}],Resources:[{resource}],ResourceNames:[{names}],NonResourceURLs:[{urls}],"
        )
    }

    /// `deployments.apps/scale`
    fn title(&self) -> String {
        match (self.group.as_str(), self.resource.split_once('/')) {
            ("", _) => self.resource.clone(),
            (group, Some((name, subresource))) => format!("{name}.{group}/{subresource}"),
            (group, None) => format!("{}.{group}", self.resource),
        }
    }
}

fn texts(rule: &Value, field: &str) -> Vec<String> {
    list(rule, field)
        .filter_map(|own| own.as_str().map(str::to_owned))
        .collect()
}

/// Rules as rows of resource, paths, names and verbs: one for each resource, in a fixed order.
pub fn rows<'a>(rules: impl Iterator<Item = &'a Value>) -> Vec<Vec<String>> {
    let mut found: Vec<Rule> = Vec::new();
    for rule in rules {
        let (names, verbs) = (texts(rule, "resourceNames"), texts(rule, "verbs"));
        for url in texts(rule, "nonResourceURLs") {
            found.push(Rule {
                urls: vec![url],
                verbs: verbs.clone(),
                ..Rule::default()
            });
        }
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                let same = |own: &&mut Rule| {
                    own.urls.is_empty()
                        && own.group == group
                        && own.resource == resource
                        && own.names == names
                };
                match found.iter_mut().find(same) {
                    Some(own) => own.verbs.extend(verbs.iter().cloned()),
                    None => found.push(Rule {
                        group: group.clone(),
                        resource,
                        names: names.clone(),
                        verbs: verbs.clone(),
                        ..Rule::default()
                    }),
                }
            }
        }
    }
    found.sort_by_key(Rule::key);
    let shown = |list: &[String]| format!("[{}]", list.join(" "));
    let row = |own: &Rule| {
        vec![
            own.title(),
            shown(&own.urls),
            shown(&own.names),
            shown(&own.verbs),
        ]
    };
    found.iter().map(row).collect()
}

/// Describes a Role or a ClusterRole.
pub fn role(text: &mut Text, object: &Value) -> bool {
    head(text, object);
    text.line(0, "PolicyRule:");
    text.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    text.line(1, "---------\t-----------------\t--------------\t-----");
    for row in rows(list(object, "rules")) {
        text.line(1, row.join("\t"));
    }
    false
}

/// Describes a RoleBinding or a ClusterRoleBinding.
pub fn binding(text: &mut Text, object: &Value) -> bool {
    head(text, object);
    text.line(0, "Role:");
    text.field(1, "Kind", string(&object["roleRef"], "kind"));
    text.field(1, "Name", string(&object["roleRef"], "name"));
    text.line(0, "Subjects:");
    text.line(1, "Kind\tName\tNamespace");
    text.line(1, "----\t----\t---------");
    for subject in list(object, "subjects") {
        let field = |name: &str| string(subject, name);
        text.line(
            1,
            format!(
                "{}\t{}\t{}",
                field("kind"),
                field("name"),
                field("namespace")
            ),
        );
    }
    false
}

/// Name, labels and annotations.
fn head(text: &mut Text, object: &Value) {
    text.field(0, "Name", string(&object["metadata"], "name"));
    meta::labels_and_annotations(text, object);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_of_one_resource_are_one_row_and_verbs_give_the_order() {
        let rules = [
            json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}),
            json!({"apiGroups": ["", "apps"], "resources": ["pods", "b/scale"], "verbs": ["list"]}),
            json!({"nonResourceURLs": ["/b", "/a"], "verbs": ["get"]}),
            json!({"apiGroups": ["z"], "resources": ["y"], "verbs": ["create"]}),
        ];
        let rows: Vec<String> = rows(rules.iter()).iter().map(|row| row.join("|")).collect();
        assert_eq!(
            rows,
            [
                "y.z|[]|[]|[create]",
                "pods|[]|[]|[get list]",
                "|[/a]|[]|[get]",
                "|[/b]|[]|[get]",
                "b/scale|[]|[]|[list]",
                "b.apps/scale|[]|[]|[list]",
                "pods.apps|[]|[]|[list]",
            ]
        );
    }
}
