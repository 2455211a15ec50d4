//! The failures of the API, each with upstream's message.

use std::fmt;

use super::{Cause, Details, Reason, Status};
use crate::field::{FieldError, aggregate, quote};

/// A resource of a group, as messages name it: `deployments.apps`.
fn qualified(group: &str, name: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

impl Status {
    /// Success, as some deletes answer.
    pub fn success() -> Status {
        Status {
            code: 200,
            ..Status::default()
        }
    }

    /// 404: no object of that name.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Status {
        let message = format!("{} {} not found", qualified(group, resource), quote(name));
        Self::failure(404, Reason::NotFound, message).about(group, resource, name)
    }

    /// 404: no such resource or path.
    pub fn no_such_resource() -> Status {
        Self::failure(
            404,
            Reason::NotFound,
            "the server could not find the requested resource",
        )
        .with_empty_details()
    }

    /// 409: the name is taken.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Status {
        let message = format!(
            "{} {} already exists",
            qualified(group, resource),
            quote(name)
        );
        Self::failure(409, Reason::AlreadyExists, message).about(group, resource, name)
    }

    /// 409: a precondition does not hold; `why` follows a colon.
    pub fn conflict(group: &str, resource: &str, name: &str, why: impl fmt::Display) -> Status {
        let message = format!(
            "Operation cannot be fulfilled on {} {}: {why}",
            qualified(group, resource),
            quote(name)
        );
        Self::failure(409, Reason::Conflict, message).about(group, resource, name)
    }

    /// 409: the object is newer than the one that the request was made from.
    pub fn modified(group: &str, resource: &str, name: &str) -> Status {
        Self::conflict(
            group,
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 422: the object breaks rules.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Status {
        let message = format!(
            "{} {} is invalid: {}",
            qualified(group, kind),
            quote(name),
            aggregate(errors)
        );
        let mut status = Self::failure(422, Reason::Invalid, message).about(group, kind, name);
        if let Some(details) = &mut status.details {
            details.causes = errors
                .iter()
                .map(|error| Cause {
                    reason: error.kind.reason().to_owned(),
                    message: error.body(),
                    field: error.field.clone(),
                })
                .collect();
        }
        status
    }

    /// 422 without a word about what is wrong, as a failed JSON patch answers.
    pub fn unprocessable() -> Status {
        Self::failure(
            422,
            Reason::Invalid,
            "the server rejected our request due to an error in our request",
        )
        .with_empty_details()
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Status {
        Self::failure(400, Reason::BadRequest, message)
    }

    /// 403; `why` follows a colon.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: impl fmt::Display) -> Status {
        let resource_text = qualified(group, resource);
        let message = match (resource.is_empty(), name.is_empty()) {
            (true, true) => format!("forbidden: {why}"),
            (_, true) => format!("{resource_text} is forbidden: {why}"),
            _ => format!("{resource_text} {} is forbidden: {why}", quote(name)),
        };
        Self::failure(403, Reason::Forbidden, message).about(group, resource, name)
    }

    /// 401.
    pub fn unauthorized() -> Status {
        Self::failure(401, Reason::Unauthorized, "Unauthorized")
    }

    /// 410: the resourceVersion or continue token is too old.
    pub fn expired(message: impl Into<String>) -> Status {
        Self::failure(410, Reason::Expired, message)
    }

    /// 410 for a watch: what it asks for has been compacted away.
    pub fn too_old(requested: i64, oldest: i64) -> Status {
        Self::expired(format!("too old resource version: {requested} ({oldest})"))
    }

    /// 410: gone for good.
    pub fn gone(message: impl Into<String>) -> Status {
        Self::failure(410, Reason::Gone, message)
    }

    /// 429; the caller may try again after `seconds`.
    pub fn too_many_requests(message: impl Into<String>, seconds: i32) -> Status {
        Self::failure(429, Reason::TooManyRequests, message).with_details(Details {
            retry_after_seconds: seconds,
            ..Details::default()
        })
    }

    /// 504: the deadline passed before an outcome was known.
    pub fn timeout(message: impl fmt::Display, seconds: i32) -> Status {
        Self::failure(504, Reason::Timeout, format!("Timeout: {message}")).with_details(Details {
            retry_after_seconds: seconds,
            ..Details::default()
        })
    }

    /// 504: the revision asked for does not exist yet.
    pub fn too_large_resource_version(requested: i64, current: i64) -> Status {
        let mut status = Self::timeout(
            format_args!("Too large resource version: {requested}, current: {current}"),
            1,
        );
        if let Some(details) = &mut status.details {
            details.causes = vec![Cause {
                reason: "ResourceVersionTooLarge".to_owned(),
                message: "Too large resource version".to_owned(),
                field: String::new(),
            }];
        }
        status
    }

    /// 500: the server could not finish the operation in time.
    pub fn server_timeout(group: &str, resource: &str, operation: &str, seconds: i32) -> Status {
        let message = format!(
            "The {operation} operation against {} could not be completed at this time, please try again.",
            qualified(group, resource)
        );
        Self::failure(500, Reason::ServerTimeout, message).with_details(Details {
            group: group.to_owned(),
            kind: resource.to_owned(),
            name: operation.to_owned(),
            retry_after_seconds: seconds,
            ..Details::default()
        })
    }

    /// 503.
    pub fn service_unavailable(message: impl Into<String>) -> Status {
        Self::failure(503, Reason::ServiceUnavailable, message)
    }

    /// 500; `error` follows "Internal error occurred: ".
    pub fn internal(error: impl fmt::Display) -> Status {
        Self::failure(
            500,
            Reason::InternalError,
            format!("Internal error occurred: {error}"),
        )
        .with_details(Details {
            causes: vec![Cause {
                message: error.to_string(),
                ..Cause::default()
            }],
            ..Details::default()
        })
    }

    /// 500 with a bare message and no reason, as upstream answers some malformed requests.
    pub fn bare_error(message: impl Into<String>) -> Status {
        Self::failure(500, Reason::Unknown, message)
    }

    /// 405 for a verb that this path does not have.
    pub fn method_not_allowed() -> Status {
        Self::failure(
            405,
            Reason::MethodNotAllowed,
            "the server does not allow this method on the requested resource",
        )
        .with_empty_details()
    }

    /// 405: the resource has no such verb.
    pub fn method_not_supported(group: &str, resource: &str, verb: &str) -> Status {
        let message = format!(
            "{verb} is not supported on resources of kind {}",
            quote(&qualified(group, resource))
        );
        let mut status = Self::failure(405, Reason::MethodNotAllowed, message);
        status.details = Some(Box::new(Details {
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..Details::default()
        }));
        status
    }

    /// 406.
    pub fn not_acceptable(accepted: &[&str]) -> Status {
        Self::failure(
            406,
            Reason::NotAcceptable,
            format!(
                "only the following media types are accepted: {}",
                accepted.join(", ")
            ),
        )
    }

    /// 415.
    pub fn unsupported_media_type(accepted: &[&str]) -> Status {
        Self::failure(
            415,
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
        )
    }

    /// 413.
    pub fn request_entity_too_large(message: impl fmt::Display) -> Status {
        Self::failure(
            413,
            Reason::RequestEntityTooLarge,
            format!("Request entity too large: {message}"),
        )
    }
}
