//! Paths: what can be done with a resource, and with which parameters.
//!
//! The parameters of an operation are the fields of its options in the table, so that a client
//! learns here whether a server knows `dryRun` or `fieldValidation`.

use ferrule_apimachinery::schema::{Kind, TypeId};
use ferrule_apimachinery::scheme::{Resource, Subresource};
use serde_json::{Map, Value, json};

use super::Dialect;
use super::definitions::Definitions;
use super::kinds;
use super::names::{self, Definition};

/// What a verb is in HTTP and in the documents.
struct Action {
    verb: &'static str,
    method: &'static str,
    /// `x-kubernetes-action`.
    action: &'static str,
    /// How the id of an operation begins.
    id: &'static str,
    /// The words of its description.
    words: &'static str,
    /// Types of meta/v1 whose fields are its parameters.
    options: &'static [&'static str],
    body: Body,
    codes: &'static [&'static str],
}

/// What an operation sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Nothing,
    Object,
    Patch,
    DeleteOptions,
}

const COLLECTION: &[Action] = &[
    Action {
        verb: "list",
        method: "get",
        action: "list",
        id: "list",
        words: "list or watch objects of kind",
        options: &["ListOptions"],
        body: Body::Nothing,
        codes: &["200"],
    },
    Action {
        verb: "create",
        method: "post",
        action: "post",
        id: "create",
        words: "create",
        options: &["CreateOptions"],
        body: Body::Object,
        codes: &["200", "201", "202"],
    },
    Action {
        verb: "deletecollection",
        method: "delete",
        action: "deletecollection",
        id: "delete",
        words: "delete collection of",
        options: &["DeleteOptions", "ListOptions"],
        body: Body::DeleteOptions,
        codes: &["200"],
    },
];

const ITEM: &[Action] = &[
    Action {
        verb: "get",
        method: "get",
        action: "get",
        id: "read",
        words: "read the specified",
        options: &[],
        body: Body::Nothing,
        codes: &["200"],
    },
    Action {
        verb: "update",
        method: "put",
        action: "put",
        id: "replace",
        words: "replace the specified",
        options: &["UpdateOptions"],
        body: Body::Object,
        codes: &["200", "201"],
    },
    Action {
        verb: "patch",
        method: "patch",
        action: "patch",
        id: "patch",
        words: "partially update the specified",
        options: &["PatchOptions"],
        body: Body::Patch,
        codes: &["200", "201"],
    },
    Action {
        verb: "delete",
        method: "delete",
        action: "delete",
        id: "delete",
        words: "delete",
        options: &["DeleteOptions"],
        body: Body::DeleteOptions,
        codes: &["200", "202"],
    },
];

/// The methods of a part that is a stream or a proxy, by verb.
const CONNECT: &[(&str, &str)] = &[
    ("get", "get"),
    ("create", "post"),
    ("update", "put"),
    ("patch", "patch"),
    ("delete", "delete"),
];

const OBJECT_TYPES: &[&str] = &[
    "application/json",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
];

const PATCH_TYPES: &[&str] = &[
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// A parameter: its name, its type, and whether it stands in the path.
struct Parameter<'a> {
    name: &'a str,
    kind: &'static str,
    in_path: bool,
}

const NAMESPACE: Parameter<'static> = Parameter {
    name: "namespace",
    kind: "string",
    in_path: true,
};
const NAME: Parameter<'static> = Parameter {
    name: "name",
    kind: "string",
    in_path: true,
};
const PRETTY: Parameter<'static> = Parameter {
    name: "pretty",
    kind: "string",
    in_path: false,
};

/// `/api/v1` or `/apis/apps/v1`.
pub(super) fn root(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    }
}

/// `CoreV1`, `RbacAuthorizationV1`: group and version in the id of an operation.
pub(super) fn title(group: &str, version: &str) -> String {
    let group = match group.strip_suffix(".k8s.io").unwrap_or(group) {
        "" => "core",
        group => group,
    };
    group.split('.').chain([version]).map(capital).collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// What operations of a resource refer to.
pub(super) fn roots(made: &Definitions<'_>, resource: &Resource) -> Vec<Definition> {
    let parts = resource.subresources.iter();
    let objects = parts.filter_map(|part| part_type(made, resource, part));
    let own = [
        kinds::object(made.schema, resource),
        kinds::list(made.schema, resource).filter(|_| resource.has_verb("list")),
    ];
    own.into_iter()
        .flatten()
        .chain(objects)
        .map(Definition::Type)
        .collect()
}

/// The type at a part, unless that is a stream.
fn part_type(made: &Definitions<'_>, resource: &Resource, part: &Subresource) -> Option<TypeId> {
    let stream = part.kind.ends_with("Options") || part.name == "log";
    kinds::part_object(made.schema, resource, part).filter(|_| !stream)
}

/// The paths of a resource with their operations.
pub(super) fn paths(made: &Definitions<'_>, resource: &Resource) -> Vec<(String, Value)> {
    let root = root(&resource.group, &resource.version);
    let mut paths = Vec::new();
    let Some(id) = kinds::object(made.schema, resource) else {
        return paths;
    };
    let (within, scope, mut parameters) = if resource.namespaced {
        ("namespaces/{namespace}/", "Namespaced", vec![NAMESPACE])
    } else {
        ("", "", Vec::new())
    };
    let collection = format!("{root}/{within}{}", resource.plural);
    let own = (&*resource.group, &*resource.version, &*resource.kind);
    let subject = Subject {
        made,
        resource,
        scope,
        suffix: "",
        kind: own,
        object: id,
    };
    paths.push((
        collection.clone(),
        subject.item(COLLECTION, &resource.verbs, &parameters),
    ));
    if resource.namespaced && resource.has_verb("list") {
        let everywhere = Subject {
            scope: "",
            suffix: "ForAllNamespaces",
            ..subject
        };
        let list = everywhere.item(&COLLECTION[..1], &resource.verbs, &[]);
        paths.push((format!("{root}/{}", resource.plural), list));
    }
    parameters.push(NAME);
    paths.push((
        format!("{collection}/{{name}}"),
        subject.item(ITEM, &resource.verbs, &parameters),
    ));
    for part in &resource.subresources {
        let (group, version) = kinds::group_version(resource, part);
        let suffix = capital(&part.name);
        let at = Subject {
            suffix: &suffix,
            kind: (group, version, &part.kind),
            object: id,
            ..subject
        };
        let path = format!("{collection}/{{name}}/{}", part.name);
        let item = match part_type(made, resource, part) {
            None => at.streams(part, &parameters),
            Some(object) => {
                let at = Subject { object, ..at };
                let mut item = at.map(ITEM, &part.verbs, &parameters);
                item.extend(at.map(&COLLECTION[1..2], &part.verbs, &parameters));
                item.into()
            }
        };
        paths.push((path, item));
    }
    paths.retain(|(_, item)| item.as_object().is_some_and(|item| item.len() > 1));
    paths
}

/// A path that is only read: discovery and the version.
pub(super) fn lone(made: &Definitions<'_>, id: &str, words: &str, answer: Definition) -> Value {
    let reference = json!({"$ref": made.reference(answer)});
    let responses = responses(made.dialect, &["200"], Some(&reference));
    let mut operation = json!({"operationId": id, "description": words, "responses": responses});
    if made.dialect == Dialect::V2 {
        operation["produces"] = OBJECT_TYPES.into();
    }
    json!({"get": operation})
}

/// What the operations of a path are about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    made: &'a Definitions<'a>,
    resource: &'a Resource,
    scope: &'a str,
    suffix: &'a str,
    kind: (&'a str, &'a str, &'a str),
    object: TypeId,
}

impl Subject<'_> {
    fn item(
        &self,
        actions: &[Action],
        verbs: &[std::borrow::Cow<'static, str>],
        parameters: &[Parameter<'_>],
    ) -> Value {
        self.map(actions, verbs, parameters).into()
    }

    /// The operations of a path, under their methods, and the parameters that all share.
    fn map(
        &self,
        actions: &[Action],
        verbs: &[std::borrow::Cow<'static, str>],
        parameters: &[Parameter<'_>],
    ) -> Map<String, Value> {
        let mut item = Map::new();
        for action in actions {
            if verbs.iter().any(|verb| verb == action.verb) {
                item.insert(action.method.into(), self.operation(action));
            }
        }
        item.insert("parameters".into(), self.shared(parameters));
        item
    }

    fn shared(&self, parameters: &[Parameter<'_>]) -> Value {
        let all = parameters.iter().chain([&PRETTY]);
        all.map(|own| self.parameter(own)).collect()
    }

    fn id(&self, prefix: &str) -> String {
        let title = title(&self.resource.group, &self.resource.version);
        let (scope, kind, suffix) = (self.scope, &self.resource.kind, self.suffix);
        format!("{prefix}{title}{scope}{kind}{suffix}")
    }

    fn operation(&self, action: &Action) -> Value {
        let schema = self.made.schema;
        let id = match action.verb {
            "deletecollection" => {
                let title = title(&self.resource.group, &self.resource.version);
                format!(
                    "delete{title}Collection{}{}",
                    self.scope, self.resource.kind
                )
            }
            _ => self.id(action.id),
        };
        let mut parameters: Vec<Value> = Vec::new();
        for options in action.options {
            for parameter in self.options(kinds::meta(schema, options)) {
                let parameter = self.parameter(&parameter);
                if !parameters.contains(&parameter) {
                    parameters.push(parameter);
                }
            }
        }
        let mut operation = json!({
            "operationId": id,
            "description": format!("{} {}", action.words, self.resource.kind),
            "x-kubernetes-action": action.action,
        });
        self.finish(&mut operation, parameters, action.body);
        let answer = match action.verb {
            "list" => kinds::list(schema, self.resource),
            "delete" | "deletecollection" => kinds::meta(schema, "Status"),
            _ => Some(self.object),
        };
        let answer = answer.map(|id| json!({"$ref": self.made.reference(Definition::Type(id))}));
        operation["responses"] = responses(self.made.dialect, action.codes, answer.as_ref());
        operation
    }

    /// What all operations of a resource have, and the body.
    fn finish(&self, operation: &mut Value, mut parameters: Vec<Value>, body: Body) {
        let (group, version, kind) = self.kind;
        let mut tag = title(&self.resource.group, "");
        tag[..1].make_ascii_lowercase();
        operation["tags"] = json!([format!("{tag}_{}", self.resource.version)]);
        operation["x-kubernetes-group-version-kind"] = kinds::kind_value(group, version, kind);
        let sent = match body {
            Body::Nothing => None,
            Body::Object => Some(Definition::Type(self.object)),
            Body::Patch => names::opaque("Patch"),
            Body::DeleteOptions => {
                kinds::meta(self.made.schema, "DeleteOptions").map(Definition::Type)
            }
        };
        let required = body != Body::DeleteOptions;
        let types: &[&str] = if body == Body::Patch {
            PATCH_TYPES
        } else {
            &["*/*"]
        };
        match (sent, self.made.dialect) {
            (None, _) => {}
            (Some(sent), Dialect::V2) => {
                let schema = json!({"$ref": self.made.reference(sent)});
                let mut sent = json!({"in": "body", "name": "body", "schema": schema});
                if required {
                    sent["required"] = true.into();
                }
                parameters.push(sent);
            }
            (Some(sent), Dialect::V3) => {
                let schema = json!({"schema": {"$ref": self.made.reference(sent)}});
                let content: Map<String, Value> = types
                    .iter()
                    .map(|own| ((*own).to_owned(), schema.clone()))
                    .collect();
                operation["requestBody"] = json!({"content": content});
                if required {
                    operation["requestBody"]["required"] = true.into();
                }
            }
        }
        if self.made.dialect == Dialect::V2 {
            operation["consumes"] = types.into();
            operation["produces"] = OBJECT_TYPES.into();
            operation["schemes"] = json!(["https"]);
        }
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
    }

    /// The operations of a part that is no object: a log, an exec, a proxy.
    fn streams(&self, part: &Subresource, parameters: &[Parameter<'_>]) -> Value {
        let log = part.name == "log";
        let options = if log { "PodLogOptions" } else { &*part.kind };
        let options = self.made.schema.type_id(&format!("core/v1.{options}"));
        let mut item = Map::new();
        for (verb, method) in CONNECT {
            if !part.verbs.iter().any(|own| own == verb) {
                continue;
            }
            let (prefix, action) = if log {
                ("read", "get")
            } else {
                ("connect", "connect")
            };
            let title = title(&self.resource.group, &self.resource.version);
            let id = match log {
                true => self.id(prefix),
                false => format!(
                    "connect{title}{}{}{}{}",
                    capital(method),
                    self.scope,
                    self.resource.kind,
                    self.suffix
                ),
            };
            let verb = if log { "read" } else { "connect" };
            let words = if log {
                format!("read log of the specified {}", self.resource.kind)
            } else {
                format!(
                    "{verb} {} requests to {} of {}",
                    method.to_uppercase(),
                    part.name,
                    self.resource.kind
                )
            };
            let mut operation = json!({
                "operationId": id,
                "description": words,
                "x-kubernetes-action": action,
            });
            let own = self
                .options(options)
                .map(|own| self.parameter(&own))
                .collect();
            self.finish(&mut operation, own, Body::Nothing);
            let text = json!({"type": "string"});
            operation["responses"] = responses(self.made.dialect, &["200"], Some(&text));
            item.insert((*method).into(), operation);
        }
        item.insert("parameters".into(), self.shared(parameters));
        item.into()
    }

    /// The fields of options that fit into a query.
    fn options(&self, id: Option<TypeId>) -> impl Iterator<Item = Parameter<'static>> {
        let fields = id.map(|id| self.made.schema.get(id).fields.as_slice());
        fields.into_iter().flatten().filter_map(|field| {
            let kind = match &field.kind {
                _ if matches!(field.name, "kind" | "apiVersion") => return None,
                Kind::Bool => "boolean",
                Kind::Int32 | Kind::Int64 => "integer",
                Kind::Text | Kind::Time => "string",
                Kind::List(element) if **element == Kind::Text => "string",
                Kind::List(element) if **element == Kind::Int32 => "integer",
                _ => return None,
            };
            Some(Parameter {
                name: field.name,
                kind,
                in_path: false,
            })
        })
    }

    fn parameter(&self, parameter: &Parameter<'_>) -> Value {
        let place = if parameter.in_path { "path" } else { "query" };
        let mut value = json!({"in": place, "name": parameter.name});
        let ty = json!({"type": parameter.kind, "uniqueItems": true});
        match (self.made.dialect, ty) {
            (Dialect::V3, ty) => value["schema"] = ty,
            (Dialect::V2, Value::Object(ty)) => {
                if let Value::Object(value) = &mut value {
                    value.extend(ty);
                }
            }
            _ => {}
        }
        if parameter.in_path {
            value["required"] = true.into();
        }
        value
    }
}

fn responses(dialect: Dialect, codes: &[&str], answer: Option<&Value>) -> Value {
    let mut all = Map::new();
    for code in codes {
        let words = match *code {
            "201" => "Created",
            "202" => "Accepted",
            _ => "OK",
        };
        let mut response = json!({"description": words});
        match (answer, dialect) {
            (None, _) => {}
            (Some(schema), Dialect::V2) => response["schema"] = schema.clone(),
            (Some(schema), Dialect::V3) => {
                let content = OBJECT_TYPES.iter();
                let content: Map<String, Value> = content
                    .map(|own| ((*own).to_owned(), json!({"schema": schema})))
                    .collect();
                response["content"] = content.into();
            }
        }
        all.insert((*code).to_owned(), response);
    }
    all.insert("401".into(), json!({"description": "Unauthorized"}));
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_titles_in_the_ids_of_operations() {
        for (group, expected) in [
            ("", "CoreV1"),
            ("apps", "AppsV1"),
            ("rbac.authorization.k8s.io", "RbacAuthorizationV1"),
            ("flowcontrol.apiserver.k8s.io", "FlowcontrolApiserverV1"),
        ] {
            assert_eq!(title(group, "v1"), expected);
        }
    }
}
