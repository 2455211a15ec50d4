//! `kubectl api-resources`

use std::collections::BTreeSet;

use ferrule_proto::v1::ApiResource;

use super::print;
use crate::args::ApiResourcesArgs;
use crate::error::{Error, Result};
use crate::output::columns::Columns;
use crate::resources::{api_version, plural};
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &ApiResourcesArgs) -> Result<()> {
    super::no_words(&args.words, "api-resources")?;
    let mut resources: Vec<&ApiResource> = session
        .resources()
        .await?
        .all()
        .iter()
        .filter(|own| chosen(args, own))
        .collect();
    // Of several versions of a kind the server prefers the first.
    let mut seen = BTreeSet::new();
    resources.retain(|own| seen.insert((&own.group, &own.name)));
    match args.sort_by.as_deref() {
        None => resources.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name))),
        Some("name") => resources.sort_by(|a, b| a.name.cmp(&b.name)),
        Some("kind") => resources.sort_by(|a, b| a.kind.cmp(&b.kind)),
        Some(_) => return Err(Error::local("--sort-by accepts only name or kind")),
    }
    match args.output.as_deref() {
        Some("name") => {
            let text: String = resources
                .iter()
                .map(|own| format!("{}\n", plural(own)))
                .collect();
            print(&text)
        }
        None | Some("") | Some("wide") => {
            let wide = args.output.as_deref() == Some("wide");
            let mut rows = Vec::new();
            if !args.no_headers {
                let mut head = vec!["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
                if wide {
                    head.extend(["VERBS", "CATEGORIES"]);
                }
                rows.push(head.into_iter().map(str::to_owned).collect());
            }
            rows.extend(resources.iter().map(|own| row(own, wide)));
            print(&Columns::default().format(&rows))
        }
        Some(other) => Err(Error::local(format!("--output {other} is not available"))),
    }
}

fn chosen(args: &ApiResourcesArgs, resource: &ApiResource) -> bool {
    args.api_group
        .as_ref()
        .is_none_or(|group| *group == resource.group)
        && args
            .namespaced
            .is_none_or(|namespaced| namespaced == resource.namespaced)
        && args.verbs.iter().all(|verb| resource.verbs.contains(verb))
        && args
            .categories
            .iter()
            .all(|category| resource.categories.contains(category))
}

fn row(resource: &ApiResource, wide: bool) -> Vec<String> {
    let mut row = vec![
        resource.name.clone(),
        resource.short_names.join(","),
        api_version(resource),
        resource.namespaced.to_string(),
        resource.kind.clone(),
    ];
    if wide {
        row.push(resource.verbs.join(","));
        row.push(resource.categories.join(","));
    }
    row
}

/// Runs `kubectl api-versions`.
pub async fn versions(session: &Session, words: &[String]) -> Result<()> {
    super::no_words(words, "api-versions")?;
    let all = session.resources().await?.all();
    let versions: std::collections::BTreeSet<String> = all.iter().map(api_version).collect();
    let text: String = versions.iter().map(|own| format!("{own}\n")).collect();
    print(&text)
}
