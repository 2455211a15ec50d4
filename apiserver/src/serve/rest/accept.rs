//! Which form and encoding the client wants: the `Accept` header, and what goes with it.

use ferrule_apimachinery::scheme::Resource;
use ferrule_apimachinery::status::{Reason, Status};
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, USER_AGENT};

use super::query::Query;
use crate::verbs::Form;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Yaml,
    Protobuf,
}

impl Encoding {
    /// The media type of an answer in one piece.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Encoding::Json => "application/json",
            Encoding::Yaml => "application/yaml",
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

/// Where JSON has line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// At its end.
    Line,
    /// Everywhere, for people.
    Indented,
    /// Everywhere but at its end: what upstream writes by itself, without a serializer.
    Raw,
}

/// How an answer goes over the wire, whatever is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wire {
    pub encoding: Encoding,
    /// Of JSON alone.
    pub layout: Layout,
    /// The client takes gzip.
    pub gzip: bool,
}

impl Wire {
    /// Plain JSON.
    pub(super) const JSON: Wire = Wire {
        encoding: Encoding::Json,
        layout: Layout::Line,
        gzip: false,
    };

    /// Where no encoding was agreed on, or none is asked for.
    pub(super) const RAW: Wire = Wire {
        layout: Layout::Raw,
        ..Wire::JSON
    };
}

/// One alternative of an `Accept` header.
#[derive(Default)]
struct Wanted<'a> {
    media: &'a str,
    kind: &'a str,
    group: &'a str,
    version: &'a str,
    stream: &'a str,
    server_version: &'a str,
    pretty: bool,
    /// Another form than the object itself is asked for.
    converted: bool,
}

impl<'a> Wanted<'a> {
    fn parse(alternative: &'a str) -> (Wanted<'a>, f32) {
        let mut parts = alternative.split(';').map(str::trim);
        let mut wanted = Wanted {
            media: parts.next().unwrap_or_default(),
            ..Wanted::default()
        };
        let mut quality = 1.0;
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "as" => wanted.kind = value,
                "g" => wanted.group = value,
                "v" => wanted.version = value,
                "stream" => wanted.stream = value,
                "sv" => wanted.server_version = value,
                "pretty" => wanted.pretty = value == "1",
                "q" => quality = value.parse().unwrap_or(1.0),
                _ => {}
            }
            wanted.converted |= matches!(name, "as" | "g" | "v");
        }
        (wanted, quality)
    }

    /// How it is written, where this server writes so.
    fn encoding(&self) -> Option<Encoding> {
        let encoding = match self.media {
            "" | "*/*" | "application/*" | "application/json" => Encoding::Json,
            "application/yaml" => Encoding::Yaml,
            "application/vnd.kubernetes.protobuf" => Encoding::Protobuf,
            _ => return None,
        };
        let streams = self.stream == "watch" && encoding != Encoding::Yaml;
        let known = matches!(self.server_version, "" | "v1");
        (known && (self.stream.is_empty() || streams)).then_some(encoding)
    }

    /// An answer so encoded.
    fn wire(&self, encoding: Encoding, headers: &HeaderMap, query: &Query) -> Wire {
        Wire {
            encoding,
            layout: match self.pretty || pretty(headers, query) {
                true => Layout::Indented,
                false => Layout::Line,
            },
            gzip: takes_gzip(headers),
        }
    }

    /// How many parts of the media type are left open.
    fn openness(&self) -> usize {
        self.media.matches('*').count()
    }
}

fn alternatives(header: &str) -> Vec<Wanted<'_>> {
    let mut all: Vec<(Wanted<'_>, f32)> = header.split(',').map(Wanted::parse).collect();
    // A stable sort: what comes first is preferred among equals.
    all.sort_by(|(left, quality), (right, other)| {
        let quality = other.total_cmp(quality);
        quality.then(left.openness().cmp(&right.openness()))
    });
    all.into_iter().map(|(wanted, _)| wanted).collect()
}

const REPRESENTATIONS: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const STREAMS: &str =
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// How an answer is written and its form, and the version of its form where that is not v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub wire: Wire,
    pub form: Form,
    /// The form is of meta.k8s.io/v1beta1.
    pub beta: bool,
}

/// A text header; `""` when absent.
pub(super) fn text(headers: &HeaderMap, name: http::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Whether people read the answer: the query says so, or the client is one of theirs.
fn pretty(headers: &HeaderMap, query: &Query) -> bool {
    match query.text("pretty") {
        "" => {
            let agent = text(headers, USER_AGENT);
            ["curl", "Wget", "Mozilla/5.0"]
                .iter()
                .any(|known| agent.starts_with(known))
        }
        given => matches!(given, "1" | "t" | "T" | "TRUE" | "true" | "True"),
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    text(headers, ACCEPT_ENCODING)
        .split(',')
        .any(|token| token.trim() == "gzip")
}

/// The Go type of an object in memory, as upstream's messages name it: `apps.Deployment`.
fn internal_name(resource: &Resource) -> String {
    let package = match &*resource.group {
        // Events of either group are the same in memory.
        "" | "events.k8s.io" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    format!("{package}.{}", resource.kind)
}

/// What the client gets. `list` is the kind of list, or the path names one object of the kind.
pub(super) fn negotiate(
    headers: &HeaderMap,
    query: &Query,
    resource: &Resource,
    list: bool,
) -> Result<Negotiated, Status> {
    let mut transformed = false;
    for wanted in alternatives(text(headers, ACCEPT)) {
        let Some(encoding) = wanted.encoding() else {
            continue;
        };
        let meta = wanted.group == "meta.k8s.io" && matches!(wanted.version, "v1" | "v1beta1");
        let answer = |form| {
            Ok(Negotiated {
                wire: wanted.wire(encoding, headers, query),
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
            _ if !wanted.converted => return answer(Form::Object),
            // There is no message for a Table, and what is only answered, never listed, has no columns.
            ("Table", _) if meta && encoding != Encoding::Protobuf && resource.has_verb("list") => {
                return answer(Form::Table(query.include()?));
            }
            ("PartialObjectMetadata", false) | ("PartialObjectMetadataList", true) if meta => {
                return answer(Form::Metadata);
            }
            ("PartialObjectMetadata", true) if meta => {
                return refuse(&format!("a list (*{}List)", internal_name(resource)));
            }
            ("PartialObjectMetadataList", false) if meta => {
                return refuse(&format!("not a list (*{})", internal_name(resource)));
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

/// How a failure is told. It has no other form: what the client wants in one does not count.
pub(super) fn of_failures(headers: &HeaderMap, query: &Query) -> Wire {
    let all = alternatives(text(headers, ACCEPT));
    let mut plain = all.iter().filter(|wanted| !wanted.converted);
    plain
        .find_map(|wanted| Some(wanted.wire(wanted.encoding()?, headers, query)))
        .unwrap_or(Wire::RAW)
}

/// The version of aggregated discovery that is preferred over the plain one.
pub(super) fn aggregated_discovery(header: &str) -> Option<&'static str> {
    for wanted in alternatives(header) {
        if !matches!(wanted.encoding(), Some(Encoding::Json | Encoding::Yaml)) {
            continue;
        }
        match (wanted.kind, wanted.group, wanted.version) {
            ("", ..) => return None,
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => return Some("v2"),
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") => return Some("v2beta1"),
            _ => {}
        }
    }
    None
}

/// 406 for a watch in an encoding that has no stream.
pub(super) fn no_stream() -> Status {
    Status::not_acceptable(&[STREAMS])
}

#[cfg(test)]
mod tests {
    use ferrule_apimachinery::scheme::Scheme;
    use http::HeaderValue;

    use super::*;
    use crate::verbs::Include;

    fn resource(plural: &str) -> Resource {
        let scheme = Scheme::builtin();
        let found = scheme.iter().find(|resource| resource.plural == plural);
        Resource::clone(found.unwrap())
    }

    #[test]
    fn the_best_alternative_that_is_known_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let negotiated = |header: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(header))]);
            negotiate(&headers, &Query::default(), &resource("deployments"), false)
        };
        let refusal = negotiated(
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
        );
        assert_eq!(
            refusal.unwrap_err().message,
            "you requested PartialObjectMetadataList, but the requested object is not a list (*apps.Deployment)"
        );
        let found = |header| {
            let wanted = negotiated(header).ok()?;
            Some((wanted.wire.encoding, wanted.form))
        };
        use Encoding::{Json, Protobuf, Yaml};
        for (header, expected) in [
            (table, Some((Json, Form::Table(Include::Metadata)))),
            ("", Some((Json, Form::Object))),
            (
                "text/html;q=0.9,application/json;q=0.5",
                Some((Json, Form::Object)),
            ),
            (
                "application/json;q=0.5,application/yaml",
                Some((Yaml, Form::Object)),
            ),
            ("*/*,application/yaml", Some((Yaml, Form::Object))),
            (
                "application/json;as=Table;v=v9;g=meta.k8s.io,application/json",
                Some((Json, Form::Object)),
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Some((Protobuf, Form::Object)),
            ),
            (
                "application/vnd.kubernetes.protobuf;stream=watch",
                Some((Protobuf, Form::Object)),
            ),
            ("application/yaml;stream=watch", None),
            ("application/json;stream=other", None),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                Some((Protobuf, Form::Metadata)),
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json",
                Some((Json, Form::Object)),
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1",
                None,
            ),
            ("application/json;v=v1", None),
            ("text/plain", None),
        ] {
            assert_eq!(found(header), expected, "{header}");
        }
    }

    #[test]
    fn what_is_only_answered_has_no_table() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(table))]);
        let review = resource("selfsubjectaccessreviews");
        let refused = negotiate(&headers, &Query::default(), &review, false).unwrap_err();
        assert_eq!(refused.reason, Reason::NotAcceptable);
    }

    #[test]
    fn people_get_answers_that_are_indented() {
        for (agent, parameter, expected) in [
            ("curl/8.0", "", true),
            ("kubectl/v1.36", "", false),
            ("kubectl/v1.36", "true", true),
            ("curl/8.0", "0", false),
            ("curl/8.0", "what", false),
        ] {
            let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(agent))]);
            let query = Query(vec![("pretty".to_owned(), parameter.to_owned())]);
            assert_eq!(pretty(&headers, &query), expected, "{agent} {parameter}");
        }
    }

    #[test]
    fn failures_are_told_in_the_first_plain_alternative() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        for (header, expected) in [
            ("application/json".to_owned(), Wire::JSON),
            (format!("{table},application/json"), Wire::JSON),
            (
                format!("{table},application/yaml"),
                Wire {
                    encoding: Encoding::Yaml,
                    ..Wire::JSON
                },
            ),
            (table.to_owned(), Wire::RAW),
            ("text/plain".to_owned(), Wire::RAW),
        ] {
            let value = HeaderValue::from_str(&header).unwrap();
            let headers = HeaderMap::from_iter([(ACCEPT, value)]);
            let wire = of_failures(&headers, &Query::default());
            assert_eq!(wire, expected, "{header}");
        }
    }

    #[test]
    fn the_first_form_of_discovery_that_is_known_is_taken() {
        let form = |version: &str| {
            format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList")
        };
        for (accept, expected) in [
            (form("v2"), Some("v2")),
            (form("v9"), None),
            (form("v9") + ",application/json", None),
            (
                form("v2") + "," + &form("v2beta1") + ",application/json",
                Some("v2"),
            ),
            (form("v2beta1") + ",application/json", Some("v2beta1")),
            ("application/json,".to_owned() + &form("v2"), None),
            (
                "application/json;q=0.5,".to_owned() + &form("v2"),
                Some("v2"),
            ),
            (String::new(), None),
        ] {
            assert_eq!(aggregated_discovery(&accept), expected, "{accept}");
        }
    }
}
