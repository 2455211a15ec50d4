//! From a body to a tree that the schema has checked, with upstream's words for what is wrong.

use std::borrow::Cow;
use std::fmt::Write;

use ferrule_apimachinery::field::{FieldError, Path, quote};
use ferrule_apimachinery::object;
use ferrule_apimachinery::patch::go_format;
use ferrule_apimachinery::protobuf::Unknown;
use ferrule_apimachinery::schema::{DecodeError, Decoded};
use ferrule_apimachinery::scheme::{self, Resource};
use ferrule_apimachinery::status::Status;
use ferrule_apimachinery::yaml;
use serde_json::Value;

use super::{Api, Call, FieldValidation, Patch};
use crate::resources;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// As it arrived.
    pub bytes: &'a [u8],
    /// How it is written.
    pub media: Media,
}

impl<'a> Body<'a> {
    /// A body in JSON.
    pub fn json(bytes: &'a [u8]) -> Body<'a> {
        Body {
            bytes,
            media: Media::Json,
        }
    }
}

/// The scheme that upstream's messages name.
const UPSTREAM_SCHEME: &str = "pkg/api/legacyscheme/scheme.go:30";

/// What a body says that it is; empty where it does not.
#[derive(Default)]
struct Claimed {
    api_version: String,
    kind: String,
}

impl Claimed {
    fn of(unknown: &Unknown<'_>) -> Claimed {
        Claimed {
            api_version: unknown.api_version.to_owned(),
            kind: unknown.kind.to_owned(),
        }
    }
}

/// What a body has to be.
struct Expected<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

impl<'a> Expected<'a> {
    fn of(resource: &'a Resource) -> Expected<'a> {
        Expected {
            group: &resource.group,
            version: &resource.version,
            kind: &resource.kind,
        }
    }

    /// Upstream's refusal of a body that claims to be something else, or that is it badly.
    fn refusal(&self, claimed: &Claimed, why: &dyn std::fmt::Display) -> Status {
        let version = match claimed.api_version.as_str() {
            "" => self.version,
            given => scheme::split_api_version(given).1,
        };
        let kind = match claimed.kind.as_str() {
            "" => self.kind,
            given => given,
        };
        Status::bad_request(format!(
            "{kind} in version {} cannot be handled as a {}: {why}",
            quote(version),
            self.kind
        ))
    }
}

impl Api {
    /// Reads an object of the resource's kind.
    pub(super) fn decode(
        &self,
        call: &Call,
        resource: &Resource,
        body: Body<'_>,
        validation: FieldValidation,
    ) -> Result<Value, Status> {
        let expected = Expected::of(resource);
        let (decoded, claimed, duplicates) =
            self.decode_as(&expected, &resource.schema_type, body)?;
        let Decoded {
            mut value,
            problems,
        } = decoded;
        let problems: Vec<String> = duplicates.into_iter().chain(problems).collect();
        match validation {
            _ if problems.is_empty() => {}
            FieldValidation::Ignore => {}
            FieldValidation::Warn => problems.into_iter().for_each(|problem| call.warn(problem)),
            FieldValidation::Strict => {
                let why = format!("strict decoding error: {}", problems.join(", "));
                return Err(expected.refusal(&claimed, &why));
            }
        }
        set_kind(&mut value, &resource.api_version(), &resource.kind);
        if body.media == Media::Json && resources::rules_for(resource).is_spaced(body.bytes) {
            object::set_spaced(&mut value);
        }
        Ok(value)
    }

    /// Reads an object of the expected kind: the object, what it claims to be, and the keys that YAML
    /// had twice.
    fn decode_as(
        &self,
        expected: &Expected<'_>,
        schema_type: &str,
        body: Body<'_>,
    ) -> Result<(Decoded, Claimed, Vec<String>), Status> {
        let unrecognized = |why: &str| unrecognized(expected.kind, why, body.bytes);
        let refusal =
            |claimed: &Claimed, why: &dyn std::fmt::Display| expected.refusal(claimed, why);
        let id = self.schema().type_id(schema_type);
        let id = id.ok_or_else(|| Status::internal(format!("no type {schema_type}")))?;
        if body.media == Media::Protobuf {
            let unknown = Unknown::read(body.bytes).map_err(|why| unrecognized(&why))?;
            let claimed = Claimed::of(&unknown);
            self.check_kind(expected, &claimed)
                .map_err(|why| refusal(&claimed, &why))?;
            let value = self.schema().read_message(id, unknown.raw);
            let decoded = value
                .map_err(|why| refusal(&claimed, &why))
                .and_then(|value| {
                    let decoded = self.schema().decode_value(value, id);
                    decoded.map_err(|why| refusal(&claimed, &why))
                })?;
            return Ok((decoded, claimed, Vec::new()));
        }
        let (json, duplicates) = as_json(body).map_err(|why| unrecognized(&why))?;
        let claimed = claimed(&json).map_err(|why| unrecognized(&why))?;
        self.check_kind(expected, &claimed)
            .map_err(|why| refusal(&claimed, &why))?;
        match self.schema().decode_json(&json, id) {
            Ok(decoded) => Ok((decoded, claimed, duplicates)),
            Err(DecodeError::Syntax(why)) => Err(unrecognized(&json_error(&why))),
            Err(DecodeError::Type(why)) => Err(refusal(&claimed, &why)),
        }
    }

    /// Reads DeleteOptions from protobuf, which may say that they are of any group.
    fn read_protobuf_options(&self, bytes: &[u8]) -> Result<Value, String> {
        let unknown = Unknown::read(bytes)?;
        check_options_kind(&Claimed::of(&unknown)).map_err(|status| status.message)?;
        let id = self.schema().type_id("meta/v1.DeleteOptions");
        let id = id.ok_or("no type meta/v1.DeleteOptions")?;
        let mut value = self.schema().read_message(id, unknown.raw)?;
        set_kind(&mut value, unknown.api_version, unknown.kind);
        Ok(value)
    }

    /// Refuses an object of another kind than the expected one.
    fn check_kind(&self, expected: &Expected<'_>, claimed: &Claimed) -> Result<(), String> {
        let own = scheme::api_version(expected.group, expected.version);
        let api_version = match claimed.api_version.as_str() {
            "" => own.as_str(),
            given => given,
        };
        let kind = match claimed.kind.as_str() {
            "" => expected.kind,
            given => given,
        };
        if api_version == own && kind == expected.kind {
            return Ok(());
        }
        let version = scheme::split_api_version(api_version).1;
        let known = self.schema().object_type(api_version, kind).is_some();
        if known {
            let internal = match expected.group {
                "" => "core",
                group => group.split('.').next().unwrap_or(group),
            };
            return Err(format!(
                "converting ({version}.{kind}) to ({internal}.{}): unknown conversion",
                expected.kind
            ));
        }
        Err(format!(
            "no kind {} is registered for version {} in scheme {}",
            quote(kind),
            quote(api_version),
            quote(UPSTREAM_SCHEME)
        ))
    }

    /// Checks what a patch has made of an object.
    pub(super) fn decode_patched(
        &self,
        call: &Call,
        resource: &Resource,
        patch: &Patch,
        patched: Value,
        faults: &[String],
        validation: FieldValidation,
    ) -> Result<Value, Status> {
        let id = self.schema().type_id(&resource.schema_type);
        let id = id.ok_or_else(|| Status::internal(format!("no type {}", resource.schema_type)))?;
        let refuse = |patched: &Value, why: &dyn std::fmt::Display| {
            let shown = match patch {
                Patch::Strategic(change) => go_format(change),
                other => self.schema().to_patched_json(patched, id, &other.touched()),
            };
            let problem = FieldError::invalid(&Path::new("patch"), shown, why.to_string());
            // Upstream does not say of which kind.
            Status::invalid("", "", "", &[problem])
        };
        let claimed = Claimed {
            api_version: patched["apiVersion"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            kind: patched["kind"].as_str().unwrap_or_default().to_owned(),
        };
        // A strategic merge does not go by what the object says that it is.
        let outcome = match patch {
            Patch::Strategic(_) => self.schema().unfit(&patched, id).map_or(Ok(()), Err),
            _ => self.check_kind(&Expected::of(resource), &claimed),
        };
        outcome.map_err(|why| refuse(&patched, &why))?;
        let Decoded {
            mut value,
            mut problems,
        } = self
            .schema()
            .decode_value(patched.clone(), id)
            .map_err(|why| refuse(&patched, &why))?;
        if let Patch::Strategic(_) = patch {
            problems.sort();
        }
        let problems: Vec<String> = faults.iter().cloned().chain(problems).collect();
        match validation {
            _ if problems.is_empty() => {}
            FieldValidation::Ignore => {}
            FieldValidation::Warn => problems.into_iter().for_each(|problem| call.warn(problem)),
            FieldValidation::Strict => {
                let why = format!("strict decoding error: {}", problems.join(", "));
                return Err(refuse(&patched, &why));
            }
        }
        set_kind(&mut value, &resource.api_version(), &resource.kind);
        Ok(value)
    }

    /// Reads the body of a delete.
    pub fn read_delete_options(&self, bytes: &[u8], media: Media) -> Result<Value, Status> {
        let options = match media {
            Media::Json => claimed(bytes)
                .map_err(Status::bad_request)
                .and_then(|claimed| {
                    check_options_kind(&claimed)?;
                    serde_json::from_slice(bytes)
                        .map_err(|error| Status::bad_request(error.to_string()))
                })?,
            Media::Yaml => {
                let (value, _) =
                    read_yaml(&String::from_utf8_lossy(bytes)).map_err(Status::bad_request)?;
                value
            }
            Media::Protobuf => self
                .read_protobuf_options(bytes)
                .map_err(Status::bad_request)?,
        };
        Ok(options)
    }

    /// Reads an object of another kind than the resource's: a Scale, a Binding.
    pub(super) fn decode_other(
        &self,
        body: Body<'_>,
        api_version: &str,
        kind: &str,
        schema_type: &str,
    ) -> Result<Value, Status> {
        let (group, version) = scheme::split_api_version(api_version);
        let expected = Expected {
            group,
            version,
            kind,
        };
        self.decode_as(&expected, schema_type, body)
            .map(|(decoded, ..)| decoded.value)
    }
}

/// A body in JSON or YAML as JSON, and the keys that YAML had twice.
fn as_json(body: Body<'_>) -> Result<(Cow<'_, [u8]>, Vec<String>), String> {
    if body.media == Media::Json {
        let null = body.bytes.trim_ascii() == b"null";
        return Ok((
            Cow::Borrowed(if null { b"{}" } else { body.bytes }),
            Vec::new(),
        ));
    }
    let text = String::from_utf8_lossy(body.bytes);
    let (value, problems) = read_yaml(&text)?;
    let json = match value {
        Value::Null => b"{}".to_vec(),
        value => value.to_string().into_bytes(),
    };
    Ok((Cow::Owned(json), problems))
}

/// One YAML document, and what Go says about the keys that it has twice.
fn read_yaml(text: &str) -> Result<(Value, Vec<String>), String> {
    let document = yaml::read_document(text).map_err(|error| error.to_string())?;
    let mut problems = Vec::new();
    if !document.duplicates.is_empty() {
        problems.push(format!(
            "yaml: unmarshal errors:\n  {}",
            document.duplicates.join("\n  ")
        ));
    }
    Ok((document.value, problems))
}

/// DeleteOptions are known in every group and version that has resources.
fn check_options_kind(claimed: &Claimed) -> Result<(), Status> {
    if matches!(claimed.kind.as_str(), "" | "DeleteOptions") {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "no kind {} is registered for version {} in scheme \"pkg/apis/meta/internalversion/scheme/register.go:27\"",
        quote(&claimed.kind),
        quote(&claimed.api_version)
    )))
}

/// A tree as YAML.
pub fn write_yaml(value: &Value) -> String {
    yaml::write(value)
}

fn set_kind(value: &mut Value, api_version: &str, kind: &str) {
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
}

/// What a body says that it is, or Go's error where that cannot be read.
fn claimed(json: &[u8]) -> Result<Claimed, String> {
    const GO_TYPE: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
    let probe: Value = match serde_json::from_slice(json) {
        Ok(probe) => probe,
        Err(error) => {
            let why = ferrule_apimachinery::schema::json_syntax::check(json).err();
            return Err(json_error(&why.unwrap_or_else(|| error.to_string())));
        }
    };
    if !probe.is_object() {
        let what = go_kind(&probe);
        return Err(json_error(&format!(
            "json: cannot unmarshal {what} into Go value of type {GO_TYPE}"
        )));
    }
    let mut claimed = Claimed::default();
    for (field, place) in [
        ("apiVersion", &mut claimed.api_version),
        ("kind", &mut claimed.kind),
    ] {
        match &probe[field] {
            Value::Null => {}
            Value::String(text) => place.clone_from(text),
            other => {
                let what = go_kind(other);
                let why = format!(
                    "json: cannot unmarshal {what} into Go struct field .{field} of type string"
                );
                return Err(json_error(&why));
            }
        }
    }
    Ok(claimed)
}

fn json_error(why: &str) -> String {
    format!("couldn't get version/kind; json parse error: {why}")
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Upstream's refusal of a body whose kind cannot be told, with the body's beginning.
fn unrecognized(kind: &str, why: &str, body: &[u8]) -> Status {
    const SHOWN: usize = 30;
    let shown = &body[..body.len().min(SHOWN)];
    let mut summary = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        Some(_) => shown.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }),
    };
    if body.len() > SHOWN {
        summary.push_str(" ...");
    }
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({summary})"
    ))
}
