//! How objects are printed.

pub mod columns;
pub mod custom;
pub mod objects;
pub mod table;
pub mod tabs;

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
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
    /// `deployment.apps/web`.
    Name,
    /// What a template makes of the object.
    JsonPath(Arc<Template>),
    /// The values of a template as a list.
    JsonPathAsJson(Arc<Template>),
    /// Columns of the user's choice.
    Custom(Arc<custom::Columns>),
}

const OBJECT_FORMATS: &str = "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,yaml";
const TABLE_FORMATS: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml";

impl Format {
    /// Reads the value of `-o` of a command that prints objects, not tables.
    pub fn of_object(text: Option<&str>) -> Result<Format> {
        match Format::read(text.unwrap_or_default(), None)? {
            Some(Format::Wide | Format::Custom(_)) | None => Err(unknown(text, OBJECT_FORMATS)),
            Some(format) => Ok(format),
        }
    }

    /// Reads the value of `-o`, and of `--template`.
    pub fn parse(text: Option<&str>, template: Option<&str>) -> Result<Format> {
        Format::read(text.unwrap_or_default(), template)?
            .ok_or_else(|| unknown(text, TABLE_FORMATS))
    }

    fn read(text: &str, template: Option<&str>) -> Result<Option<Format>> {
        let (name, argument) = match text.split_once('=') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, template),
        };
        let read = |path: &str| {
            std::fs::read_to_string(path).map_err(|error| {
                Error::local(format!("error reading template {path}, {}", go(&error)))
            })
        };
        let path_template = || {
            let argument = argument.filter(|argument| !argument.is_empty());
            argument.ok_or_else(|| Error::local("template format specified but no template given"))
        };
        let jsonpath = |source: &str| {
            let template = Template::read(source).map_err(Error::local)?;
            Ok::<_, Error>(Arc::new(template))
        };
        Ok(Some(match name {
            "" => Format::Table,
            "wide" => Format::Wide,
            "yaml" => Format::Yaml,
            "json" => Format::Json,
            "name" => Format::Name,
            "jsonpath" => Format::JsonPath(jsonpath(path_template()?)?),
            "jsonpath-as-json" => Format::JsonPathAsJson(jsonpath(path_template()?)?),
            "jsonpath-file" => Format::JsonPath(jsonpath(&read(path_template()?)?)?),
            "custom-columns" => Format::Custom(Arc::new(custom::Columns::read(
                argument.unwrap_or_default(),
            )?)),
            "custom-columns-file" => Format::Custom(Arc::new(custom::Columns::read_file(&read(
                path_template()?,
            )?)?)),
            "go-template" | "go-template-file" | "template" | "templatefile" => {
                path_template()?;
                return Err(Error::local(
                    "go-template is not available; use jsonpath or custom-columns",
                ));
            }
            _ => return Ok(None),
        }))
    }

    /// Whether the server's tables are shown.
    pub fn is_table(&self) -> bool {
        matches!(self, Format::Table | Format::Wide)
    }
}

fn unknown(text: Option<&str>, allowed: &str) -> Error {
    Error::local(format!(
        "unable to match a printer suitable for the output format {:?}, allowed formats are: {allowed}",
        text.unwrap_or_default()
    ))
}

/// An object in a format that shows whole objects; `qualified` is its name with its resource.
pub fn object(object: &Value, format: &Format, qualified: &str) -> Result<String> {
    Ok(match format {
        Format::Name => format!("{qualified}\n"),
        Format::JsonPath(template) => template.format(object).map_err(Error::local)?,
        Format::JsonPathAsJson(template) => {
            let values = template.values(object).map_err(Error::local)?;
            let values = values.into_iter().cloned().collect();
            objects::format(&Value::Array(values), &Format::Json)
        }
        format => objects::format(object, format),
    })
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
