//! `kubectl explain`

use std::io::Read;

use ferrule_proto::v1::ApiResource;
use flate2::read::GzDecoder;

use super::print;
use crate::args::ExplainArgs;
use crate::error::{Error, Result};
use crate::explain::document::{Document, Gvr};
use crate::explain::{plaintext, plaintext_v2};
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &ExplainArgs) -> Result<()> {
    let word = match args.words.as_slice() {
        [] => {
            return Err(Error::local(
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.",
            ));
        }
        [word] => word,
        _ => {
            return Err(Error::local("We accept only this format: explain RESOURCE"));
        }
    };
    let (mut gvr, path) = named(
        session.resources().await?.all(),
        word,
        args.api_version.is_empty(),
    )?;
    if !args.api_version.is_empty() {
        let (group, version) = match args.api_version.split_once('/') {
            Some((_, rest)) if rest.contains('/') => {
                let text = &args.api_version;
                return Err(Error::local(format!(
                    "unexpected GroupVersion string: {text}"
                )));
            }
            Some(parts) => parts,
            None => ("", args.api_version.as_str()),
        };
        (gvr.group, gvr.version) = (group.to_owned(), version.to_owned());
    }
    let explain = match args.output.as_str() {
        "plaintext" => plaintext::explain,
        "plaintext-openapiv2" => plaintext_v2::explain,
        other => return Err(Error::local(format!("unrecognized format: {other}"))),
    };
    let document = match session.client.open_api(&gvr.place()).await {
        Ok(packed) => read(&packed)?,
        Err(status) if status.is_not_found() => {
            return Err(Error::local(format!(
                "couldn't find resource for \"{gvr}\""
            )));
        }
        Err(status) => return Err(status.into()),
    };
    let mut out = String::new();
    let explained = explain(&document, &gvr, &path, args.recursive, &mut out);
    print(&out)?;
    explained
}

fn read(packed: &[u8]) -> Result<Document> {
    let wrong =
        |error: &dyn std::fmt::Display| Error::local(format!("cannot read the document: {error}"));
    let mut text = String::new();
    let unpacked = GzDecoder::new(packed).read_to_string(&mut text);
    unpacked.map_err(|error| wrong(&error))?;
    let value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    Ok(Document(value))
}

/// The resource and the path of fields that a word names: `deploy.spec.replicas`, or with the
/// group after the resource, `deployments.apps.spec`.
fn named(all: &[ApiResource], word: &str, with_group: bool) -> Result<(Gvr, Vec<String>)> {
    let (name, rest) = word.split_once('.').unwrap_or((word, ""));
    let lower = name.to_lowercase();
    let matches: Vec<&ApiResource> = all
        .iter()
        .filter(|own| {
            own.name == lower
                || own.singular_name == lower
                || own.kind.to_lowercase() == lower
                || own.short_names.iter().any(|short| short == name)
        })
        .collect();
    let below = |own: &&ApiResource| {
        let rest = rest.strip_prefix(&own.group)?;
        let rest = if rest.is_empty() {
            ""
        } else {
            rest.strip_prefix('.')?
        };
        Some(((*own).clone(), rest.to_owned()))
    };
    let grouped = matches
        .iter()
        .filter(|own| with_group && !own.group.is_empty())
        .find_map(below);
    let first = || matches.first().map(|own| ((*own).clone(), rest.to_owned()));
    // Upstream says this one without `error:`.
    let text = format!("the server doesn't have a resource type {name:?}");
    let missing = || Error::Plain(text.clone());
    let (found, path) = grouped.or_else(first).ok_or_else(missing)?;
    let gvr = Gvr {
        group: found.group,
        version: found.version,
        resource: found.name,
    };
    let path = path.split('.').filter(|own| !own.is_empty());
    Ok((gvr, path.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(group: &str, name: &str, short: &str) -> ApiResource {
        ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            name: name.to_owned(),
            kind: name.trim_end_matches('s').to_owned(),
            short_names: vec![short.to_owned()],
            ..ApiResource::default()
        }
    }

    #[test]
    fn a_word_names_a_resource_its_group_and_a_field() {
        let all = [
            resource("", "events", "ev"),
            resource("events.k8s.io", "events", "ev"),
            resource("apps", "deployments", "deploy"),
        ];
        for (word, expected) in [
            (
                "deploy.spec.replicas",
                Some("apps/v1, Resource=deployments spec/replicas"),
            ),
            ("deployments.apps", Some("apps/v1, Resource=deployments ")),
            (
                "deployments.apps.spec",
                Some("apps/v1, Resource=deployments spec"),
            ),
            ("ev.reason", Some("/v1, Resource=events reason")),
            (
                "events.events.k8s.io.reason",
                Some("events.k8s.io/v1, Resource=events reason"),
            ),
            ("things", None),
        ] {
            let found = named(&all, word, true).ok();
            let shown = found.map(|(gvr, path)| format!("{gvr} {}", path.join("/")));
            assert_eq!(shown.as_deref(), expected, "{word}");
        }
    }
}
