//! `kubectl apply view-last-applied` and `set-last-applied`

use ferrule_apimachinery::object::to_sorted_json;
use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use ferrule_proto::v1::ApiResource;
use serde_json::{Value, json};

use super::super::print;
use super::super::select::{self, Selection};
use super::super::write::{self, Report};
use super::LAST_APPLIED;
use crate::args::{DryRun, FileArgs, SetLastAppliedArgs, ViewLastAppliedArgs};
use crate::error::{Error, Result};
use crate::files::{self, FromFile};
use crate::output::{Format, objects};
use crate::resources::at;
use crate::session::Session;

/// Who writes, when nobody is named: upstream names nobody, and the server takes the program's name.
pub const MANAGER: &str = "kubectl";

/// Runs `view-last-applied`: all or nothing is printed.
pub async fn view(session: &Session, args: &ViewLastAppliedArgs) -> Result<()> {
    let selection = Selection {
        command: "view-last-applied",
        words: &args.words,
        files: Some(&args.files),
        labels: args.selector.as_deref(),
        all: args.all,
        ..Selection::default()
    };
    if let Some(labels) = args
        .selector
        .as_deref()
        .filter(|own| args.all && !own.is_empty())
    {
        return Err(Error::local(format!(
            "found non-empty label selector {labels:?} with previously set 'all' parameter. "
        )));
    }
    let mut texts = Vec::new();
    for one in select::read_all(session, &selection).await? {
        let text = one.object["metadata"]["annotations"][LAST_APPLIED].as_str();
        match text {
            Some(text) => texts.push(text.to_owned()),
            None if args.files.is_empty() => {}
            None => {
                return Err(Error::local(format!(
                    "no last-applied-configuration annotation found on resource: {}\n",
                    one.name
                )));
            }
        }
    }
    for text in texts {
        print(&shown(&text, &args.output)?)?;
    }
    Ok(())
}

fn shown(text: &str, output: &str) -> Result<String> {
    let read =
        || serde_json::from_str::<Value>(text).map_err(|error| Error::local(error.to_string()));
    match output {
        "yaml" => Ok(objects::format(&read()?, &Format::Yaml)),
        "json" => read().map(|_| indented(text)),
        other => Err(Error::usage(
            "apply view-last-applied",
            format_args!(
                "Unexpected -o output mode: {other}, the flag 'output' must be one of yaml|json"
            ),
        )),
    }
}

/// JSON with its fields in their order, each on a line of its own; what stands behind it stays.
fn indented(text: &str) -> String {
    let json = text.trim_end();
    let (mut out, mut depth) = (String::new(), 0_usize);
    let (mut in_text, mut escaped, mut opened) = (false, false, false);
    for letter in json.chars() {
        if in_text {
            out.push(letter);
            in_text = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        if letter.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(letter, '}' | ']');
        depth -= usize::from(closes && depth > 0);
        // What is empty stays in one line.
        if opened != closes {
            line(&mut out, depth);
        }
        opened = matches!(letter, '{' | '[');
        depth += usize::from(opened);
        in_text = letter == '"';
        out.push(letter);
        match letter {
            ',' => line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out + &text[json.len()..]
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

/// What is to be set on an object.
struct Change {
    resource: ApiResource,
    current: Value,
    patch: Patch,
}

/// Runs `set-last-applied`: all files are looked at before anything is set.
pub async fn set(session: &Session, args: &SetLastAppliedArgs) -> Result<()> {
    let report = Report::of(&args.print, args.dry_run)?;
    let named = FileArgs {
        filename: args.filename.clone(),
        ..FileArgs::default()
    };
    // Other words are left alone, as upstream leaves them.
    if named.is_empty() {
        return Err(select::missing());
    }
    let mut changes = Vec::new();
    for file in files::read(&named, "set-last-applied")? {
        changes.extend(change(session, args, &file).await?);
    }
    for Change {
        resource,
        current,
        patch,
    } in changes
    {
        let name = current["metadata"]["name"].as_str().unwrap_or_default();
        let place = at(&resource, &session.namespace).name(name);
        let object = match args.dry_run {
            DryRun::Client => current,
            dry_run => {
                let options = WriteOptions {
                    dry_run: dry_run == DryRun::Server,
                    field_manager: MANAGER.to_owned(),
                    ..WriteOptions::default()
                };
                session
                    .client
                    .patch(&place, &patch, &options)
                    .await?
                    .parse()?
            }
        };
        report.print(&object, &resource, "configured")?;
    }
    Ok(())
}

/// What a file changes; nothing where the annotation says the same already.
async fn change(
    session: &Session,
    args: &SetLastAppliedArgs,
    file: &FromFile,
) -> Result<Option<Change>> {
    let resources = session.resources().await?;
    let resource = select::resource_of(session, resources, &file.object, &file.source)?;
    let mut wanted = file.object.clone();
    let namespace = write::place(&mut wanted, &resource, session);
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    let place = at(&resource, &namespace).name(name);
    if name.is_empty() {
        return Err(super::client_side::nameless(
            &resource,
            &namespace,
            &file.source,
        ));
    }
    let current: Value = match session.client.get(&place).await {
        Ok(object) => object.parse()?,
        Err(status) => {
            return Err(select::missing_in(session, &resource, &namespace, status).await);
        }
    };
    let before = current["metadata"]["annotations"][LAST_APPLIED].as_str();
    if before.is_none() && !args.create_annotation {
        return Err(Error::local(format!(
            "no last-applied-configuration annotation found on resource: {name}, to create the annotation, run the command \
             with --create-annotation"
        )));
    }
    let before = before.and_then(|text| serde_json::from_str::<Value>(text).ok());
    if before.as_ref() == Some(&wanted) {
        print(&format!("set-last-applied {name}: no changes required.\n"))?;
        return Ok(None);
    }
    let patch = patch(&wanted);
    Ok(Some(Change {
        resource,
        current,
        patch,
    }))
}

/// Sets the annotation to an object as it stands in its file.
pub fn patch(wanted: &Value) -> Patch {
    let mut text = String::from_utf8_lossy(&to_sorted_json(wanted)).into_owned();
    text.push('\n');
    Patch::Merge(json!({"metadata": {"annotations": {LAST_APPLIED: text}}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_as_go_does_with_its_fields_in_their_order() {
        for (text, expected) in [
            ("{}\n", "{}\n"),
            (
                r#"{"b":1,"a":[],"c":[1,{"d":"x, \"{y\\"}]}"#,
                "{\n  \"b\": 1,\n  \"a\": [],\n  \"c\": [\n    1,\n    {\n      \"d\": \"x, \\\"{y\\\\\"\n    }\n  ]\n}",
            ),
        ] {
            assert_eq!(indented(text), expected, "{text}");
        }
    }
}
