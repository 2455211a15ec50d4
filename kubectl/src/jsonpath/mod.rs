//! JSONPath templates: `{range .items[*]}{.metadata.name}{"\n"}{end}`.
//!
//! ```text
//!  text ──read──> Template: Text | Path(Step, …) | Range(Step, …, [Node])  ──eval──> values ──> text
//! ```

mod eval;
mod read;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::output::gosyntax;

/// A template, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    nodes: Vec<Node>,
    /// A field that is not there is an error.
    strict: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Root,
    Current,
    Field(String),
    Wildcard,
    Recursive,
    Slice(Option<i64>, Option<i64>, Option<i64>),
    Index(i64),
    Union(Vec<Vec<Step>>),
    Filter(Vec<Step>, Option<(Operator, Vec<Step>)>),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Template {
    /// Reads a template; the error is upstream's.
    pub fn read(source: &str) -> Result<Template, String> {
        let nodes = read::template(source)
            .map_err(|why| format!("error parsing jsonpath {source}, {why}"))?;
        let source = source.to_owned();
        Ok(Template {
            source,
            nodes,
            strict: false,
        })
    }

    /// Reads a bare path as well: `x.y`, `.x.y`, `{x.y}` and `{.x.y}` mean the same.
    pub fn read_path(source: &str) -> Result<Template, String> {
        if source.is_empty() {
            return Template::read("");
        }
        let inner = source
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(source);
        let inner = inner.strip_prefix('.').unwrap_or(inner);
        if inner.contains(['{', '}']) && !inner.contains('[') {
            return Err(
                "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or \
                 '{.name1.name2}'"
                    .to_owned(),
            );
        }
        Template::read(&format!("{{.{inner}}}"))
    }

    /// The same template; when `strict`, a field that is not there is an error.
    pub fn strict(self, strict: bool) -> Template {
        Template { strict, ..self }
    }

    /// The text of the template for an object.
    pub fn format(&self, object: &Value) -> Result<String, String> {
        let mut text = String::new();
        let source = eval::Source {
            root: object,
            strict: self.strict,
        };
        eval::format(&self.nodes, source, object, &mut text).map_err(|why| {
            format!(
                "error executing jsonpath {:?}: Error executing template: {why}. Printing more information for debugging \
                 the template:\n\ttemplate was:\n\t\t{}\n\tobject given to jsonpath engine was:\n\t\t{}\n\n",
                self.source,
                self.source,
                gosyntax::syntax(object)
            )
        })?;
        Ok(text)
    }

    /// The values that the template's paths lead to.
    pub fn values<'a>(&'a self, object: &'a Value) -> Result<Vec<&'a Value>, String> {
        let source = eval::Source {
            root: object,
            strict: self.strict,
        };
        let mut values = Vec::new();
        for node in &self.nodes {
            if let Node::Path(steps) = node {
                values.extend(eval::path(steps, source, object)?);
            }
        }
        Ok(values)
    }
}

/// A value as templates print it: texts bare, everything else as JSON.
pub fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => crate::output::objects::compact(other),
    }
}
