//! Columns that the user chooses: `NAME:.metadata.name,IMAGE:.spec.containers[*].image`.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::jsonpath::{Template, printed};

/// Headings, and where their values are.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(Vec<(String, Template)>);

impl Columns {
    /// Reads `HEADING:PATH,…`.
    pub fn read(spec: &str) -> Result<Columns> {
        if spec.is_empty() {
            return Err(Error::local(
                "custom-columns format specified but no custom columns given",
            ));
        }
        let columns = spec.split(',').map(|column| {
            let (heading, path) = column.split_once(':').ok_or_else(|| {
                Error::local(format!(
                    "unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>"
                ))
            })?;
            Ok((heading.to_owned(), template(path)?))
        });
        Ok(Columns(columns.collect::<Result<_>>()?))
    }

    /// Reads a file with headings in its first line and paths in its second.
    pub fn read_file(text: &str) -> Result<Columns> {
        let mut lines = text.lines();
        let mut words = || lines.next().unwrap_or_default().split_whitespace();
        let headings: Vec<&str> = words().collect();
        let paths: Vec<&str> = words().collect();
        let lines = text.lines().count();
        if lines < 2 {
            let which = if lines == 0 { "header" } else { "spec" };
            return Err(Error::local(format!(
                "invalid template, missing {which} line. Expected format is one line of space separated headers, one line of \
                 space separated column specs."
            )));
        }
        if headings.len() != paths.len() {
            return Err(Error::local(format!(
                "number of headers ({}) and field specifications ({}) don't match",
                headings.len(),
                paths.len()
            )));
        }
        let columns = headings.iter().zip(paths);
        let columns = columns.map(|(heading, path)| Ok(((*heading).to_owned(), template(path)?)));
        Ok(Columns(columns.collect::<Result<_>>()?))
    }

    /// The headings.
    pub fn heading(&self) -> Vec<String> {
        self.0.iter().map(|(heading, _)| heading.clone()).collect()
    }

    /// An object's row.
    pub fn row(&self, object: &Value) -> Result<Vec<String>> {
        let cells = self.0.iter().map(|(_, template)| {
            let values = template.values(object).map_err(Error::local)?;
            let texts: Vec<String> = values.into_iter().map(cell).collect();
            Ok(if texts.is_empty() {
                "<none>".to_owned()
            } else {
                texts.join(",")
            })
        });
        cells.collect()
    }
}

fn template(path: &str) -> Result<Template> {
    Template::read_path(path).map_err(Error::local)
}

/// A value as Go prints it.
fn cell(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(cell).collect();
            format!("[{}]", texts.join(" "))
        }
        Value::Object(map) => {
            let mut texts: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", cell(value)))
                .collect();
            texts.sort();
            format!("map[{}]", texts.join(" "))
        }
        Value::Null => "<none>".to_owned(),
        other => printed(other),
    }
}
