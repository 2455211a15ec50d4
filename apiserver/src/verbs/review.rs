//! Reviews: questions about who somebody is and what they may do, answered and not kept.
//!
//! The answers are those of the table in [`crate::auth`], which is asked in the same way for every request.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::object;
use ferrule_apimachinery::status::Status;
use ferrule_component_base::identity::Identity;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::effects::Owners;
use super::metadata::{check_namespace_matches, metadata, seconds};
use super::owners::{self, Writes, manager};
use super::{Answer, Api, Body, Call, Target, WriteOptions};
use crate::auth::{self, Attributes};
use crate::resources::problems::{Path, Problems};
use crate::resources::review::shown_path_attributes;
use crate::resources::tree::{Tree, set};

/// The group of everybody whose identity is known.
const AUTHENTICATED: &str = "system:authenticated";

/// The groups of a caller.
pub(super) fn groups_of(identity: &Identity) -> Vec<String> {
    let mut groups = identity.groups.clone();
    if !identity.in_group(AUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    groups
}

impl Api {
    /// Answers a review.
    pub(super) async fn review(
        &self,
        call: &Call,
        target: &Target,
        body: Body<'_>,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let resource = &target.resource;
        let mut review = self.decode(call, resource, body, options.validation)?;
        check_namespace_matches(target, &mut review)?;
        let now = Timestamp::now();
        let sent = owners::take_sent(&mut review);
        let by = Writes::By(manager(call, options));
        let mut owners = self.owners(target, None, &review, sent, by, now)?;
        // Two answers say nothing of the question.
        if let "SelfSubjectReview" | "SelfSubjectRulesReview" = resource.kind.as_ref() {
            owners = Owners::AsBefore;
        }
        let status = match resource.kind.as_ref() {
            "SelfSubjectReview" => {
                metadata(&mut review).insert("creationTimestamp".into(), seconds(now).into());
                let identity = known(call)?;
                json!({ "userInfo": { "username": identity.user, "uid": identity.uid, "groups": groups_of(identity) } })
            }
            "TokenReview" => review_token(&review)?,
            "SelfSubjectRulesReview" => {
                let status = review_rules(known(call)?, &review)?;
                review = json!({});
                status
            }
            _ => self.review_access(call, target, &review)?,
        };
        set(&mut review, "status", status);
        let id = self.schema().type_id(&resource.schema_type);
        let id = id.ok_or_else(|| Status::internal(format!("no type {}", resource.schema_type)))?;
        let written = self.schema().decode_value(review, id);
        let written = written.map_err(|why| Status::internal(why.to_string()))?;
        let managed = match &owners {
            Owners::Now(Some(managed)) => Some(managed.as_ref()),
            _ => None,
        };
        Ok(Answer {
            bytes: object::canonicalize_managed(written.value, resource, managed),
            revision: 0,
            created: true,
            is_object: true,
        })
    }

    fn review_access(&self, call: &Call, target: &Target, review: &Value) -> Result<Value, Status> {
        let (group, kind) = (&target.resource.group, target.resource.kind.as_ref());
        let problems = validate_access(kind, review);
        if !problems.is_empty() {
            // Upstream does not name the kind.
            return Err(Status::invalid(group, "", "", &problems));
        }
        let spec = review.at("spec");
        let asked;
        let identity = match kind {
            "SelfSubjectAccessReview" => known(call)?,
            _ => {
                let groups = spec.items("groups").iter();
                asked = Identity {
                    user: spec.text("user").to_owned(),
                    uid: spec.text("uid").to_owned(),
                    groups: groups
                        .filter_map(|group| group.as_str().map(str::to_owned))
                        .collect(),
                };
                &asked
            }
        };
        let path = spec.at("nonResourceAttributes");
        let attributes = spec.at("resourceAttributes");
        let decided = match path.is_null() {
            false => auth::decide_path(identity, path.text("verb"), path.text("path")),
            true => auth::decide(
                identity,
                &Attributes {
                    verb: attributes.text("verb"),
                    group: attributes.text("group"),
                    resource: attributes.text("resource"),
                    subresource: attributes.text("subresource"),
                    namespace: attributes.text("namespace"),
                    name: attributes.text("name"),
                    fields: None,
                },
                self,
            ),
        };
        Ok(match decided {
            Ok(()) => json!({ "allowed": true }),
            Err(reason) => json!({ "allowed": false, "reason": reason }),
        })
    }
}

fn known(call: &Call) -> Result<&Identity, Status> {
    call.identity.as_ref().ok_or_else(Status::unauthorized)
}

/// No bearer token is known here.
fn review_token(review: &Value) -> Result<Value, Status> {
    if review.at("spec").text("token").is_empty() {
        let why = "token is required for TokenReview in authentication";
        return Err(Status::bad_request(why));
    }
    Ok(json!({ "error": "invalid bearer token" }))
}

fn review_rules(identity: &Identity, review: &Value) -> Result<Value, Status> {
    let namespace = review.at("spec").text("namespace");
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let rules = auth::rules_in(identity, namespace);
    let mut status = json!({
        "resourceRules": rules.resources,
        "nonResourceRules": rules.paths,
        "incomplete": rules.incomplete.is_some(),
    });
    if let Some(why) = rules.incomplete {
        status["evaluationError"] = why.into();
    }
    Ok(status)
}

fn validate_access(kind: &str, review: &Value) -> Vec<FieldError> {
    let mut out = Problems::default();
    let (path, spec) = (Path::new("spec"), review.at("spec"));
    let (at, urls) = (
        path.child("nonResourceAttributes"),
        spec.at("nonResourceAttributes"),
    );
    let resources = spec.at("resourceAttributes");
    match (resources.is_null(), urls.is_null()) {
        (false, false) => {
            let detail = "cannot be specified in combination with resourceAttributes";
            out.invalid_raw(&at, shown_path_attributes(urls), detail);
        }
        (true, true) => {
            let detail =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            out.invalid(&path.child("resourceAttributes"), &Value::Null, detail);
        }
        _ => {}
    }
    let nobody = spec.text("user").is_empty() && spec.items("groups").is_empty();
    if kind != "SelfSubjectAccessReview" && nobody {
        let detail = "at least one of user or group must be specified";
        out.invalid(&path.child("user"), "", detail);
    }
    if kind == "LocalSubjectAccessReview" {
        let own = review.at("metadata").text("namespace");
        if !resources.is_null() && resources.text("namespace") != own {
            let at = path.child("resourceAttributes").child("namespace");
            let detail = "must match metadata.namespace";
            out.invalid(&at, resources.text("namespace"), detail);
        }
        if !urls.is_null() {
            let detail = "disallowed on this kind of request";
            out.invalid_raw(&at, shown_path_attributes(urls), detail);
        }
    }
    out.into_errors()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(kind: &str, review: Value) -> Vec<String> {
        validate_access(kind, &review)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_review_asks_about_one_thing_and_somebody() {
        let asked = json!({ "resourceAttributes": { "verb": "get" }, "user": "a" });
        assert!(lines("SubjectAccessReview", json!({ "spec": asked })).is_empty());
        let cases = [
            (
                "SubjectAccessReview",
                json!({ "user": "a" }),
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ),
            (
                "SubjectAccessReview",
                json!({ "resourceAttributes": {} }),
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ),
            (
                "SelfSubjectAccessReview",
                json!({ "resourceAttributes": {}, "nonResourceAttributes": { "path": "/x", "verb": "get" } }),
                "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: cannot be specified in combination with resourceAttributes",
            ),
            (
                "LocalSubjectAccessReview",
                json!({ "user": "a", "resourceAttributes": { "namespace": "b" } }),
                "spec.resourceAttributes.namespace: Invalid value: \"b\": must match metadata.namespace",
            ),
        ];
        for (kind, spec, expected) in cases {
            assert_eq!(lines(kind, json!({ "spec": spec })), [expected]);
        }
    }

    #[test]
    fn everybody_who_is_known_is_in_one_group() {
        let identity = Identity {
            user: "a".into(),
            uid: String::new(),
            groups: vec!["g".into()],
        };
        assert_eq!(groups_of(&identity), ["g", "system:authenticated"]);
    }

    #[test]
    fn a_token_that_is_not_given_cannot_be_reviewed() {
        assert!(review_token(&json!({ "spec": {} })).is_err());
        let status = review_token(&json!({ "spec": { "token": "rubbish" } })).unwrap();
        assert!(!status.flag("authenticated"));
    }
}
