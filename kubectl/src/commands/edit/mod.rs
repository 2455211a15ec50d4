//! `kubectl edit`: objects in an editor, and what was changed sent as a patch.
//!
//! ```text
//!  objects ──> file with a head of comments ──> editor ──> objects ──> patches
//!                      ▲                                                 │
//!                      └───────── refusals, as comments ─────────────────┘
//! ```
//!
//! What cannot be saved stays in its file, which is named.

mod editor;
mod outcome;

use ferrule_apimachinery::patch;
use ferrule_apimachinery::schema::Schema;
use ferrule_apimachinery::yaml;
use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use serde_json::{Value, json};

pub use editor::temporary_folder;
use outcome::{Outcome, head};

use super::apply::{self, LAST_APPLIED};
use super::select::{self, Found, Selection};
use super::write::{self, Report};
use super::{print, warn};
use crate::args::{CreateArgs, DryRun, EditArgs, WriteArgs};
use crate::error::{Error, Result};
use crate::output::{Format, objects};
use crate::resources::at;
use crate::session::Session;

/// What is edited of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// They themselves.
    Objects,
    /// Their last applied configuration.
    LastApplied,
}

/// Runs the command.
pub async fn run(session: &Session, args: &EditArgs, what: What) -> Result<()> {
    let selection = Selection {
        command: "edit",
        words: &args.words,
        files: Some(&args.files),
        all: true,
        ..Selection::default()
    };
    let mut found = select::read_all(session, &selection).await?;
    if let Some(subresource) = &args.subresource {
        for one in &mut found {
            let place = at(&one.resource, &one.namespace).name(&one.name);
            one.object = session
                .client
                .get(&place.subresource(subresource))
                .await?
                .parse()?;
        }
    }
    let mut originals = Vec::new();
    for one in found {
        let shown = match what {
            What::Objects => {
                let mut shown = one.object.clone();
                if !args.print.show_managed_fields {
                    objects::without_managed_fields(&mut shown);
                }
                shown
            }
            What::LastApplied => {
                match one.object["metadata"]["annotations"][LAST_APPLIED].as_str() {
                    Some(text) => serde_json::from_str(text)
                        .map_err(|error| Error::local(error.to_string()))?,
                    None => continue,
                }
            }
        };
        originals.push((one, shown));
    }
    if originals.is_empty() {
        return Err(Error::local(match what {
            What::Objects => "edit cancelled, no objects found",
            What::LastApplied => {
                "no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply \
                 set-last-applied --create-annotation`"
            }
        }));
    }
    Editing {
        session,
        args,
        what,
        originals,
        report: Report::of(&args.print, DryRun::None)?,
    }
    .run()
    .await
}

struct Editing<'a> {
    session: &'a Session,
    args: &'a EditArgs,
    what: What,
    /// Each object with what is shown of it.
    originals: Vec<(Found, Value)>,
    report: Report,
}

impl Editing<'_> {
    async fn run(&self) -> Result<()> {
        let json = self.report.format == Format::Json;
        let ending = if json { ".json" } else { ".yaml" };
        let original = self.original(json);
        let mut outcome = Outcome::default();
        let mut edited = String::new();
        let mut refused = false;
        loop {
            let mut text = match json {
                true => String::new(),
                false => head(self.what, &outcome.reasons),
            };
            text.push_str(&match refused {
                true => without_head(&edited),
                false => original.clone(),
            });
            if self.args.windows_line_endings {
                text = text.replace('\n', "\r\n");
            }
            let file = match editor::edit(&text, ending) {
                Ok(file) => file,
                Err(error) => return kept(error, &outcome.file),
            };
            let before = std::mem::replace(&mut edited, file.text.replace("\r\n", "\n"));
            if refused && bare(&before) == bare(&edited) {
                return kept(
                    Error::local("Edit cancelled, no valid changes were saved."),
                    &file.path,
                );
            }
            outcome.forget_file();
            if bare(&original) == bare(&edited) {
                let _ = std::fs::remove_file(&file.path);
                warn("Edit cancelled, no changes made.");
                return Ok(());
            }
            if bare(&edited).trim().is_empty() {
                let _ = std::fs::remove_file(&file.path);
                warn("Edit cancelled, saved file was empty.");
                return Ok(());
            }
            outcome = Outcome::of(&file.path);
            let saved = match read(&edited) {
                Ok(saved) => saved,
                Err(why) => {
                    refused = true;
                    outcome.syntax(&why);
                    continue;
                }
            };
            for object in saved {
                if let Err(error) = self.save(object, &mut outcome).await {
                    return kept(error, &outcome.file);
                }
            }
            if outcome.retryable > 0 {
                warn(&format!(
                    "You can run `kubectl replace -f {}` to try this update again.",
                    outcome.file
                ));
                return Err(Error::Exit(1));
            }
            if outcome.not_found > 0 {
                let file = &outcome.file;
                warn(&format!(
                    "The edits you made on deleted resources have been saved to {file:?}"
                ));
                return Err(Error::Exit(1));
            }
            if outcome.invalid == 0 {
                outcome.forget_file();
                return Ok(());
            }
            refused = true;
        }
    }

    /// What the editor shows at first.
    fn original(&self, json: bool) -> String {
        let format = if json { Format::Json } else { Format::Yaml };
        match self.originals.as_slice() {
            [(_, shown)] => objects::format(shown, &format),
            several => {
                let items: Vec<&Value> = several.iter().map(|(_, shown)| shown).collect();
                let list =
                    json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
                objects::format(&list, &format)
            }
        }
    }

    /// Sends what was changed of an object.
    async fn save(&self, mut object: Value, outcome: &mut Outcome) -> Result<()> {
        let text = |object: &Value, field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let same = |(_, shown): &&(Found, Value)| {
            text(shown, "uid") == text(&object, "uid")
                && (!text(&object, "uid").is_empty()
                    || (text(shown, "name") == text(&object, "name")
                        && text(shown, "namespace") == text(&object, "namespace")))
        };
        let alone = self.originals.first().filter(|_| self.originals.len() == 1);
        let known = self.originals.iter().find(same).or(alone);
        let Some((one, shown)) = known else {
            return Err(Error::local(format!(
                "no original object found for {object}"
            )));
        };
        if object == *shown {
            return self.report.print(&object, &one.resource, "skipped");
        }
        for field in ["apiVersion", "kind"] {
            if object[field] != shown[field] {
                return Err(changed_identity());
            }
        }
        if text(&object, "name") != text(shown, "name") {
            return Err(changed_identity());
        }
        let patch = match self.what {
            What::LastApplied => {
                apply::annotate(&mut object);
                let text = &object["metadata"]["annotations"][LAST_APPLIED];
                Patch::Merge(json!({"metadata": {"annotations": {LAST_APPLIED: text}}}))
            }
            What::Objects => {
                if self.args.save_config {
                    apply::annotate(&mut object);
                }
                let write = WriteArgs {
                    record: self.args.record,
                    ..WriteArgs::default()
                };
                write::record(&mut object, &write);
                between(shown, &object)?
            }
        };
        if self.args.output_patch {
            print(&format!("Patch: {}\n", patch_text(&patch)))?;
        }
        let mut place = at(&one.resource, &one.namespace).name(&one.name);
        if let Some(subresource) = &self.args.subresource {
            place = place.subresource(subresource);
        }
        match self
            .session
            .client
            .patch(&place, &patch, &self.options()?)
            .await
        {
            Ok(answer) => self.report.print(&answer.parse()?, &one.resource, "edited"),
            Err(status) => {
                warn(&outcome.add(&status, &one.resource, &one.name));
                Ok(())
            }
        }
    }

    fn options(&self) -> Result<WriteOptions> {
        let manager = match self.what {
            What::Objects => "kubectl-edit",
            What::LastApplied => apply::client_side::MANAGER,
        };
        let write = WriteArgs {
            field_manager: self.args.field_manager.clone(),
            validate: self.args.validate.clone(),
            ..WriteArgs::default()
        };
        write::options(&write, manager)
    }
}

/// Lets the user edit objects of files before they are created.
pub async fn before_create(session: &Session, args: &CreateArgs) -> Result<()> {
    let found = apply::chosen(&args.files, args.selector.as_deref(), "create")?;
    let text: Vec<String> = found.iter().map(|file| yaml::write(&file.object)).collect();
    let original = text.join("---\n");
    let mut shown = format!("{}{original}", head(What::Objects, &[]));
    if args.windows_line_endings {
        shown = shown.replace('\n', "\r\n");
    }
    let file = editor::edit(&shown, ".yaml")?;
    let edited = file.text.replace("\r\n", "\n");
    if bare(&edited).trim().is_empty() {
        let _ = std::fs::remove_file(&file.path);
        warn("Edit cancelled, saved file was empty.");
        return Ok(());
    }
    let created = async {
        let resources = session.resources().await?;
        for object in read(&edited).map_err(Error::local)? {
            let resource = select::resource_of(session, resources, &object, &file.path)?;
            write::create(
                session,
                &resource,
                object,
                &args.write,
                "kubectl-create",
                "created",
            )
            .await?;
        }
        Ok(())
    };
    match created.await {
        Ok(()) => {
            let _ = std::fs::remove_file(&file.path);
            Ok(())
        }
        Err(error) => kept(error, &file.path),
    }
}

fn changed_identity() -> Error {
    Error::local("At least one of apiVersion, kind and name was changed")
}

fn patch_text(patch: &Patch) -> String {
    match patch {
        Patch::Merge(tree) | Patch::Strategic(tree) | Patch::Json(tree) => objects::compact(tree),
        Patch::Apply { object, .. } => objects::compact(object),
    }
}

/// The patch from one state to another.
fn between(before: &Value, after: &Value) -> Result<Patch> {
    let field = |name: &str| before[name].as_str().unwrap_or_default();
    match Schema::builtin().object_type(field("apiVersion"), field("kind")) {
        Some(id) => patch::three_way(Schema::builtin(), id, before, after, before)
            .map(Patch::Strategic)
            .map_err(|error| Error::local(error.to_string())),
        None => Ok(Patch::Merge(patch::json_merge_diff(before, after))),
    }
}

/// Says where the changes are that could not be saved.
fn kept(error: Error, file: &str) -> Result<()> {
    if !file.is_empty() && std::path::Path::new(file).exists() {
        warn(&format!(
            "A copy of your changes has been stored to {file:?}"
        ));
    }
    Err(error)
}

/// The objects of an edited file; lists are taken apart.
fn read(text: &str) -> std::result::Result<Vec<Value>, String> {
    let documents = yaml::read(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for mut document in documents {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if document["kind"] == "List" => found.extend(items),
            Some(other) => {
                document["items"] = other;
                found.push(document);
            }
            None if document.is_object() => found.push(document),
            None if document.is_null() => {}
            None => return Err("the file holds no object".to_owned()),
        }
    }
    Ok(found)
}

/// A text without its comments, as far as they stand alone on their lines.
fn bare(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// A text without the comments that it begins with.
fn without_head(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.starts_with('#'));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_the_head_go_and_those_in_texts_stay() {
        let text = "# head\n#\na: |\n  # text\nb: c\n";
        assert_eq!(without_head(text), "a: |\n  # text\nb: c\n");
        assert_eq!(bare(text), "a: |\nb: c\n");
    }

    #[test]
    fn a_saved_list_is_taken_apart() {
        let list = "kind: List\nitems:\n- {kind: A}\n- {kind: B}\n";
        assert_eq!(
            read(list).unwrap(),
            [json!({"kind": "A"}), json!({"kind": "B"})]
        );
        assert_eq!(read("# nothing\n").unwrap(), Vec::<Value>::new());
        assert!(read("a: [").is_err());
    }

    #[test]
    fn a_change_of_one_field_is_a_patch_of_that_field() {
        let object = |data: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": data}});
        let Patch::Strategic(patch) = between(&object("1"), &object("2")).unwrap() else {
            panic!("a ConfigMap has a type");
        };
        assert_eq!(patch, json!({"data": {"a": "2"}}));
    }
}
