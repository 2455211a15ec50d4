//! Reviews: questions about who somebody is and what they may do. Nothing is stored; the answer is the object with
//! its status.

use ferrule_apimachinery::field::{BadValue, FieldError, Path};
use ferrule_apimachinery::object;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use serde_json::{Value, json};

use super::metadata::check_namespace_matches;
use super::{Answer, Api, Body, Call, Target, WriteOptions};
use crate::auth::{self, Attributes};
use crate::resources::go_form;

/// Everybody who is known at all.
const AUTHENTICATED: &str = "system:authenticated";
/// Those who may do everything.
const MASTERS: &str = "system:masters";

/// The verbs that rules know.
const VERBS: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

/// What everybody who is known may read beside resources, and what is below it.
const OPEN_PATHS: [&str; 7] = [
    "/api", "/apis", "/healthz", "/livez", "/openapi", "/readyz", "/version",
];

impl Api {
    /// Answers a review.
    pub(super) fn review(
        &self,
        call: &Call,
        target: &Target,
        body: Body<'_>,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let resource = &target.resource;
        let mut review = self.decode(call, resource, body, options.validation)?;
        check_namespace_matches(target, &mut review)?;
        let status = match resource.plural.as_ref() {
            "tokenreviews" => of_token(&review)?,
            "selfsubjectreviews" => json!({ "userInfo": user_info(call.identity.as_ref()) }),
            "selfsubjectrulesreviews" => rules_of(call.identity.as_ref(), &review)?,
            "selfsubjectaccessreviews" => {
                let problems = check_question(&review["spec"]);
                refuse(problems)?;
                self.access(call.identity.as_ref(), &review["spec"])
            }
            "subjectaccessreviews" | "localsubjectaccessreviews" => {
                refuse(check_subject(&review, resource.namespaced))?;
                let groups = texts(&review["spec"]["groups"]);
                let user = review["spec"]["user"].as_str().unwrap_or_default();
                let identity = Identity {
                    user: user.to_owned(),
                    groups,
                };
                self.access(Some(&identity), &review["spec"])
            }
            _ => return Err(Status::method_not_allowed()),
        };
        review["status"] = status;
        Ok(Answer::object(object::canonicalize(review, resource), 0))
    }

    /// Whether somebody may do what the specification asks.
    fn access(&self, identity: Option<&Identity>, spec: &Value) -> Value {
        let allowed = match &spec["nonResourceAttributes"] {
            Value::Null => {
                let asked = &spec["resourceAttributes"];
                let text = |name: &str| asked[name].as_str().unwrap_or_default();
                let known = VERBS.iter().find(|verb| **verb == text("verb")).copied();
                let attributes = Attributes {
                    verb: known.unwrap_or_default(),
                    group: text("group"),
                    resource: text("resource"),
                    subresource: text("subresource"),
                    namespace: text("namespace"),
                    name: text("name"),
                    fields: None,
                };
                auth::authorize(identity, &attributes, self).is_ok()
            }
            asked => may_read(identity, asked),
        };
        json!({ "allowed": allowed })
    }
}

fn may_read(identity: Option<&Identity>, asked: &Value) -> bool {
    let Some(identity) = identity else {
        return false;
    };
    let path = asked["path"].as_str().unwrap_or_default();
    let below = |open: &&str| {
        path.strip_prefix(*open)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let open = asked["verb"] == "get" && OPEN_PATHS.iter().any(below);
    open || identity.in_group(MASTERS)
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// Upstream says of which group, but not of which kind.
fn refuse(problems: Vec<FieldError>) -> Result<(), Status> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Status::invalid("authorization.k8s.io", "", "", &problems))
}

/// There has to be one question.
fn check_question(spec: &Value) -> Vec<FieldError> {
    let path = Path::new("spec");
    let other = &spec["nonResourceAttributes"];
    match (spec["resourceAttributes"].is_null(), other.is_null()) {
        (true, true) => {
            let detail =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let at = path.child("resourceAttributes");
            vec![FieldError::invalid(&at, &Value::Null, detail)]
        }
        (false, false) => {
            let shown = BadValue::Raw(go_form::compact("NonResourceAttributes", other));
            let detail = "cannot be specified in combination with resourceAttributes";
            let at = path.child("nonResourceAttributes");
            vec![FieldError::invalid(&at, shown, detail)]
        }
        _ => Vec::new(),
    }
}

fn check_subject(review: &Value, local: bool) -> Vec<FieldError> {
    let (path, spec) = (Path::new("spec"), &review["spec"]);
    let mut problems = check_question(spec);
    let nobody = spec["user"].as_str().unwrap_or_default().is_empty();
    if nobody && texts(&spec["groups"]).is_empty() {
        let detail = "at least one of user or group must be specified";
        problems.push(FieldError::invalid(&path.child("user"), "", detail));
    }
    if !local {
        return problems;
    }
    if !spec["nonResourceAttributes"].is_null() {
        let at = path.child("nonResourceAttributes");
        problems.push(FieldError::forbidden(
            &at,
            "disallowed on this kind of request",
        ));
    }
    let asked = &spec["resourceAttributes"];
    let namespace = asked["namespace"].as_str().unwrap_or_default();
    if !asked.is_null() && review["metadata"]["namespace"] != namespace {
        let at = path.child("resourceAttributes").child("namespace");
        problems.push(FieldError::invalid(
            &at,
            namespace,
            "must match metadata.namespace",
        ));
    }
    problems
}

/// Nobody is known here by a token yet.
fn of_token(review: &Value) -> Result<Value, Status> {
    if review["spec"]["token"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        return Err(Status::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    Ok(json!({ "user": {}, "error": "invalid bearer token" }))
}

fn user_info(identity: Option<&Identity>) -> Value {
    let Some(identity) = identity else {
        return json!({ "username": "system:anonymous", "groups": ["system:unauthenticated"] });
    };
    let mut groups = identity.groups.clone();
    if !identity.in_group(AUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    json!({ "username": identity.user, "groups": groups })
}

/// What the caller may do in a namespace. The rights of components are no rules that could be shown.
fn rules_of(identity: Option<&Identity>, review: &Value) -> Result<Value, Status> {
    if review["spec"]["namespace"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        return Err(Status::bad_request("no namespace on request"));
    }
    let everything = identity.is_some_and(|identity| identity.in_group(MASTERS));
    let open: Vec<String> = OPEN_PATHS
        .iter()
        .flat_map(|path| [(*path).to_owned(), format!("{path}/*")])
        .collect();
    Ok(match everything {
        true => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        false => json!({
            "resourceRules": [],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": open}],
            "incomplete": true,
            "evaluationError": "the rights of components are fixed, and not listed",
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_about_one_thing() {
        let lines = |spec: Value| -> Vec<String> {
            let problems = check_subject(&json!({"metadata": {}, "spec": spec}), false);
            problems.iter().map(ToString::to_string).collect()
        };
        let one = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        assert_eq!(
            lines(json!({"user": "u"})),
            [format!(
                "spec.resourceAttributes: Invalid value: null: {one}"
            )]
        );
        assert_eq!(
            lines(
                json!({"groups": ["g"], "resourceAttributes": {}, "nonResourceAttributes": {"path": "/x", "verb": "get"}})
            ),
            [
                "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: cannot be specified in combination with resourceAttributes"
            ]
        );
        assert_eq!(
            lines(json!({"resourceAttributes": {}})),
            ["spec.user: Invalid value: \"\": at least one of user or group must be specified"]
        );
    }

    #[test]
    fn everybody_reads_what_the_api_is_and_masters_all() {
        let identity = |group: &str| Identity {
            user: "u".to_owned(),
            groups: vec![group.to_owned()],
        };
        let asked = |path: &str, verb: &str| json!({"path": path, "verb": verb});
        let (user, master) = (identity("users"), identity(MASTERS));
        for (who, path, verb, allowed) in [
            (Some(&user), "/healthz/etcd", "get", true),
            (Some(&user), "/healthzy", "get", false),
            (Some(&user), "/version", "post", false),
            (Some(&user), "/metrics", "get", false),
            (Some(&master), "/metrics", "get", true),
            (None, "/version", "get", false),
        ] {
            assert_eq!(may_read(who, &asked(path, verb)), allowed, "{path} {verb}");
        }
    }
}
