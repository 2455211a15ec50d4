//! What a REST path names.

use std::sync::Arc;

use ferrule_apimachinery::scheme::{Resource, Scheme};

/// A path of the API.
pub(super) enum Route {
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1` and `/apis/<group>/<version>`.
    GroupVersion(String, String),
    /// `/version`.
    Version,
    /// `/`.
    Root,
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3` and below.
    OpenApiV3(String),
    /// A resource, an object or a part of it.
    Resource(Place),
    /// A path of the API at which there is nothing: a Status says so.
    NoResource,
    /// Another path: plain text says so.
    NotFound,
}

/// Where in the API a request goes.
pub(super) struct Place {
    pub resource: Arc<Resource>,
    pub namespace: String,
    pub name: String,
    pub subresource: String,
    /// The old form of a watch, `/api/v1/watch/…`.
    pub watch: bool,
}

/// Reads a path. Its segments are decoded already.
pub(super) fn route(scheme: &Scheme, path: &str) -> Route {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    let (group, rest) = match segments.as_slice() {
        ["api"] => return Route::CoreVersions,
        ["apis"] => return Route::Groups,
        ["version"] => return Route::Version,
        [""] => return Route::Root,
        ["openapi", "v2"] => return Route::OpenApiV2,
        ["openapi", "v3", rest @ ..] => return Route::OpenApiV3(rest.join("/")),
        ["apis", group] => return Route::Group((*group).to_owned()),
        ["api", rest @ ..] => ("", rest),
        ["apis", group, rest @ ..] => (*group, rest),
        _ => return Route::NotFound,
    };
    let Some((version, rest)) = rest.split_first() else {
        return Route::NotFound;
    };
    if rest.is_empty() {
        return Route::GroupVersion(group.to_owned(), (*version).to_owned());
    }
    resource(scheme, group, version, rest).map_or(Route::NoResource, Route::Resource)
}

fn resource(scheme: &Scheme, group: &str, version: &str, segments: &[&str]) -> Option<Place> {
    let (watch, segments) = match segments {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        other => (false, other),
    };
    if segments.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    let (namespace, segments) = match segments {
        // `namespaces/x` is the object, `namespaces/x/status` its part, `namespaces/x/pods` a place in it.
        ["namespaces", namespace, plural, rest @ ..]
            if !(rest.is_empty()
                && group.is_empty()
                && matches!(*plural, "status" | "finalize")) =>
        {
            let mut within = vec![*plural];
            within.extend_from_slice(rest);
            (*namespace, within)
        }
        other => ("", other.to_vec()),
    };
    let (plural, name, subresource) = match segments.as_slice() {
        [plural] => (*plural, "", ""),
        [plural, name] => (*plural, *name, ""),
        [plural, name, subresource] => (*plural, *name, *subresource),
        _ => return None,
    };
    let resource = scheme.lookup(group, version, plural)?.clone();
    let placed = match (resource.namespaced, namespace) {
        (false, namespace) => namespace.is_empty(),
        // Of all namespaces there are only lists.
        (true, "") => name.is_empty(),
        (true, _) => true,
    };
    if !placed {
        return None;
    }
    if !subresource.is_empty() {
        resource.subresource(subresource)?;
    }
    Some(Place {
        resource,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
        watch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(path: &str) -> String {
        match route(&Scheme::builtin(), path) {
            Route::Resource(place) => {
                let watch = if place.watch { "watch " } else { "" };
                let Place {
                    resource,
                    namespace,
                    name,
                    subresource,
                    ..
                } = place;
                format!(
                    "{watch}{} {namespace}/{name}/{subresource}",
                    resource.plural
                )
            }
            Route::NoResource => "no resource".into(),
            Route::NotFound => "not found".into(),
            Route::GroupVersion(group, version) => format!("{group}/{version}"),
            Route::Group(group) => group,
            _ => "other".into(),
        }
    }

    #[test]
    fn paths_name_resources_objects_and_parts() {
        for (path, expected) in [
            ("/api/v1/pods", "pods //"),
            ("/api/v1/namespaces/d/pods", "pods d//"),
            ("/api/v1/namespaces/d/pods/", "pods d//"),
            ("/api/v1/namespaces/d/pods/p", "pods d/p/"),
            ("/api/v1/namespaces/d/pods/p/status", "pods d/p/status"),
            ("/api/v1/namespaces/d/pods/p/nothing", "no resource"),
            ("/api/v1/namespaces", "namespaces //"),
            ("/api/v1/namespaces/d", "namespaces /d/"),
            ("/api/v1/namespaces/d/finalize", "namespaces /d/finalize"),
            ("/api/v1/nodes/n/status", "nodes /n/status"),
            ("/api/v1/namespaces/d/nodes/n", "no resource"),
            ("/api/v1/pods/p", "no resource"),
            ("/api/v1//pods", "no resource"),
            (
                "/api/v1/watch/namespaces/d/configmaps/w",
                "watch configmaps d/w/",
            ),
            (
                "/apis/apps/v1/namespaces/d/deployments/x/scale",
                "deployments d/x/scale",
            ),
            ("/apis/apps/v9/deployments", "no resource"),
            ("/apis/apps/v1", "apps/v1"),
            ("/apis/apps", "apps"),
            ("/nothing", "not found"),
        ] {
            assert_eq!(show(path), expected, "{path}");
        }
    }
}
