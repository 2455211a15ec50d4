//! `kubectl auth can-i` and `kubectl auth whoami`

pub mod reconcile;
mod rules;

use ferrule_apimachinery::scheme::GroupVersionResource;
use ferrule_client::WriteOptions;
use ferrule_client::client::At;
use serde_json::{Map, Value, json};

use super::create::rbac::URL_VERBS;
use super::write::Report;
use super::{print, warn};
use crate::args::{CanIArgs, DryRun, WhoamiArgs};
use crate::describe::{list as list_of, rbac};
use crate::error::{Error, Result};
use crate::output::columns::Columns;
use crate::output::{self, Format, objects};
use crate::resources::Resources;
use crate::session::Session;

const RESOURCE_VERBS: [&str; 17] = [
    "*",
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "escalate",
    "proxy",
    "approve",
    "sign",
    "attest",
];

/// Posts a review, which nobody stores, and returns its answer.
async fn review(session: &Session, group: &'static str, kind: &str, spec: Value) -> Result<Value> {
    let plural = format!("{}s", kind.to_lowercase());
    let mut request =
        json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {}, "spec": spec});
    // A review of oneself asks nothing.
    if request["spec"].is_null()
        && let Some(fields) = request.as_object_mut()
    {
        fields.remove("spec");
    }
    let place = At::of(GroupVersionResource::from_parts(group, "v1", &plural));
    let options = WriteOptions::default();
    let answer = session
        .client
        .create(&place, request.to_string(), &options)
        .await?;
    Ok(answer.parse()?)
}

/// Runs `auth can-i`.
pub async fn can_i(session: &Session, args: &CanIArgs) -> Result<()> {
    let has_subresource = args.subresource.as_deref().unwrap_or_default() != "";
    if args.list && (args.quiet || args.all_namespaces || has_subresource) {
        return Err(Error::local(
            "list option can't be specified with neither quiet, all-namespaces nor subresource options",
        ));
    }
    let namespace = match args.all_namespaces {
        true => "",
        false => session.namespace.as_str(),
    };
    if args.list {
        if !args.words.is_empty() {
            return Err(Error::local(
                "list option must be specified with no arguments",
            ));
        }
        return list(session, args, namespace).await;
    }
    if args.no_headers {
        return Err(Error::local(
            "--no-headers cannot be set without --list specified",
        ));
    }
    let spec = match args.words.as_slice() {
        [verb, what] if what.starts_with('/') => {
            if args.subresource.is_some() {
                return Err(Error::local(
                    "--subresource can not be used with NonResourceURL",
                ));
            }
            if !URL_VERBS.contains(&verb.as_str()) {
                warn(&format!("Warning: verb '{verb}' is not a known verb\n"));
            }
            json!({"nonResourceAttributes": {"verb": verb, "path": what}})
        }
        [verb, what] => {
            let (what, name) = what.split_once('/').unwrap_or((what, ""));
            of_resource(session, args, namespace, verb, what, name).await?
        }
        _ => {
            return Err(Error::local(
                "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help \
                 and examples.",
            ));
        }
    };
    let answer = review(
        session,
        "authorization.k8s.io",
        "SelfSubjectAccessReview",
        spec,
    )
    .await?;
    let status = &answer["status"];
    let allowed = status["allowed"] == true;
    if !args.quiet {
        let mut text = if allowed { "yes" } else { "no" }.to_owned();
        let given = |field: &str| status[field].as_str().filter(|text| !text.is_empty());
        if !allowed {
            if let Some(reason) = given("reason") {
                text.push_str(&format!(" - {reason}"));
            }
            if let Some(error) = given("evaluationError") {
                text.push_str(&format!(" - {error}"));
            }
        }
        print(&format!("{text}\n"))?;
    }
    if allowed { Ok(()) } else { Err(Error::Exit(1)) }
}

async fn of_resource(
    session: &Session,
    args: &CanIArgs,
    namespace: &str,
    verb: &str,
    what: &str,
    name: &str,
) -> Result<Value> {
    if !RESOURCE_VERBS.contains(&verb) {
        warn(&format!("Warning: verb '{verb}' is not a known verb\n"));
    }
    let (group, plural, namespaced) = resource(session.resources().await?, what);
    let mut attributes = Map::new();
    let mut add = |field: &str, text: &str| {
        if !text.is_empty() {
            attributes.insert(field.to_owned(), json!(text));
        }
    };
    add(
        "namespace",
        if namespaced == Some(false) {
            ""
        } else {
            namespace
        },
    );
    add("verb", verb);
    add("group", &group);
    add("resource", &plural);
    add(
        "subresource",
        args.subresource.as_deref().unwrap_or_default(),
    );
    add("name", name);
    if namespaced == Some(false) && !args.all_namespaces {
        let place = match group.as_str() {
            "" => String::new(),
            group => format!(" in group '{group}'"),
        };
        warn(&format!(
            "Warning: resource '{plural}' is not namespace scoped{place}\n"
        ));
    }
    Ok(json!({"resourceAttributes": attributes}))
}

/// Group and plural of a resource, and whether it is namespaced; one that is not served is asked for
/// as it is written.
fn resource(resources: &Resources, what: &str) -> (String, String, Option<bool>) {
    if what == "*" {
        return ("*".to_owned(), "*".to_owned(), None);
    }
    if let Ok(found) = resources.find(what) {
        return (
            found.group.clone(),
            found.name.clone(),
            Some(found.namespaced),
        );
    }
    let (name, group) = what.split_once('.').unwrap_or((what, ""));
    if name != "*" || !group.is_empty() {
        warn(&match group {
            "" => format!("Warning: the server doesn't have a resource type '{name}'\n"),
            group => format!(
                "Warning: the server doesn't have a resource type '{name}' in group '{group}'\n"
            ),
        });
    }
    (group.to_owned(), name.to_owned(), None)
}

async fn list(session: &Session, args: &CanIArgs, namespace: &str) -> Result<()> {
    let spec = json!({"namespace": namespace});
    let answer = review(
        session,
        "authorization.k8s.io",
        "SelfSubjectRulesReview",
        spec,
    )
    .await?;
    let status = &answer["status"];
    if status["incomplete"] == true {
        let why = status["evaluationError"].as_str().unwrap_or_default();
        warn(&format!("warning: the list may be incomplete: {why}"));
    }
    let mut rows = Vec::new();
    if !args.no_headers {
        let titles = ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"];
        rows.push(titles.map(str::to_owned).to_vec());
    }
    let all = ["resourceRules", "nonResourceRules"].map(|field| list_of(status, field));
    rows.extend(rbac::rows(all.into_iter().flatten()));
    print(&Columns::default().format(&rows))
}

/// Runs `auth whoami`.
pub async fn whoami(session: &Session, args: &WhoamiArgs) -> Result<()> {
    // Other words are left alone, as upstream leaves them.
    let report = Report::of(&args.print, DryRun::None)?;
    let answer = review(
        session,
        "authentication.k8s.io",
        "SelfSubjectReview",
        Value::Null,
    )
    .await?;
    match report.format {
        Format::Table => {}
        Format::Json => return print(&objects::format_typed(&answer, &Format::Json)),
        format => {
            let name = "selfsubjectreview.authentication.k8s.io/<unknown>";
            return output::print(&answer, &format, name);
        }
    }
    print(&Columns::default().format(&who(&answer["status"]["userInfo"])))
}

fn who(user: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["ATTRIBUTE".to_owned(), "VALUE".to_owned()]];
    let list = |value: &Value| {
        let texts = value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        format!("[{}]", texts.collect::<Vec<_>>().join(" "))
    };
    for (title, field) in [("Username", "username"), ("UID", "uid")] {
        let text = user[field].as_str().unwrap_or_default();
        if !text.is_empty() {
            rows.push(vec![title.to_owned(), text.to_owned()]);
        }
    }
    if user["groups"]
        .as_array()
        .is_some_and(|groups| !groups.is_empty())
    {
        rows.push(vec!["Groups".to_owned(), list(&user["groups"])]);
    }
    for (key, values) in user["extra"].as_object().into_iter().flatten() {
        rows.push(vec![format!("Extra: {key}"), list(values)]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_one_is_has_no_empty_lines() {
        let user = json!({"username": "alice", "groups": ["devs", "system:authenticated"]});
        let rows: Vec<String> = who(&user).iter().map(|row| row.join("|")).collect();
        assert_eq!(
            rows,
            [
                "ATTRIBUTE|VALUE",
                "Username|alice",
                "Groups|[devs system:authenticated]"
            ]
        );
    }
}
