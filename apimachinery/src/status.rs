//! The one error of the API: meta/v1 Status, with upstream's messages.

mod errors;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Why a request failed, for machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the API")]
pub enum Reason {
    /// No reason is given; the code says all.
    #[default]
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    ServerTimeout,
    StoreReadError,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
    /// A reason that this program does not know.
    Other(Box<str>),
}

const REASONS: [(Reason, &str); 19] = [
    (Reason::Unauthorized, "Unauthorized"),
    (Reason::Forbidden, "Forbidden"),
    (Reason::NotFound, "NotFound"),
    (Reason::AlreadyExists, "AlreadyExists"),
    (Reason::Conflict, "Conflict"),
    (Reason::Gone, "Gone"),
    (Reason::Invalid, "Invalid"),
    (Reason::ServerTimeout, "ServerTimeout"),
    (Reason::StoreReadError, "StorageReadError"),
    (Reason::Timeout, "Timeout"),
    (Reason::TooManyRequests, "TooManyRequests"),
    (Reason::BadRequest, "BadRequest"),
    (Reason::MethodNotAllowed, "MethodNotAllowed"),
    (Reason::NotAcceptable, "NotAcceptable"),
    (Reason::RequestEntityTooLarge, "RequestEntityTooLarge"),
    (Reason::UnsupportedMediaType, "UnsupportedMediaType"),
    (Reason::InternalError, "InternalError"),
    (Reason::Expired, "Expired"),
    (Reason::ServiceUnavailable, "ServiceUnavailable"),
];

impl Reason {
    /// The reason as the API writes it; empty when unknown.
    pub fn as_str(&self) -> &str {
        match self {
            Reason::Unknown => "",
            Reason::Other(text) => text,
            known => REASONS
                .iter()
                .find(|(reason, _)| reason == known)
                .map_or("", |(_, text)| text),
        }
    }

    /// Reads a reason; any text is one.
    pub fn parse(text: &str) -> Reason {
        if text.is_empty() {
            return Reason::Unknown;
        }
        REASONS
            .iter()
            .find(|(_, known)| *known == text)
            .map_or_else(|| Reason::Other(text.into()), |(reason, _)| reason.clone())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of several causes of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// For machines: `FieldValueInvalid`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The field, as a path.
    pub field: String,
}

/// What the failure is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// Its API group.
    pub group: String,
    /// Its resource, or its kind when the object is invalid.
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// Single causes.
    pub causes: Vec<Cause>,
    /// Seconds after which a retry makes sense; 0 is not said.
    pub retry_after_seconds: i32,
}

/// The answer to a request that has no object: nearly always a failure.
///
/// `details` is `None` when absent and an empty [`Details`] when written as `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// For people.
    pub message: String,
    /// For machines.
    pub reason: Reason,
    /// What it is about.
    pub details: Option<Box<Details>>,
    /// `metadata.continue`: where an expired list can go on inconsistently.
    pub continue_token: Option<Box<str>>,
    /// HTTP status code.
    pub code: u16,
}

impl Status {
    /// A failure without details.
    pub fn failure(code: u16, reason: Reason, message: impl Into<String>) -> Status {
        Status {
            message: message.into(),
            reason,
            details: None,
            continue_token: None,
            code,
        }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Status {
        self.details = Some(Box::new(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            ..Details::default()
        }));
        self
    }

    /// The same with `details` written as `{}`.
    #[must_use]
    pub fn with_empty_details(mut self) -> Status {
        self.details = Some(Box::default());
        self
    }

    /// The same with these details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Status {
        self.details = Some(Box::new(details));
        self
    }

    /// HTTP status code.
    pub fn http_code(&self) -> u16 {
        self.code
    }

    /// Whether nothing is found under that name.
    pub fn is_not_found(&self) -> bool {
        self.reason == Reason::NotFound
    }

    /// Whether the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.reason == Reason::AlreadyExists
    }

    /// Whether a precondition failed.
    pub fn is_conflict(&self) -> bool {
        self.reason == Reason::Conflict
    }

    /// Whether a list or watch must begin anew.
    pub fn is_expired(&self) -> bool {
        matches!(self.reason, Reason::Expired | Reason::Gone)
    }

    /// Whether the namespace is being deleted and takes no new objects.
    pub fn is_namespace_terminating(&self) -> bool {
        self.details
            .as_ref()
            .is_some_and(|d| d.causes.iter().any(|c| c.reason == "NamespaceTerminating"))
    }

    /// The Status as a tree.
    pub fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut out = Map::new();
        out.insert("kind".to_owned(), json!("Status"));
        out.insert("apiVersion".to_owned(), json!("v1"));
        out.insert("metadata".to_owned(), Value::Object(metadata));
        let failed = self.code >= 400 || self.code == 0;
        out.insert(
            "status".to_owned(),
            json!(if failed { "Failure" } else { "Success" }),
        );
        put(&mut out, "message", &self.message);
        put(&mut out, "reason", self.reason.as_str());
        if let Some(details) = &self.details {
            out.insert("details".to_owned(), details.to_value());
        }
        if failed {
            out.insert("code".to_owned(), json!(self.code));
        }
        Value::Object(out)
    }

    /// The Status as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }

    /// Reads a Status from JSON; `None` when it is something else.
    pub fn from_json(bytes: &[u8]) -> Option<Status> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Metadata {
            r#continue: Option<Box<str>>,
        }
        #[derive(Deserialize)]
        struct Wire {
            kind: String,
            #[serde(default)]
            metadata: Metadata,
            #[serde(default)]
            status: String,
            #[serde(default)]
            message: String,
            #[serde(default)]
            reason: String,
            #[serde(default)]
            details: Option<Box<Details>>,
            #[serde(default)]
            code: u16,
        }
        let wire: Wire = serde_json::from_slice(bytes).ok()?;
        if wire.kind != "Status" {
            return None;
        }
        let code = match wire.code {
            0 if wire.status == "Success" => 200,
            0 => 500,
            code => code,
        };
        Some(Status {
            message: wire.message,
            reason: Reason::parse(&wire.reason),
            details: wire.details,
            continue_token: wire.metadata.r#continue,
            code,
        })
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        put(&mut out, "name", &self.name);
        put(&mut out, "group", &self.group);
        put(&mut out, "kind", &self.kind);
        put(&mut out, "uid", &self.uid);
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(Cause::to_value).collect();
            out.insert("causes".to_owned(), Value::Array(causes));
        }
        if self.retry_after_seconds != 0 {
            out.insert(
                "retryAfterSeconds".to_owned(),
                json!(self.retry_after_seconds),
            );
        }
        Value::Object(out)
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut out = Map::new();
        put(&mut out, "reason", &self.reason);
        put(&mut out, "message", &self.message);
        put(&mut out, "field", &self.field);
        Value::Object(out)
    }
}

fn put(out: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        out.insert(key.to_owned(), Value::String(text.to_owned()));
    }
}
