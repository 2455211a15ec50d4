//! Creating objects and saying so.

use std::sync::atomic::{AtomicBool, Ordering};

use ferrule_client::WriteOptions;
use ferrule_proto::v1::ApiResource;
use serde_json::Value;

use super::print;
use crate::args::{DryRun, PrintArgs, WriteArgs};
use crate::error::{Error, Result};
use crate::output::{self, Format, objects};
use crate::resources::{at, singular};
use crate::session::Session;

/// The options of a write.
pub fn options(args: &WriteArgs, manager: &str) -> Result<WriteOptions> {
    let field_validation = match args.validate.as_str() {
        "strict" | "true" => "Strict",
        "warn" => "Warn",
        "ignore" | "false" => "Ignore",
        other => {
            return Err(Error::local(format!(
                "invalid - validate option {other:?}; must be one of: strict (or true), warn, ignore (or false)"
            )));
        }
    };
    Ok(WriteOptions {
        dry_run: args.dry_run == DryRun::Server,
        field_manager: args
            .field_manager
            .clone()
            .unwrap_or_else(|| manager.to_owned()),
        field_validation: field_validation.to_owned(),
        ..WriteOptions::default()
    })
}

/// Keeps the command in an object's annotations, when the flags ask for it.
pub fn record(object: &mut Value, args: &WriteArgs) {
    if args.record {
        let cause = crate::parse::change_cause(&std::env::args().collect::<Vec<_>>());
        object["metadata"]["annotations"][super::set::CHANGE_CAUSE] = Value::from(cause);
    }
}

/// ` (dry run)`, ` (server dry run)` or nothing.
pub fn suffix(dry_run: DryRun) -> &'static str {
    match dry_run {
        DryRun::None => "",
        DryRun::Client => " (dry run)",
        DryRun::Server => " (server dry run)",
    }
}

/// Puts the session's namespace into an object that names none.
pub fn place(object: &mut Value, resource: &ApiResource, session: &Session) -> String {
    if !resource.namespaced {
        return String::new();
    }
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or(&session.namespace).to_owned();
    object["metadata"]["namespace"] = Value::from(namespace.clone());
    namespace
}

/// A new object has no version yet: what a file says of it is from elsewhere.
pub fn forget_version(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
}

/// How what became of an object is told.
#[derive(Clone)]
pub struct Report {
    /// Its format.
    pub format: Format,
    /// Whether anything is stored.
    pub dry_run: DryRun,
    /// The object is of a type that this program knows: its fields keep their order.
    pub typed: bool,
    /// managedFields are shown.
    pub managed_fields: bool,
    /// YAML documents are told apart by a line; not so by commands that print each by itself.
    pub separate: bool,
}

/// Whether a YAML document was printed before.
static PRINTED: AtomicBool = AtomicBool::new(false);

impl Report {
    /// By the flags of a command.
    pub fn new(args: &WriteArgs) -> Result<Report> {
        Report::of(&args.print, args.dry_run)
    }

    /// The same for objects of types that this program knows.
    pub fn typed(args: &WriteArgs) -> Result<Report> {
        Ok(Report {
            typed: true,
            ..Report::new(args)?
        })
    }

    /// By the flags of a command that has no others.
    pub fn of(args: &PrintArgs, dry_run: DryRun) -> Result<Report> {
        Ok(Report {
            format: Format::of_object(args)?,
            managed_fields: args.show_managed_fields,
            ..Report::plain(dry_run)
        })
    }

    /// One line for each object.
    pub fn plain(dry_run: DryRun) -> Report {
        Report {
            format: Format::Table,
            dry_run,
            typed: false,
            managed_fields: false,
            separate: true,
        }
    }

    /// Prints an object that was written, or one line about it.
    pub fn print(&self, object: &Value, resource: &ApiResource, done: &str) -> Result<()> {
        let name = object["metadata"]["name"].as_str();
        let name = name.filter(|name| !name.is_empty());
        let name = format!("{}/{}", singular(resource), name.unwrap_or("<unknown>"));
        if self.format.is_table() {
            return print(&format!("{name} {done}{}\n", suffix(self.dry_run)));
        }
        let mut object = object.clone();
        if !self.managed_fields && self.format.hides_managed_fields() {
            objects::without_managed_fields(&mut object);
        }
        if self.separate && self.format == Format::Yaml && PRINTED.swap(true, Ordering::Relaxed) {
            print("---\n")?;
        }
        if self.typed && self.format == Format::Json {
            return print(&objects::format_typed(&object, &self.format));
        }
        output::print(&object, &self.format, &name)
    }
}

/// Creates an object, and prints what became of it.
pub async fn create(
    session: &Session,
    resource: &ApiResource,
    mut object: Value,
    args: &WriteArgs,
    manager: &str,
    done: &str,
) -> Result<()> {
    let report = Report::new(args)?;
    let namespace = place(&mut object, resource, session);
    if args.save_config {
        super::apply::annotate(&mut object);
    }
    if args.dry_run != DryRun::Client {
        let place = at(resource, &namespace);
        forget_version(&mut object);
        let created = session
            .client
            .create(&place, object.to_string(), &options(args, manager)?)
            .await?;
        object = created.parse()?;
    }
    report.print(&object, resource, done)
}

/// The same for an object made from flags; a dry run shows its namespace only when it was given.
pub async fn create_typed(
    session: &Session,
    resource: &ApiResource,
    object: Value,
    args: &WriteArgs,
    manager: &str,
    done: &str,
) -> Result<()> {
    let object = make(session, resource, object, args, manager).await?;
    Report::typed(args)?.print(&object, resource, done)
}

/// Creates an object made from flags, and says nothing.
pub async fn make(
    session: &Session,
    resource: &ApiResource,
    mut object: Value,
    args: &WriteArgs,
    manager: &str,
) -> Result<Value> {
    // An unknown format is refused before anything is created.
    Report::typed(args)?;
    if resource.namespaced && session.namespace_given {
        place(&mut object, resource, session);
    }
    record(&mut object, args);
    if args.save_config {
        let text = format!("{}\n", objects::compact_typed(&object));
        object["metadata"]["annotations"][super::apply::LAST_APPLIED] = Value::from(text);
    }
    if args.dry_run == DryRun::Client {
        return Ok(object);
    }
    let namespace = place(&mut object, resource, session);
    let created = session
        .client
        .create(
            &at(resource, &namespace),
            object.to_string(),
            &options(args, manager)?,
        )
        .await?;
    Ok(created.parse()?)
}
