//! How objects are printed.

pub mod columns;
pub mod custom;
pub mod gosyntax;
pub mod kyaml;
pub mod objects;
pub mod table;
pub mod tabs;

use std::sync::Arc;

use serde_json::Value;

use crate::args::PrintArgs;
use crate::error::{Error, Result};
use crate::gotemplate;
use crate::jsonpath::Template;

/// The formats of `-o`.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// The columns that matter most.
    Table,
    /// All columns.
    Wide,
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// YAML in braces, with every text in quotes.
    Kyaml,
    /// `deployment.apps/web`.
    Name,
    /// What a template makes of the object.
    JsonPath(Arc<Template>),
    /// The values of a template as a list.
    JsonPathAsJson(Arc<Template>),
    /// What a template of Go's makes of the object.
    GoTemplate(Arc<gotemplate::Template>),
    /// Columns of the user's choice.
    Custom(Arc<custom::Columns>),
}

const OBJECT_FORMATS: &str = "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,yaml";
const TABLE_FORMATS: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml";

impl Format {
    /// Reads the flags of a command that prints objects, not tables.
    pub fn of_object(args: &PrintArgs) -> Result<Format> {
        match Format::read(args)? {
            Some(Format::Wide | Format::Custom(_)) | None => Err(unknown(args, OBJECT_FORMATS)),
            Some(format) => Ok(format),
        }
    }

    /// Reads the flags of a command that prints tables, too.
    pub fn parse(args: &PrintArgs) -> Result<Format> {
        Format::read(args)?.ok_or_else(|| unknown(args, TABLE_FORMATS))
    }

    fn read(args: &PrintArgs) -> Result<Option<Format>> {
        let template = args.template.as_deref().filter(|text| !text.is_empty());
        let text = match (args.output.as_deref().unwrap_or_default(), template) {
            ("", Some(_)) => "go-template",
            (text, _) => text,
        };
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, template),
        };
        let strict = !args.allow_missing_template_keys;
        let read_as = |what: &str, path: &str| {
            std::fs::read_to_string(path).map_err(|error| {
                Error::local(format!(
                    "error reading {what} {path}, open {path}: {}",
                    go(&error)
                ))
            })
        };
        let read = |path: &str| read_as("--template", path);
        let given = || {
            let argument = argument.filter(|argument| !argument.is_empty());
            argument.ok_or_else(|| Error::local("template format specified but no template given"))
        };
        let jsonpath = |source: &str| {
            let template = Template::read(source).map_err(Error::local)?;
            Ok::<_, Error>(Arc::new(template.strict(strict)))
        };
        let go_template = |source: &str| {
            let template = gotemplate::Template::read(source, strict).map_err(Error::local)?;
            Ok::<_, Error>(Format::GoTemplate(Arc::new(template)))
        };
        Ok(Some(match name {
            "" => Format::Table,
            "wide" => Format::Wide,
            "yaml" => Format::Yaml,
            "json" => Format::Json,
            "kyaml" => Format::Kyaml,
            "name" => Format::Name,
            "jsonpath" => Format::JsonPath(jsonpath(given()?)?),
            "jsonpath-as-json" => Format::JsonPathAsJson(jsonpath(given()?)?),
            "jsonpath-file" => Format::JsonPath(jsonpath(&read(given()?)?)?),
            "custom-columns" => Format::Custom(Arc::new(custom::Columns::read(
                argument.unwrap_or_default(),
            )?)),
            "custom-columns-file" if argument.unwrap_or_default().is_empty() => {
                return Err(Error::local(
                    "custom-columns format specified but no custom columns given",
                ));
            }
            "custom-columns-file" => Format::Custom(Arc::new(custom::Columns::read_file(
                &read_as("template", given()?)?,
            )?)),
            "go-template" | "template" => go_template(given()?)?,
            "go-template-file" | "templatefile" => go_template(&read(given()?)?)?,
            _ => return Ok(None),
        }))
    }

    /// Whether managedFields are left out unless they are asked for: templates see them.
    pub fn hides_managed_fields(&self) -> bool {
        matches!(self, Format::Json | Format::Yaml | Format::Kyaml)
    }

    /// Whether the server's tables are shown.
    pub fn is_table(&self) -> bool {
        matches!(self, Format::Table | Format::Wide)
    }
}

fn unknown(args: &PrintArgs, allowed: &str) -> Error {
    Error::local(format!(
        "unable to match a printer suitable for the output format {:?}, allowed formats are: {allowed}",
        args.output.as_deref().unwrap_or_default()
    ))
}

/// An object in a format that shows whole objects; `qualified` is its name with its resource.
/// What a template wrote before it failed comes with the error.
pub fn object(object: &Value, format: &Format, qualified: &str) -> (String, Result<()>) {
    let text = match format {
        Format::Name => format!("{qualified}\n"),
        Format::JsonPath(template) => match template.format(object) {
            Ok(text) => text,
            Err(why) => return (String::new(), Err(Error::local(why))),
        },
        Format::JsonPathAsJson(template) => match template.values(object) {
            Ok(values) => {
                let values = values.into_iter().cloned().collect();
                objects::format(&Value::Array(values), &Format::Json)
            }
            Err(why) => return (String::new(), Err(Error::local(why))),
        },
        Format::GoTemplate(template) => {
            let (text, result) = template.format(object);
            return (text, result.map_err(Error::local));
        }
        Format::Kyaml => kyaml::write(object),
        format => objects::format(object, format),
    };
    (text, Ok(()))
}

/// Prints an object in such a format.
pub fn print(object: &Value, format: &Format, qualified: &str) -> Result<()> {
    let (text, result) = self::object(object, format, qualified);
    crate::commands::print(&text)?;
    result
}

/// What went wrong with a file, in Go's words.
pub fn go(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}
