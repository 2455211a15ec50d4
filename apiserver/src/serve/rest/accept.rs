//! Which form and encoding the client wants: the `Accept` header.

use ferrule_apimachinery::status::{Reason, Status};

use crate::verbs::{Form, Include};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Yaml,
}

/// One alternative of an `Accept` header.
struct Wanted<'a> {
    media: &'a str,
    kind: &'a str,
    group: &'a str,
    version: &'a str,
}

fn alternatives(header: &str) -> Vec<Wanted<'_>> {
    let mut all: Vec<(Wanted<'_>, f32)> = header
        .split(',')
        .map(|alternative| {
            let mut parts = alternative.split(';').map(str::trim);
            let mut wanted = Wanted {
                media: parts.next().unwrap_or_default(),
                kind: "",
                group: "",
                version: "",
            };
            let mut quality = 1.0;
            for part in parts {
                match part.split_once('=') {
                    Some(("as", value)) => wanted.kind = value,
                    Some(("g", value)) => wanted.group = value,
                    Some(("v", value)) => wanted.version = value,
                    Some(("q", value)) => quality = value.parse().unwrap_or(1.0),
                    _ => {}
                }
            }
            (wanted, quality)
        })
        .collect();
    // A stable sort: what comes first is preferred among equals.
    all.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    all.into_iter().map(|(wanted, _)| wanted).collect()
}

fn encoding(media: &str) -> Option<Encoding> {
    match media {
        "" | "*/*" | "application/*" | "application/json" => Some(Encoding::Json),
        "application/yaml" => Some(Encoding::Yaml),
        _ => None,
    }
}

const REPRESENTATIONS: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const STREAMS: &str =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// The encoding and form of an answer, and the version of its form where that is not v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub encoding: Encoding,
    pub form: Form,
    /// The form is of meta.k8s.io/v1beta1.
    pub beta: bool,
}

/// What the client gets. `list` is the kind of list, or the path names one object of the kind.
pub(super) fn negotiate(
    header: &str,
    include: impl FnOnce() -> Result<Include, Status>,
    kind: &str,
    list: bool,
) -> Result<Negotiated, Status> {
    let mut transformed = false;
    for wanted in alternatives(header) {
        let Some(encoding) = encoding(wanted.media) else {
            continue;
        };
        let meta = wanted.group == "meta.k8s.io" && matches!(wanted.version, "v1" | "v1beta1");
        let answer = |form| {
            Ok(Negotiated {
                encoding,
                form,
                beta: wanted.version == "v1beta1",
            })
        };
        let refuse = |what: &str| {
            let message = format!(
                "you requested {}, but the requested object is {what}",
                wanted.kind
            );
            Err(Status::failure(406, Reason::NotAcceptable, message))
        };
        match (wanted.kind, list) {
            ("", _) => return answer(Form::Object),
            ("Table", _) if meta => {
                return answer(Form::Table(include()?));
            }
            ("PartialObjectMetadata", false) | ("PartialObjectMetadataList", true) if meta => {
                return answer(Form::Metadata);
            }
            ("PartialObjectMetadata", true) if meta => {
                return refuse(&format!("a list (*core.{kind}List)"));
            }
            ("PartialObjectMetadataList", false) if meta => {
                return refuse(&format!("not a list (*core.{kind})"));
            }
            _ => transformed = true,
        }
    }
    if transformed {
        return Err(Status::not_acceptable(&[REPRESENTATIONS]));
    }
    let mut all = REPRESENTATIONS.to_owned();
    if list {
        all.push_str(", ");
        all.push_str(STREAMS);
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {all}");
    Err(Status::failure(406, Reason::NotAcceptable, message).with_empty_details())
}

/// Whether aggregated discovery is preferred over the plain one.
pub(super) fn aggregated_discovery(header: &str) -> bool {
    alternatives(header)
        .iter()
        .find(|wanted| {
            encoding(wanted.media).is_some()
                && (wanted.kind.is_empty()
                    || (wanted.group == "apidiscovery.k8s.io" && wanted.version == "v2"))
        })
        .is_some_and(|wanted| wanted.kind == "APIGroupDiscoveryList")
}

/// 406 for a watch in an encoding that has no stream.
pub(super) fn no_stream() -> Status {
    Status::not_acceptable(&[STREAMS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_alternative_that_is_known_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let found = |header| {
            let wanted = negotiate(header, || Ok(Include::Metadata), "Pod", false).ok()?;
            Some((wanted.encoding, wanted.form))
        };
        assert_eq!(
            found(table),
            Some((Encoding::Json, Form::Table(Include::Metadata)))
        );
        assert_eq!(found(""), Some((Encoding::Json, Form::Object)));
        assert_eq!(
            found("text/html;q=0.9,application/json;q=0.5"),
            Some((Encoding::Json, Form::Object))
        );
        assert_eq!(
            found("application/json;q=0.5,application/yaml"),
            Some((Encoding::Yaml, Form::Object))
        );
        assert_eq!(
            found("application/json;as=Table;v=v9;g=meta.k8s.io,application/json"),
            Some((Encoding::Json, Form::Object))
        );
        assert_eq!(found("text/plain"), None);
    }

    #[test]
    fn aggregated_discovery_needs_a_known_version() {
        assert!(aggregated_discovery(
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
        ));
        assert!(!aggregated_discovery(
            "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json"
        ));
        assert!(!aggregated_discovery("application/json"));
    }
}
