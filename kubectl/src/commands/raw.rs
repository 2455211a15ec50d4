//! `kubectl get --raw`: a path of the REST interface, asked for over gRPC.

use ferrule_apimachinery::status::Status;
use ferrule_client::client::ListOptions;
use serde_json::{Value, json};

use super::print;
use crate::error::Result;
use crate::output::objects;
use crate::resources::{api_version, at};
use crate::session::Session;

/// Prints what the path holds: an object, or a list of them.
pub async fn get(session: &Session, path: &str) -> Result<()> {
    let path = path.split('?').next().unwrap_or_default();
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    if words == ["version"] {
        let version = session.client.version().await?;
        let version = json!({
            "major": version.major, "minor": version.minor, "gitVersion": version.git_version,
            "gitCommit": version.git_commit, "buildDate": version.build_date, "platform": version.platform,
        });
        return print(&objects::format(&version, &crate::output::Format::Json));
    }
    let (group, version, rest) = match words.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(nothing_there().into()),
    };
    let resources = session.resources().await?;
    let known = |name: &str| {
        let mut all = resources.all().iter();
        all.find(|own| own.group == group && own.version == version && own.name == name)
    };
    let (namespace, name, rest) = match rest {
        ["namespaces", namespace, name, rest @ ..] if known(name).is_some() => {
            (*namespace, *name, rest)
        }
        [name, rest @ ..] => ("", *name, rest),
        [] => return Err(nothing_there().into()),
    };
    let resource = known(name).ok_or_else(nothing_there)?;
    let place = at(resource, namespace);
    match rest {
        [] => {
            let listed = session
                .client
                .list_all(&place, &ListOptions::default())
                .await?;
            let items = listed.items.iter();
            let items: Vec<Value> = items
                .map(|item| ferrule_client::client::parse(item))
                .collect::<std::result::Result<_, _>>()?;
            let list = json!({
                "kind": format!("{}List", resource.kind),
                "apiVersion": api_version(resource),
                "metadata": {"resourceVersion": listed.revision.to_string()},
                "items": items,
            });
            print(&format!("{}\n", objects::compact(&list)))
        }
        [name, rest @ ..] => {
            let place = place.name(*name);
            let place = match rest {
                [] => place,
                rest => place.subresource(rest.join("/")),
            };
            let object: Value = session.client.get(&place).await?.parse()?;
            print(&format!("{}\n", objects::compact(&object)))
        }
    }
}

fn nothing_there() -> Status {
    let mut status = Status::not_found("", "", "");
    "the server could not find the requested resource".clone_into(&mut status.message);
    status
}
