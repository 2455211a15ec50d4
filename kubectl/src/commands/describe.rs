//! `kubectl describe`

use serde_json::Value;

use super::select::{self, Selection};
use super::{print, warn};
use crate::args::DescribeArgs;
use crate::describe;
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &DescribeArgs) -> Result<()> {
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Error::local(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of \
             supported resources.",
        ));
    }
    let selection = Selection {
        command: "describe",
        words: &args.words,
        files: Some(&args.files),
        ..Selection::default()
    };
    let (labels, fields) = (&args.select.selector, &args.select.field_selector);
    let mut texts = Vec::new();
    let mut errors = Vec::new();
    for (target, namespace) in select::targets(session, &selection).await? {
        let resource = &target.resource;
        let namespace = if args.select.all_namespaces {
            ""
        } else {
            &namespace
        };
        if !target.names.is_empty() && args.select.all_namespaces && args.files.is_empty() {
            return Err(Error::local(
                "a resource cannot be retrieved by name across all namespaces",
            ));
        }
        if !target.names.is_empty() && (labels.is_some() || fields.is_some()) {
            return Err(Error::local(
                "name cannot be provided when a selector is specified",
            ));
        }
        let mut objects: Vec<Value> = Vec::new();
        if target.names.is_empty() {
            let options = select::options(labels.as_deref(), fields.as_deref());
            objects = select::list(session, resource, namespace, &options).await?;
        }
        for name in &target.names {
            match session
                .client
                .get(&at(resource, namespace).name(name))
                .await
            {
                Ok(object) => objects.push(object.parse()?),
                // `TYPE NAME`, and nothing else, may give the beginning of a name.
                Err(status) if status.is_not_found() && args.words.len() == 2 => {
                    let all = select::options(None, None);
                    let all = select::list(session, resource, namespace, &all).await?;
                    let begins = |object: &Value| {
                        let own = object["metadata"]["name"].as_str();
                        own.is_some_and(|own| own.starts_with(name.as_str()))
                    };
                    objects = all.into_iter().filter(begins).collect();
                    if objects.is_empty() {
                        errors.push(status.into());
                    }
                }
                Err(status) => {
                    let error = select::missing_in(session, resource, namespace, status).await;
                    errors.push(error);
                }
            }
            // What stands behind something that cannot be read is not read any more.
            if !errors.is_empty() {
                break;
            }
        }
        for object in &objects {
            texts.push(describe::text(session, resource, object, args.show_events).await?);
        }
        if !errors.is_empty() {
            break;
        }
    }
    if texts.is_empty() && errors.is_empty() {
        warn(&if args.select.all_namespaces {
            "No resources found".to_owned()
        } else {
            format!("No resources found in {} namespace.", session.namespace)
        });
    }
    print(&texts.join("\n\n"))?;
    Error::all(errors)
}
