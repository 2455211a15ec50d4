//! Templates of Go's `text/template`, as `-o go-template` takes them.
//!
//! ```text
//!  text ──lex──> tokens ──parse──> [Node] ──eval (functions, print)──> text
//! ```
//!
//! Values are what JSON holds. What comes from the object is borrowed, never copied.

mod eval;
mod functions;
mod lex;
mod parse;
mod print;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

/// A template, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    body: Vec<Node>,
    defined: BTreeMap<String, Vec<Node>>,
    /// A key that is not there is an error.
    strict: bool,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Action(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
    /// Where it stands, the name, and what is handed over.
    Call(Place, String, Option<Pipe>),
    Break,
    Continue,
}

/// Where something stands in the source, and how it is written, for errors.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    line: usize,
    column: usize,
    text: String,
}

/// `$a, $b := command | command`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pipe {
    variables: Vec<String>,
    assigns: bool,
    commands: Vec<Command>,
}

/// An operand, or a function with its arguments.
#[derive(Clone, Debug, PartialEq)]
struct Command {
    place: Place,
    words: Vec<Operand>,
}

#[derive(Clone, Debug, PartialEq)]
struct Operand {
    place: Place,
    what: What,
    /// Fields behind it: `$x.a.b`.
    fields: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Dot,
    Nil,
    Variable(String),
    Function(String),
    Literal(Value),
    Pipe(Box<Pipe>),
}

impl Template {
    /// Reads a template; the error is upstream's.
    pub fn read(source: &str, strict: bool) -> Result<Template, String> {
        let parsed = parse::template(source).map_err(|(line, why)| {
            format!("error parsing template {source}, template: output:{line}: {why}")
        })?;
        Ok(Template {
            source: source.to_owned(),
            body: parsed.0,
            defined: parsed.1,
            strict,
        })
    }

    /// The text of the template for an object: what was written before a failure, and the failure.
    pub fn format(&self, object: &Value) -> (String, Result<(), String>) {
        let mut out = String::new();
        let Err(why) = eval::run(self, object, &mut out) else {
            return (out, Ok(()));
        };
        let raw = crate::output::objects::compact(object);
        out.push_str(&format!(
            "Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate \
             was:\n\t\t{}\n\traw data was:\n\t\t{raw}\n\tobject given to template engine was:\n\t\t{}\n\n",
            self.source,
            print::value(object)
        ));
        let why = format!("error executing template {:?}: {why}", self.source);
        (out, Err(why))
    }
}
