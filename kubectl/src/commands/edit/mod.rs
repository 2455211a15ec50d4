//! `kubectl edit`: objects in an editor, and what was changed sent as a patch.
//!
//! ```text
//!  objects ──> file with a head of comments ──> editor ──> objects ──> patches
//!                      ▲                                                 │
//!                      └───────── refusals, as comments ─────────────────┘
//! ```
//!
//! What cannot be saved stays in its file, which is named.

mod edited;
mod editor;
mod outcome;

use ferrule_apimachinery::patch;
use ferrule_apimachinery::schema::Schema;
use ferrule_client::WriteOptions;
use ferrule_client::client::Patch;
use ferrule_proto::v1::ApiResource;
use serde_json::{Value, json};

use edited::Object;
pub use editor::temporary_folder;
use outcome::{Outcome, head};

use super::apply::{self, LAST_APPLIED};
use super::select::{self, Found, Selection};
use super::write::{self, Report};
use super::{print, warn};
use crate::args::{CreateArgs, DryRun, EditArgs, PrintArgs, WriteArgs};
use crate::error::{Error, Result};
use crate::output::{self, Format, gosyntax, objects};
use crate::resources::at;
use crate::session::Session;

/// What is edited of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// They themselves.
    Objects,
    /// Their last applied configuration.
    LastApplied,
    /// Those of files, before they are created.
    Creation,
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
    let options = options(args, what)?;
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
            What::LastApplied => {
                match one.object["metadata"]["annotations"][LAST_APPLIED].as_str() {
                    Some(text) => serde_json::from_str(text)
                        .map_err(|error| Error::local(error.to_string()))?,
                    None => continue,
                }
            }
            _ => {
                let mut shown = one.object.clone();
                objects::without_managed_fields(&mut shown);
                shown
            }
        };
        originals.push((one, shown));
    }
    if originals.is_empty() {
        return Err(Error::local(match what {
            What::LastApplied => {
                "no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply \
                 set-last-applied --create-annotation`"
            }
            _ => "edit cancelled, no objects found",
        }));
    }
    Editing {
        session,
        args,
        what,
        originals,
        format: format(&args.print)?,
        report: report(&args.print)?,
        options,
    }
    .run()
    .await
}

/// Lets the user edit objects of files before they are created, one after the other.
pub async fn before_create(session: &Session, args: &CreateArgs) -> Result<()> {
    if args.files.is_empty() {
        return Err(Error::local("must specify one of -f and -k"));
    }
    let resources = session.resources().await?;
    let edit = EditArgs {
        words: Vec::new(),
        files: args.files.clone(),
        print: args.write.print.clone(),
        output_patch: false,
        windows_line_endings: args.windows_line_endings,
        subresource: None,
        field_manager: args.write.field_manager.clone(),
        save_config: args.write.save_config,
        record: args.write.record,
        validate: args.write.validate.clone(),
    };
    let mut errors = Vec::new();
    for mut file in apply::chosen(&args.files, args.selector.as_deref(), "create")? {
        let edited = async {
            let resource = select::resource_of(session, resources, &file.object, &file.source)?;
            let namespace = write::place(&mut file.object, &resource, session);
            let name = file.object["metadata"]["name"].as_str().unwrap_or_default();
            let one = Found {
                resource,
                namespace,
                name: name.to_owned(),
                object: file.object.clone(),
            };
            Editing {
                session,
                args: &edit,
                what: What::Creation,
                originals: vec![(one, file.object)],
                format: format(&edit.print)?,
                report: report(&edit.print)?,
                options: options(&edit, What::Creation)?,
            }
            .run()
            .await
        };
        if let Err(error) = edited.await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

/// How an editor shows objects: nothing but JSON and YAML can be read again.
fn format(print: &PrintArgs) -> Result<Format> {
    match print.output.as_deref().unwrap_or_default() {
        "" | "yaml" => Ok(Format::Yaml),
        "json" => Ok(Format::Json),
        "kyaml" => Ok(Format::Kyaml),
        other => Err(Error::local(format!(
            "unable to match a printer suitable for the output format {other:?}, allowed formats are: json,kyaml,yaml"
        ))),
    }
}

fn report(print: &PrintArgs) -> Result<Report> {
    Ok(Report {
        separate: false,
        ..Report::of(print, DryRun::None)?
    })
}

fn options(args: &EditArgs, what: What) -> Result<WriteOptions> {
    let manager = match what {
        What::Objects => "kubectl-edit",
        What::LastApplied => apply::client_side::MANAGER,
        What::Creation => "kubectl-create",
    };
    let write = WriteArgs {
        field_manager: args.field_manager.clone(),
        validate: args.validate.clone(),
        ..WriteArgs::default()
    };
    write::options(&write, manager)
}

struct Editing<'a> {
    session: &'a Session,
    args: &'a EditArgs,
    what: What,
    /// Each object with what is shown of it.
    originals: Vec<(Found, Value)>,
    /// How they are shown.
    format: Format,
    report: Report,
    options: WriteOptions,
}

/// What becomes of an edited file.
enum Verdict {
    /// There is nothing more to do.
    Done,
    /// It is shown again.
    Again,
}

impl Editing<'_> {
    async fn run(&self) -> Result<()> {
        let json = self.format == Format::Json;
        let ending = if json { ".json" } else { ".yaml" };
        let original = self.original();
        let mut outcome = Outcome::default();
        let mut edited = String::new();
        let mut refused = false;
        loop {
            let mut text = match json {
                true => String::new(),
                false => head(self.what, &outcome.reasons),
            };
            text.push_str(&match refused {
                true => edited::without_head(&edited),
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
            if refused && edited::meaning(&before) == edited::meaning(&edited) {
                return kept(
                    Error::local("Edit cancelled, no valid changes were saved."),
                    &file.path,
                );
            }
            outcome.forget_file();
            outcome = Outcome::of(&file.path);
            match self.take(&original, &edited, &mut outcome).await? {
                Verdict::Done => return Ok(()),
                Verdict::Again => refused = true,
            }
        }
    }

    /// What the editor shows at first.
    fn original(&self) -> String {
        let object = match self.originals.as_slice() {
            [(_, shown)] => shown.clone(),
            several => {
                let items: Vec<&Value> = several.iter().map(|(_, shown)| shown).collect();
                json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
            }
        };
        output::object(&object, &self.format, "").0
    }

    /// Does what an edited text says.
    async fn take(&self, original: &str, text: &str, outcome: &mut Outcome) -> Result<Verdict> {
        if let Some(why) = edited::fault(text) {
            if let Some((one, _)) = self.originals.first() {
                warn(&outcome.faulty(&why, &one.resource, &one.name));
            }
            return Ok(Verdict::Again);
        }
        if edited::meaning(original) == edited::meaning(text) {
            outcome.forget_file();
            warn("Edit cancelled, no changes made.");
            return Ok(Verdict::Done);
        }
        let objects = match edited::read(text, self.session.resources().await?) {
            Ok(objects) => objects,
            Err(why) => {
                outcome.syntax(&why);
                return Ok(Verdict::Again);
            }
        };
        if let Err(error) = self.save_all(objects, outcome).await {
            kept(error, &outcome.file)?;
        }
        outcome.verdict()
    }

    async fn save_all(&self, mut objects: Vec<Object>, outcome: &mut Outcome) -> Result<()> {
        for (object, resource) in &mut objects {
            self.require_namespace(object, resource)?;
        }
        for (object, resource) in objects {
            match self.what {
                What::Objects => self.save(object, &resource, outcome).await?,
                What::LastApplied => self.save_applied(&object, &resource).await?,
                What::Creation => self.create(object, &resource).await?,
            }
        }
        Ok(())
    }

    /// Objects stay in the namespace of the command.
    fn require_namespace(&self, object: &mut Value, resource: &ApiResource) -> Result<()> {
        let wanted = &self.session.namespace;
        let namespace = write::place(object, resource, self.session);
        if !resource.namespaced || namespace == *wanted {
            return Ok(());
        }
        Err(Error::local(format!(
            "the namespace from the provided object {namespace:?} does not match the namespace {wanted:?}. You must pass \
             '--namespace={namespace}' to perform this operation."
        )))
    }

    /// Sends what was changed of an object.
    async fn save(
        &self,
        mut object: Value,
        resource: &ApiResource,
        outcome: &mut Outcome,
    ) -> Result<()> {
        if self.args.save_config {
            apply::annotate(&mut object);
        }
        let write = WriteArgs {
            record: self.args.record,
            ..WriteArgs::default()
        };
        write::record(&mut object, &write);
        let (one, shown) = self.original_of(&object)?;
        if object == *shown {
            return self.report.print(&object, resource, "skipped");
        }
        let changed = |pointer: &str| object.pointer(pointer) != shown.pointer(pointer);
        if ["/apiVersion", "/kind", "/metadata/name"]
            .into_iter()
            .any(changed)
        {
            return Err(Error::local(
                "At least one of apiVersion, kind and name was changed",
            ));
        }
        let patch = between(shown, &object)?;
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
            .patch(&place, &patch, &self.options)
            .await
        {
            Ok(answer) => self.report.print(&answer.parse()?, &one.resource, "edited"),
            Err(status) => {
                warn(&outcome.add(&status, &one.resource, &one.name));
                Ok(())
            }
        }
    }

    /// Sets the annotation to what was edited.
    async fn save_applied(&self, object: &Value, resource: &ApiResource) -> Result<()> {
        let (_, shown) = self.original_of(object)?;
        if object == shown {
            return self.report.print(object, resource, "skipped");
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(Error::local("resource name may not be empty"));
        }
        let place = at(resource, &self.session.namespace).name(name);
        let patch = apply::last_applied::patch(object);
        self.session
            .client
            .patch(&place, &patch, &self.options)
            .await?;
        self.report.print(object, resource, "edited")
    }

    async fn create(&self, mut object: Value, resource: &ApiResource) -> Result<()> {
        if self.args.save_config {
            apply::annotate(&mut object);
        }
        let place = at(resource, &self.session.namespace);
        let text = object.to_string();
        let created = self.session.client.create(&place, text, &self.options);
        self.report
            .print(&created.await?.parse()?, resource, "created")
    }

    /// The object that was shown for this one.
    fn original_of(&self, object: &Value) -> Result<&(Found, Value)> {
        let uid = |object: &Value| {
            object["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let same = |(_, shown): &&(Found, Value)| uid(shown) == uid(object);
        self.originals.iter().find(same).ok_or_else(|| {
            Error::local(format!(
                "no original object found for &unstructured.Unstructured{{Object:{}}}",
                gosyntax::syntax(object)
            ))
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_one_field_is_a_patch_of_that_field() {
        let object = |data: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": data}});
        let Patch::Strategic(patch) = between(&object("1"), &object("2")).unwrap() else {
            panic!("a ConfigMap has a type");
        };
        assert_eq!(patch, json!({"data": {"a": "2"}}));
    }
}
