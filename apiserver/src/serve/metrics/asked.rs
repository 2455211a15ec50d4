//! What a request asks for, as the labels of upstream's metrics have it.

use std::borrow::Cow;

use ferrule_apimachinery::scheme::Resource;
use prometheus_client::encoding::EncodeLabelSet;

type Text = Cow<'static, str>;

/// Subresources that are connections rather than objects.
const CONNECTIONS: [&str; 5] = ["log", "exec", "portforward", "attach", "proxy"];

/// What was asked for.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Asked {
    verb: &'static str,
    group: Text,
    version: Text,
    resource: Text,
    subresource: Text,
    scope: &'static str,
    component: &'static str,
}

/// What was asked for, and how it ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Answered {
    #[prometheus(flatten)]
    pub(super) asked: Asked,
    pub(super) dry_run: &'static str,
    pub(super) code: u32,
}

/// What was asked for, in earnest or not.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Timed {
    #[prometheus(flatten)]
    pub(super) asked: Asked,
    pub(super) dry_run: &'static str,
}

/// What was refused so that the server survives.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Terminated {
    #[prometheus(flatten)]
    pub(super) asked: Asked,
    pub(super) code: u32,
}

/// What is watched.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Watched {
    pub(super) group: Text,
    pub(super) version: Text,
    pub(super) resource: Text,
}

/// What is watched, and where.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct WatchedIn {
    #[prometheus(flatten)]
    pub(super) watched: Watched,
    pub(super) scope: &'static str,
}

impl Asked {
    /// The labels of a verb at a place; `apply` tells an apply from the other patches.
    pub(crate) fn new(
        verb: &'static str,
        resource: &Resource,
        subresource: &str,
        (namespace, name): (&str, &str),
        apply: bool,
    ) -> Asked {
        let part = resource.subresource(subresource);
        Asked {
            verb: upstream_verb(verb, subresource, apply),
            group: resource.group.clone(),
            version: resource.version.clone(),
            resource: resource.plural.clone(),
            subresource: part.map_or(Text::Borrowed(""), |part| part.name.clone()),
            scope: match (verb, name, namespace) {
                ("create", ..) => "resource",
                (_, "", "") => "cluster",
                (_, "", _) => "namespace",
                _ => "resource",
            },
            component: "apiserver",
        }
    }

    pub(super) fn watched(&self) -> Watched {
        Watched {
            group: self.group.clone(),
            version: self.version.clone(),
            resource: self.resource.clone(),
        }
    }

    pub(super) fn scope(&self) -> &'static str {
        self.scope
    }

    /// Whether upstream measures the size of the answer.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.verb, "GET" | "LIST")
    }

    /// Whether the request lasts as long as the client likes.
    pub(super) fn is_long(&self) -> bool {
        matches!(self.verb, "WATCH" | "CONNECT")
    }
}

/// A verb as upstream's metrics name it: by the HTTP method, for the most part.
fn upstream_verb(verb: &'static str, subresource: &str, apply: bool) -> &'static str {
    if CONNECTIONS.contains(&subresource) {
        return "CONNECT";
    }
    match verb {
        "get" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" => "POST",
        "update" => "PUT",
        "patch" if apply => "APPLY",
        "patch" => "PATCH",
        "delete" | "deletecollection" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use ferrule_apimachinery::scheme::Scheme;

    use super::*;

    #[test]
    fn requests_are_named_as_upstream_names_them() {
        let scheme = Scheme::builtin();
        let pods = scheme.lookup("", "v1", "pods").unwrap();
        let asked = |verb, part, place, apply| {
            let asked = Asked::new(verb, pods, part, place, apply);
            (asked.verb, asked.scope)
        };
        for (verb, part, place, apply, expected) in [
            ("get", "", ("a", "b"), false, ("GET", "resource")),
            ("list", "", ("a", ""), false, ("LIST", "namespace")),
            ("list", "", ("", ""), false, ("LIST", "cluster")),
            ("watch", "", ("", ""), false, ("WATCH", "cluster")),
            ("create", "", ("a", ""), false, ("POST", "resource")),
            ("create", "exec", ("a", "b"), false, ("CONNECT", "resource")),
            ("get", "log", ("a", "b"), false, ("CONNECT", "resource")),
            ("update", "status", ("a", "b"), false, ("PUT", "resource")),
            ("patch", "", ("a", "b"), false, ("PATCH", "resource")),
            ("patch", "", ("a", "b"), true, ("APPLY", "resource")),
            ("delete", "", ("a", "b"), false, ("DELETE", "resource")),
            (
                "deletecollection",
                "",
                ("a", ""),
                false,
                ("DELETE", "namespace"),
            ),
        ] {
            assert_eq!(
                asked(verb, part, place, apply),
                expected,
                "{verb} {part} {place:?}"
            );
        }
    }
}
