//! Whatever a client writes into its paths, parameters and headers is understood or refused.

use std::sync::LazyLock;

use ferrule_apimachinery::scheme::Scheme;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, USER_AGENT};
use proptest::prelude::*;
use proptest::sample::select;

use super::query::Query;
use super::{accept, decoded, path, pretty};
use crate::verbs::{DeleteOptions, WriteOptions};

static SCHEME: LazyLock<Scheme> = LazyLock::new(Scheme::builtin);

fn words(all: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(select(all), 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_accept_header_is_negotiated_or_refused(
        known in words(&[
            "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "*/*", ";", ",", "=",
            "as", "Table", "PartialObjectMetadata", "g=meta.k8s.io", "v=v1", "stream=watch", "q=0.5", "q=NaN", " ",
        ]),
        other in "[ -~]{0,40}",
        list in any::<bool>(),
    ) {
        for header in [known, other] {
            let Ok(value) = HeaderValue::from_str(&header) else { continue };
            let headers = [ACCEPT, ACCEPT_ENCODING, USER_AGENT].map(|name| (name, value.clone()));
            let headers = HeaderMap::from_iter(headers);
            let pods = SCHEME.lookup("", "v1", "pods").unwrap();
            let _ = accept::negotiate(&headers, &Query::default(), pods, list);
            let _ = accept::aggregated_discovery(&header);
        }
    }

    #[test]
    fn any_path_leads_somewhere(
        known in words(&["/", "api", "apis", "v1", "apps", "namespaces", "watch", "pods", "p", "status", "%2f", "%", ".."]),
        other in any::<String>(),
    ) {
        for text in [known, other] {
            let _ = path::route(&SCHEME, &decoded(&text));
        }
    }

    #[test]
    fn any_parameters_are_options_or_are_refused(
        text in words(&[
            "limit", "continue", "timeoutSeconds", "timeout", "resourceVersion", "resourceVersionMatch", "dryRun",
            "fieldManager", "fieldValidation", "includeObject", "gracePeriodSeconds", "propagationPolicy",
            "sendInitialEvents", "watch", "=", "&", "-1", "9999999999999999999", "true", "All", "%00", "%ff", "x", "1s",
        ]),
    ) {
        let Ok(uri) = format!("/api/v1/pods?{text}").parse() else { return Ok(()) };
        let query = Query::parse(&uri);
        let _ = query.list();
        let _ = query.write("CreateOptions");
        let _ = query.include();
        let _ = query.timeout();
        let _ = query.delete().and_then(|options| DeleteOptions::read(&options));
        let _ = WriteOptions::read("PatchOptions", &[&text], &text, &text);
    }

    #[test]
    fn indenting_changes_nothing_but_blanks(bytes in any::<Vec<u8>>(), texts in prop::collection::btree_map(any::<String>(), any::<Vec<String>>(), 0..5)) {
        let _ = pretty::indented(&bytes);
        let value = serde_json::json!({"texts": texts, "empty": {}, "list": [[], {}]});
        let indented = pretty::indented(value.to_string().as_bytes());
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&indented).unwrap(), value);
    }
}
